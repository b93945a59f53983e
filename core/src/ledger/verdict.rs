//! What a verdict may do, bounded by what was seen.

use crate::model::{Effect, Outcome, Verdict};

/// A verdict that what was seen allows. Only [`bound`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BoundedVerdict {
    effect: Effect,
    reason: String,
    retry_after_ms: Option<u32>,
}

impl BoundedVerdict {
    /// Returns the effect.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The same, where what it rests on is not all that was sent: nothing is known then.
    pub(super) fn doubted(&self) -> Self {
        let reason = format!(
            "an earlier round of it was sent and may have taken effect ({})",
            self.reason
        );
        Self {
            effect: Effect::Unknown,
            reason,
            retry_after_ms: self.retry_after_ms,
        }
    }

    /// When trying again may help, in milliseconds.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u32> {
        self.retry_after_ms
    }
}

/// The weight of a server error (HTTP 408 and 5xx) as proof that there was no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ServerErrorRule {
    /// It may not: such a server may have done the work before it failed to answer.
    #[default]
    ProveNothing,
    /// The operator says that this tool's may.
    AreAnswers,
}

/// Bounds `verdict` by what was seen:
/// - nothing was sent, by proof → *absent*, whatever the policy says;
/// - no answer, and something may have been sent → *unknown*;
/// - HTTP 408 and 5xx → never *refused* or *absent*, unless the operator says so for the tool.
#[must_use]
pub fn bound(
    outcome: &Outcome,
    verdict: &Verdict,
    server_errors: ServerErrorRule,
) -> BoundedVerdict {
    let claims_no_effect = matches!(verdict.effect, Effect::Refused | Effect::Absent);
    let (effect, correction) = match outcome {
        Outcome::Unanswered(silence) if !silence.sent => (Effect::Absent, Some("nothing was sent")),
        // A policy cannot know more than the wire: the request may have arrived.
        Outcome::Unanswered(_) if verdict.effect != Effect::Unknown => {
            (Effect::Unknown, Some("no answer came"))
        }
        Outcome::Failed(failure)
            if claims_no_effect
                && failure.status.is_some_and(proves_nothing)
                && server_errors == ServerErrorRule::ProveNothing =>
        {
            (
                Effect::Unknown,
                Some("a server error does not prove that there was no effect"),
            )
        }
        _ => (verdict.effect, None),
    };
    let reason = match correction {
        Some(correction) if effect != verdict.effect && !verdict.reason.is_empty() => {
            format!("{correction} ({})", verdict.reason)
        }
        Some(correction) if verdict.reason.is_empty() => correction.to_owned(),
        _ => verdict.reason.clone(),
    };
    BoundedVerdict {
        effect,
        reason,
        retry_after_ms: verdict.retry_after_ms,
    }
}

fn proves_nothing(status: u16) -> bool {
    // A proxy reports these for a request that the server behind it may have carried out.
    status == 408 || status >= 500
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Failure;

    fn effect(outcome: &Outcome, said: Effect, server_errors: ServerErrorRule) -> Effect {
        bound(
            outcome,
            &Verdict::new(said, "the policy decided so"),
            server_errors,
        )
        .effect()
    }

    #[test]
    fn silence_after_sending_is_unknown_whatever_the_policy_says() {
        for said in [
            Effect::Landed,
            Effect::Refused,
            Effect::Absent,
            Effect::Unknown,
        ] {
            let silence = Outcome::no_answer("timed out");
            assert_eq!(
                effect(&silence, said, ServerErrorRule::AreAnswers),
                Effect::Unknown
            );
        }
    }

    #[test]
    fn what_was_not_sent_is_absent_whatever_the_policy_says() {
        for said in [
            Effect::Landed,
            Effect::Refused,
            Effect::Absent,
            Effect::Unknown,
        ] {
            let unsent = Outcome::not_sent("connection refused");
            assert_eq!(
                effect(&unsent, said, ServerErrorRule::ProveNothing),
                Effect::Absent
            );
        }
    }

    #[test]
    fn server_errors_never_prove_that_there_was_no_effect() {
        for status in [408, 500, 502, 504] {
            let failed = Outcome::Failed(Failure {
                status: Some(status),
                ..Failure::default()
            });
            for said in [Effect::Refused, Effect::Absent] {
                assert_eq!(
                    effect(&failed, said, ServerErrorRule::ProveNothing),
                    Effect::Unknown
                );
                assert_eq!(effect(&failed, said, ServerErrorRule::AreAnswers), said);
            }
            assert_eq!(
                effect(&failed, Effect::Landed, ServerErrorRule::ProveNothing),
                Effect::Landed
            );
        }
        let declined = Outcome::Failed(Failure {
            status: Some(402),
            ..Failure::default()
        });
        assert_eq!(
            effect(&declined, Effect::Refused, ServerErrorRule::ProveNothing),
            Effect::Refused
        );
    }
}
