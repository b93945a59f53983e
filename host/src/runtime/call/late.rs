//! The outcome of an attempt that arrives after its caller was answered without it.
//!
//! The ledger decides what it still settles: an operation in doubt or held, while no other attempt
//! is in progress; otherwise it is kept as evidence. It sends nothing and starts no probe.

use crate::runtime::{
    call::driver::Driver,
    call::ticket::{CallError, Started, Under},
};
use crate::{
    guard::{GuardLedgerError, GuardPolicyError},
    ledger::{Grant, bound},
    model::Outcome,
};

/// A recorder for the outcome of an attempt that arrives after its call was answered. Dropped, it
/// records nothing.
#[derive(Debug)]
#[must_use = "a word that is not recorded leaves its operation in doubt"]
pub struct Late {
    driver: Box<Driver>,
    grant: Grant,
}

impl Started {
    /// Returns a recorder for the outcome of this run after [`Started::go_on`] or
    /// [`Started::finish`] got no answer, or `None` where the outcome would settle nothing.
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
    /// Records the late outcome of the attempt.
    ///
    /// # Errors
    ///
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
