//! What the answer to a recorded operation says of undoing.

use super::CallDriver;
use crate::{
    ledger::{Claim, ClaimReply, HandleOwner, Record, Reply, State},
    model::UndoNote,
};

impl CallDriver {
    /// Returns the note on the reply to `claim`. It only informs, so an operation that cannot be read is left out.
    pub(super) async fn undo_note(&self, claim: &Claim) -> Option<UndoNote> {
        let applied = self.latest.as_ref()?;
        let record = applied.record()?;
        match &applied.reply {
            Reply::Told(ClaimReply::Undone) => {
                let State::Undone { by: Some(by), .. } = record.state else {
                    return None;
                };
                let undoer = self.context.host.ledger.read_operation(by.key).await;
                Some(UndoNote::Undone {
                    by: undoer.map(|undoer| undoer.terms.operation.clone()),
                    at_ms: record.since.at(applied.written).wall_ms,
                })
            }
            Reply::Told(ClaimReply::Landed) => self.standing_owner(record, claim).await,
            _ => None,
        }
    }

    /// Returns the first landing that a handle of a landed operation names, and that it did not undo.
    async fn standing_owner(&self, record: &Record, claim: &Claim) -> Option<UndoNote> {
        let took = |owner: &HandleOwner| record.undoes.iter().any(|target| target.of == *owner);
        let (handle, owner) =
            self.context
                .undoes
                .iter()
                .zip(&claim.named)
                .find_map(|(handle, owners)| {
                    let standing = owners.0.iter().find(|living| !took(&living.owner))?;
                    Some((handle, standing.owner))
                })?;
        let host = &self.context.host;
        let named = host.ledger.read_operation(owner.of.key).await?;
        Some(UndoNote::StillStanding {
            handle: handle.clone(),
            operation: named.terms.operation.clone(),
            key: host.downstream_key(owner.of.key, &named, named.generation, named.series),
        })
    }
}
