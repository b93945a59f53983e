//! A tool as its operator set it up.

use crate::{engine::Policy, guard::ToolAllowance, model::ToolMode};

/// The default lease without renewal, in seconds.
pub const LEASE_SECONDS: u32 = 15;

/// The default time for which a refusal is replayed to equal content where the policy names none,
/// in seconds.
pub const REFUSAL_SECONDS: u32 = 600;

/// The largest outcome that is kept whole, in bytes of its JSON text.
pub const OUTCOME_BYTES_MAX: usize = 1 << 20;

/// A tool: its policy, and what its operator allows.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Which operation a call means, and whether trying again is safe.
    pub policy: Policy,
    /// The mode: guarded, only watched, or left alone.
    pub mode: ToolMode,
    /// The name space that keeps its operations apart from another policy's of the same name
    /// [default: the policy's name].
    pub name_space: String,
    /// The limits and permissions of the guard.
    pub allowance: ToolAllowance,
    /// The lease without renewal, in seconds; it is renewed three times as often.
    pub lease_seconds: u32,
    /// The time for which a refusal is replayed to equal content where the policy names none, in
    /// seconds.
    pub refusal_seconds: u32,
    /// The largest outcome that is kept whole, in bytes of its JSON text. Of a larger one only the digest is.
    pub outcome_bytes_max: usize,
    /// True if the record keeps the identity in the clear, so that people can find it.
    pub keep_identity: bool,
    /// True if its effect cannot be taken back, so that it is refused on a ledger that forgets.
    pub irreversible: bool,
    /// True if it runs on a ledger that forgets all the same.
    pub allow_forgetful_ledger: bool,
    /// True if a quickly written answer counts as received at a front end that cannot see receipt.
    /// Only reported in answers here.
    pub taken_once_written: bool,
}

impl Tool {
    /// A tool under `policy`, with the defaults of everything else.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let name_space = policy.description().name.clone();
        Self {
            policy,
            mode: ToolMode::default(),
            name_space,
            allowance: ToolAllowance::default(),
            lease_seconds: LEASE_SECONDS,
            refusal_seconds: REFUSAL_SECONDS,
            outcome_bytes_max: OUTCOME_BYTES_MAX,
            keep_identity: false,
            irreversible: false,
            allow_forgetful_ledger: false,
            taken_once_written: false,
        }
    }
}
