//! A tool as its operator set it up, and the rules that find the tool of a call.

use crate::{engine::Policy, guard::ToolAllowance, model::ToolMode};
use globset::{Glob, GlobSet, GlobSetBuilder};
use std::sync::Arc;

/// The default lease without renewal, in seconds.
pub const LEASE_SECONDS: u32 = 15;

/// The default time for which a refusal is replayed to equal content where the policy names none,
/// in seconds.
pub const REFUSAL_SECONDS: u32 = 600;

/// The default size of the largest outcome that is kept whole, in bytes of its JSON text.
pub const OUTCOME_BYTES_MAX: usize = 1 << 20;

/// A tool: its policy, and the permissions of its operator.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The policy: it names the operation that a call means, and decides whether trying again is safe.
    pub policy: Policy,
    /// The mode: guarded, in shadow mode, or left alone.
    pub mode: ToolMode,
    /// The name space that keeps its operations apart from another policy's of the same name. Default: the policy's
    /// name.
    pub name_space: String,
    /// The limits and permissions of the guard.
    pub allowance: ToolAllowance,
    /// The lease without renewal, in seconds. It is renewed three times within that time.
    pub lease_seconds: u32,
    /// The time for which a refusal is replayed to equal content where the policy names none, in
    /// seconds.
    pub refusal_seconds: u32,
    /// The size of the largest outcome that is kept whole, in bytes of its JSON text. Of a larger one, only the digest is
    /// kept.
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
    /// Returns a tool under `policy`, with the defaults of all other settings.
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

/// A pattern of tools that is not a glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a valid pattern for tools: {mistake}")]
pub struct ToolPatternError {
    /// The pattern.
    pub pattern: String,
    mistake: globset::ErrorKind,
}

/// The tools of a host, by the patterns of their names.
#[derive(Debug)]
pub(crate) struct ToolRules {
    patterns: GlobSet,
    /// The tool of each pattern, in the order of the rules.
    tools: Vec<Arc<Tool>>,
    default_tool: Option<Arc<Tool>>,
}

impl ToolRules {
    pub(crate) fn new(
        rules: Vec<(Vec<String>, Tool)>,
        default_tool: Option<Tool>,
    ) -> Result<Self, ToolPatternError> {
        let mut patterns = GlobSetBuilder::new();
        let mut tools = Vec::new();
        for (names, tool) in rules {
            let tool = Arc::new(tool);
            for name in names {
                let glob = Glob::new(&name).map_err(|error| pattern_error(&name, &error))?;
                patterns.add(glob);
                tools.push(Arc::clone(&tool));
            }
        }
        Ok(Self {
            patterns: patterns
                .build()
                .map_err(|error| pattern_error("", &error))?,
            tools,
            default_tool: default_tool.map(Arc::new),
        })
    }

    /// Returns the tool of the first rule that matches, or the default tool.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Tool>> {
        // One pattern a tool, in the order of the rules: the smallest index is the first rule.
        let first = self.patterns.matches(name).into_iter().min();
        first
            .and_then(|first| self.tools.get(first))
            .or(self.default_tool.as_ref())
    }
}

fn pattern_error(pattern: &str, error: &globset::Error) -> ToolPatternError {
    ToolPatternError {
        pattern: pattern.to_owned(),
        mistake: error.kind().clone(),
    }
}
