//! Acknowledging that a caller received an outcome, for operations that last until delivery.

use crate::runtime::ledger_client::{AppliedCommand, LedgerClient, error::LedgerError};
use crate::{
    ledger::Command,
    model::{OperationLifetime, StoreKey},
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{oneshot, watch};

/// The right to acknowledge that a caller certainly received an outcome that lasts until delivery.
#[derive(Debug)]
#[must_use = "an outcome whose delivery is not acknowledged is replayed to the next caller"]
pub struct Delivery(DeliveryTarget);

/// The receiver of the acknowledgement.
#[derive(Debug)]
enum DeliveryTarget {
    /// The record of the operation.
    Record {
        ledger: LedgerClient,
        /// The ledger's reply with that outcome.
        landed: Box<AppliedCommand>,
    },
    /// The observer of a call in shadow mode.
    Observer(oneshot::Sender<()>),
}

impl Delivery {
    pub(crate) fn to_record(ledger: LedgerClient, landed: AppliedCommand) -> Self {
        Self(DeliveryTarget::Record {
            ledger,
            landed: Box::new(landed),
        })
    }

    pub(crate) fn to_observer(observer: oneshot::Sender<()>) -> Self {
        Self(DeliveryTarget::Observer(observer))
    }

    /// Returns true if the operation lasts until this delivery: an equal call after it is a new operation. Else it only
    /// matters where the operation is undone.
    #[must_use]
    pub fn ends_operation(&self) -> bool {
        match &self.0 {
            DeliveryTarget::Record { landed, .. } => landed
                .record()
                .is_some_and(|record| record.terms.until == OperationLifetime::Delivery),
            DeliveryTarget::Observer(_) => true,
        }
    }

    /// Acknowledges the delivery. A lost mark causes one replay too many and never a second sending, so its failure is
    /// only logged.
    pub async fn acknowledge(self) {
        self.write_mark(async |ledger, landed, mark| {
            ledger.apply_after(landed, mark).await.map(drop)
        })
        .await;
    }

    /// As [`Delivery::acknowledge`], but the mark may be written with the next command, a moment later,
    /// and delays no caller. A repeat of the call on this host finds the mark; other hosts see it
    /// once it is written; a killed process loses it.
    pub async fn acknowledge_deferred(self) {
        self.write_mark(async |ledger, landed, mark| ledger.apply_deferred(landed, mark).await)
            .await;
    }

    async fn write_mark(
        self,
        write: impl AsyncFnOnce(&LedgerClient, &AppliedCommand, &Command) -> Result<(), LedgerError>,
    ) {
        match self.0 {
            DeliveryTarget::Record { ledger, landed } => {
                let Some(record) = landed.record() else {
                    return;
                };
                let mark = Command::Deliver {
                    generation: record.generation,
                    attempt: record.landed_attempt(),
                };
                if let Err(error) = write(&ledger, &landed, &mark).await {
                    tracing::debug!(%error, "semel.delivery mark dropped");
                }
            }
            DeliveryTarget::Observer(observer) => notify_observer(observer),
        }
    }
}

fn notify_observer(observer: oneshot::Sender<()>) {
    // An observer that has ended needs no acknowledgement.
    let _ = observer.send(());
}

/// The delivery marks that this host is writing. A caller does not wait for its own mark; but its next call must find the
/// mark, or the host would treat it as a caller that lost its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeliveryMarks(Arc<Mutex<HashMap<StoreKey, watch::Receiver<()>>>>);

impl DeliveryMarks {
    /// Acknowledges the delivery in a task of its own.
    pub(crate) fn write_in_background(&self, delivery: Delivery) {
        let key = match delivery.0 {
            DeliveryTarget::Record { ref landed, .. } => landed.key,
            DeliveryTarget::Observer(observer) => return notify_observer(observer),
        };
        let marks = self.clone();
        let (writing, written) = watch::channel(());
        self.0.lock().insert(key, written.clone());
        tokio::spawn(async move {
            delivery.acknowledge_deferred().await;
            let mut open = marks.0.lock();
            // A later mark of the same record may have taken the place of this one.
            if open
                .get(&key)
                .is_some_and(|latest| latest.same_channel(&written))
            {
                open.remove(&key);
            }
            drop(writing);
        });
    }

    /// Waits until every mark is written that is being written now.
    pub(crate) async fn wait_until_all_written(&self) {
        let writing: Vec<_> = self.0.lock().values().cloned().collect();
        for mut mark in writing {
            let _ = mark.changed().await;
        }
    }

    /// Waits until no mark is being written for `key`.
    pub(crate) async fn wait_until_written(&self, key: StoreKey) {
        let writing = self.0.lock().get(&key).cloned();
        if let Some(mut writing) = writing {
            // The task drops its sender when it has written, which ends this wait with an error.
            let _ = writing.changed().await;
        }
    }
}
