//! Operations that undo others, which takes several records: marks before the undoing operation is sent, undos after it
//! landed, and claims of a record that another operation is about to undo.
//!
//! Each write is on one record, in an order in which every prefix is safe: claim, mark, send, land, undo, note the undo.
//! The next reader of an interrupted sequence continues it.

use super::{AppliedCommand, LedgerClient, clock::BootInstant, error::LedgerError};
use crate::{
    guard::MarkingError,
    key::KeyScheme,
    ledger::{
        Claim, ClaimReply, Command, Entry, Grant, Handle, OperationGeneration, Record, Refusal,
        Reply, Rule, State,
    },
    model::{StoreKey, Tenant},
};
use std::sync::Arc;

/// The most operations in a row that undo one another before a reader gives up.
const UNDOERS_MAX: u32 = 8;

/// The state of the operation that is about to undo the requested one.
enum UndoerState {
    /// It landed, so it undid the requested one.
    Landed,
    /// It had no effect and has none to come, so its mark counts for nothing.
    Idle,
    /// It may yet land. The command's reply is for the caller of the requested one.
    Open(Box<AppliedCommand>),
    Missing,
}

impl LedgerClient {
    /// Claims. Where another operation is about to undo the record, that operation's state decides first.
    pub(crate) async fn claim(
        &self,
        key: StoreKey,
        claim: &Arc<Claim>,
    ) -> Result<AppliedCommand, LedgerError> {
        let mut claim = Arc::clone(claim);
        let mut applied = self.apply(key, &Command::Claim(Arc::clone(&claim))).await?;
        for _ in 0..UNDOERS_MAX {
            let Reply::Told(ClaimReply::BeingUndone { by }) = applied.reply else {
                return Ok(applied);
            };
            match self.undoer_state(by).await? {
                UndoerState::Landed => self.undo_record(&applied, by).await?,
                UndoerState::Idle => Arc::make_mut(&mut claim).void_mark = Some(by),
                UndoerState::Open(undoer) => return Ok(*undoer),
                UndoerState::Missing => {
                    return Ok(AppliedCommand {
                        reply: Reply::Told(ClaimReply::Held),
                        ..applied
                    });
                }
            }
            applied = self.apply(key, &Command::Claim(Arc::clone(&claim))).await?;
        }
        Err(LedgerError::Contended)
    }

    async fn undoer_state(&self, by: StoreKey) -> Result<UndoerState, LedgerError> {
        // An expired lease makes it in doubt first, so that no caller waits for a dead host.
        let applied = match self.apply(by, &Command::Expire).await {
            Ok(applied) => Some(applied),
            Err(LedgerError::Refused(_)) => {
                let read = self.entries.read_entry(by).await?;
                read.map(|(stored, now)| AppliedCommand {
                    reply: Reply::Told(ClaimReply::Held),
                    key: by,
                    version: stored.version,
                    entry: stored.entry,
                    written: stored.written,
                    now,
                    asked: BootInstant::now(),
                })
            }
            Err(error) => return Err(error),
        };
        let Some(applied) = applied else {
            return Ok(UndoerState::Missing);
        };
        let reply = match applied.record().map(|record| &record.state) {
            None => return Ok(UndoerState::Missing),
            Some(State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. }) => {
                return Ok(UndoerState::Landed);
            }
            Some(State::Released { .. } | State::Refused { .. } | State::Alias { .. }) => {
                return Ok(UndoerState::Idle);
            }
            Some(State::Started | State::Retrying | State::Probing { .. }) => ClaimReply::Running {
                continuation: None,
                lease_ms: 1_000,
            },
            Some(State::Waiting { continuation, .. }) => ClaimReply::Running {
                continuation: Some(continuation.clone()),
                lease_ms: 1_000,
            },
            // Only a caller of the undoing operation itself may settle it.
            Some(State::InDoubt { .. } | State::Held { .. }) => ClaimReply::Held,
        };
        Ok(UndoerState::Open(Box::new(AppliedCommand {
            reply: Reply::Told(reply),
            ..applied
        })))
    }

    async fn undo_record(&self, applied: &AppliedCommand, by: StoreKey) -> Result<(), LedgerError> {
        let undone = OperationGeneration {
            key: applied.key,
            generation: applied.record().map_or(0, |record| record.generation),
        };
        self.undo_generation(by, undone, false).await
    }

    /// Writes at `of` that `by` undid it, and then at `by` that the undo is written.
    async fn undo_generation(
        &self,
        by: StoreKey,
        of: OperationGeneration,
        told_by_outcome: bool,
    ) -> Result<(), LedgerError> {
        let undo = Command::Undo {
            by,
            generation: of.generation,
            told_by_outcome,
        };
        // A record that changed since, or is gone, needs no undo any more.
        match self.apply(of.key, &undo).await {
            Ok(_) | Err(LedgerError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        // Noted only after the undo itself: a crash between the two leaves an open undo, which the next reader finishes.
        match self.apply(by, &Command::UndoWritten { of }).await {
            Ok(_) | Err(LedgerError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Marks every operation that the granted one undoes, before it is sent.
    pub(crate) async fn mark_undone(
        &self,
        by: StoreKey,
        grant: &Grant,
    ) -> Result<(), MarkingError> {
        for undoing in grant.marks.iter().filter(|undoing| !undoing.settled) {
            self.mark_generation(by, undoing.of).await?;
        }
        Ok(())
    }

    async fn mark_generation(
        &self,
        by: StoreKey,
        of: OperationGeneration,
    ) -> Result<(), MarkingError> {
        let mut void_mark = None;
        for _ in 0..UNDOERS_MAX {
            let mark = Command::MarkUndoing {
                by,
                generation: of.generation,
                void_mark,
            };
            match self.apply(of.key, &mark).await {
                Ok(_) => return Ok(()),
                // The record's retention is over, so no caller reads it while it is being undone.
                Err(LedgerError::Refused(Refusal::NoRecord { .. })) => return Ok(()),
                Err(LedgerError::Refused(refusal)) => match self.void_mark(of, refusal).await? {
                    Some(idle) => void_mark = Some(idle),
                    None => {
                        return Err(marking_error(
                            format!("what it undoes cannot be undone now: {refusal}"),
                            false,
                        ));
                    }
                },
                Err(error) => return Err(marking_error(error.to_string(), true)),
            }
        }
        Err(marking_error(
            "what it undoes is being undone by others".to_owned(),
            true,
        ))
    }

    /// Returns the owner of an earlier mark that counts for nothing, if that mark is the only obstacle.
    async fn void_mark(
        &self,
        of: OperationGeneration,
        refusal: Refusal,
    ) -> Result<Option<StoreKey>, MarkingError> {
        if !matches!(
            refusal,
            Refusal::Rule {
                rule: Rule::OneUndoAtATime,
                ..
            }
        ) {
            return Ok(None);
        }
        let away = |error: LedgerError| marking_error(error.to_string(), true);
        let marked = self.entries.read_entry(of.key).await.map_err(away)?;
        let Some(Entry::Operation(record)) = marked.as_ref().map(|(stored, _)| &*stored.entry)
        else {
            return Ok(None);
        };
        let State::Landed {
            undone_by: Some(by),
            ..
        } = &record.state
        else {
            return Ok(None);
        };
        match self.undoer_state(*by).await.map_err(away)? {
            UndoerState::Idle => Ok(Some(*by)),
            UndoerState::Landed => Ok(None),
            UndoerState::Open(_) | UndoerState::Missing => Err(marking_error(
                "another operation is undoing the same".to_owned(),
                true,
            )),
        }
    }

    /// Writes the undos that a landed operation still has to write. Best effort: a later reader, a replay or the sweep
    /// continues with the rest.
    pub(crate) async fn finish_undoes(&self, by: StoreKey, record: &Record) {
        if !matches!(
            record.state,
            State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. }
        ) {
            return;
        }
        let marked = record
            .terms
            .undoes
            .iter()
            .filter(|undoing| !undoing.settled)
            .map(|undoing| (undoing.of, false));
        let by_outcome = record.undid.iter().map(|of| (*of, true));
        for (of, told_by_outcome) in marked.chain(by_outcome) {
            if let Err(error) = self.undo_generation(by, of, told_by_outcome).await {
                tracing::warn!(%error, "semel.undo is not written yet");
            }
        }
    }

    /// Returns the targets of handles; handles without a target are left out.
    pub(crate) async fn resolve_handles(
        &self,
        keys: &KeyScheme,
        name_space: &str,
        tenant: &Tenant,
        handles: &[String],
    ) -> Result<Vec<OperationGeneration>, LedgerError> {
        let mut targets = Vec::new();
        for handle in handles {
            let key = keys.handle_key(name_space, tenant, handle);
            if let Some(handle) = self.entries.read_handle(key).await?
                && handle.tenant == *tenant
            {
                targets.push(handle.names);
            }
        }
        Ok(targets)
    }

    /// Writes the handles of an operation, before its landing is written.
    pub(crate) async fn write_handles(
        &self,
        keys: &KeyScheme,
        name_space: &str,
        tenant: &Tenant,
        handles: &[String],
        names: OperationGeneration,
    ) -> Result<(), LedgerError> {
        for handle in handles {
            let key = keys.handle_key(name_space, tenant, handle);
            let handle = Handle {
                tenant: tenant.clone(),
                names,
            };
            self.entries.write_handle(key, handle).await?;
        }
        Ok(())
    }
}

fn marking_error(reason: String, passes: bool) -> MarkingError {
    MarkingError { reason, passes }
}
