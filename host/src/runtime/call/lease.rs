//! Rights to send as values that are used up by use, and the lease that they rest on.
//!
//! A [`SendRight`] that is dropped unused settles its attempt as not sent. A [`SendInProgress`] that is dropped leaves the
//! operation in doubt. Both happen in a task of their own.

use crate::runtime::{
    call::renewals::{ActiveRenewal, LeaseRenewals, RenewedLease},
    ledger_client::clock::BootInstant,
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
struct HeldLease {
    ledger: LedgerClient,
    runtime: Handle,
    key: StoreKey,
    grant: Grant,
    claim: Arc<Claim>,
    /// `None` once the lease is over.
    renewal: Option<ActiveRenewal>,
    settled: bool,
}

impl HeldLease {
    /// Settles the attempt with what is known, since no caller is left to report more.
    fn abandon(&mut self, outcome: Outcome) {
        // Renewed any longer, the lease would keep other callers waiting for an attempt that is over.
        self.renewal = None;
        if self.settled {
            return;
        }
        self.settled = true;
        let ledger = self.ledger.clone();
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
        // A value may be dropped outside of any runtime, so the lease remembers the one that it was granted in.
        self.runtime.spawn(async move {
            if let Err(error) = ledger.apply(key, &Command::Settle(Box::new(settlement))).await {
                tracing::warn!(%error, "an abandoned attempt could not be recorded: it is in doubt once its lease ends");
            }
        });
    }
}

/// The right to send once, until a deadline.
#[derive(Debug)]
pub(crate) struct SendRight {
    lease: Option<HeldLease>,
    deadline: BootInstant,
}

impl SendRight {
    pub(crate) fn new(
        ledger: &LedgerClient,
        renewals: &LeaseRenewals,
        grant: &Grant,
        applied: &AppliedCommand,
        claim: Arc<Claim>,
    ) -> Self {
        let every =
            Duration::from_secs(u64::from(claim.terms.lease_seconds.max(1))) / RENEWALS_PER_LEASE;
        let renewal = renewals.start(RenewedLease {
            ledger: ledger.clone(),
            key: applied.key,
            fence: grant.fence,
            every,
        });
        Self {
            deadline: applied.asked.after_ms(grant.valid_ms),
            lease: Some(HeldLease {
                ledger: ledger.clone(),
                runtime: Handle::current(),
                key: applied.key,
                grant: grant.clone(),
                claim,
                renewal: Some(renewal),
                settled: false,
            }),
        }
    }

    /// Uses the right up, immediately before the bytes leave.
    pub(crate) fn use_up(mut self) -> UsedRight {
        let in_time = !self.deadline.time_left().is_zero();
        let sending = SendInProgress {
            lease: self.lease.take(),
        };
        if in_time {
            UsedRight::InTime(sending)
        } else {
            UsedRight::TooLate(sending)
        }
    }

    /// Gives the right up unused, because its attempt is about to be settled, or was.
    pub(crate) fn give_up(mut self) -> SendInProgress {
        SendInProgress {
            lease: self.lease.take(),
        }
    }
}

/// A right after its use.
#[derive(Debug)]
pub(crate) enum UsedRight {
    /// The call may be sent now.
    InTime(SendInProgress),
    /// The deadline is past, and nothing may be sent. The claim is still held, to be settled as not sent.
    TooLate(SendInProgress),
}

impl Drop for SendRight {
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
pub(crate) struct SendInProgress {
    lease: Option<HeldLease>,
}

impl SendInProgress {
    /// Ends the lease because the outcome is in the ledger, or the ledger failed at each try.
    pub(crate) fn mark_settled(mut self) {
        if let Some(lease) = &mut self.lease {
            lease.settled = true;
        }
    }
}

impl Drop for SendInProgress {
    fn drop(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.abandon(Outcome::no_answer(
                "the caller went away before the tool answered",
            ));
        }
    }
}
