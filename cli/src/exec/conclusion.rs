//! From an answer to what is printed, what is said, and the exit code.

use super::{
    child::Ending,
    recorded::{self, Printed},
    signals,
};
use crate::{
    common_args::OutputFormat,
    exit::{CommandError, Exit},
    talk,
};
use semel::{
    model::{
        Answer, AnswerSubject, Effect, Failure, NextStep, OperatorSwitch, Outcome, RecordStatus,
        RecordedOperation, rfc3339,
    },
    runtime::{DeliverableAnswer, Delivery},
};
use serde_json::Value;

/// How much of a recorded outcome a message shows, in characters.
const OUTCOME_CHARS_SHOWN: usize = 300;

/// How a guarded call ends.
pub(super) struct Conclusion {
    answer: Answer,
    delivery: Option<Delivery>,
    ran: Option<Ending>,
    /// Whether all that the caller is to read was written.
    was_written: bool,
}

impl Conclusion {
    /// Nothing ran.
    pub(super) fn told(answered: DeliverableAnswer) -> Self {
        let (answer, delivery) = answered.into_parts();
        Self {
            answer,
            delivery,
            ran: None,
            was_written: true,
        }
    }

    /// The command ran for this call.
    pub(super) fn ran(answered: DeliverableAnswer, ending: Ending, was_written: bool) -> Self {
        let (answer, delivery) = answered.into_parts();
        Self {
            answer,
            delivery,
            ran: Some(ending),
            was_written,
        }
    }

    /// The command ran, and nobody guarded it.
    pub(super) fn unguarded(answer: Answer, ending: Ending, was_written: bool) -> Self {
        Self {
            answer,
            delivery: None,
            ran: Some(ending),
            was_written,
        }
    }

    /// Prints, says and marks what is to be printed, said and marked, and gives the exit code.
    pub(super) async fn tell(mut self, output: OutputFormat) -> Result<u8, CommandError> {
        let is_whole = match output {
            OutputFormat::Json => {
                talk::line(&in_json(&self.answer))?;
                self.was_written = true;
                true
            }
            OutputFormat::Text => self.replay()?,
        };
        self.explain();
        self.mark(is_whole).await;
        let is_settled = matches!(
            self.answer,
            Answer::Passed { .. } | Answer::Executed { .. } | Answer::Replayed { .. }
        );
        match (self.was_written, is_whole) {
            (false, _) if is_settled => {
                Err(Exit::NoOutput.error("the command's output could not be written to stdout"))
            }
            (_, false) => {
                Err(Exit::NoOutput.error("of what the command printed only the beginning is kept"))
            }
            _ => Ok(self.exit()),
        }
    }

    /// Marks the outcome as taken. Who got part of it, or the word that it is not kept, did not take it.
    async fn mark(&mut self, is_whole: bool) {
        let is_kept = !matches!(self.answer, Answer::Replayed { outcome: None, .. });
        let delivery = self
            .delivery
            .take()
            .filter(|_| self.was_written && is_whole && is_kept);
        if let Some(delivery) = delivery {
            delivery.acknowledge().await;
        }
    }

    /// Prints what a settled operation printed. What ran for this call was passed on as it came.
    fn replay(&self) -> Result<bool, CommandError> {
        let Answer::Replayed {
            outcome: Some(outcome),
            ..
        } = &self.answer
        else {
            return Ok(true);
        };
        let value = match outcome {
            Outcome::Returned(value) => Some(value),
            Outcome::Failed(failure) => failure.details.as_ref(),
            Outcome::Unanswered(_) => None,
        };
        let Some(Printed { bytes, is_whole }) = value.map(recorded::printed) else {
            return Ok(true);
        };
        talk::data(&bytes)?;
        Ok(is_whole)
    }

    fn exit(&self) -> u8 {
        match &self.answer {
            Answer::Passed { outcome, .. } => self.of_outcome(outcome),
            Answer::Executed {
                effect: Effect::Unknown,
                ..
            }
            | Answer::InDoubt { .. } => Exit::InDoubt.code(),
            Answer::Executed { outcome, .. } => self.of_outcome(outcome),
            Answer::Replayed {
                outcome: Some(outcome),
                ..
            } => self.of_outcome(outcome),
            Answer::Replayed {
                outcome: None,
                effect: Effect::Refused,
                ..
            } => Exit::Refused.code(),
            Answer::Replayed { outcome: None, .. } | Answer::Expired { .. } => {
                Exit::NoOutput.code()
            }
            Answer::Running { .. } => Exit::Running.code(),
            Answer::Held { .. } => Exit::Held.code(),
            Answer::Conflict { .. } => Exit::Conflict.code(),
            Answer::Refused { .. } => Exit::Refused.code(),
        }
    }

    fn of_outcome(&self, outcome: &Outcome) -> u8 {
        match (self.ran, outcome) {
            (Some(Ending::Exited(code) | Ending::NotStarted(code)), _) => code,
            (Some(Ending::Killed(signal)), _) => signals::exit_code(signal),
            // As `timeout` tells it.
            (Some(Ending::TimedOut), _) => 124,
            (None, Outcome::Returned(_)) => 0,
            (None, Outcome::Failed(failure)) => exit_of(failure),
            (None, Outcome::Unanswered(_)) => Exit::InDoubt.code(),
        }
    }

    /// Says whatever stdout and the exit code do not.
    fn explain(&self) {
        if let Some(said) = said(&self.answer) {
            talk::say(said);
        }
        let Some(about) = self.answer.about() else {
            return;
        };
        if let RecordStatus::No(why) = &about.recorded {
            talk::say(format_args!("not recorded: {why}"));
        }
        for switch in &about.switches {
            talk::say(format_args!(
                "the operator's switch `{}` is on: sent at most once does not hold",
                word(*switch)
            ));
        }
    }
}

/// The code that a recorded failure of a command ended with; 1 where it was no command's.
fn exit_of(failure: &Failure) -> u8 {
    let code = failure
        .code
        .as_deref()
        .and_then(|code| code.strip_prefix("exit-")?.parse().ok());
    code.filter(|code| *code != 0).unwrap_or(1)
}

fn word(switch: OperatorSwitch) -> &'static str {
    match switch {
        OperatorSwitch::OpenWithoutLedger => "open_without_ledger",
        OperatorSwitch::TimedRerun => "timed_rerun",
        OperatorSwitch::TakenOnceWritten => "taken_within",
    }
}

/// The answer as one JSON object.
fn in_json(answer: &Answer) -> String {
    let mut answer = serde_json::to_value(answer).unwrap_or_default();
    for place in [
        "/outcome/returned",
        "/outcome/failed/details",
        "/standing/outcome/returned",
        "/standing/outcome/failed/details",
    ] {
        answer
            .pointer_mut(place)
            .into_iter()
            .for_each(recorded::without_layout);
    }
    answer.to_string()
}

/// What there is to say to an answer, and what may be done next.
fn said(answer: &Answer) -> Option<String> {
    let next = next(&answer.next());
    Some(match answer {
        Answer::Executed {
            about,
            effect: Effect::Unknown,
            reason,
            ..
        } => {
            format!(
                "in doubt: {} may have taken effect: {reason}; {next}",
                named(about)
            )
        }
        // A command that answered has said what there is to say.
        Answer::Passed { outcome, .. } | Answer::Executed { outcome, .. } => match outcome {
            Outcome::Unanswered(silence) => silence.reason.clone(),
            Outcome::Returned(_) | Outcome::Failed(_) => return None,
        },
        Answer::Replayed {
            about,
            outcome: Some(outcome),
            ..
        } => {
            let failed = match outcome {
                Outcome::Failed(failure) => format!(": {}", failure.message),
                _ => String::new(),
            };
            format!(
                "replayed: {} is settled by attempt {}, and nothing was run{failed}",
                named(about),
                about.attempt
            )
        }
        Answer::Replayed {
            about,
            outcome: None,
            effect: Effect::Refused,
            ..
        } => {
            format!(
                "refused: {} is refused, and nothing was run; {next}",
                named(about)
            )
        }
        Answer::Replayed {
            about,
            outcome: None,
            ..
        } => {
            format!(
                "replayed: {} took effect, and its output is not kept; nothing was run",
                named(about)
            )
        }
        Answer::Running { about, .. } => format!(
            "running: another attempt at {} is under way; {next}",
            named(about)
        ),
        Answer::InDoubt {
            about,
            reason,
            outcome,
            ..
        } => {
            format!(
                "in doubt: {} may have taken effect: {}; {next}",
                named(about),
                why(reason, outcome.as_ref())
            )
        }
        Answer::Held {
            about,
            reason,
            outcome,
            ..
        } => {
            let why = why(reason, outcome.as_ref());
            format!(
                "held: {} may have taken effect: {why}; {next} (see `semel ledger show {}`)",
                named(about),
                about.key
            )
        }
        Answer::Conflict {
            about, standing, ..
        } => {
            format!(
                "conflict: {} is recorded with other content, and nothing was run: {}; {next}",
                named(about),
                stands(standing)
            )
        }
        Answer::Expired {
            about,
            landed_at_ms,
            ..
        } => {
            let when = rfc3339(*landed_at_ms);
            format!(
                "expired: {} took effect at {when}, and its output is no longer kept; do not call again",
                named(about)
            )
        }
        Answer::Refused { reason, .. } => format!("refused, and nothing was run: {reason}"),
    })
}

fn named(about: &AnswerSubject) -> String {
    let key = if about.key.is_empty() {
        String::new()
    } else {
        format!(" ({})", about.key)
    };
    format!("`{}`{key}", about.operation)
}

/// Why the effect is unknown, and what the attempt came to.
fn why(reason: &str, outcome: Option<&Outcome>) -> String {
    let came_to = outcome
        .map(shown)
        .filter(|came_to| !came_to.is_empty() && !reason.contains(came_to));
    came_to.map_or_else(
        || reason.to_owned(),
        |came_to| format!("{came_to}; {reason}"),
    )
}

fn next(next: &NextStep) -> String {
    let after =
        |after_ms: &Option<u64>| after_ms.map_or_else(String::new, |ms| format!(" in {ms} ms"));
    match next {
        NextStep::Nothing => "there is nothing to do".to_owned(),
        NextStep::CallAgain { after_ms } => format!("call again{}", after(after_ms)),
        NextStep::AskAgain { after_ms } => {
            format!("ask again{} with the very same call", after(after_ms))
        }
        NextStep::AskAPerson => "do not call again, a person must decide".to_owned(),
        NextStep::CorrectTheCall => "correct the call".to_owned(),
    }
}

fn stands(standing: &RecordedOperation) -> String {
    let mut stands = format!("it stands {}", standing.state.as_str());
    if !standing.handles.is_empty() {
        stands += &format!(" as {}", standing.handles.join(", "));
    }
    if let Some(outcome) = &standing.outcome {
        stands += &format!(" with {}", shown(outcome));
    }
    stands
}

/// An outcome on one line.
fn shown(outcome: &Outcome) -> String {
    let text = match outcome {
        Outcome::Returned(Value::String(text)) => text.trim_end().to_owned(),
        Outcome::Returned(value) => {
            let mut value = value.clone();
            recorded::without_layout(&mut value);
            value.to_string()
        }
        Outcome::Failed(failure) => failure.message.clone(),
        Outcome::Unanswered(silence) => silence.reason.clone(),
    };
    talk::plain(&text, OUTCOME_CHARS_SHOWN)
}
