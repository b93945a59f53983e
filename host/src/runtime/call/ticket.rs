//! What the caller of a guarded tool holds: a ticket to run it, an answer, and the word that it took the answer.

use crate::runtime::{
    call::delivery::Delivery,
    call::driver::{Driver, Pause},
    call::lease::{Right, UsedRight},
    shadow::Watched,
};
use crate::{
    guard::{GuardAction, GuardEvent},
    ledger::{ClaimReply, Grant, Reply},
    model::{Answer, Call, OperationLifetime, Outcome, UnguardedReason},
    place::{self, PlacedCall},
};
use semel_store::{
    RunToCompletion,
    failpoints::{self, Failpoint},
};
use serde_json::{Map, Value};
use std::{fmt, time::Duration};
use tracing::Instrument;

/// Why a call got no answer. Nothing was sent by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The ledger cannot be reached, so the tool did not run.
    #[error("the ledger cannot be used, so the tool did not run: {0}")]
    Ledger(String),
    /// No tool's rule matches, and there is no default.
    #[error(
        "no policy is set up for the tool `{0}`: add a `[[tool]]` that matches it, or a default policy"
    )]
    NoPolicy(String),
    /// A broken invariant.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

/// The permission to run a tool once, and the call to run. Debug output holds neither the key nor
/// arguments.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Ticket {
    /// The operation's name; none: the call passes unguarded.
    pub operation: Option<String>,
    /// The downstream key; none where nothing is guarded.
    pub key: Option<String>,
    /// The attempt's number, from 1; 0 where nothing is recorded.
    pub attempt: u32,
    /// True if it repeats a sending with an unknown effect.
    pub repeats: bool,
    /// The arguments, with the key where the target wants it.
    pub arguments: Map<String, Value>,
    /// Headers to send besides.
    pub headers: Vec<(String, String)>,
    /// Metadata to send besides.
    pub metadata: Vec<(String, String)>,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Ticket");
        told.field("operation", &self.operation)
            .field("attempt", &self.attempt)
            .field("repeats", &self.repeats);
        told.finish_non_exhaustive()
    }
}

impl Ticket {
    /// Puts the ticket's headers into those of a request, in place of any of the same name, however that is spelt:
    /// client libraries put a random key on each request, and under such a key every repeat is a new request.
    pub fn put_headers(&self, request: &mut Vec<(String, String)>) {
        request.retain(|(name, _)| {
            !self
                .headers
                .iter()
                .any(|(own, _)| own.eq_ignore_ascii_case(name))
        });
        request.extend_from_slice(&self.headers);
    }

    /// Returns a ticket for an unguarded call: the call unchanged.
    #[must_use]
    pub fn unguarded(call: &Call) -> Self {
        Self {
            operation: None,
            key: None,
            attempt: 0,
            repeats: false,
            arguments: call.arguments().clone(),
            headers: Vec::new(),
            metadata: Vec::new(),
        }
    }
}

/// The beginning of a call.
#[derive(Debug)]
pub enum Begun {
    /// Run the tool now, and report its outcome.
    Run(Box<Started>),
    /// There is nothing to run: this is the answer.
    Answered(Box<Answered>),
}

/// A run of a tool in progress. Dropped without a report, it leaves its operation in doubt.
#[derive(Debug)]
#[must_use = "a run that is not finished leaves its operation in doubt"]
pub struct Started {
    /// The call to run.
    pub ticket: Ticket,
    pub(crate) under: Under,
}

/// Under what a tool runs.
#[derive(Debug)]
pub(crate) enum Under {
    /// A guard.
    Guard(Box<Driver>),
    /// Unguarded, and watched.
    Watched(Watched),
    /// None.
    Nothing(UnguardedReason),
}

impl Under {
    /// Reports the tool's outcome; it may have to be run again.
    pub(crate) async fn go_on(self, outcome: Outcome) -> Result<Begun, CallError> {
        let (why, delivery) = match self {
            Self::Guard(mut driver) => {
                failpoints::after(Failpoint::Send);
                let action = driver.step(GuardEvent::Ran(outcome));
                return go_on(driver, action).await;
            }
            Self::Watched(watched) => (
                UnguardedReason::Shadow,
                Some(watched.came_to(outcome.clone())),
            ),
            Self::Nothing(why) => (why, None),
        };
        Ok(Begun::Answered(Box::new(Answered {
            answer: Answer::Passed { why, outcome },
            delivery,
        })))
    }
}

impl Started {
    /// Returns true if the tool's outcome is needed. Otherwise this may be dropped.
    #[must_use]
    pub fn matters(&self) -> bool {
        !matches!(self.under, Under::Nothing(_))
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
    pub async fn go_on(self, outcome: Outcome) -> Result<Begun, CallError> {
        self.under.go_on(outcome).await
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
    ) -> Result<Answered, CallError> {
        let mut driver = match self.under {
            Under::Guard(driver) => driver,
            Under::Watched(watched) => {
                watched.goes_on(continuation.into(), at_most);
                return Ok(goes_on_unguarded(UnguardedReason::Shadow));
            }
            Under::Nothing(why) => return Ok(goes_on_unguarded(why)),
        };
        driver.cannot_run_again();
        let limit_seconds = u32::try_from(at_most.as_secs()).unwrap_or(u32::MAX).max(1);
        failpoints::after(Failpoint::Send);
        let action = driver.step(GuardEvent::Suspended {
            continuation: continuation.into(),
            limit_seconds,
        });
        answer_of(go_on(driver, action).await?)
    }

    /// Reports the tool's outcome, and returns the answer.
    ///
    /// # Errors
    ///
    /// If something is wrong within Semel; the outcome is not recorded then.
    pub async fn finish(mut self, outcome: Outcome) -> Result<Answered, CallError> {
        if let Under::Guard(driver) = &mut self.under {
            driver.cannot_run_again();
        }
        answer_of(self.under.go_on(outcome).await?)
    }
}

fn goes_on_unguarded(why: UnguardedReason) -> Answered {
    let outcome = Outcome::no_answer("it goes on elsewhere");
    Answered {
        answer: Answer::Passed { why, outcome },
        delivery: None,
    }
}

fn answer_of(begun: Begun) -> Result<Answered, CallError> {
    match begun {
        Begun::Answered(answered) => Ok(*answered),
        Begun::Run(_) => Err(CallError::Internal("a run that nobody can make".to_owned())),
    }
}

/// An answer, and how to say that it was taken.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    pub(crate) delivery: Option<Delivery>,
}

impl Answered {
    /// The answer, and what to do once the caller certainly has it: for doors that write it somewhere first.
    #[must_use]
    pub fn into_parts(self) -> (Answer, Option<Delivery>) {
        (self.answer, self.delivery)
    }
}

/// Goes on until the caller has to act. Each stretch between two pauses of the caller is carried out and recorded,
/// whether or not anybody still waits for it.
///
/// INVARIANT: a right leaves the task unused, and is used up by the caller. A caller that goes away
/// before has sent nothing, and the unused right is released when it is dropped.
pub(crate) async fn go_on(
    mut driver: Box<Driver>,
    mut action: GuardAction,
) -> Result<Begun, CallError> {
    loop {
        let pause;
        let span = driver.span.clone();
        (driver, pause) = RunToCompletion::new(stretch(driver, action).instrument(span)).await;
        match pause {
            Pause::Over(end) => return answered(&driver, *end),
            Pause::RunOpen => return Ok(Begun::Run(Box::new(open(driver)))),
            Pause::Run(granted) => match use_up(&mut driver, *granted) {
                Ok(ticket) => {
                    return Ok(Begun::Run(Box::new(Started {
                        ticket,
                        under: Under::Guard(driver),
                    })));
                }
                Err(why) => action = driver.step(GuardEvent::Ran(Outcome::not_sent(why))),
            },
        }
    }
}

async fn stretch(mut driver: Box<Driver>, action: GuardAction) -> (Box<Driver>, Pause) {
    let pause = driver.advance(action).await;
    (driver, pause)
}

/// Uses the right up for a ticket, or says why nothing may be sent. The claim is held either way.
fn use_up(driver: &mut Driver, (right, grant): (Right, Grant)) -> Result<Ticket, String> {
    let ticket = ticket(driver, &grant);
    failpoints::before(Failpoint::Send);
    match right.use_up() {
        UsedRight::InTime(sending) => {
            driver.sending = Some(sending);
            ticket
        }
        UsedRight::TooLate(sending) => {
            driver.sending = Some(sending);
            Err("the right to send came too late".to_owned())
        }
    }
}

fn open(driver: Box<Driver>) -> Started {
    let mut ticket = Ticket::unguarded(&driver.call);
    ticket.operation = Some(driver.claim.terms.operation.clone());
    Started {
        ticket,
        under: Under::Guard(driver),
    }
}

fn ticket(driver: &Driver, grant: &Grant) -> Result<Ticket, String> {
    let key = driver
        .inner
        .keys
        .downstream(&driver.key, grant.generation, grant.series);
    let key = key.render(
        driver
            .target()
            .map(|target| target.form)
            .unwrap_or_default(),
    );
    let key = key.map_err(|fault| fault.to_string())?;
    let places = driver.target().map_or(&[][..], |target| &target.places);
    let PlacedCall {
        arguments,
        headers,
        metadata,
    } = place::put(places, &key, driver.call.arguments().clone())
        .map_err(|fault| fault.to_string())?;
    Ok(Ticket {
        operation: Some(driver.claim.terms.operation.clone()),
        key: Some(key),
        attempt: grant.fence.number,
        repeats: grant.repeats,
        arguments,
        headers,
        metadata,
    })
}

fn answered(driver: &Driver, end: crate::guard::CallEnd) -> Result<Begun, CallError> {
    let answer = driver.answer(end)?;
    driver.span.in_scope(|| told(&answer));
    let delivery = delivery(driver, &answer);
    Ok(Begun::Answered(Box::new(Answered { answer, delivery })))
}

/// Never arguments, keys or outcomes: a log is read by many.
fn told(answer: &Answer) {
    let about = answer.about();
    tracing::info!(
        semel.answer = answer.word(),
        semel.generation = about.map(|about| about.generation),
        semel.attempt = about.map(|about| about.attempt),
        "semel.answer"
    );
}

/// The word that a caller took an outcome matters only where the operation lasts until delivery.
fn delivery(driver: &Driver, answer: &Answer) -> Option<Delivery> {
    let applied = driver.latest.as_ref()?;
    let record = applied.record()?;
    let stands = matches!(applied.reply, Reply::Told(ClaimReply::Landed));
    let given = matches!(answer, Answer::Executed { .. } | Answer::Replayed { .. });
    let lasts = record.terms.until == OperationLifetime::Delivery;
    let table = &driver.inner.table;
    (stands && given && lasts).then(|| Delivery::of_record(table.clone(), applied.clone()))
}

/// Returns the answer to a call of `tool` that must not run as it is.
pub(crate) fn refused(tool: &str, reason: String) -> Begun {
    let answer = Answer::Refused {
        reason,
        next: crate::model::NextStep::CorrectTheCall,
    };
    tracing::info!(
        semel.answer = answer.word(),
        semel.tool = tool,
        "semel.answer"
    );
    Begun::Answered(Box::new(Answered {
        answer,
        delivery: None,
    }))
}

/// Returns the beginning of a call that passes.
pub(crate) fn passes(call: &Call) -> Begun {
    unguarded(call, Under::Nothing(UnguardedReason::Policy))
}

/// Returns the beginning of a call that runs without a guard.
pub(crate) fn unguarded(call: &Call, under: Under) -> Begun {
    tracing::info!(
        semel.answer = "passed",
        semel.tool = call.tool(),
        "semel.answer"
    );
    Begun::Run(Box::new(Started {
        ticket: Ticket::unguarded(call),
        under,
    }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_header_of_the_same_name_is_replaced_however_it_is_spelt() {
        let call = Call::new("pay", serde_json::json!({})).unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let ticket = Ticket {
            headers: vec![header("Idempotency-Key", "ours")],
            ..Ticket::unguarded(&call)
        };
        let mut request = vec![
            header("idempotency-key", "random"),
            header("Accept", "*/*"),
            header("IDEMPOTENCY-KEY", "other"),
        ];
        ticket.put_headers(&mut request);
        assert_eq!(
            request,
            [header("Accept", "*/*"), header("Idempotency-Key", "ours")]
        );
    }
}
