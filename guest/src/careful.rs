//! The defaults: what is not certain is unknown, and what cannot be repeated safely is held.
//!
//! Public, so that a policy with rules of its own can fall back to them.

use crate::{Attempt, Derivation, Failure, Outcome, Recovery, Repeats, Target, Verdict};

/// What became of the last attempt, by its outcome alone.
///
/// - a returned answer: landed
/// - a failure with an HTTP status of 400 to 499: refused, but for 408, 409 and 425 (unknown) and 429 (absent)
/// - any other failure: unknown
/// - no answer: absent where nothing was sent, else unknown
///
/// # Errors
///
/// There is no attempt.
pub fn judge(attempts: &[Attempt]) -> Result<Verdict, String> {
    Ok(match &last(attempts)?.outcome {
        Outcome::Returned(_) => Verdict::landed("the tool returned"),
        Outcome::Failed(failure) => judge_failure(failure),
        Outcome::Unanswered(silence) if silence.sent => Verdict::unknown(format!("no answer: {}", silence.reason)),
        Outcome::Unanswered(silence) => Verdict::absent(format!("nothing was sent: {}", silence.reason)),
    })
}

fn judge_failure(failure: &Failure) -> Verdict {
    match failure.status {
        None => Verdict::unknown("the tool failed, and its error does not tell whether anything happened before"),
        Some(status @ (408 | 409 | 425)) => {
            Verdict::unknown(format!("HTTP {status} does not tell whether this or an earlier sending took effect"))
        }
        Some(429) => Verdict::absent("HTTP 429: turned away for coming too often, before anything was done"),
        Some(status @ 400..=499) => Verdict::refused(format!("HTTP {status}: turned away")),
        Some(status) => Verdict::unknown(format!("HTTP {status} does not tell whether it took effect")),
    }
}

/// What to do in doubt, by what the derived operation says of its target.
///
/// The call is sent again, later each time, where repeats have no effect and the target still remembers the key;
/// otherwise the operation is held.
///
/// # Errors
///
/// There is no attempt.
pub fn recover(derivation: &Derivation, attempts: &[Attempt]) -> Result<Recovery, String> {
    let last = last(attempts)?;
    let Derivation::Once(operation) = derivation else {
        return Ok(hold("the call no longer means an operation to be guarded"));
    };
    let Some(target) = &operation.target else {
        return Ok(hold("nothing is known of how the system behind the tool treats repeats"));
    };
    let under_this_key: Vec<_> = attempts.iter().filter(|attempt| attempt.key == last.key).collect();
    let oldest_seconds = under_this_key.iter().map(|attempt| attempt.age_seconds).max().unwrap_or(0);
    let delay_ms = backoff_ms(under_this_key.len());
    Ok(match repeat_barrier(target, oldest_seconds, delay_ms) {
        Some(reason) => hold(reason),
        None => Recovery::Retry(delay_ms),
    })
}

/// Why the same call may not be sent again under the same key, if it may not.
fn repeat_barrier(target: &Target, oldest_seconds: u32, delay_ms: u32) -> Option<&'static str> {
    if target.repeats == Repeats::Effective {
        return Some("a repeat would take effect again");
    }
    match target.remembers_seconds {
        None => Some("it is not known how long the system behind the tool remembers a key"),
        Some(u32::MAX) => None,
        Some(seconds) if oldest_seconds.saturating_add(delay_ms.div_ceil(1000)) < seconds => None,
        Some(_) => Some("the system behind the tool may have forgotten the key"),
    }
}

/// The first wait before the same call is sent again.
const FIRST_DELAY_MS: u32 = 1_000;

/// The longest.
const LONGEST_DELAY_MS: u32 = 60_000;

fn backoff_ms(attempts: usize) -> u32 {
    let doublings = attempts.saturating_sub(1).min(16);
    (FIRST_DELAY_MS << doublings).min(LONGEST_DELAY_MS)
}

fn hold(reason: &str) -> Recovery {
    Recovery::Hold(reason.into())
}

fn last(attempts: &[Attempt]) -> Result<&Attempt, String> {
    attempts.last().ok_or_else(|| "there is no attempt to judge".into())
}
