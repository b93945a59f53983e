//! The reasons why a call gets no answer.

use crate::{engine::PolicyError, runtime::ledger_client::error::LedgerError};

/// The reason why a call got no answer. It sent nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The ledger cannot be reached, so the tool did not run.
    #[error("the ledger cannot be used, so the tool did not run: {0}")]
    Ledger(#[from] LedgerError),
    /// No rule matches the tool, and there is no default.
    #[error(
        "no policy is set up for the tool `{tool}`: add a `[[tool]]` that matches it, or a default policy"
    )]
    NoPolicy {
        /// The tool.
        tool: String,
    },
    /// The policy could not judge an outcome that arrived late.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A broken invariant of Semel itself.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}
