//! People, the sweep, and hosts that make mistakes.

use crate::{
    action::HostMistake,
    model::LedgerModel,
    plan::generation_to_undo,
    state::{ModelState, NonceSource, OperationIndex},
};
use semel_core::{
    ledger::{Command, KeptOutcome, Person, ProbeReport, ProbeRequester, Record, State},
    model::Outcome,
};

impl LedgerModel {
    pub(super) fn decide(&self, state: &mut ModelState, at: usize) {
        let Some(view) = state.person.take() else {
            return;
        };
        let Some(decision) = view.decisions.into_iter().nth(at) else {
            return;
        };
        state.history.decisions += 1;
        let command = Command::Decide {
            shown: view.attempt,
            person: Person {
                who: String::new(),
                why: String::new(),
            },
            decision,
        };
        self.try_command(state, 0, None, &command);
    }

    pub(super) fn begin_sweep_probe(&self, state: &mut ModelState) {
        let number = state.history.sweep_probes;
        state.history.sweep_probes += 1;
        let command = Command::Look {
            nonce: NonceSource::Sweep.nonce(number),
            shown: last_attempt_number(state.record(0)),
            asker: ProbeRequester::Operator,
            looks_max: 0,
        };
        if self.execute_command(state, 0, None, &command).is_ok() {
            state.sweep_probe = Some(number);
        }
    }

    pub(super) fn end_sweep_probe(&self, state: &mut ModelState, too_early: bool) {
        let Some(number) = state.sweep_probe.take() else {
            return;
        };
        let sight = match self.probe_target(state, 0) {
            Outcome::Returned(value) if !value.is_null() => ProbeReport::Found {
                outcome: KeptOutcome::Whole(Outcome::Returned(value)),
                handles: Vec::new(),
                undid: Vec::new(),
            },
            _ if too_early => ProbeReport::Again {
                reason: String::new(),
            },
            _ => ProbeReport::NotFound {
                rerun_after_ms: self.plan.allowance().timed_rerun_ms,
            },
        };
        let command = Command::Saw {
            nonce: NonceSource::Sweep.nonce(number),
            sight,
        };
        self.try_command(state, 0, None, &command);
    }

    pub(super) fn make_mistake(&self, state: &mut ModelState, mistake: HostMistake) {
        let operation = match mistake {
            HostMistake::NoteUndoWritten(operation) => operation,
            HostMistake::RenewOther | HostMistake::HoldOther | HostMistake::ProbeHeld => 0,
        };
        if let Some(command) = mistaken_command(state, mistake) {
            state.history.mistakes += 1;
            self.try_command(state, operation, None, &command);
        }
    }
}

/// The command of a mistake; none: in this state it would not be a mistake.
fn mistaken_command(state: &ModelState, mistake: HostMistake) -> Option<Command> {
    let record = state.record(0)?;
    let other_fence = || {
        let before_last = record.attempts.iter().rev().nth(1)?;
        Some(before_last.fence)
    };
    match mistake {
        HostMistake::RenewOther => Some(Command::Renew {
            fence: other_fence()?,
        }),
        HostMistake::HoldOther => Some(Command::Hold {
            fence: other_fence()?,
            outcome: None,
            reason: String::new(),
        }),
        HostMistake::ProbeHeld => Some(Command::Look {
            nonce: NonceSource::Mistake.nonce(0),
            shown: last_attempt_number(Some(record)),
            asker: ProbeRequester::Caller,
            looks_max: u32::MAX,
        }),
        HostMistake::NoteUndoWritten(operation) => {
            if is_absent_or_landed(state, operation) {
                return None;
            }
            Some(Command::UndoWritten {
                of: generation_to_undo(1),
            })
        }
    }
}

fn is_absent_or_landed(state: &ModelState, operation: OperationIndex) -> bool {
    state
        .record(operation)
        .is_none_or(|record| matches!(record.state, State::Landed { .. }))
}

fn last_attempt_number(record: Option<&Record>) -> u32 {
    record
        .and_then(Record::last_attempt)
        .map_or(0, |last| last.fence.number)
}
