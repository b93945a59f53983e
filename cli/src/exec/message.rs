//! Messages about an answer: what happened, why, and what to do next.

use super::stdout_value;
use crate::output;
use semel::json::JsonValue;
use semel::model::{
    Answer, AnswerSubject, ConflictState, Effect, Failure, NextStep, OperatorSwitch, Outcome,
    RecordedOperation, rfc3339,
};
use std::time::Duration;

/// The limit on the part of a recorded outcome that a message shows, in characters.
const OUTCOME_CHARS_SHOWN: usize = 300;

/// Describes an answer. Returns none if the command itself said all there is to say.
pub(super) fn describe_answer(answer: &Answer) -> Option<String> {
    let next = describe_next_step(&answer.next());
    let message = match answer {
        Answer::Executed {
            about,
            outcome,
            effect,
            reason,
            ..
        } => executed_message(about, outcome, *effect, reason, answer)?,
        Answer::Passed { outcome, .. } => missing_answer_message(outcome)?,
        Answer::Replayed {
            about,
            outcome,
            effect,
            undo,
            ..
        } => {
            let message = replay_message(about, outcome.as_ref(), *effect, &next);
            match undo {
                Some(undo) => format!("{message}. {undo}"),
                None => message,
            }
        }
        Answer::Running { about, .. } => format!(
            "running: another attempt at {} is in progress; {next}",
            describe_subject(about)
        ),
        Answer::InDoubt {
            about,
            reason,
            outcome,
            ..
        } => in_doubt_message(about, &join_reason(outcome.as_ref(), reason), &next),
        Answer::Held {
            about,
            reason,
            outcome,
            ..
        } => held_message(about, &join_reason(outcome.as_ref(), reason), &next),
        Answer::Conflict {
            about, standing, ..
        } => format!(
            "conflict: {} is recorded with other content, and nothing ran: {}; {next}",
            describe_subject(about),
            describe_recorded(standing)
        ),
        Answer::Expired {
            about,
            landed_at_ms,
            ..
        } => format!(
            "expired: {} took effect at {}, its output is no longer kept, and nothing ran; do not call again",
            describe_subject(about),
            rfc3339(*landed_at_ms)
        ),
        Answer::Refused { reason, .. } => format!("refused, and nothing ran: {reason}"),
    };
    Some(message)
}

/// Describes a command that ran, where its own output does not say it all.
fn executed_message(
    about: &AnswerSubject,
    outcome: &Outcome,
    effect: Effect,
    reason: &str,
    answer: &Answer,
) -> Option<String> {
    let next = answer.next();
    match (effect, outcome, &next) {
        (Effect::Unknown, ..) => Some(in_doubt_message(about, reason, &describe_next_step(&next))),
        (Effect::Landed, Outcome::Failed(failure), _) => Some(format!(
            "landed: {} took effect, although its command failed{}: {reason}",
            describe_subject(about),
            describe_code(failure)
        )),
        (Effect::Absent | Effect::Refused, _, NextStep::CallAgain { after_ms: Some(_) }) => {
            Some(format!(
                "not done: {} took no effect: {reason}; {}",
                describe_subject(about),
                describe_next_step(&next)
            ))
        }
        _ => missing_answer_message(outcome),
    }
}

fn missing_answer_message(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Unanswered(unanswered) => Some(unanswered.reason.clone()),
        Outcome::Returned(_) | Outcome::Failed(_) => None,
    }
}

fn in_doubt_message(about: &AnswerSubject, reason: &str, next: &str) -> String {
    let subject = describe_subject(about);
    format!("in doubt: {subject} may have taken effect: {reason}; {next}")
}

fn held_message(about: &AnswerSubject, reason: &str, next: &str) -> String {
    let subject = describe_subject(about);
    let key = &about.key;
    format!(
        "held: {subject} may have taken effect: {reason}; {next} (see `semel ledger show {key}`)"
    )
}

fn replay_message(
    about: &AnswerSubject,
    outcome: Option<&Outcome>,
    effect: Effect,
    next: &str,
) -> String {
    let subject = describe_subject(about);
    let attempt = about.attempt;
    match (outcome, effect) {
        (Some(Outcome::Failed(failure)), Effect::Landed) => format!(
            "replayed: {subject} took effect by attempt {attempt}, although its command failed{}, and nothing ran",
            describe_code(failure)
        ),
        (Some(Outcome::Failed(failure)), Effect::Absent | Effect::Refused) => format!(
            "replayed: {subject} took no effect by attempt {attempt}, and nothing ran: {}; {next}",
            failure.message
        ),
        (Some(Outcome::Failed(failure)), _) => format!(
            "replayed: {subject} was settled by attempt {attempt}, and nothing ran: {}",
            failure.message
        ),
        (Some(Outcome::Returned(_) | Outcome::Unanswered(_)), _) => {
            format!("replayed: {subject} was settled by attempt {attempt}, and nothing ran")
        }
        (None, Effect::Refused) => {
            format!("refused: {subject} must not be sent, and nothing ran; {next}")
        }
        (None, _) => {
            format!("replayed: {subject} took effect, its output is not recorded, and nothing ran")
        }
    }
}

/// The code of a failure, in parentheses.
fn describe_code(failure: &Failure) -> String {
    let code = failure.code.as_ref();
    code.map_or_else(String::new, |code| format!(" ({code})"))
}

/// The operation's name, and the key by which a person finds its record.
fn describe_subject(about: &AnswerSubject) -> String {
    if about.key.is_empty() {
        format!("`{}`", about.operation)
    } else {
        format!("`{}` ({})", about.operation, about.key)
    }
}

/// The attempt's outcome and the reason why its effect is unknown. A reason often quotes the outcome: then it is enough.
fn join_reason(outcome: Option<&Outcome>, reason: &str) -> String {
    let outcome = outcome.map(describe_outcome).unwrap_or_default();
    if outcome.is_empty() || reason.contains(&outcome) {
        return reason.to_owned();
    }
    format!("{outcome}; {reason}")
}

fn describe_next_step(next: &NextStep) -> String {
    let delay = |after_ms: &Option<u64>| match after_ms {
        // Whole seconds, because nothing waits for a message to the millisecond.
        Some(ms) if *ms >= 1_000 => {
            let seconds = Duration::from_secs(ms.div_ceil(1_000));
            format!(" in {}", humantime::format_duration(seconds))
        }
        Some(ms) => format!(" in {ms} ms"),
        None => String::new(),
    };
    match next {
        NextStep::Nothing => "there is nothing to do".to_owned(),
        NextStep::CallAgain { after_ms } => format!("call again{}", delay(after_ms)),
        NextStep::AskAgain { after_ms } => {
            format!(
                "repeat exactly this call{} to learn its outcome",
                delay(after_ms)
            )
        }
        NextStep::AskAPerson => "do not call again: a person must decide".to_owned(),
        NextStep::CorrectTheCall => "correct the call".to_owned(),
    }
}

fn describe_recorded(recorded: &RecordedOperation) -> String {
    let mut text = describe_state(recorded.state).to_owned();
    if !recorded.handles.is_empty() {
        text += &format!(" as `{}`", recorded.handles.join("`, `"));
    }
    if let Some(outcome) = &recorded.outcome {
        text += &format!(" with the outcome {}", describe_outcome(outcome));
    }
    text
}

/// The end of the sentence "conflict: it is recorded …: …".
fn describe_state(state: ConflictState) -> &'static str {
    match state {
        ConflictState::Running => "it is running",
        ConflictState::Waiting => "it waits for an answer, or continues as a task",
        ConflictState::InDoubt => "it is in doubt",
        ConflictState::Probing => "it is in doubt, and a probe is running",
        ConflictState::Held => "it is held",
        ConflictState::Released => "it was released, to be sent with its recorded content only",
        ConflictState::Refused => "it was refused by a person",
        ConflictState::Landed => "it landed",
        ConflictState::Tombstone => "it landed, and its outcome is no longer kept",
    }
}

/// An outcome on one line.
fn describe_outcome(outcome: &Outcome) -> String {
    let text = match outcome {
        Outcome::Returned(JsonValue::String(text)) => text.trim_end().to_owned(),
        Outcome::Returned(value) => {
            let mut value = value.clone();
            stdout_value::remove_original_text(&mut value);
            value.to_string()
        }
        Outcome::Failed(failure) => failure.message.clone(),
        Outcome::Unanswered(unanswered) => unanswered.reason.clone(),
    };
    output::single_line(&text, OUTCOME_CHARS_SHOWN)
}

/// The configuration key that turns the switch on.
pub(super) fn switch_key(switch: OperatorSwitch) -> &'static str {
    match switch {
        OperatorSwitch::OpenWithoutLedger => "open_without_ledger",
        OperatorSwitch::TimedRerun => "timed_rerun",
        OperatorSwitch::TakenOnceWritten => "taken_within",
    }
}
