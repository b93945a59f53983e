//! What an attempt came to, told after its caller was answered without it: the truth about it, however late.
//!
//! The ledger's table decides what it still settles: what is in doubt or held, as long as no other attempt is under way; else
//! it is kept as evidence. Nothing is sent by it, and nobody is asked to look.

use super::{
    driver::Driver,
    ticket::{CallError, Started, Under},
};
use crate::{
    guard::{GuardLedgerError, GuardPolicyError},
    ledger::{Grant, bound},
    model::Outcome,
};

/// How a word on an attempt is recorded that comes once its call was answered. Dropped, nothing more is said.
#[derive(Debug)]
#[must_use = "a word that is not recorded leaves its operation in doubt"]
pub struct Late {
    driver: Box<Driver>,
    grant: Grant,
}

impl Started {
    /// How to record what this run comes to after [`Started::go_on`] or [`Started::finish`] was told that no answer came;
    /// none: nobody would want to know.
    #[must_use]
    pub fn late(&self) -> Option<Late> {
        let Under::Guard(driver) = &self.under else {
            return None;
        };
        let (driver, grant) = driver.afterwards()?;
        Some(Late {
            driver: Box::new(driver),
            grant,
        })
    }
}

impl Late {
    /// Records what the attempt came to after all.
    ///
    /// # Errors
    /// If the ledger cannot be reached, or the policy cannot judge. The operation stays as it was.
    pub async fn came_to(self, outcome: Outcome) -> Result<(), CallError> {
        let Self { mut driver, grant } = self;
        let judged = driver.verdict(&outcome);
        let verdict = judged.map_err(|GuardPolicyError(why)| CallError::Internal(why))?;
        let bounded = bound(&outcome, &verdict, driver.server_errors());
        let settled = driver
            .settle(grant, &outcome, bounded, verdict.handles, &verdict.undid)
            .await;
        settled
            .map(drop)
            .map_err(|fault: GuardLedgerError| CallError::Ledger(fault.to_string()))
    }
}
