//! Rights as values that are used up by use, and the lease they rest on.
//!
//! A [`Right`] to send that is dropped unused is released as never sent; a [`Sending`] that is dropped leaves the
//! operation in doubt. Both happen in a task of their own.

use crate::runtime::{
    call::renewals::{Renewal, Renewals, Renewed},
    ledger_client::clock::Moment,
    ledger_client::{AppliedCommand, LedgerClient},
};
use crate::{
    ledger::{Claim, Command, Grant, KeptOutcome, ServerErrorRule, Settlement, bound},
    model::{Effect, Outcome, StoreKey, Verdict},
};
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// The renewals of a claim within its lease.
const RENEWALS_PER_LEASE: u32 = 3;

/// A claim that this host holds.
#[derive(Debug)]
struct Lease {
    table: LedgerClient,
    runtime: Handle,
    key: StoreKey,
    grant: Grant,
    claim: Arc<Claim>,
    /// None once it is over.
    renewal: Option<Renewal>,
    settled: bool,
}

impl Lease {
    /// Writes the known outcome of the attempt when no caller is left to report more.
    fn abandon(&mut self, outcome: Outcome) {
        self.renewal = None;
        if self.settled {
            return;
        }
        self.settled = true;
        let table = self.table.clone();
        let key = self.key;
        let verdict = bound(
            &outcome,
            &Verdict::new(Effect::Unknown, "the caller went away"),
            ServerErrorRule::ProveNothing,
        );
        let settlement = Settlement {
            fence: self.grant.fence,
            generation: self.grant.generation,
            series: self.grant.series,
            outcome: KeptOutcome::Whole(outcome),
            verdict,
            handles: Vec::new(),
            undid: Vec::new(),
            claim: Arc::clone(&self.claim),
        };
        self.runtime.spawn(async move {
            if let Err(error) = table.apply(key, &Command::Settle(Box::new(settlement))).await {
                tracing::warn!(%error, "semel.abandoned attempt could not be recorded: it is in doubt once its lease ends");
            }
        });
    }
}

/// The right to send once, until a deadline.
#[derive(Debug)]
pub(crate) struct Right {
    lease: Option<Lease>,
    deadline: Moment,
}

impl Right {
    pub(crate) fn new(
        table: &LedgerClient,
        renewals: &Renewals,
        grant: &Grant,
        applied: &AppliedCommand,
        claim: Arc<Claim>,
    ) -> Self {
        let every =
            Duration::from_secs(u64::from(claim.terms.lease_seconds.max(1))) / RENEWALS_PER_LEASE;
        let renewal = renewals.begin(Renewed {
            table: table.clone(),
            key: applied.key,
            fence: grant.fence,
            every,
        });
        Self {
            deadline: applied.asked.after_ms(grant.valid_ms),
            lease: Some(Lease {
                table: table.clone(),
                runtime: Handle::current(),
                key: applied.key,
                grant: grant.clone(),
                claim,
                renewal: Some(renewal),
                settled: false,
            }),
        }
    }

    /// Uses the right up, right before the bytes leave.
    pub(crate) fn use_up(mut self) -> UsedRight {
        let in_time = !self.deadline.left().is_zero();
        let sending = Sending {
            lease: self.lease.take(),
        };
        if in_time {
            UsedRight::InTime(sending)
        } else {
            UsedRight::TooLate(sending)
        }
    }

    /// Gives the right up unused: its attempt is about to be settled, or was.
    pub(crate) fn give_up(mut self) -> Sending {
        Sending {
            lease: self.lease.take(),
        }
    }
}

/// A right after its use.
#[derive(Debug)]
pub(crate) enum UsedRight {
    /// The call may be sent now.
    InTime(Sending),
    /// The deadline is past, and nothing may be sent. The claim is still held, to be settled as not sent.
    TooLate(Sending),
}

impl Drop for Right {
    fn drop(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.abandon(Outcome::not_sent(
                "the caller went away before anything was sent",
            ));
        }
    }
}

/// A sending in progress, or one with an outcome about to be settled.
#[derive(Debug)]
pub(crate) struct Sending {
    lease: Option<Lease>,
}

impl Sending {
    /// Its outcome is in the ledger, or the ledger was asked in vain: there is nothing left to say.
    pub(crate) fn settled(mut self) {
        if let Some(lease) = &mut self.lease {
            lease.settled = true;
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.abandon(Outcome::no_answer(
                "the caller went away before the tool answered",
            ));
        }
    }
}
