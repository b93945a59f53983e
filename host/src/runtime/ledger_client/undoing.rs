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
        Claim, ClaimReply, Command, Entry, Grant, HandleOwner, LivingOwner, LivingOwners,
        MarkMeaning, OperationGeneration, Record, Refusal, Reply, Rule, State,
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
    /// Its mark counts for nothing.
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
            let of = OperationGeneration {
                key: applied.key,
                generation: applied.record().map_or(0, |record| record.generation),
            };
            match self.undoer_state(by, of).await? {
                UndoerState::Landed => self.undo_generation(by, of, false).await?,
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

    async fn undoer_state(
        &self,
        by: OperationGeneration,
        of: OperationGeneration,
    ) -> Result<UndoerState, LedgerError> {
        // An expired lease makes it in doubt first, so that no caller waits for a dead host.
        let applied = match self.apply(by.key, &Command::Expire).await {
            Ok(applied) => Some(applied),
            Err(LedgerError::Refused(_)) => {
                let read = self.entries.read_entry(by.key).await?;
                read.map(|(stored, now)| AppliedCommand {
                    reply: Reply::Told(ClaimReply::Held),
                    key: by.key,
                    version: stored.version,
                    entry: stored.entry,
                    written: stored.written,
                    now,
                    asked: BootInstant::now(),
                    is_undoer: true,
                })
            }
            Err(error) => return Err(error),
        };
        let Some(applied) = applied else {
            return Ok(UndoerState::Missing);
        };
        let Some(record) = applied.record() else {
            return Ok(UndoerState::Missing);
        };
        match record.mark_meaning(by.generation, of) {
            MarkMeaning::Undone => return Ok(UndoerState::Landed),
            MarkMeaning::Void => return Ok(UndoerState::Idle),
            MarkMeaning::Open => {}
        }
        let reply = match &record.state {
            State::Waiting { continuation, .. } => ClaimReply::Running {
                continuation: Some(continuation.clone()),
                lease_ms: 1_000,
            },
            // Only a caller of the undoing operation itself may settle it.
            State::InDoubt { .. } | State::Held { .. } => ClaimReply::Held,
            _ => ClaimReply::Running {
                continuation: None,
                lease_ms: 1_000,
            },
        };
        Ok(UndoerState::Open(Box::new(AppliedCommand {
            reply: Reply::Told(reply),
            is_undoer: true,
            ..applied
        })))
    }

    /// Writes at `of` that `by` undid it, and then at `by` that the undo is written.
    async fn undo_generation(
        &self,
        by: OperationGeneration,
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
        match self.apply(by.key, &Command::UndoWritten { of }).await {
            Ok(_) | Err(LedgerError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Marks every operation that the granted one undoes, before it is sent.
    pub(crate) async fn mark_undone(
        &self,
        key: StoreKey,
        grant: &Grant,
    ) -> Result<(), MarkingError> {
        let by = OperationGeneration {
            key,
            generation: grant.generation,
        };
        for undoing in grant.marks.iter().filter(|undoing| !undoing.settled) {
            self.mark_landing(by, undoing.of).await?;
        }
        Ok(())
    }

    async fn mark_landing(
        &self,
        by: OperationGeneration,
        of: HandleOwner,
    ) -> Result<(), MarkingError> {
        let mut void_mark = None;
        for _ in 0..UNDOERS_MAX {
            let mark = Command::MarkUndoing { by, of, void_mark };
            match self.apply(of.of.key, &mark).await {
                Ok(_) => return Ok(()),
                // The record's retention is over, so no caller reads it while it is being undone.
                Err(LedgerError::Refused(Refusal::NoRecord { .. })) => return Ok(()),
                Err(LedgerError::Refused(refusal)) => match self.void_mark(of.of, refusal).await? {
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
    ) -> Result<Option<OperationGeneration>, MarkingError> {
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
        match self.undoer_state(*by, of).await.map_err(away)? {
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
    pub(crate) async fn finish_undoes(&self, key: StoreKey, record: &Record) {
        if !matches!(
            record.state,
            State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. }
        ) {
            return;
        }
        let by = OperationGeneration {
            key,
            generation: record.generation,
        };
        let marked = record
            .undoes
            .iter()
            .filter(|undoing| !undoing.settled)
            .map(|undoing| (undoing.of.of, false));
        let by_outcome = record.undid.iter().map(|of| (*of, true));
        for (of, told_by_outcome) in marked.chain(by_outcome) {
            if let Err(error) = self.undo_generation(by, of, told_by_outcome).await {
                tracing::warn!(%error, "semel.undo is not written yet");
            }
        }
    }

    /// Returns the living owners of each handle, as their own records say.
    pub(crate) async fn living_owners(
        &self,
        keys: &KeyScheme,
        name_space: &str,
        tenant: &Tenant,
        handles: &[String],
    ) -> Result<Vec<LivingOwners>, LedgerError> {
        let mut named = Vec::with_capacity(handles.len());
        for handle in handles {
            let key = keys.handle_key(name_space, tenant, handle);
            let mut living = LivingOwners::default();
            if let Some(handle) = self.entries.read_handle(key).await?
                && handle.tenant == *tenant
            {
                for owner in &handle.owners {
                    living.0.extend(self.living_owner(owner).await?);
                }
            }
            named.push(living);
        }
        Ok(named)
    }

    /// Returns the owner's landing if it still stands. One that another operation has undone, but whose record does not
    /// say so yet, stands no more.
    async fn living_owner(&self, owner: &HandleOwner) -> Result<Option<LivingOwner>, LedgerError> {
        let key = owner.of.key;
        for _ in 0..UNDOERS_MAX {
            let Some((stored, _)) = self.entries.read_entry(key).await? else {
                return Ok(None);
            };
            let Entry::Operation(record) = &*stored.entry else {
                return Err(LedgerError::misplaced(&stored.entry, "an operation"));
            };
            let living = record
                .living_owner(key, stored.written)
                .filter(|living| living.owner == *owner);
            let State::Landed {
                undone_by: Some(by),
                ..
            } = record.state
            else {
                return Ok(living);
            };
            if living.is_none()
                || !matches!(self.undoer_state(by, owner.of).await?, UndoerState::Landed)
            {
                return Ok(living);
            }
            self.undo_generation(by, owner.of, false).await?;
        }
        Err(LedgerError::Contended)
    }

    /// Returns the operation recorded at `key`, for messages; none if it cannot be read.
    pub(crate) async fn read_operation(&self, key: StoreKey) -> Option<Box<Record>> {
        let (stored, _) = self.entries.read_entry(key).await.ok()??;
        match &*stored.entry {
            Entry::Operation(record) => Some(record.clone()),
            _ => None,
        }
    }

    /// Adds an owner to each handle, before its landing is written.
    pub(crate) async fn write_owner(
        &self,
        keys: &KeyScheme,
        name_space: &str,
        tenant: &Tenant,
        handles: &[String],
        owner: HandleOwner,
    ) -> Result<(), LedgerError> {
        for handle in handles {
            let key = keys.handle_key(name_space, tenant, handle);
            self.entries.add_owner(key, tenant, owner).await?;
        }
        Ok(())
    }
}

fn marking_error(reason: String, passes: bool) -> MarkingError {
    MarkingError { reason, passes }
}
