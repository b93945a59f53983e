//! The word that a caller took an outcome which lasts until delivery.

use crate::runtime::ledger_client::{AppliedCommand, LedgerClient, LedgerError};
use crate::{ledger::Command, model::StoreKey};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{oneshot, watch};

/// The acknowledgement that a caller certainly received an outcome that lasts until delivery.
#[derive(Debug)]
#[must_use = "an outcome that nobody says was taken is replayed to the next caller"]
pub struct Delivery(To);

/// The receiver of the acknowledgement.
#[derive(Debug)]
enum To {
    Ledger {
        table: LedgerClient,
        /// The landing with that outcome, as it was in the ledger.
        landed: Box<AppliedCommand>,
    },
    /// The observer of the call.
    Observer(oneshot::Sender<()>),
}

impl Delivery {
    pub(crate) fn of_record(table: LedgerClient, landed: AppliedCommand) -> Self {
        Self(To::Ledger {
            table,
            landed: Box::new(landed),
        })
    }

    pub(crate) fn of_watched(observer: oneshot::Sender<()>) -> Self {
        Self(To::Observer(observer))
    }

    /// Says so. A mark that is lost means one replay too many, never a sending, so its failure is only logged.
    pub async fn taken(self) {
        self.mark(async |table, landed, mark| table.apply_after(landed, mark).await.map(drop))
            .await;
    }

    /// As [`Delivery::taken`], but the mark may be written with the next command, a moment later,
    /// and delays no caller. A repeat of the call on this host finds the mark; other hosts see it
    /// once it is written; a killed process loses it.
    pub async fn confirm_deferred(self) {
        self.mark(async |table, landed, mark| table.apply_soon(landed, mark).await)
            .await;
    }

    async fn mark(
        self,
        write: impl AsyncFnOnce(&LedgerClient, &AppliedCommand, &Command) -> Result<(), LedgerError>,
    ) {
        match self.0 {
            To::Ledger { table, landed } => {
                let Some(record) = landed.record() else {
                    return;
                };
                let mark = Command::Deliver {
                    generation: record.generation,
                    attempt: record.landed_attempt(),
                };
                if let Err(error) = write(&table, &landed, &mark).await {
                    tracing::debug!(%error, "semel.delivery mark dropped");
                }
            }
            // An observer that has ended needs no acknowledgement.
            To::Observer(observer) => observer.send(()).unwrap_or_default(),
        }
    }
}

/// The marks that this host is writing. A caller does not wait for its own mark; but its next call
/// must find the mark, or the host would treat it as a caller that lost its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks(Arc<Mutex<HashMap<StoreKey, watch::Receiver<()>>>>);

impl Marks {
    /// Writes the mark in a task of its own.
    pub(crate) fn write(&self, delivery: Delivery) {
        let key = match delivery.0 {
            To::Ledger { ref landed, .. } => landed.key,
            To::Observer(observer) => return observer.send(()).unwrap_or_default(),
        };
        let marks = self.clone();
        let (writing, written) = watch::channel(());
        self.open().insert(key, written.clone());
        tokio::spawn(async move {
            delivery.confirm_deferred().await;
            let mut open = marks.open();
            if open
                .get(&key)
                .is_some_and(|latest| latest.same_channel(&written))
            {
                open.remove(&key);
            }
            drop(writing);
        });
    }

    /// Waits until no mark is being written for `key`.
    pub(crate) async fn written(&self, key: StoreKey) {
        let writing = self.open().get(&key).cloned();
        if let Some(mut writing) = writing {
            // It ends with its sender, by an error that says just that.
            let _ = writing.changed().await;
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<StoreKey, watch::Receiver<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
