//! From the end of a guarded call to the answer that its caller gets.

use crate::runtime::{
    call::driver::Driver, call::ticket::CallError, ledger_client::AppliedCommand,
};
use crate::{
    guard::{CallEnd, GuardLedgerError, RecordReading},
    ledger::{ClaimReply, KeptOutcome, Record, Reply, State},
    model::{
        Answer, AnswerSubject, ConflictState, Effect, NextStep, OperatorSwitch, Outcome,
        RecordStatus, RecordedOperation,
    },
};

/// The longest time after which a repeated call is worth while, in milliseconds.
const ASK_AGAIN_MS: u64 = 1_000;

impl Driver {
    /// The answer to a call that ended so.
    pub(crate) fn answer(&self, end: CallEnd) -> Result<Answer, CallError> {
        match end {
            CallEnd::Executed {
                grant,
                outcome,
                effect,
                reason,
                retry_after_ms,
                recorded,
            } => {
                let about = self.about(
                    grant.generation,
                    grant.fence.number,
                    recorded.as_ref().err(),
                );
                let next = after(effect, retry_after_ms.map(u64::from), &recorded);
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
            } => {
                let away = GuardLedgerError::Away(
                    "the ledger was away, and the operator lets the tool run".to_owned(),
                );
                let mut about = self.about(0, 0, Some(&away));
                about.switches.push(OperatorSwitch::OpenWithoutLedger);
                // What landed is not to be repeated, recorded or not.
                let landed = effect == Effect::Landed;
                let next = if landed {
                    NextStep::Nothing
                } else {
                    NextStep::CallAgain { after_ms: None }
                };
                Ok(Answer::Executed {
                    about,
                    outcome,
                    effect,
                    reason,
                    next,
                })
            }
            CallEnd::Recorded(reading) => self.told(&reading, None, None),
            CallEnd::Unsettled {
                recorded: Ok(reading),
                outcome,
                reason,
            } => self.told(&reading, outcome, reason),
            CallEnd::Unsettled {
                recorded: Err(fault),
                outcome,
                reason,
            } => Ok(Answer::InDoubt {
                about: self.about(self.generation(), self.attempt_number(), Some(&fault)),
                reason: reason.unwrap_or_else(|| "the effect is unknown".to_owned()),
                outcome,
                next: NextStep::AskAgain { after_ms: None },
            }),
            CallEnd::Unmarked(why) => {
                let next = if why.passes {
                    NextStep::CallAgain { after_ms: None }
                } else {
                    NextStep::CorrectTheCall
                };
                Ok(Answer::Refused {
                    reason: why.reason,
                    next,
                })
            }
            CallEnd::LedgerAway { error, own: None } => Err(CallError::Ledger(error.to_string())),
            CallEnd::LedgerAway {
                error,
                own: outcome @ Some(_),
            } => Ok(Answer::InDoubt {
                about: self.about(self.generation(), self.attempt_number(), Some(&error)),
                reason: "the effect is unknown, and the ledger is away".to_owned(),
                outcome,
                next: NextStep::AskAgain { after_ms: None },
            }),
            CallEnd::Broken(what) => Err(CallError::Internal(what)),
        }
    }

    fn record(&self) -> Option<&Record> {
        self.latest.as_ref().and_then(AppliedCommand::record)
    }

    fn generation(&self) -> u32 {
        self.record().map_or(0, |record| record.generation)
    }

    fn attempt_number(&self) -> u32 {
        self.record()
            .and_then(Record::last_attempt)
            .map_or(0, |last| last.fence.number)
    }

    fn about(
        &self,
        generation: u32,
        attempt: u32,
        unrecorded: Option<&GuardLedgerError>,
    ) -> AnswerSubject {
        let recorded = match unrecorded {
            None => RecordStatus::Yes(self.inner.table.store().durability()),
            Some(fault) => RecordStatus::No(fault.to_string()),
        };
        let (operation, key) = match (&self.latest, self.record()) {
            (Some(applied), Some(record)) => {
                let key =
                    self.inner
                        .downstream(applied.key, record, record.generation, record.series);
                (record.terms.operation.clone(), key)
            }
            _ => (self.claim.terms.operation.clone(), String::new()),
        };
        let mut switches = Vec::new();
        if self.tool.allowance.timed_rerun_ms.is_some() {
            switches.push(OperatorSwitch::TimedRerun);
        }
        if self.tool.taken_once_written {
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

    /// Answers with the recorded state, as the ledger reported it.
    fn told(
        &self,
        reading: &RecordReading,
        outcome: Option<Outcome>,
        reason: Option<String>,
    ) -> Result<Answer, CallError> {
        let Some(record) = self.record() else {
            return Err(CallError::Internal("an answer without a record".to_owned()));
        };
        let Reply::Told(told) = &reading.reply else {
            return Err(CallError::Internal("a right that nobody used".to_owned()));
        };
        let about = self.about(reading.generation, record.landed_attempt(), None);
        let because = || {
            reason
                .clone()
                .or_else(|| reason_of(record))
                .unwrap_or_default()
        };
        Ok(match told {
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
            ClaimReply::InDoubt => {
                let outcome = outcome.or_else(|| last_outcome(record));
                Answer::InDoubt {
                    about,
                    reason: because(),
                    outcome,
                    next: NextStep::AskAgain { after_ms: None },
                }
            }
            ClaimReply::Held => {
                let outcome = outcome.or_else(|| last_outcome(record));
                Answer::Held {
                    about,
                    reason: because(),
                    outcome,
                    next: NextStep::AskAPerson,
                }
            }
            ClaimReply::Landed | ClaimReply::BeingUndone { .. } => Answer::Replayed {
                about,
                outcome: whole(record.standing_outcome()),
                effect: Effect::Landed,
                next: NextStep::Nothing,
            },
            ClaimReply::Refused { replay_ms } => Answer::Replayed {
                about,
                outcome: whole(record.standing_outcome()),
                effect: Effect::Refused,
                next: replay_ms.map_or(NextStep::AskAPerson, |ms| NextStep::CallAgain {
                    after_ms: Some(ms),
                }),
            },
            ClaimReply::Conflict => self.conflict(about, record)?,
            ClaimReply::Expired { landed } => Answer::Expired {
                about,
                landed_at_ms: landed.wall_ms,
                next: NextStep::Nothing,
            },
            ClaimReply::Released | ClaimReply::Undone | ClaimReply::Alias { .. } => {
                return Err(CallError::Internal(format!(
                    "the ledger told `{told:?}` to a caller"
                )));
            }
        })
    }

    fn conflict(&self, about: AnswerSubject, record: &Record) -> Result<Answer, CallError> {
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
            outcome: whole(record.standing_outcome()),
            handles: record.handles.clone(),
            reason: reason_of(record),
        };
        Ok(Answer::Conflict {
            about,
            standing,
            next,
        })
    }
}

/// The state that a conflicting record reports to the caller.
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

fn after(
    effect: Effect,
    retry_after_ms: Option<u64>,
    recorded: &Result<RecordReading, GuardLedgerError>,
) -> NextStep {
    let replayed_for = match recorded.as_ref().map(|reading| &reading.reply) {
        Ok(Reply::Told(ClaimReply::Refused { replay_ms })) => *replay_ms,
        _ => None,
    };
    match effect {
        Effect::Landed => NextStep::Nothing,
        Effect::Refused => NextStep::CallAgain {
            after_ms: retry_after_ms.or(replayed_for),
        },
        Effect::Absent => NextStep::CallAgain {
            after_ms: retry_after_ms,
        },
        Effect::Unknown => NextStep::AskAgain {
            after_ms: retry_after_ms,
        },
    }
}

fn whole(kept: Option<&KeptOutcome>) -> Option<Outcome> {
    kept.and_then(KeptOutcome::outcome).cloned()
}

fn last_outcome(record: &Record) -> Option<Outcome> {
    whole(record.last_attempt().and_then(|last| last.outcome.as_ref()))
}

/// Returns the recorded reason for a record's state, if there is one.
fn reason_of(record: &Record) -> Option<String> {
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
