//! What needs several records: marks before an undoing operation is sent, undos after it landed, and reading a
//! record that another is about to undo.
//!
//! Every write is on one record, in an order in which every prefix is safe: claim, mark, send,
//! land, undo, and that it is written. The next reader of an interrupted sequence continues it.

use crate::runtime::ledger_client::{AppliedCommand, LedgerClient, LedgerError};
use crate::{
    guard::MarkingError,
    key::KeyScheme,
    ledger::{
        Claim, ClaimReply, Command, Entry, Grant, Handle, OperationGeneration, Record, Refusal,
        Reply, State,
    },
    model::{StoreKey, Tenant},
};
use std::sync::Arc;

/// The most operations in a row that undo one another before a reader gives up.
const UNDOERS_MAX: u32 = 8;

/// The state of the operation that is about to undo the requested one.
enum Undoer {
    Landed,
    Idle,
    Open(Box<AppliedCommand>),
    Missing,
}

impl LedgerClient {
    /// Claims, and sees through marks of operations that are about to undo the record.
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
            match self.undoer(by).await? {
                Undoer::Landed => self.undo(applied.key, &applied, by).await?,
                Undoer::Idle => Arc::make_mut(&mut claim).void_mark = Some(by),
                Undoer::Open(undoer) => return Ok(*undoer),
                Undoer::Missing => {
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

    async fn undoer(&self, by: StoreKey) -> Result<Undoer, LedgerError> {
        // An expired lease makes it in doubt first, so that no caller waits for a dead host.
        let applied = match self.apply(by, &Command::Expire).await {
            Ok(applied) => Some(applied),
            Err(LedgerError::Refused(_)) => {
                self.read(by).await?.map(|(stored, now)| AppliedCommand {
                    reply: Reply::Told(ClaimReply::Held),
                    key: by,
                    version: stored.version,
                    record: stored.entry,
                    written: stored.written,
                    now,
                    asked: crate::runtime::ledger_client::clock::Moment::now(),
                })
            }
            Err(error) => return Err(error),
        };
        let Some(applied) = applied else {
            return Ok(Undoer::Missing);
        };
        let told = match applied.record().map(|record| &record.state) {
            None => return Ok(Undoer::Missing),
            Some(State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. }) => {
                return Ok(Undoer::Landed);
            }
            Some(State::Released { .. } | State::Refused { .. } | State::Alias { .. }) => {
                return Ok(Undoer::Idle);
            }
            Some(State::Started | State::Retrying | State::Probing { .. }) => ClaimReply::Running {
                continuation: None,
                lease_ms: 1_000,
            },
            Some(State::Waiting { continuation, .. }) => ClaimReply::Running {
                continuation: Some(continuation.clone()),
                lease_ms: 1_000,
            },
            // It names the undoing operation; the caller of another may not try to settle it.
            Some(State::InDoubt { .. } | State::Held { .. }) => ClaimReply::Held,
        };
        Ok(Undoer::Open(Box::new(AppliedCommand {
            reply: Reply::Told(told),
            ..applied
        })))
    }

    async fn undo(
        &self,
        key: StoreKey,
        applied: &AppliedCommand,
        by: StoreKey,
    ) -> Result<(), LedgerError> {
        let generation = applied.record().map_or(0, |record| record.generation);
        self.undo_generation(by, OperationGeneration { key, generation }, false)
            .await
    }

    /// Writes that `by` undid `of`, there and then at `by`.
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
        // A record that moved on, or is gone, needs no undo any more.
        match self.apply(of.key, &undo).await {
            Ok(_) | Err(LedgerError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        match self.apply(by, &Command::UndoWritten { of }).await {
            Ok(_) | Err(LedgerError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Marks everything that the granted operation undoes, before it is sent.
    pub(crate) async fn mark(&self, by: StoreKey, grant: &Grant) -> Result<(), MarkingError> {
        for undoing in grant.marks.iter().filter(|undoing| !undoing.settled) {
            self.mark_one(by, undoing.of).await?;
        }
        Ok(())
    }

    async fn mark_one(&self, by: StoreKey, of: OperationGeneration) -> Result<(), MarkingError> {
        let mut void_mark = None;
        for _ in 0..UNDOERS_MAX {
            let mark = Command::MarkUndoing {
                by,
                generation: of.generation,
                void_mark,
            };
            match self.apply(of.key, &mark).await {
                Ok(_) => return Ok(()),
                // It aged away, so no caller reads it while it is being undone.
                Err(LedgerError::Refused(Refusal::NoRecord { .. })) => return Ok(()),
                Err(LedgerError::Refused(refusal)) => match self.in_the_way(of, refusal).await? {
                    Some(idle) => void_mark = Some(idle),
                    None => {
                        return Err(unmarked(
                            format!("what it undoes cannot be undone now: {refusal}"),
                            false,
                        ));
                    }
                },
                Err(error) => return Err(unmarked(error.to_string(), true)),
            }
        }
        Err(unmarked(
            "what it undoes is being undone by others".to_owned(),
            true,
        ))
    }

    /// An earlier mark that counts for nothing, if that is all that stands in the way.
    async fn in_the_way(
        &self,
        of: OperationGeneration,
        refusal: Refusal,
    ) -> Result<Option<StoreKey>, MarkingError> {
        if !matches!(
            refusal,
            Refusal::Rule {
                rule: crate::ledger::Rule::OneUndoAtATime,
                ..
            }
        ) {
            return Ok(None);
        }
        let away = |error: LedgerError| unmarked(error.to_string(), true);
        let marked = self.read(of.key).await.map_err(away)?;
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
        match self.undoer(*by).await.map_err(away)? {
            Undoer::Idle => Ok(Some(*by)),
            Undoer::Landed => Ok(None),
            Undoer::Open(_) | Undoer::Missing => Err(unmarked(
                "another operation is undoing the same".to_owned(),
                true,
            )),
        }
    }

    /// Finishes what a landed operation undid and has not yet written. Best effort: a later reader, a replay or the
    /// sweep goes on with it.
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
        let told = record.undid.iter().map(|of| (*of, true));
        for (of, told_by_outcome) in marked.chain(told) {
            if let Err(error) = self.undo_generation(by, of, told_by_outcome).await {
                tracing::warn!(%error, "semel.undo is still to be written");
            }
        }
    }

    /// Returns the targets of handles; handles without a target are left out.
    pub(crate) async fn resolve(
        &self,
        keys: &KeyScheme,
        name_space: &str,
        tenant: &Tenant,
        handles: &[String],
    ) -> Result<Vec<OperationGeneration>, LedgerError> {
        let mut named = Vec::new();
        for handle in handles {
            let handle = self
                .handle(keys.handle_key(name_space, tenant, handle))
                .await?;
            named.extend(
                handle
                    .filter(|handle| handle.tenant == *tenant)
                    .map(|handle| handle.names),
            );
        }
        Ok(named)
    }

    /// Writes handles, before the landing they speak of.
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
            self.write_handle(
                key,
                Handle {
                    tenant: tenant.clone(),
                    names,
                },
            )
            .await?;
        }
        Ok(())
    }
}

fn unmarked(reason: String, passes: bool) -> MarkingError {
    MarkingError { reason, passes }
}
