//! News of changes between the processes that share a ledger.
//!
//! Each store listens on a connection of its own. A host sends its notification after the change,
//! in a transaction without a write, which syncs nothing: sent within the change, it would make all
//! commits of the server wait for one another. Notifications are bundled while some are in
//! progress, and not sent where no other host listens. They may be lost, so waiters also poll from
//! time to time.

use super::{
    endpoint::Endpoint,
    session::{self, NotificationHandler},
};
use semel_core::model::StoreKey;
use semel_store::{ChangeNotifier, NOTIFIER_SLOTS};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::runtime::Handle;
use tokio_postgres::Client;

/// The channel that all stores of a database listen on, and the name under which their connections are known.
const CHANNEL: &str = "semel";
const LISTENER: &str = "semel listens";

/// The message of a store that begins to listen.
const HELLO: &str = "hello";

/// The notifications within this process, and to the others.
pub(super) struct ChangeSubscriber {
    waiters: ChangeNotifier,
    /// The subscriber to be rung in other processes, a bit each.
    to_tell: AtomicU64,
    is_telling: AtomicBool,
    /// True if another store listens, as far as is known.
    others_listen: AtomicBool,
    /// The connection that receives and sends notifications; `None` once it was lost.
    line: Mutex<Option<Arc<Client>>>,
    runtime: Handle,
}

const _: () = assert!(NOTIFIER_SLOTS <= 64, "a bit for each bell");

impl ChangeSubscriber {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            waiters: ChangeNotifier::new(),
            to_tell: AtomicU64::new(0),
            is_telling: AtomicBool::new(false),
            others_listen: AtomicBool::new(true),
            line: Mutex::default(),
            runtime: Handle::current(),
        })
    }

    pub(super) fn waiters(&self) -> &ChangeNotifier {
        &self.waiters
    }

    /// Listens, where it does not already, and looks whether others do.
    pub(super) async fn listen(self: &Arc<Self>, place: &Endpoint) {
        if let Some(line) = self.line() {
            return self.look_for_others(&line).await;
        }
        let subscriber = Arc::downgrade(self);
        let hear: NotificationHandler = Arc::new(move |told| {
            if let Some(subscriber) = subscriber.upgrade() {
                subscriber.hear(told);
            }
        });
        let Ok((client, _)) = session::connect(place, hear).await else {
            return;
        };
        let begun = format!(
            "SET application_name = '{LISTENER}'; LISTEN {CHANNEL}; NOTIFY {CHANNEL}, '{HELLO}'"
        );
        if client.batch_execute(&begun).await.is_ok() {
            self.look_for_others(&client).await;
            *self.line.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(client));
            // Notifications from before are void.
            self.waiters.notify_all();
        }
    }

    /// A host that begins to listen later announces itself.
    async fn look_for_others(&self, line: &Client) {
        let question = "SELECT count(*) FROM pg_stat_activity
            WHERE application_name = $1 AND datname = current_database() AND pid <> pg_backend_pid()";
        let others = line
            .query_one(question, &[&LISTENER])
            .await
            .and_then(|row| row.try_get::<_, i64>(0));
        self.others_listen
            .store(others.is_ok_and(|others| others > 0), Ordering::Relaxed);
    }

    /// Rings for these keys, here and elsewhere.
    pub(super) fn notify_changed(self: &Arc<Self>, keys: &[StoreKey]) {
        let mut bits = 0;
        for key in keys {
            self.waiters.notify(*key);
            bits |= 1 << ChangeNotifier::slot_for_key(*key);
        }
        if !self.others_listen.load(Ordering::Relaxed) {
            return;
        }
        self.to_tell.fetch_or(bits, Ordering::AcqRel);
        if !self.is_telling.swap(true, Ordering::AcqRel) {
            let subscriber = Arc::clone(self);
            self.runtime
                .spawn(async move { subscriber.tell_others().await });
        }
    }

    async fn tell_others(&self) {
        loop {
            let bits = self.to_tell.swap(0, Ordering::AcqRel);
            if bits != 0 {
                if let Some(line) = self.line() {
                    // If it is lost, waiters poll.
                    let _ = line
                        .execute(
                            "SELECT pg_notify($1, $2)",
                            &[&CHANNEL, &format!("{bits:x}")],
                        )
                        .await;
                }
                continue;
            }
            self.is_telling.store(false, Ordering::Release);
            // Another host may have begun in between.
            if self.to_tell.load(Ordering::Acquire) == 0
                || self.is_telling.swap(true, Ordering::AcqRel)
            {
                return;
            }
        }
    }

    fn hear(&self, told: &str) {
        if told == HELLO {
            self.others_listen.store(true, Ordering::Relaxed);
            return;
        }
        // An unknown message wakes all waiters.
        let bits = u64::from_str_radix(told, 16).unwrap_or(u64::MAX);
        (0..NOTIFIER_SLOTS)
            .filter(|number| bits >> number & 1 == 1)
            .for_each(|number| self.waiters.notify_slot(number));
    }

    fn line(&self) -> Option<Arc<Client>> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.as_ref().is_some_and(|client| client.is_closed()) {
            *line = None;
        }
        line.clone()
    }
}
