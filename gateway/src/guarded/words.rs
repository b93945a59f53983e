//! What a model reads about a call that did not simply run. Each text says what happened, what stands, whether and when to
//! call again, and what to do instead, in short sentences and in this order: a model acts on the first that it understands.
//!
//! Nothing here knows messages: `answer` puts a text where the model sees it.

use semel::model::{About, Answer, Effect, Next, Outcome, Recorded, Standing, rfc3339};

/// The most tools that are named to look with.
const LOOK_WITH_MAX: usize = 5;

/// What the words are about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// The tool, as the client names it.
    pub(super) tool: &'a str,
    /// Tools by which one may see what happened, as the client names them.
    pub(super) look_with: &'a [String],
}

impl Subject<'_> {
    /// What to read besides the server's own result, where the answer has one; none: that says it all.
    pub(super) fn beside_a_result(&self, answer: &Answer) -> Option<String> {
        match answer {
            Answer::Executed { effect: Effect::Landed, about: About { recorded: Recorded::No(why), .. }, .. } => {
                Some(format!(
                    "Note: this call ran, but its result could not be recorded ({why}). Use the result. Do not repeat the \
                 call: a repeat may do it a second time."
                ))
            }
            Answer::Replayed { effect: Effect::Landed, .. } => Some(
                "Note: this is the result of the same call made before. Nothing was sent this time. Use it as the \
                 result of your call."
                    .to_owned(),
            ),
            Answer::Replayed { next, .. } => Some(format!(
                "Note: the same call was turned away before, and this is what it was told. Nothing was sent this \
                 time. {}",
                after_a_refusal(next)
            )),
            _ => None,
        }
    }

    /// What to read where there is no result to use.
    pub(super) fn instead_of_a_result(&self, answer: &Answer) -> String {
        let tool = self.tool;
        match answer {
            Answer::Passed { outcome, .. } => self.lost(outcome),
            Answer::Executed {
                effect: Effect::Absent,
                reason,
                next,
                ..
            } => {
                format!(
                    "Not done. `{tool}` had no effect: {reason}. {}",
                    again(next)
                )
            }
            Answer::Executed { reason, next, .. } => {
                format!(
                    "`{tool}` ran and gave no usable answer: {reason}. {}",
                    again(next)
                )
            }
            Answer::Replayed { effect, next, .. } => without_its_result(tool, *effect, next),
            Answer::Running {
                continuation: None,
                next,
                ..
            } => format!(
                "Not sent. The same call of `{tool}` is under way already, and its result is yours, too. {}",
                again(next)
            ),
            Answer::Running {
                continuation: Some(_),
                ..
            } => format!(
                "Not sent. The same call of `{tool}` was made before and is not over: it waits for an answer that its \
                 server asked for, or goes on as a task. Give that answer, or ask for the task. Do not start the call \
                 anew."
            ),
            Answer::InDoubt {
                reason,
                outcome,
                next,
                ..
            } => self.unknown(reason, outcome.as_ref(), &again(next)),
            Answer::Held {
                reason, outcome, ..
            } => {
                let rest = "Do not call it again with these arguments: it will not be sent until a person has decided. \
                            Tell your user that this call needs a decision (`semel ledger decide`). Other calls are \
                            not affected.";
                self.unknown(reason, outcome.as_ref(), rest)
            }
            Answer::Conflict { standing, next, .. } => self.conflict(standing, next),
            Answer::Expired { landed_at_ms, .. } => format!(
                "Not sent. `{tool}` did this already at {}, and its result is no longer kept. Do not call it again \
                 for the same purpose. {}",
                rfc3339(*landed_at_ms),
                self.look("To see what came of it")
            ),
            Answer::Refused { reason, next } => {
                format!("Not sent, and nothing happened: {reason}. {}", again(next))
            }
        }
    }

    fn lost(&self, outcome: &Outcome) -> String {
        let why = match outcome {
            Outcome::Unanswered(silence) if !silence.sent => {
                return format!(
                    "Not sent, and nothing happened: {}. You may make the same call again.",
                    silence.reason
                );
            }
            Outcome::Unanswered(silence) => silence.reason.as_str(),
            Outcome::Returned(_) | Outcome::Failed(_) => "its answer cannot be used",
        };
        self.unknown(why, None, "This tool is not guarded: a repeat is sent.")
    }

    fn unknown(&self, reason: &str, outcome: Option<&Outcome>, what_to_do: &str) -> String {
        let tool = self.tool;
        let answered = match outcome {
            Some(Outcome::Returned(_) | Outcome::Failed(_)) => " What its server answered follows.",
            Some(Outcome::Unanswered(_)) | None => "",
        };
        let because = if reason.is_empty() {
            String::new()
        } else {
            format!(" ({reason})")
        };
        let look = self.look("To see whether it happened");
        format!(
            "Outcome unknown. `{tool}` was called and may have taken effect{because}.{answered} Do not assume that \
             nothing happened. {look} {what_to_do}"
        )
    }

    fn look(&self, purpose: &str) -> String {
        let named: Vec<_> = self
            .look_with
            .iter()
            .take(LOOK_WITH_MAX)
            .map(|tool| format!("`{tool}`"))
            .collect();
        if named.is_empty() {
            return format!("{purpose}, look in another way.");
        }
        format!(
            "{purpose}, use a tool that only reads: {}.",
            named.join(", ")
        )
    }

    fn conflict(&self, standing: &Standing, next: &Next) -> String {
        let (tool, state) = (self.tool, standing.state.as_str());
        let stands = match state {
            "landed" => "took effect".to_owned(),
            "started" | "retrying" | "probing" | "waiting" => "is still under way".to_owned(),
            "in-doubt" | "held" => "may have taken effect".to_owned(),
            _ => format!("is {state}"),
        };
        let because = standing
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(" ({reason})"));
        let rest = match next {
            Next::CallAgain { after_ms } => {
                format!("Wait for that call to end, then make this one again{}.", soon(*after_ms))
            }
            Next::AskAPerson => "Do not call again. Tell your user that the earlier call needs a decision (`semel \
                                 ledger decide`)."
                .to_owned(),
            _ => "If you meant the same thing, use the earlier result. If you mean another thing, change the argument \
                  that names it."
                .to_owned(),
        };
        let result = if standing.outcome.is_some() {
            " Its result follows."
        } else {
            ""
        };
        format!(
            "Not sent. `{tool}` was called before for the same thing with other content, and that call {stands}\
             {because}. Sending this one might do it twice. {rest}{result}"
        )
    }
}

/// What was settled, and of which nothing is left to show.
fn without_its_result(tool: &str, effect: Effect, next: &Next) -> String {
    if effect == Effect::Refused {
        return format!(
            "Not sent. The same call of `{tool}` was turned away before. {}",
            after_a_refusal(next)
        );
    }
    format!(
        "Not sent. The same call of `{tool}` was made before and took effect. Its result was not kept. Do not call it \
         again: it is done."
    )
}

fn after_a_refusal(next: &Next) -> String {
    match next {
        Next::CallAgain { after_ms } => {
            format!(
                "Correct the call and make it now, or make the same call again{}.",
                soon(*after_ms)
            )
        }
        _ => {
            "A person decided that it must not be sent. Do not make the same call again.".to_owned()
        }
    }
}

/// Whether and when to call again.
fn again(next: &Next) -> String {
    match next {
        Next::Nothing => "Do not call again.".to_owned(),
        Next::CallAgain { after_ms } => {
            format!("You may make the same call again{}.", soon(*after_ms))
        }
        Next::AskAgain { after_ms } => format!(
            "To learn what became of it, make exactly the same call again{}: that does not do it twice.",
            soon(*after_ms)
        ),
        Next::AskAPerson => {
            "Do not call again. Tell your user that a person must look at this.".to_owned()
        }
        Next::CorrectTheCall => "Correct the call, then make it again.".to_owned(),
    }
}

/// After how long, in the largest unit that is not too coarse.
fn soon(after_ms: Option<u64>) -> String {
    match after_ms.map(|ms| ms.div_ceil(1_000)) {
        None | Some(0) => String::new(),
        Some(seconds @ 1..120) => format!(" in {seconds} s"),
        Some(seconds) => format!(" in {} min", seconds.div_ceil(60)),
    }
}
