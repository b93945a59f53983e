//! What the failure of a tool says of its effect: nothing, but where its server turned the call away before the tool ran.

use semel_guest::{Attempt, Effect, Failure, Outcome, Value, Verdict, careful};

/// What a server answers that does not run the tool: the request is none, there is no such tool, the arguments are not the
/// tool's, or its user must open a page first and the call is made again then.
const TURNED_AWAY: [&str; 4] = ["-32600", "-32601", "-32602", "-32042"];

/// How the protocol's libraries write such an error into a result's text.
const AS_TEXT: &str = "MCP error ";

/// What they write under the same code once the tool *has* run, and its result is not what it promised.
const AFTER_THE_TOOL: &str = "output validation";

/// What a failure means that says nothing of its effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Failures {
    /// The tool may have taken effect before it failed.
    #[default]
    Unknown,
    /// The operator says that a tool that fails has done nothing.
    Absent,
}

impl Failures {
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("unknown") => Ok(Self::Unknown),
            Some("absent") => Ok(Self::Absent),
            _ => Err("settings: `failures`: it must be \"unknown\" or \"absent\"".into()),
        }
    }

    pub(crate) fn judge(self, attempts: &[Attempt]) -> Result<Verdict, String> {
        let verdict = careful::judge(attempts)?;
        let Some(Outcome::Failed(failure)) = attempts.last().map(|last| &last.outcome) else { return Ok(verdict) };
        // A status of HTTP says more than the operator's word on all failures.
        if verdict.effect != Effect::Unknown || failure.status.is_some() {
            return Ok(verdict);
        }
        Ok(match self {
            _ if is_turned_away(failure) => Verdict::absent("the server turned the call away before the tool ran"),
            Self::Absent => Verdict::absent("the tool failed, and the operator says that it then did nothing"),
            Self::Unknown => verdict,
        })
    }
}

fn is_turned_away(failure: &Failure) -> bool {
    let said = failure.message.trim_start();
    let has_code = TURNED_AWAY.iter().any(|code| match &failure.code {
        Some(own) => own == code,
        None => said
            .strip_prefix(AS_TEXT)
            .and_then(|said| said.strip_prefix(code))
            .is_some_and(|said| said.starts_with(':')),
    });
    has_code && !says(said, AFTER_THE_TOOL)
}

/// Whether `text` has `words` in it, however they are capitalised. A search of the library's own would be a tenth of this guest.
fn says(text: &str, words: &str) -> bool {
    text.as_bytes().windows(words.len()).any(|part| part.eq_ignore_ascii_case(words.as_bytes()))
}
