//! Texts for the model about a call that did not simply run. Each text says what happened, what is
//! recorded, and what to do next, in short sentences and in this order: a model acts on the first
//! sentence that it understands.
//!
//! Nothing here knows messages: `answer` puts a text where the model reads it.

use semel::model::{
    Answer, AnswerSubject, ConflictState, Effect, NextStep, Outcome, RecordStatus,
    RecordedOperation, UndoNote, rfc3339,
};

/// The most read-only tools that a text names.
const LOOKUP_TOOLS_MAX: usize = 5;

/// The tool that a text is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextSubject<'a> {
    /// The tool, as the client names it.
    pub(super) tool: &'a str,
    /// Read-only tools that can show whether the call took effect, as the client names them.
    pub(super) lookup_tools: &'a [String],
}

impl TextSubject<'_> {
    /// Returns a note to put beside the result of an answer, if the result alone does not say it
    /// all.
    pub(super) fn note_beside_result(&self, answer: &Answer) -> Option<String> {
        match answer {
            Answer::Executed {
                effect: Effect::Landed,
                about:
                    AnswerSubject {
                        recorded: RecordStatus::No(why),
                        ..
                    },
                ..
            } => Some(format!(
                "Note: this call ran, but its result could not be recorded ({why}). Use the result. Do not repeat the \
                 call: a repeat may do it a second time."
            )),
            Answer::Replayed {
                undo: Some(undo @ UndoNote::Undone { .. }),
                ..
            } => Some(format!(
                "Note: this is the result of the same call made before. Nothing was sent this time. {undo}"
            )),
            Answer::Replayed {
                effect: Effect::Landed,
                undo,
                ..
            } => {
                let replayed = "Note: this is the result of the same call made before. Nothing was sent this time. \
                                Use it as the result of your call.";
                Some(match undo {
                    Some(undo) => format!("{replayed} {undo}"),
                    None => replayed.to_owned(),
                })
            }
            Answer::Replayed { next, .. } => Some(format!(
                "Note: the server rejected the same call before, and this is what it answered then. Nothing was sent \
                 this time. {}",
                advice_after_rejection(next)
            )),
            _ => None,
        }
    }

    /// Returns the text about a call that took effect, although its server answered with an error: a rule of the policy
    /// says so, as of the rejection of a duplicate.
    pub(super) fn landed_failure(&self, answer: &Answer) -> Option<String> {
        let tool = self.tool;
        match answer {
            Answer::Executed {
                effect: Effect::Landed,
                outcome: Outcome::Failed(_),
                reason,
                ..
            } => {
                let done = format!(
                    "Done. `{tool}` took effect ({reason}), although its server answered with an error, which follows. \
                     Do not call it again for the same purpose."
                );
                Some(match self.note_beside_result(answer) {
                    Some(unrecorded) => format!("{done} {unrecorded}"),
                    None => done,
                })
            }
            Answer::Replayed {
                effect: Effect::Landed,
                outcome: Some(Outcome::Failed(_)),
                undo: None | Some(UndoNote::StillStanding { .. }),
                ..
            } => Some(format!(
                "Done. The same call of `{tool}` was made before and took effect, although its server answered with an \
                 error, which follows. Nothing was sent this time. Do not call it again for the same purpose."
            )),
            _ => None,
        }
    }

    /// Returns the text that stands in place of a result.
    pub(super) fn text_without_result(&self, answer: &Answer) -> String {
        let tool = self.tool;
        match answer {
            Answer::Passed { outcome, .. } => self.unguarded_loss(outcome),
            Answer::Executed {
                effect: Effect::Absent,
                reason,
                next,
                ..
            } => format!(
                "Not done. `{tool}` had no effect: {reason}. {}",
                advice(next)
            ),
            Answer::Executed { reason, next, .. } => format!(
                "`{tool}` ran and gave no usable answer: {reason}. {}",
                advice(next)
            ),
            Answer::Replayed {
                undo: Some(undo @ UndoNote::Undone { .. }),
                ..
            } => format!("Not sent. The same call of `{tool}` was made before. {undo}"),
            Answer::Replayed { effect, next, .. } => replay_without_result(tool, *effect, next),
            Answer::Running {
                continuation: None,
                next,
                ..
            } => format!(
                "Not sent. The same call of `{tool}` is already running, and its result will be yours too. {}",
                advice(next)
            ),
            Answer::Running {
                continuation: Some(_),
                ..
            } => format!(
                "Not sent. The same call of `{tool}` was made before and is not finished: it waits for an answer that \
                 its server asked for, or continues as a task. Give that answer, or ask for the task. Do not start the \
                 call again."
            ),
            Answer::InDoubt {
                reason,
                outcome,
                next,
                ..
            } => self.unknown_outcome(reason, outcome.as_ref(), &advice(next)),
            Answer::Held {
                reason, outcome, ..
            } => {
                let instruction = "Do not call it again with these arguments: it will not be sent until a person has \
                                   decided. Tell your user that this call needs a decision (`semel ledger decide`). \
                                   Other calls are not affected.";
                self.unknown_outcome(reason, outcome.as_ref(), instruction)
            }
            Answer::Conflict { standing, next, .. } => self.conflict(standing, next),
            Answer::Expired { landed_at_ms, .. } => format!(
                "Not sent. `{tool}` did this already at {}, and its result is no longer kept. Do not call it again for \
                 the same purpose. {}",
                rfc3339(*landed_at_ms),
                self.lookup_advice("To see the result")
            ),
            Answer::Refused { reason, next } => {
                format!("Not sent, and nothing happened: {reason}. {}", advice(next))
            }
        }
    }

    /// The text for an unguarded call that has no usable response.
    fn unguarded_loss(&self, outcome: &Outcome) -> String {
        let reason = match outcome {
            Outcome::Unanswered(silence) if !silence.sent => {
                return format!(
                    "Not sent, and nothing happened: {}. You may make the same call again.",
                    silence.reason
                );
            }
            Outcome::Unanswered(silence) => silence.reason.as_str(),
            Outcome::Returned(_) | Outcome::Failed(_) => "its answer cannot be used",
        };
        self.unknown_outcome(reason, None, "This tool is not guarded: a repeat is sent.")
    }

    fn unknown_outcome(
        &self,
        reason: &str,
        outcome: Option<&Outcome>,
        instruction: &str,
    ) -> String {
        let tool = self.tool;
        let answered = match outcome {
            Some(Outcome::Returned(_) | Outcome::Failed(_)) => " The server's answer follows.",
            Some(Outcome::Unanswered(_)) | None => "",
        };
        let because = in_parentheses(Some(reason));
        let lookup = self.lookup_advice("To see whether it happened");
        format!(
            "Outcome unknown. `{tool}` was called and may have taken effect{because}.{answered} Do not assume that \
             nothing happened. {lookup} {instruction}"
        )
    }

    fn lookup_advice(&self, purpose: &str) -> String {
        let tools: Vec<_> = self
            .lookup_tools
            .iter()
            .take(LOOKUP_TOOLS_MAX)
            .map(|tool| format!("`{tool}`"))
            .collect();
        if tools.is_empty() {
            return format!("{purpose}, check in another way.");
        }
        format!(
            "{purpose}, use a tool that only reads: {}.",
            tools.join(", ")
        )
    }

    fn conflict(&self, standing: &RecordedOperation, next: &NextStep) -> String {
        let tool = self.tool;
        let state = conflict_state(standing.state);
        let because = in_parentheses(standing.reason.as_deref());
        let instruction = self.conflict_advice(standing, next);
        let follows = match &standing.outcome {
            Some(Outcome::Returned(_) | Outcome::Failed(_)) => {
                " The server's answer to that call follows."
            }
            Some(Outcome::Unanswered(_)) | None => "",
        };
        format!(
            "Not sent. `{tool}` was called before for the same thing with different arguments, and that call {state}\
             {because}. {instruction}{follows}"
        )
    }

    fn conflict_advice(&self, standing: &RecordedOperation, next: &NextStep) -> String {
        const SENT_TWICE: &str = "Sending this one might do it twice.";
        const ANOTHER_THING: &str = "If you mean another thing, change the argument that names it.";
        match standing.state {
            ConflictState::Running => format!(
                "{SENT_TWICE} Wait for that call to end, then make this one again{}.",
                delay(next)
            ),
            ConflictState::Probing => format!(
                "{SENT_TWICE} Wait for that check to end, then make this call again{}.",
                delay(next)
            ),
            ConflictState::Waiting => format!(
                "{SENT_TWICE} Give that answer, or ask for the task, then make this call again{}.",
                delay(next)
            ),
            ConflictState::InDoubt => format!(
                "{SENT_TWICE} To learn the outcome of the earlier call, repeat it with exactly its arguments: that \
                 does not do it twice. {ANOTHER_THING}"
            ),
            ConflictState::Held => format!(
                "{SENT_TWICE} Do not call again. Tell your user that the earlier call needs a decision (`semel ledger \
                 decide`)."
            ),
            ConflictState::Released => format!(
                "If you mean the same thing, repeat that call with exactly its arguments. {ANOTHER_THING}"
            ),
            ConflictState::Refused => {
                format!("Do not make this call for the same thing. {ANOTHER_THING}")
            }
            ConflictState::Landed if standing.outcome.is_some() => format!(
                "{SENT_TWICE} If you meant the same thing, use the earlier result. {ANOTHER_THING}"
            ),
            ConflictState::Landed | ConflictState::Tombstone => format!(
                "{SENT_TWICE} If you meant the same thing, do not call again: it is done. {} {ANOTHER_THING}",
                self.lookup_advice("To see the result")
            ),
        }
    }
}

/// The end of the sentence "that call …".
fn conflict_state(state: ConflictState) -> &'static str {
    match state {
        ConflictState::Running => "is still running",
        ConflictState::Waiting => {
            "is not finished: it waits for an answer that its server asked for, or continues as a task"
        }
        ConflictState::Probing => {
            "may have taken effect, and a check whether it did is still running"
        }
        ConflictState::InDoubt | ConflictState::Held => "may have taken effect",
        ConflictState::Released => "may be sent again, but only with the arguments that it had",
        ConflictState::Refused => "must not be sent: a person decided so",
        ConflictState::Landed => "took effect",
        ConflictState::Tombstone => "took effect, but its result is no longer kept",
    }
}

/// The text for a settled operation that has no result to show.
fn replay_without_result(tool: &str, effect: Effect, next: &NextStep) -> String {
    if effect == Effect::Refused {
        return format!(
            "Not sent. The same call of `{tool}` was rejected before. {}",
            advice_after_rejection(next)
        );
    }
    format!(
        "Not sent. The same call of `{tool}` was made before and took effect. Its result was not kept. Do not call it \
         again: it is done."
    )
}

fn advice_after_rejection(next: &NextStep) -> String {
    match next {
        NextStep::CallAgain { .. } => format!(
            "Correct the call and make it now, or make the same call again{}.",
            delay(next)
        ),
        _ => {
            "A person decided that it must not be sent. Do not make the same call again.".to_owned()
        }
    }
}

/// Says whether and when to call again.
fn advice(next: &NextStep) -> String {
    match next {
        NextStep::Nothing => "Do not call again.".to_owned(),
        NextStep::CallAgain { .. } => format!("You may make the same call again{}.", delay(next)),
        NextStep::AskAgain { .. } => format!(
            "To learn its outcome, make exactly the same call again{}: that does not do it twice.",
            delay(next)
        ),
        NextStep::AskAPerson => {
            "Do not call again. Tell your user that a person must check this.".to_owned()
        }
        NextStep::CorrectTheCall => "Correct the call, then make it again.".to_owned(),
    }
}

/// The delay before the next call, in the largest unit that is precise enough, or nothing where
/// there is none.
fn delay(next: &NextStep) -> String {
    let (NextStep::CallAgain { after_ms } | NextStep::AskAgain { after_ms }) = next else {
        return String::new();
    };
    match after_ms.map(|ms| ms.div_ceil(1_000)) {
        None | Some(0) => String::new(),
        Some(seconds @ 1..120) => format!(" in {seconds} s"),
        Some(seconds) => format!(" in {} min", seconds.div_ceil(60)),
    }
}

fn in_parentheses(reason: Option<&str>) -> String {
    match reason {
        None | Some("") => String::new(),
        Some(reason) => format!(" ({reason})"),
    }
}
