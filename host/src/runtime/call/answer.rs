//! From the end of a guarded call to the answer that its caller gets.

use crate::runtime::call::{driver::CallDriver, error::CallError};
use crate::{
    guard::{CallEnd, GuardLedgerError, MarkingError, RecordReading},
    ledger::{ClaimReply, KeptOutcome, Record, Reply, State},
    model::{
        Answer, AnswerSubject, ConflictState, Effect, NextStep, OperatorSwitch, Outcome,
        RecordStatus, RecordedOperation, UndoNote,
    },
};

/// The longest delay after which a repeat of the call is suggested, in milliseconds.
const ASK_AGAIN_MS: u64 = 1_000;

/// The outcome of the call's own attempt, and the reason for its effect, where the record does not have them.
#[derive(Default)]
struct OwnOutcome {
    outcome: Option<Outcome>,
    reason: Option<String>,
}

impl CallDriver {
    /// Returns the answer to a call with this end.
    pub(crate) fn answer(&mut self, end: CallEnd) -> Result<Answer, CallError> {
        match end {
            CallEnd::Executed {
                grant,
                outcome,
                effect,
                reason,
                retry_after_ms,
                recorded,
            } => {
                let unrecorded = recorded.as_ref().err();
                let about = self.about(grant.generation, grant.fence.number, unrecorded);
                let next = next_after_execution(effect, retry_after_ms, &recorded);
                Ok(Answer::Executed {
                    about,
                    outcome,
                    effect,
                    reason,
                    next,
                })
            }
            CallEnd::ExecutedWithoutLedger {
                outcome,
                effect,
                reason,
            } => Ok(self.executed_without_ledger(outcome, effect, reason)),
            CallEnd::Recorded(reading) => self.recorded(&reading, OwnOutcome::default()),
            CallEnd::Unsettled {
                recorded: Ok(reading),
                outcome,
                reason,
            } => self.recorded(&reading, OwnOutcome { outcome, reason }),
            CallEnd::Unsettled {
                recorded: Err(error),
                outcome,
                reason,
            } => {
                let reason = reason.unwrap_or_else(|| "the effect is unknown".to_owned());
                Ok(self.unrecorded_doubt(&error, outcome, reason))
            }
            CallEnd::Unmarked(error) => Ok(refused(error)),
            CallEnd::LedgerAway {
                error,
                own: outcome @ Some(_),
            } => {
                let reason = "the effect is unknown, and the ledger is away".to_owned();
                Ok(self.unrecorded_doubt(&error, outcome, reason))
            }
            CallEnd::LedgerAway { error, own: None } => Err(self.call_error(&error)),
            CallEnd::Broken(what) => Err(CallError::Internal(what)),
        }
    }

    /// Returns the error of a call that ended with the ledger's latest failure.
    fn call_error(&mut self, error: &GuardLedgerError) -> CallError {
        match self.ledger_error.take() {
            Some(cause) => CallError::Ledger(cause),
            None => CallError::Internal(error.to_string()),
        }
    }

    fn executed_without_ledger(&self, outcome: Outcome, effect: Effect, reason: String) -> Answer {
        let away = GuardLedgerError::Away(
            "the ledger was away, and the operator lets the tool run".to_owned(),
        );
        let mut about = self.about(0, 0, Some(&away));
        about.switches.push(OperatorSwitch::OpenWithoutLedger);
        // What landed must not be repeated, recorded or not.
        let next = if effect == Effect::Landed {
            NextStep::Nothing
        } else {
            NextStep::CallAgain { after_ms: None }
        };
        Answer::Executed {
            about,
            outcome,
            effect,
            reason,
            next,
        }
    }

    /// Returns the answer where the effect is unknown, and the ledger could not be asked about it.
    fn unrecorded_doubt(
        &self,
        error: &GuardLedgerError,
        outcome: Option<Outcome>,
        reason: String,
    ) -> Answer {
        let record = self.record();
        let generation = record.map_or(0, |record| record.generation);
        let attempt = record.and_then(Record::last_attempt);
        let number = attempt.map_or(0, |attempt| attempt.fence.number);
        Answer::InDoubt {
            about: self.about(generation, number, Some(error)),
            reason,
            outcome,
            next: NextStep::AskAgain { after_ms: None },
        }
    }

    fn about(
        &self,
        generation: u32,
        attempt: u32,
        unrecorded: Option<&GuardLedgerError>,
    ) -> AnswerSubject {
        let host = &self.context.host;
        let recorded = match unrecorded {
            None => RecordStatus::Yes(host.ledger.store().durability()),
            Some(error) => RecordStatus::No(error.to_string()),
        };
        let (operation, key) = match (&self.latest, self.record()) {
            (Some(applied), Some(record)) => {
                let key =
                    host.downstream_key(applied.key, record, record.generation, record.series);
                (record.terms.operation.clone(), key)
            }
            _ => (self.context.terms.operation.clone(), String::new()),
        };
        let mut switches = Vec::new();
        if self.context.tool.allowance.timed_rerun_ms.is_some() {
            switches.push(OperatorSwitch::TimedRerun);
        }
        if self.context.tool.taken_once_written {
            switches.push(OperatorSwitch::TakenOnceWritten);
        }
        AnswerSubject {
            operation,
            key,
            generation,
            attempt,
            recorded,
            switches,
        }
    }

    /// Returns the answer for a recorded state that gives this call no right.
    fn recorded(&self, reading: &RecordReading, own: OwnOutcome) -> Result<Answer, CallError> {
        let Some(record) = self.record() else {
            return Err(CallError::Internal("an answer without a record".to_owned()));
        };
        let Reply::Told(reply) = &reading.reply else {
            return Err(CallError::Internal("an unused right".to_owned()));
        };
        let about = self.about(reading.generation, record.landed_attempt(), None);
        Ok(match reply {
            ClaimReply::Running {
                continuation,
                lease_ms,
            } => Answer::Running {
                about,
                continuation: continuation.clone(),
                next: NextStep::AskAgain {
                    after_ms: Some((*lease_ms).min(ASK_AGAIN_MS)),
                },
            },
            ClaimReply::InDoubt => Answer::InDoubt {
                about,
                reason: own.reason_for(record),
                outcome: own.outcome.or_else(|| last_outcome(record)),
                next: NextStep::AskAgain { after_ms: None },
            },
            ClaimReply::Held => Answer::Held {
                about,
                reason: own.reason_for(record),
                outcome: own.outcome.or_else(|| last_outcome(record)),
                next: NextStep::AskAPerson,
            },
            // An undo that is in progress may still fail, so its target is replayed until then.
            ClaimReply::Landed | ClaimReply::BeingUndone { .. } => {
                let undo = self.undo_note.clone();
                replayed(about, record, Effect::Landed, undo, NextStep::Nothing)
            }
            ClaimReply::Undone => {
                let next = NextStep::CallAgain { after_ms: None };
                replayed(about, record, Effect::Landed, self.undo_note.clone(), next)
            }
            ClaimReply::Refused { replay_ms } => {
                let next = match replay_ms {
                    Some(ms) => NextStep::CallAgain {
                        after_ms: Some(*ms),
                    },
                    None => NextStep::AskAPerson,
                };
                replayed(about, record, Effect::Refused, None, next)
            }
            ClaimReply::Conflict => conflict(about, record)?,
            ClaimReply::Expired { landed } => Answer::Expired {
                about,
                landed_at_ms: landed.wall_ms,
                next: NextStep::Nothing,
            },
            ClaimReply::Released { wait_ms } => {
                let next = NextStep::CallAgain {
                    after_ms: Some(*wait_ms),
                };
                replayed(about, record, Effect::Absent, None, next)
            }
            ClaimReply::Alias { .. } => {
                return Err(CallError::Internal(format!(
                    "the ledger answered a claim with `{reply:?}`"
                )));
            }
        })
    }
}

impl OwnOutcome {
    fn reason_for(&self, record: &Record) -> String {
        self.reason
            .clone()
            .or_else(|| recorded_reason(record))
            .unwrap_or_default()
    }
}

fn refused(error: MarkingError) -> Answer {
    let next = if error.passes {
        NextStep::CallAgain { after_ms: None }
    } else {
        NextStep::CorrectTheCall
    };
    Answer::Refused {
        reason: error.reason,
        next,
    }
}

fn replayed(
    about: AnswerSubject,
    record: &Record,
    effect: Effect,
    undo: Option<UndoNote>,
    next: NextStep,
) -> Answer {
    Answer::Replayed {
        about,
        outcome: whole_outcome(record.standing_outcome()),
        effect,
        undo,
        next,
    }
}

fn conflict(about: AnswerSubject, record: &Record) -> Result<Answer, CallError> {
    let state = conflict_state(&record.state)?;
    let next = match state {
        ConflictState::Held => NextStep::AskAPerson,
        ConflictState::Running | ConflictState::Waiting | ConflictState::Probing => {
            NextStep::CallAgain {
                after_ms: Some(ASK_AGAIN_MS),
            }
        }
        ConflictState::InDoubt
        | ConflictState::Released
        | ConflictState::Refused
        | ConflictState::Landed
        | ConflictState::Tombstone => NextStep::Nothing,
    };
    let standing = RecordedOperation {
        state,
        outcome: whole_outcome(record.standing_outcome()),
        handles: record.handles.clone(),
        reason: recorded_reason(record),
    };
    Ok(Answer::Conflict {
        about,
        standing,
        next,
    })
}

/// Returns the state that a conflicting record reports to the caller.
fn conflict_state(state: &State) -> Result<ConflictState, CallError> {
    Ok(match state {
        State::Started | State::Retrying => ConflictState::Running,
        State::Waiting { .. } => ConflictState::Waiting,
        State::InDoubt { .. } => ConflictState::InDoubt,
        State::Probing { .. } => ConflictState::Probing,
        State::Held { .. } => ConflictState::Held,
        State::Released { .. } => ConflictState::Released,
        State::Refused { .. } => ConflictState::Refused,
        State::Landed { .. } => ConflictState::Landed,
        State::Tombstone { .. } => ConflictState::Tombstone,
        // A claim opens a new generation of the one and follows the other, so neither conflicts.
        State::Undone { .. } | State::Alias { .. } => {
            return Err(CallError::Internal(format!(
                "a record in the state `{}` conflicts with no call",
                state.label().word()
            )));
        }
    })
}

fn next_after_execution(
    effect: Effect,
    retry_after_ms: Option<u32>,
    recorded: &Result<RecordReading, GuardLedgerError>,
) -> NextStep {
    let retry_after_ms = retry_after_ms.map(u64::from);
    let replayed_for_ms = match recorded.as_ref().map(|reading| &reading.reply) {
        Ok(Reply::Told(ClaimReply::Refused { replay_ms })) => *replay_ms,
        _ => None,
    };
    match effect {
        Effect::Landed => NextStep::Nothing,
        Effect::Refused => NextStep::CallAgain {
            after_ms: retry_after_ms.or(replayed_for_ms),
        },
        Effect::Absent => NextStep::CallAgain {
            after_ms: retry_after_ms,
        },
        Effect::Unknown => NextStep::AskAgain {
            after_ms: retry_after_ms,
        },
    }
}

fn whole_outcome(kept: Option<&KeptOutcome>) -> Option<Outcome> {
    kept.and_then(KeptOutcome::outcome).cloned()
}

fn last_outcome(record: &Record) -> Option<Outcome> {
    whole_outcome(record.last_attempt().and_then(|last| last.outcome.as_ref()))
}

/// Returns the recorded reason for a record's state, if there is one.
fn recorded_reason(record: &Record) -> Option<String> {
    match &record.state {
        State::InDoubt { reason } | State::Held { reason, .. } | State::Probing { reason, .. } => {
            Some(reason.clone())
        }
        _ => record
            .last_attempt()
            .and_then(|last| last.reason.clone())
            .filter(|reason| !reason.is_empty()),
    }
}
