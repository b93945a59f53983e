//! The effect that a tool's failure implies: unknown, unless its server rejected the call before the tool ran.

use super::turned_away;
use semel_guest::{Attempt, Call, Effect, Outcome, Value, Verdict, careful};

/// The meaning of a failure that says nothing of its effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FailureMeaning {
    /// The tool may have taken effect before it failed.
    #[default]
    Unknown,
    /// The operator says that a tool that fails has done nothing.
    Absent,
}

/// Returns true for an HTTP status of the server itself. A proxy before it, which answers with another one, does not know
/// what the server has done.
fn may_reject(status: u16) -> bool {
    (400..=499).contains(&status) && status != 408
}

impl FailureMeaning {
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("unknown") => Ok(Self::Unknown),
            Some("absent") => Ok(Self::Absent),
            _ => Err("settings: `failures`: it must be \"unknown\" or \"absent\"".into()),
        }
    }

    pub(crate) fn judge(self, call: &Call, attempts: &[Attempt]) -> Result<Verdict, String> {
        let verdict = careful::judge(attempts)?;
        let Some(Outcome::Failed(failure)) = attempts.last().map(|last| &last.outcome) else {
            return Ok(verdict);
        };
        let rejects = failure.status.is_none_or(may_reject);
        Ok(match self {
            _ if rejects && turned_away::is_told_by(failure, call) => {
                Verdict::absent("the server turned the call away before the tool ran")
            }
            // A status of HTTP says more than the operator's word on all failures.
            _ if verdict.effect != Effect::Unknown || failure.status.is_some() => verdict,
            Self::Absent => Verdict::absent(
                "the tool failed; the operator's setting says that failures have no effect",
            ),
            Self::Unknown => verdict,
        })
    }
}
