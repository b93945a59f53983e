//! The defaults: what is not certain is unknown, and what cannot be repeated safely is held.
//!
//! Public, so that a policy with rules of its own can fall back to them.

use crate::{Attempt, Derivation, Failure, Outcome, Recovery, Repeats, Target, Verdict};

/// Returns the verdict on the last attempt, by its outcome alone.
///
/// - a returned answer: landed
/// - a failure with the HTTP status 400, 401, 403, 404, 405, 410, 413, 415 or 422: refused
/// - with 425 or 429: absent
/// - any other failure: unknown
/// - no answer: absent where nothing was sent, else unknown
///
/// # Errors
///
/// There is no attempt.
pub fn judge(attempts: &[Attempt]) -> Result<Verdict, String> {
    let outcome = &last_attempt(attempts)?.outcome;
    Ok(match outcome {
        Outcome::Returned(_) => Verdict::landed("the tool returned"),
        Outcome::Failed(failure) => judge_failure(failure).or_delay_of(outcome),
        Outcome::Unanswered(silence) if silence.sent => {
            Verdict::unknown(format!("no answer: {}", silence.reason))
        }
        Outcome::Unanswered(silence) => {
            Verdict::absent(format!("nothing was sent: {}", silence.reason))
        }
    })
}

fn judge_failure(failure: &Failure) -> Verdict {
    match failure.status {
        None => Verdict::unknown(
            "the tool failed, and its error does not tell whether anything happened before",
        ),
        // The statuses with which servers turn a request away before they do anything (RFC 9110, RFC 8470, RFC 6585).
        Some(status @ (425 | 429)) => Verdict::absent(format!(
            "HTTP {status}: turned away for coming too early or too often, before anything was done"
        )),
        Some(status @ (400 | 401 | 403 | 404 | 405 | 410 | 413 | 415 | 422)) => {
            Verdict::refused(format!("HTTP {status}: turned away"))
        }
        Some(status) => Verdict::unknown(format!(
            "HTTP {status} does not tell whether it took effect"
        )),
    }
}

/// Returns the recovery in doubt, by the derived operation's target.
///
/// The call is sent again, later each time, where repeats have no effect and the target still remembers the key;
/// otherwise the operation is held.
///
/// # Errors
///
/// There is no attempt.
pub fn recover(derivation: &Derivation, attempts: &[Attempt]) -> Result<Recovery, String> {
    let last = last_attempt(attempts)?;
    let Derivation::Once(operation) = derivation else {
        return Ok(hold_call(
            "the call no longer means an operation to be guarded",
        ));
    };
    let Some(target) = &operation.target else {
        return Ok(hold_call(
            "nothing is known of how the system behind the tool treats repeats",
        ));
    };
    let under_this_key: Vec<_> = attempts
        .iter()
        .filter(|attempt| attempt.key == last.key)
        .collect();
    let oldest_seconds = under_this_key
        .iter()
        .map(|attempt| attempt.age_seconds)
        .max()
        .unwrap_or(0);
    let delay_ms = backoff_ms(under_this_key.len());
    Ok(match repeat_barrier(target, oldest_seconds, delay_ms) {
        Some(reason) => hold_call(reason),
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

fn hold_call(reason: &str) -> Recovery {
    Recovery::Hold(reason.into())
}

fn last_attempt(attempts: &[Attempt]) -> Result<&Attempt, String> {
    attempts
        .last()
        .ok_or_else(|| "there is no attempt to judge".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Effect, Operation};

    fn effect(outcome: impl Into<Outcome>) -> Effect {
        judge(&[Attempt::new("k", outcome)]).unwrap().effect
    }

    #[test]
    fn only_a_definite_answer_is_a_definite_verdict() {
        assert_eq!(effect(Outcome::returned("ok")), Effect::Landed);
        assert_eq!(
            effect(Outcome::unanswered("timed out after 30 s")),
            Effect::Unknown
        );
        assert_eq!(
            effect(Outcome::unsent("connection refused")),
            Effect::Absent
        );
        assert_eq!(
            effect(Failure::new("exit status 1").code("exit-1")),
            Effect::Unknown
        );
    }

    #[test]
    fn a_status_decides_only_where_it_leaves_no_doubt() {
        for status in 100..=599 {
            let expected = match status {
                425 | 429 => Effect::Absent,
                400 | 401 | 403 | 404 | 405 | 410 | 413 | 415 | 422 => Effect::Refused,
                _ => Effect::Unknown,
            };
            assert_eq!(
                effect(Failure::new("failed").status(status)),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn the_last_attempt_is_the_one_in_question() {
        let attempts = [
            Attempt::new("k", Outcome::returned("ok")),
            Attempt::new("k", Outcome::unanswered("gone")),
        ];
        assert_eq!(judge(&attempts).unwrap().effect, Effect::Unknown);
        assert!(judge(&[]).is_err());
    }

    fn in_doubt(target: Option<Target>, ages_seconds: &[u32]) -> Recovery {
        let operation = Operation {
            target,
            ..Operation::new("refund")
        };
        let attempts: Vec<_> = ages_seconds
            .iter()
            .map(|age| Attempt {
                age_seconds: *age,
                ..Attempt::new("k", Outcome::unanswered("gone"))
            })
            .collect();
        recover(&operation.once(), &attempts).unwrap()
    }

    #[track_caller]
    fn held(recovery: Recovery) {
        assert!(matches!(recovery, Recovery::Hold(_)), "{recovery:?}");
    }

    #[test]
    fn what_a_target_does_with_repeats_decides() {
        let key = || Target::header("Idempotency-Key");
        for repeats in [Repeats::Replayed, Repeats::Rejected, Repeats::Harmless] {
            assert_eq!(
                in_doubt(Some(key().repeats(repeats).remembers(60)), &[5]),
                Recovery::Retry(1_000)
            );
        }
        held(in_doubt(
            Some(key().repeats(Repeats::Effective).remembers(60)),
            &[5],
        ));
        held(in_doubt(Some(key()), &[5]));
        held(in_doubt(None, &[5]));
        held(
            recover(
                &Derivation::Pass,
                &[Attempt::new("k", Outcome::unanswered("gone"))],
            )
            .unwrap(),
        );
    }

    #[test]
    fn a_key_that_may_be_forgotten_when_the_repeat_arrives_is_not_relied_on() {
        let target = || Some(Target::header("Idempotency-Key").remembers(60));
        assert_eq!(in_doubt(target(), &[58]), Recovery::Retry(1_000));
        held(in_doubt(target(), &[59]));
        held(in_doubt(target(), &[u32::MAX]));
        held(in_doubt(target(), &[59, 1]));
        assert_eq!(
            in_doubt(Some(Target::idempotent()), &[u32::MAX]),
            Recovery::Retry(1_000)
        );
    }

    #[test]
    fn a_retry_comes_later_each_time_but_never_later_than_a_minute() {
        let delay = |attempts| in_doubt(Some(Target::idempotent()), &vec![0; attempts]);
        assert_eq!(delay(2), Recovery::Retry(2_000));
        assert_eq!(delay(3), Recovery::Retry(4_000));
        assert_eq!(delay(100), Recovery::Retry(60_000));
    }

    #[test]
    fn attempts_under_another_key_do_not_count() {
        let operation =
            Operation::new("refund").target(Target::header("Idempotency-Key").remembers(60));
        let older = Attempt {
            age_seconds: 1_000,
            ..Attempt::new("other", Outcome::unanswered("gone"))
        };
        let attempts = [older, Attempt::new("k", Outcome::unanswered("gone"))];
        assert_eq!(
            recover(&operation.once(), &attempts),
            Ok(Recovery::Retry(1_000))
        );
    }
}
