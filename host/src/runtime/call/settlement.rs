//! Recording the outcome of an attempt.

use crate::runtime::{
    call::context::CallContext,
    ledger_client::{AppliedCommand, error::LedgerError},
};
use crate::{
    ledger::{
        BoundedVerdict, Claim, Command, Grant, HandleOwner, KeptOutcome, OperationGeneration,
        Settlement, undone_by_outcome,
    },
    model::{Effect, Fingerprint, Outcome, Stamp},
};
use sha2::{Digest, Sha256};
use std::{io, sync::Arc, time::Duration};

/// The tries to settle against a ledger that does not answer.
const TRIES_MAX: u32 = 3;

/// The pause before the second try; each next is four times as long.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// An attempt that was granted to this call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GrantedAttempt<'a> {
    pub(crate) grant: &'a Grant,
    pub(crate) claim: &'a Arc<Claim>,
    /// The ledger's latest reply to this call.
    pub(crate) latest: &'a AppliedCommand,
}

/// An attempt that is about to be recorded as landed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LandedAttempt {
    owner: HandleOwner,
    /// When the first attempt under its key was granted.
    granted: Stamp,
}

impl LandedAttempt {
    fn settled(attempt: GrantedAttempt<'_>) -> Self {
        let latest = attempt.latest;
        let granted = latest.record().map(|record| record.first_started);
        Self {
            owner: HandleOwner {
                of: OperationGeneration {
                    key: latest.key,
                    generation: attempt.grant.generation,
                },
                nonce: attempt.grant.fence.nonce,
            },
            granted: granted.map_or(latest.written, |granted| granted.at(latest.written)),
        }
    }

    /// The last attempt, which a probe found landed.
    pub(crate) fn found_by_probe(latest: &AppliedCommand) -> Option<Self> {
        let record = latest.record()?;
        Some(Self {
            owner: HandleOwner {
                of: OperationGeneration {
                    key: latest.key,
                    generation: record.generation,
                },
                nonce: record.last_attempt()?.fence.nonce,
            },
            granted: record.first_started.at(latest.written),
        })
    }
}

/// The outcome of an attempt, and its meaning.
#[derive(Debug)]
pub(crate) struct JudgedOutcome {
    pub(crate) outcome: Outcome,
    pub(crate) verdict: BoundedVerdict,
    pub(crate) handles: Vec<String>,
    pub(crate) undid: Vec<String>,
}

impl CallContext {
    /// Settles an attempt. The ledger is tried a few times: the outcome is real, and other callers wait for it.
    pub(crate) async fn settle(
        &self,
        attempt: GrantedAttempt<'_>,
        judged: &JudgedOutcome,
    ) -> Result<AppliedCommand, LedgerError> {
        let mut pause = RETRY_PAUSE;
        for _ in 1..TRIES_MAX {
            match self.settle_once(attempt, judged).await {
                // The ledger answered, and gives the same answer again.
                Err(LedgerError::Refused(refusal)) => return Err(refusal.into()),
                Err(error) => {
                    tracing::debug!(%error, "a settlement failed and is retried");
                    tokio::time::sleep(pause).await;
                    pause *= 4;
                }
                settled => return settled,
            }
        }
        self.settle_once(attempt, judged).await
    }

    async fn settle_once(
        &self,
        attempt: GrantedAttempt<'_>,
        judged: &JudgedOutcome,
    ) -> Result<AppliedCommand, LedgerError> {
        let grant = attempt.grant;
        // Only a landing gives names to later calls, and undoes what it names.
        let (handles, undid) = if judged.verdict.effect() == Effect::Landed {
            let undid = self
                .write_names(
                    &judged.handles,
                    &judged.undid,
                    LandedAttempt::settled(attempt),
                )
                .await?;
            (judged.handles.clone(), undid)
        } else {
            (Vec::new(), Vec::new())
        };
        let settlement = Settlement {
            fence: grant.fence,
            generation: grant.generation,
            series: grant.series,
            outcome: self.kept_outcome(&judged.outcome),
            verdict: judged.verdict.clone(),
            handles,
            undid,
            claim: Arc::clone(attempt.claim),
        };
        // The granted attempt is the recorded one, unless the claim was renewed or decided since.
        self.host
            .ledger
            .apply_after(attempt.latest, &Command::Settle(Box::new(settlement)))
            .await
    }

    /// Writes the handles of a landing, and returns the operations that it undid.
    pub(crate) async fn write_names(
        &self,
        handles: &[String],
        undid: &[String],
        landing: LandedAttempt,
    ) -> Result<Vec<OperationGeneration>, LedgerError> {
        let ledger = &self.host.ledger;
        let keys = &self.host.keys;
        let name_space = &self.tool.name_space;
        let tenant = self.call.tenant();
        // Resolved first: one of the new handles may name what this landing undid.
        let named = ledger
            .living_owners(keys, name_space, tenant, undid)
            .await?;
        ledger
            .write_owner(keys, name_space, tenant, handles, landing.owner)
            .await?;
        Ok(undone_by_outcome(&named, landing.granted))
    }

    /// Returns the outcome as a record keeps it.
    pub(crate) fn kept_outcome(&self, outcome: &Outcome) -> KeptOutcome {
        let bytes = text_bytes(outcome);
        if bytes <= self.tool.outcome_bytes_max as u64 {
            return KeptOutcome::Whole(outcome.clone());
        }
        let text = serde_json::to_string(outcome).unwrap_or_default();
        KeptOutcome::Digest {
            digest: Fingerprint::from_bytes(Sha256::digest(text).into()),
            bytes,
        }
    }
}

/// Returns the length of an outcome's JSON text, without making the text: most outcomes are short and kept whole.
fn text_bytes(outcome: &Outcome) -> u64 {
    struct ByteCounter(u64);

    impl io::Write for ByteCounter {
        fn write(&mut self, part: &[u8]) -> io::Result<usize> {
            self.0 += part.len() as u64;
            Ok(part.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counter = ByteCounter(0);
    // This cannot fail: counting does not, and an outcome consists of texts and JSON values.
    let _ = serde_json::to_writer(&mut counter, outcome);
    counter.0
}
