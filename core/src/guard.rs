//! How one guarded call goes from its claim to its answer: a protocol as a value.
//!
//! A [`Guard`] takes events and returns actions, one at a time. The driver performs a [`DriverAction`] and reports its
//! result; a [`CallerAction`] leaves the driver, and the caller runs the tool or gets its answer. Time is an argument,
//! randomness and I/O are the driver's. So a test can drive a guard or stop it at any step, and a model checker can run
//! it against the real ledger.
//!
//! ```text
//! claim ─ granted ─ (mark what it undoes) ─ run ─ judge ─ settle ─ finish
//!       ├ running ─ wait ─ claim
//!       ├ in doubt ─ recover ─ resolve ─ granted, as above
//!       │                    ├ probe ─ weigh ─ (judge) ─ report ─ claim
//!       │                    └ hold ─ finish
//!       └ recorded ─ finish
//! ```

mod action;
mod recovering;
mod running;

pub use action::{
    CallEnd, CallerAction, DriverAction, GuardAction, GuardEvent, GuardLedgerError,
    GuardPolicyError, MarkingError, ProbeOutcome, RecordReading,
};

use crate::{
    ledger::{ClaimReply, Grant, Reply, ServerErrorRule},
    model::{Outcome, Probe},
};

/// The operator's limits and permissions for a tool that the guard decides by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ToolAllowance {
    /// The longest wait for another caller's attempt, or for a delay that the policy asks for, in
    /// milliseconds.
    pub wait_ms: u64,
    /// The most times a call runs the tool again after an attempt without effect.
    pub reruns: u32,
    /// The most times an operation in doubt is sent again under one key.
    pub retries: u32,
    /// The most probes of an operation in doubt under one key.
    pub probes: u32,
    /// True if the caller can run the tool again; a host that cannot pass a closure runs it once.
    pub can_run: bool,
    /// True if the host can run a probe.
    pub can_probe: bool,
    /// The weight of a server error as proof that there was no effect.
    pub server_errors: ServerErrorRule,
    /// The delay after which a probe that found nothing lets the call be sent again, in milliseconds; `None` for never.
    pub timed_rerun_ms: Option<u64>,
    /// True if the tool runs while the ledger is unreachable.
    pub open_without_ledger: bool,
}

impl Default for ToolAllowance {
    fn default() -> Self {
        Self {
            wait_ms: 10_000,
            reruns: 0,
            retries: 2,
            probes: 8,
            can_run: true,
            can_probe: false,
            server_errors: ServerErrorRule::ProveNothing,
            timed_rerun_ms: None,
            open_without_ledger: false,
        }
    }
}

/// The event that the guard waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum GuardPhase {
    Claiming,
    Marking(Grant),
    Running(Grant),
    Suspending(Grant),
    RunningWithoutLedger,
    Judging {
        grant: Grant,
        outcome: Outcome,
    },
    JudgingWithoutLedger(Outcome),
    Settling(running::OwnAttempt),
    /// Settling an unused right as not sent.
    Releasing {
        why: MarkingError,
    },
    Holding,
    Waiting,
    Recovering(RecordReading),
    /// Passing the delay that the policy wants before a retry.
    Delaying {
        reading: RecordReading,
    },
    RequestingRetry(RecordReading),
    RequestingProbe {
        reading: RecordReading,
        probe: Probe,
    },
    Probing {
        probe: Probe,
    },
    Weighing,
    /// Judging the outcome that a probe found.
    JudgingFound {
        found: Outcome,
    },
    ReportingProbe(recovering::AfterProbe),
    Finished,
}

/// One guarded call, from its claim to its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Guard {
    allowance: ToolAllowance,
    phase: GuardPhase,
    /// The times this call ran the tool.
    runs: u32,
    /// The number of the call's own last attempt and its outcome, while it is not settled.
    own: Option<(u32, Outcome)>,
    /// The first generation that was read before it was delivered.
    read_undelivered: Option<u32>,
    /// The continuation of the waiting attempt that the call resumes, or `None` if it claims.
    resumes: Option<String>,
}

impl Guard {
    /// Returns a call that is about to be claimed, and the first action.
    #[must_use]
    pub fn start(allowance: ToolAllowance) -> (Self, GuardAction) {
        Self::with_claim(allowance, None)
    }

    /// Returns a call that was made before the outcome of `generation` was delivered, and the first action. The call gets
    /// the outcome of that generation and opens no later one.
    #[must_use]
    pub fn start_before_delivery(allowance: ToolAllowance, generation: u32) -> (Self, GuardAction) {
        Self::with_claim(allowance, Some(generation))
    }

    fn with_claim(allowance: ToolAllowance, read_undelivered: Option<u32>) -> (Self, GuardAction) {
        let guard = Self::new(allowance, read_undelivered, None);
        (guard, DriverAction::Claim { read_undelivered }.into())
    }

    /// Returns a call that resumes the attempt waiting under `continuation`, and the first action.
    #[must_use]
    pub fn resume(allowance: ToolAllowance, continuation: String) -> (Self, GuardAction) {
        let guard = Self::new(allowance, None, Some(continuation.clone()));
        (guard, DriverAction::Resume { continuation }.into())
    }

    fn new(
        allowance: ToolAllowance,
        read_undelivered: Option<u32>,
        resumes: Option<String>,
    ) -> Self {
        Self {
            allowance,
            phase: GuardPhase::Claiming,
            runs: 0,
            own: None,
            read_undelivered,
            resumes,
        }
    }

    /// Records that the caller can run the tool no further time.
    pub fn forbid_reruns(&mut self) {
        self.allowance.can_run = false;
    }

    /// Returns the attempt that the caller runs.
    pub fn running_attempt(&self) -> Option<&Grant> {
        match &self.phase {
            GuardPhase::Running(grant) => Some(grant),
            _ => None,
        }
    }

    /// Returns the action that follows `event`, the result of the action before, `elapsed_ms` after
    /// the call was made.
    pub fn step(&mut self, event: GuardEvent, elapsed_ms: u64) -> GuardAction {
        let phase = std::mem::replace(&mut self.phase, GuardPhase::Finished);
        match (phase, event) {
            (GuardPhase::Claiming, GuardEvent::Claimed(claimed)) => {
                self.on_claimed(claimed, elapsed_ms)
            }
            (GuardPhase::Marking(grant), GuardEvent::Marked(marked)) => {
                self.on_marked(grant, marked)
            }
            (GuardPhase::Running(grant), GuardEvent::Ran(outcome)) => self.on_ran(grant, outcome),
            (GuardPhase::RunningWithoutLedger, GuardEvent::Ran(outcome)) => {
                self.on_ran_without_ledger(outcome)
            }
            (
                GuardPhase::Running(grant),
                GuardEvent::Suspended {
                    continuation,
                    limit_seconds,
                },
            ) => self.suspend_attempt(grant, continuation, limit_seconds),
            (GuardPhase::RunningWithoutLedger, GuardEvent::Suspended { .. }) => {
                self.on_ran_without_ledger(unrecorded_continuation())
            }
            (GuardPhase::Suspending(grant), GuardEvent::Written(written)) => {
                self.on_suspended(grant, written)
            }
            (GuardPhase::Judging { grant, outcome }, GuardEvent::Judged(judged)) => {
                self.on_judged(grant, outcome, judged)
            }
            (GuardPhase::JudgingWithoutLedger(outcome), GuardEvent::Judged(judged)) => {
                self.on_judged_without_ledger(outcome, judged)
            }
            (GuardPhase::Settling(own), GuardEvent::Written(written)) => {
                self.on_settled(own, written)
            }
            (GuardPhase::Releasing { why }, GuardEvent::Written(_)) => {
                self.finish_call(CallEnd::Unmarked(why))
            }
            (GuardPhase::Holding, GuardEvent::Written(written)) => self.on_held(written),
            (GuardPhase::Waiting, GuardEvent::Woken) => self.claim_again(),
            (GuardPhase::Recovering(reading), GuardEvent::Recovered(recovered)) => {
                self.on_recovered(reading, recovered, elapsed_ms)
            }
            (GuardPhase::Delaying { reading }, GuardEvent::Woken) => self.request_retry(reading),
            (GuardPhase::RequestingRetry(reading), GuardEvent::Claimed(replied)) => {
                self.on_retry_requested(reading, replied)
            }
            (GuardPhase::RequestingProbe { reading, probe }, GuardEvent::Claimed(replied)) => {
                self.on_probe_requested(reading, probe, replied)
            }
            (GuardPhase::Probing { probe }, GuardEvent::Ran(answer)) => {
                self.on_probed(probe, answer)
            }
            (GuardPhase::Weighing, GuardEvent::Weighed(weighed)) => self.on_weighed(weighed),
            (GuardPhase::JudgingFound { found }, GuardEvent::Judged(judged)) => {
                self.on_found_judged(found, judged)
            }
            (GuardPhase::ReportingProbe(after), GuardEvent::Written(written)) => {
                self.on_probe_reported(after, written, elapsed_ms)
            }
            (phase, event) => self.finish_call(CallEnd::Broken(format!(
                "`{event:?}` came while `{phase:?}` was in progress"
            ))),
        }
    }

    fn suspend_attempt(
        &mut self,
        grant: Grant,
        continuation: String,
        limit_seconds: u32,
    ) -> GuardAction {
        let action = DriverAction::Suspend {
            fence: grant.fence,
            continuation,
            limit_seconds,
        };
        self.enter_phase(GuardPhase::Suspending(grant), action)
    }

    fn enter_phase(&mut self, phase: GuardPhase, action: impl Into<GuardAction>) -> GuardAction {
        self.phase = phase;
        action.into()
    }

    fn finish_call(&mut self, end: CallEnd) -> GuardAction {
        let action = CallerAction::Finish(Box::new(end));
        self.enter_phase(GuardPhase::Finished, action)
    }

    fn take_own(&mut self) -> Option<Outcome> {
        self.own.take().map(|(_, outcome)| outcome)
    }

    fn claim_again(&mut self) -> GuardAction {
        let action = match &self.resumes {
            Some(continuation) => DriverAction::Resume {
                continuation: continuation.clone(),
            },
            None => DriverAction::Claim {
                read_undelivered: self.read_undelivered,
            },
        };
        self.enter_phase(GuardPhase::Claiming, action)
    }

    fn on_claimed(
        &mut self,
        claimed: Result<RecordReading, GuardLedgerError>,
        elapsed_ms: u64,
    ) -> GuardAction {
        match claimed {
            Err(GuardLedgerError::Refused(_)) if self.resumes.is_some() => {
                self.finish_call(CallEnd::Unmarked(no_waiting_attempt()))
            }
            // Its earlier round was sent, so no switch lets the tool run without the ledger.
            Err(error) if self.resumes.is_some() => self.ledger_away(error),
            Err(error) => self.without_ledger(error),
            Ok(reading) => match reading.reply.clone() {
                Reply::Granted(grant) => self.on_granted(grant),
                Reply::Told(reply) => self.on_recorded(reading, &reply, elapsed_ms),
                Reply::MayLook { .. } => self.finish_call(CallEnd::Broken(
                    "a claim was answered by a right to probe".to_owned(),
                )),
            },
        }
    }

    fn without_ledger(&mut self, error: GuardLedgerError) -> GuardAction {
        // Only where certainly nothing was claimed: other callers may find a possible claim in doubt
        // and recover it, and the tool would run beside them.
        let is_away = !matches!(error, GuardLedgerError::Unreadable(_));
        if is_away && self.allowance.open_without_ledger && self.allowance.can_run && self.runs == 0
        {
            self.runs += 1;
            let action = CallerAction::RunWithoutLedger;
            return self.enter_phase(GuardPhase::RunningWithoutLedger, action);
        }
        self.ledger_away(error)
    }

    fn ledger_away(&mut self, error: GuardLedgerError) -> GuardAction {
        let own = self.take_own();
        self.finish_call(CallEnd::LedgerAway { error, own })
    }

    fn on_granted(&mut self, grant: Grant) -> GuardAction {
        // Marked before the run: a crash after the run must not leave an undone operation replayable.
        if grant.marks.iter().any(|mark| !mark.settled) {
            let action = DriverAction::Mark(grant.clone());
            return self.enter_phase(GuardPhase::Marking(grant), action);
        }
        self.run_tool(grant)
    }

    fn run_tool(&mut self, grant: Grant) -> GuardAction {
        self.runs += 1;
        let action = CallerAction::RunTool(grant.clone());
        self.enter_phase(GuardPhase::Running(grant), action)
    }

    /// Remembers the first undelivered generation that the call read: its outcome belongs to this call.
    fn note_undelivered(&mut self, reading: &RecordReading) {
        if !reading.delivered {
            self.read_undelivered.get_or_insert(reading.generation);
        }
    }

    fn on_recorded(
        &mut self,
        reading: RecordReading,
        reply: &ClaimReply,
        elapsed_ms: u64,
    ) -> GuardAction {
        self.note_undelivered(&reading);
        match reply {
            ClaimReply::Running {
                continuation: None,
                lease_ms,
            } => {
                let left = self.allowance.wait_ms.saturating_sub(elapsed_ms);
                if left == 0 {
                    return self.finish_call(CallEnd::Recorded(reading));
                }
                // No notification comes when a lease ends, so the guard checks again at that time.
                let at_most_ms = left.min((*lease_ms).max(1));
                let action = DriverAction::Wait {
                    key: reading.key,
                    version: reading.version,
                    at_most_ms,
                };
                self.enter_phase(GuardPhase::Waiting, action)
            }
            ClaimReply::InDoubt => self.ask_recovery(reading),
            _ => self.finish_recorded(reading),
        }
    }

    /// Ends the call with the recorded state, which is final for it. The outcome of its own attempt goes with an
    /// unsettled state.
    fn finish_recorded(&mut self, reading: RecordReading) -> GuardAction {
        match &reading.reply {
            Reply::Told(ClaimReply::Held | ClaimReply::InDoubt) => self.finish_unsettled(reading),
            _ => self.finish_call(CallEnd::Recorded(reading)),
        }
    }

    /// Ends the call with a state that is unknown or needs a person, and the outcome of its own attempt.
    fn finish_unsettled(&mut self, reading: RecordReading) -> GuardAction {
        let outcome = self.take_own();
        self.finish_call(CallEnd::Unsettled {
            recorded: Ok(reading),
            outcome,
            reason: None,
        })
    }
}

/// The outcome of a tool that continues elsewhere, where that could not be recorded.
fn unrecorded_continuation() -> Outcome {
    Outcome::no_answer("the call continues elsewhere, which could not be recorded")
}

/// The refusal of a call that resumes what does not wait.
fn no_waiting_attempt() -> MarkingError {
    let reason = "no attempt waits under the state that this call continues, or the waiting call differs: make the \
                  call exactly as it was, or again without that state";
    MarkingError {
        reason: reason.to_owned(),
        passes: false,
    }
}
