//! The report of a call: from its answer to stdout, stderr, the delivery's acknowledgement, and the exit code.

use super::{
    child::CommandEnd,
    message::{describe_answer, switch_key},
    signals, stdout_value,
};
use crate::{
    common_args::OutputFormat,
    exit::{CommandError, ExitReason},
    output,
};
use semel::{
    json::JsonValue,
    model::{Answer, Effect, Failure, Outcome, RecordStatus, UndoNote},
    runtime::{DeliverableAnswer, Delivery},
};

/// The exit code of the command `timeout` when time is up.
const TIMED_OUT: u8 = 124;

/// The places in an answer's JSON where a command's output is.
const OUTPUT_PATHS: [&[&str]; 4] = [
    &["outcome", "returned"],
    &["outcome", "failed", "details"],
    &["standing", "outcome", "returned"],
    &["standing", "outcome", "failed", "details"],
];

/// The report of a call to its caller.
pub(super) struct CallReport {
    answer: Answer,
    /// The outcome's delivery, to be acknowledged once the caller has all of it.
    delivery: Option<Delivery>,
    /// The end of the command; none if nothing ran for this call.
    end: Option<CommandEnd>,
    /// True if all that the command printed was forwarded.
    was_written: bool,
}

impl CallReport {
    /// The report of a call that was answered from the ledger.
    pub(super) fn without_run(answered: DeliverableAnswer) -> Self {
        let (answer, delivery) = answered.into_parts();
        Self {
            answer,
            delivery,
            end: None,
            was_written: true,
        }
    }

    /// The report of a call that the command ran for.
    pub(super) fn of_run(answered: DeliverableAnswer, end: CommandEnd, was_written: bool) -> Self {
        let (answer, delivery) = answered.into_parts();
        Self {
            answer,
            delivery,
            end: Some(end),
            was_written,
        }
    }

    /// The report of a command that ran without a guard.
    pub(super) fn unguarded(answer: Answer, end: CommandEnd, was_written: bool) -> Self {
        Self {
            answer,
            delivery: None,
            end: Some(end),
            was_written,
        }
    }

    /// Writes the answer, acknowledges its delivery, and returns the exit code.
    pub(super) async fn publish(mut self, format: OutputFormat) -> Result<u8, CommandError> {
        let is_complete = match format {
            OutputFormat::Json => {
                output::write_line(&to_json(&self.answer))?;
                self.was_written = true;
                true
            }
            OutputFormat::Text => self.write_replay()?,
        };
        self.print_messages();
        // Only after the output was written: until then a crash must leave the outcome to be replayed.
        self.acknowledge_delivery(is_complete).await;
        let is_settled = matches!(
            self.answer,
            Answer::Passed { .. } | Answer::Executed { .. } | Answer::Replayed { .. }
        );
        if is_settled && !self.was_written {
            return Err(ExitReason::NoOutput
                .error("the command ran, but its output could not be written to stdout"));
        }
        if !is_complete {
            return Err(ExitReason::NoOutput
                .error("the command printed more than is recorded: this is only the beginning"));
        }
        Ok(self.exit_code())
    }

    /// Acknowledges the outcome, if the caller got all of it.
    async fn acknowledge_delivery(&mut self, is_complete: bool) {
        // That an operation was undone is an answer even where its output is not kept.
        let is_recorded = !matches!(
            self.answer,
            Answer::Replayed {
                outcome: None,
                undo: None | Some(UndoNote::StillStanding { .. }),
                ..
            }
        );
        if let Some(delivery) = self.delivery.take()
            && self.was_written
            && is_complete
            && is_recorded
        {
            delivery.acknowledge().await;
        }
    }

    /// Writes the recorded output of a replayed operation. Returns false if only its beginning was recorded.
    fn write_replay(&self) -> Result<bool, CommandError> {
        // The output of a command that ran for this call was forwarded as it came.
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
        let Some(stdout) = value.map(stdout_value::decode) else {
            return Ok(true);
        };
        output::write_stdout(&stdout.bytes)?;
        Ok(stdout.is_complete)
    }

    fn exit_code(&self) -> u8 {
        match &self.answer {
            Answer::Passed { outcome, .. } => self.outcome_exit_code(outcome),
            Answer::Executed {
                effect: Effect::Unknown,
                ..
            }
            | Answer::InDoubt { .. } => ExitReason::InDoubt.code(),
            // A failed command that took effect, such as the rejection of a duplicate, is a success.
            Answer::Executed {
                effect: Effect::Landed,
                ..
            }
            | Answer::Replayed {
                outcome: Some(_),
                effect: Effect::Landed,
                ..
            } => 0,
            Answer::Executed { outcome, .. } => self.outcome_exit_code(outcome),
            Answer::Replayed {
                outcome: Some(outcome),
                ..
            } => self.outcome_exit_code(outcome),
            Answer::Replayed {
                outcome: None,
                effect: Effect::Refused,
                ..
            } => ExitReason::Refused.code(),
            Answer::Replayed { outcome: None, .. } | Answer::Expired { .. } => {
                ExitReason::NoOutput.code()
            }
            Answer::Running { .. } => ExitReason::Running.code(),
            Answer::Held { .. } => ExitReason::Held.code(),
            Answer::Conflict { .. } => ExitReason::Conflict.code(),
            Answer::Refused { .. } => ExitReason::Refused.code(),
        }
    }

    /// The exit code of the command that ran, or else of the recorded outcome.
    fn outcome_exit_code(&self, outcome: &Outcome) -> u8 {
        match (self.end, outcome) {
            (Some(CommandEnd::Exited(code) | CommandEnd::NotStarted(code)), _) => code,
            (Some(CommandEnd::Killed(signal)), _) => signals::exit_code(signal),
            (Some(CommandEnd::TimedOut), _) => TIMED_OUT,
            (None, Outcome::Returned(_)) => 0,
            (None, Outcome::Failed(failure)) => recorded_exit_code(failure),
            (None, Outcome::Unanswered(_)) => ExitReason::InDoubt.code(),
        }
    }

    /// Prints to stderr what stdout and the exit code do not say.
    fn print_messages(&self) {
        if let Some(message) = describe_answer(&self.answer) {
            output::print_message(message);
        }
        let Some(about) = self.answer.about() else {
            return;
        };
        if let RecordStatus::No(why) = &about.recorded {
            output::print_message(format_args!("not recorded: {why}"));
        }
        for switch in &about.switches {
            output::print_message(format_args!(
                "the operator's switch `{}` was used: the call may have been sent more than once",
                switch_key(*switch)
            ));
        }
    }
}

/// The exit code that a recorded failure holds; 1 if another front end than `semel exec` recorded it.
fn recorded_exit_code(failure: &Failure) -> u8 {
    let code: Option<u8> = failure
        .code
        .as_deref()
        .and_then(|code| code.strip_prefix("exit-")?.parse().ok());
    match code {
        // A failure must not look like a success.
        None | Some(0) => 1,
        Some(code) => code,
    }
}

/// The answer as one JSON object.
fn to_json(answer: &Answer) -> String {
    let mut answer = JsonValue::from_serialized(answer).unwrap_or_default();
    for path in OUTPUT_PATHS {
        let place = path
            .iter()
            .try_fold(&mut answer, |value, name| value.get_mut(name));
        if let Some(value) = place {
            stdout_value::remove_original_text(value);
        }
    }
    answer.to_string()
}
