//! What the caller of a guarded tool holds: a run of the tool to report on, or an answer to deliver.

use crate::runtime::{
    call::{
        delivery::Delivery,
        driver::{CallDriver, DriverPause},
        error::CallError,
        lease::{SendRight, UsedRight},
        observed::{ObservedCall, ObservedEnd},
        ticket::{Ticket, TicketError},
    },
    ledger_client::AppliedCommand,
};
use crate::{
    guard::{CallEnd, GuardAction, GuardEvent},
    ledger::{ClaimReply, Grant, Reply, State},
    model::{Answer, Call, NextStep, OperationLifetime, Outcome, UnguardedReason},
};
use semel_store::{
    RunToCompletion,
    failpoints::{self, Failpoint},
};
use std::time::Duration;
use tracing::Instrument;

/// The next step of a call, for its caller.
#[derive(Debug)]
pub enum CallStep {
    /// Run the tool now, and report its outcome.
    Run(Box<ToolRun>),
    /// There is nothing to run: the call has its answer.
    Answered(Box<DeliverableAnswer>),
}

/// A run of a tool in progress. Dropped without a report, it leaves its operation in doubt.
#[derive(Debug)]
#[must_use = "a run that is not finished leaves its operation in doubt"]
pub struct ToolRun {
    /// The call to run.
    pub ticket: Ticket,
    mode: RunMode,
}

/// The receiver of a run's outcome.
#[derive(Debug)]
pub(crate) enum RunMode {
    /// A guard.
    Guarded(Box<CallDriver>),
    /// The observer of an unguarded call in shadow mode.
    Observed(ObservedCall),
    Unguarded(UnguardedReason),
}

/// An answer, and the way to acknowledge its delivery.
#[derive(Debug)]
pub struct DeliverableAnswer {
    /// The answer.
    pub answer: Answer,
    delivery: Option<Delivery>,
}

impl DeliverableAnswer {
    /// Returns the answer, and the delivery to acknowledge once the caller certainly has it. For front ends that write
    /// the answer first.
    #[must_use]
    pub fn into_parts(self) -> (Answer, Option<Delivery>) {
        (self.answer, self.delivery)
    }
}

impl ToolRun {
    fn guarded_by(ticket: Ticket, driver: Box<CallDriver>) -> Self {
        Self {
            ticket,
            mode: RunMode::Guarded(driver),
        }
    }

    pub(super) fn guarded(&self) -> Option<&CallDriver> {
        match &self.mode {
            RunMode::Guarded(driver) => Some(driver),
            RunMode::Observed(_) | RunMode::Unguarded(_) => None,
        }
    }

    /// Returns true if the tool's outcome is needed. Otherwise this may be dropped.
    #[must_use]
    pub fn needs_outcome(&self) -> bool {
        !matches!(self.mode, RunMode::Unguarded(_))
    }

    /// Splits the run into the ticket, which the tool consumes, and the receiver of its outcome.
    pub(crate) fn into_parts(self) -> (Ticket, RunMode) {
        (self.ticket, self.mode)
    }

    /// Reports the tool's outcome, and returns whether to run it again, or the answer:
    /// [`Semel::call`] for a front end that must see the answer written before its outcome counts
    /// as delivered.
    ///
    /// [`Semel::call`]: crate::runtime::Semel::call
    ///
    /// # Errors
    ///
    /// If something is wrong within Semel; the outcome is not recorded then.
    pub async fn report(self, outcome: Outcome) -> Result<CallStep, CallError> {
        self.mode.report(outcome).await
    }

    /// Reports that the tool accepted and continues elsewhere, at most so long: it asked a
    /// question, or made a task of the call. The answer is [`Answer::Running`] under this
    /// continuation, a name without meaning. [`Semel::resume`] continues it. If that cannot be
    /// recorded, the operation is in doubt.
    ///
    /// [`Semel::resume`]: crate::runtime::Semel::resume
    ///
    /// # Errors
    ///
    /// If something is wrong within Semel; nothing is recorded then.
    pub async fn suspend(
        self,
        continuation: impl Into<String>,
        at_most: Duration,
    ) -> Result<DeliverableAnswer, CallError> {
        let continuation = continuation.into();
        let mut driver = match self.mode {
            RunMode::Guarded(driver) => driver,
            RunMode::Observed(observed) => {
                let end = ObservedEnd::Suspended {
                    continuation,
                    at_most,
                };
                // What is suspended has no outcome yet, so there is none to acknowledge.
                drop(observed.report_end(end));
                return Ok(suspended_unguarded(UnguardedReason::Shadow));
            }
            RunMode::Unguarded(why) => return Ok(suspended_unguarded(why)),
        };
        // Its next round is a call of its own, so this caller runs the tool no further time.
        driver.forbid_reruns();
        let limit_seconds = u32::try_from(at_most.as_secs()).unwrap_or(u32::MAX).max(1);
        failpoints::after(Failpoint::Send);
        let action = driver.step(GuardEvent::Suspended {
            continuation,
            limit_seconds,
        });
        answer_of(drive_call(driver, action).await?)
    }

    /// Reports the tool's outcome, and returns the answer.
    ///
    /// # Errors
    ///
    /// If something is wrong within Semel; the outcome is not recorded then.
    pub async fn finish(mut self, outcome: Outcome) -> Result<DeliverableAnswer, CallError> {
        if let RunMode::Guarded(driver) = &mut self.mode {
            driver.forbid_reruns();
        }
        answer_of(self.report(outcome).await?)
    }
}

impl RunMode {
    pub(crate) async fn report(self, outcome: Outcome) -> Result<CallStep, CallError> {
        match self {
            Self::Guarded(mut driver) => {
                failpoints::after(Failpoint::Send);
                let action = driver.step(GuardEvent::Ran(outcome));
                drive_call(driver, action).await
            }
            Self::Observed(observed) => {
                let delivery = observed.report_end(ObservedEnd::Outcome(outcome.clone()));
                let why = UnguardedReason::Shadow;
                Ok(answered(Answer::Passed { why, outcome }, Some(delivery)))
            }
            Self::Unguarded(why) => Ok(answered(Answer::Passed { why, outcome }, None)),
        }
    }
}

fn answered(answer: Answer, delivery: Option<Delivery>) -> CallStep {
    CallStep::Answered(Box::new(DeliverableAnswer { answer, delivery }))
}

fn suspended_unguarded(why: UnguardedReason) -> DeliverableAnswer {
    let outcome = Outcome::no_answer("the call continues elsewhere");
    DeliverableAnswer {
        answer: Answer::Passed { why, outcome },
        delivery: None,
    }
}

fn answer_of(step: CallStep) -> Result<DeliverableAnswer, CallError> {
    match step {
        CallStep::Answered(answer) => Ok(*answer),
        CallStep::Run(_) => Err(CallError::Internal(
            "a caller that cannot run the tool again was to run it".to_owned(),
        )),
    }
}

/// Drives a call to where its caller has to act. The work between two actions of the caller runs to completion, so that it
/// is recorded even if the caller goes away.
///
/// INVARIANT: a right leaves the task unused, and is used up by the caller. A caller that goes away
/// before has sent nothing, and the unused right is released when it is dropped.
pub(crate) async fn drive_call(
    mut driver: Box<CallDriver>,
    mut action: GuardAction,
) -> Result<CallStep, CallError> {
    loop {
        let pause;
        let span = driver.span.clone();
        (driver, pause) = RunToCompletion::new(advance(driver, action).instrument(span)).await;
        match pause {
            DriverPause::Finished(end) => return finish_call(&mut driver, *end),
            DriverPause::RunWithoutLedger => {
                let mut ticket = Ticket::unguarded(&driver.context.call);
                ticket.operation = Some(driver.context.terms.operation.clone());
                return Ok(CallStep::Run(Box::new(ToolRun::guarded_by(ticket, driver))));
            }
            DriverPause::RunTool(granted) => {
                let (right, grant) = *granted;
                match use_right(&mut driver, right, &grant) {
                    Ok(ticket) => {
                        return Ok(CallStep::Run(Box::new(ToolRun::guarded_by(ticket, driver))));
                    }
                    Err(error) => {
                        action = driver.step(GuardEvent::Ran(Outcome::not_sent(error.to_string())));
                    }
                }
            }
        }
    }
}

async fn advance(
    mut driver: Box<CallDriver>,
    action: GuardAction,
) -> (Box<CallDriver>, DriverPause) {
    let pause = driver.advance(action).await;
    (driver, pause)
}

/// The reason why a right to send was used up without a sending.
#[derive(Debug, thiserror::Error)]
enum UnusedRightError {
    #[error(transparent)]
    Ticket(#[from] TicketError),
    #[error("the right to send came too late")]
    TooLate,
}

/// Uses the right up for a ticket, or returns the reason why nothing may be sent. The claim is held either way.
fn use_right(
    driver: &mut CallDriver,
    right: SendRight,
    grant: &Grant,
) -> Result<Ticket, UnusedRightError> {
    // The ticket is made first: between the deadline's check and the sending, no work may pass time.
    let claimed = driver
        .claim
        .as_ref()
        .and_then(|claim| claim.terms.call.as_ref());
    let call = claimed.unwrap_or(&driver.context.call);
    let ticket = Ticket::for_attempt(&driver.context, call, grant);
    failpoints::before(Failpoint::Send);
    match right.use_up() {
        UsedRight::InTime(sending) => {
            driver.sending = Some(sending);
            Ok(ticket?)
        }
        UsedRight::TooLate(sending) => {
            driver.sending = Some(sending);
            Err(UnusedRightError::TooLate)
        }
    }
}

fn finish_call(driver: &mut CallDriver, end: CallEnd) -> Result<CallStep, CallError> {
    let answer = driver.answer(end)?;
    driver.span.in_scope(|| log_answer(&answer));
    let delivery = delivery_of(driver, &answer);
    Ok(answered(answer, delivery))
}

/// Logs an answer without arguments, keys and outcomes: many people read a log.
fn log_answer(answer: &Answer) {
    let about = answer.about();
    tracing::info!(
        semel.answer = answer.word(),
        semel.generation = about.map(|about| about.generation),
        semel.attempt = about.map(|about| about.attempt),
        "semel.answer"
    );
}

/// Returns the delivery to acknowledge, which matters where the operation lasts until delivery, may be undone, or undoes.
fn delivery_of(driver: &CallDriver, answer: &Answer) -> Option<Delivery> {
    let applied = driver.latest.as_ref()?;
    let record = applied.record()?;
    let landed = matches!(
        applied.reply,
        Reply::Told(ClaimReply::Landed | ClaimReply::Undone)
    );
    let has_outcome = matches!(answer, Answer::Executed { .. } | Answer::Replayed { .. });
    let is_delivered = matches!(
        record.state,
        State::Landed {
            delivered: true,
            ..
        } | State::Undone {
            delivered: true,
            ..
        }
    );
    let matters = record.terms.until == OperationLifetime::Delivery
        || record.terms.undoing
        || !record.handles.is_empty();
    if landed && has_outcome && matters && !is_delivered {
        let ledger = driver.context.host.ledger.clone();
        Some(Delivery::to_record(ledger, AppliedCommand::clone(applied)))
    } else {
        None
    }
}

/// Returns the answer to a call of `tool` that must not run as it is.
pub(crate) fn refuse_call(tool: &str, reason: String) -> CallStep {
    let answer = Answer::Refused {
        reason,
        next: NextStep::CorrectTheCall,
    };
    tracing::info!(
        semel.answer = answer.word(),
        semel.tool = tool,
        "semel.answer"
    );
    answered(answer, None)
}

/// Returns the run of a call without a guard.
pub(crate) fn run_unguarded(call: &Call, why: UnguardedReason) -> CallStep {
    run_with(call, RunMode::Unguarded(why))
}

/// Returns the run of a call without a guard that an observer follows.
#[cfg_attr(
    not(feature = "shadow"),
    expect(dead_code, reason = "only shadow mode observes calls")
)]
pub(crate) fn run_observed(call: &Call, observed: ObservedCall) -> CallStep {
    run_with(call, RunMode::Observed(observed))
}

fn run_with(call: &Call, mode: RunMode) -> CallStep {
    tracing::info!(
        semel.answer = "passed",
        semel.tool = call.tool(),
        "semel.answer"
    );
    CallStep::Run(Box::new(ToolRun {
        ticket: Ticket::unguarded(call),
        mode,
    }))
}
