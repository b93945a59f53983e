//! Notifications of changes between the processes that share a ledger.
//!
//! Each store listens on a connection of its own. A host sends a notification after its change, in a
//! transaction without a write, which syncs nothing. Sent within the change, it would serialize all
//! commits of the server, because `NOTIFY` holds a lock of the whole server until its commit ends.
//! Notifications are bundled while one is in progress, and not sent if no other host listens. They may be
//! lost, so waiters also poll from time to time.

use super::{
    endpoint::Endpoint,
    session::{self, NotificationHandler},
};
use parking_lot::Mutex;
use semel_core::model::StoreKey;
use semel_store::{ChangeNotifier, NOTIFIER_SLOTS};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::runtime::Handle;
use tokio_postgres::Client;

/// The channel of all stores of a database.
const CHANNEL: &str = "semel";

/// The `application_name` of their listening connections.
const LISTENER: &str = "semel listens";

/// The message of a store that starts to listen.
const HELLO: &str = "hello";

const _: () = assert!(NOTIFIER_SLOTS <= 64, "a bit for each slot");

/// The sender and receiver of change notifications, for this process and for other ones.
pub(super) struct ChangeSubscriber {
    waiters: ChangeNotifier,
    /// The slots with a change that is not sent yet, a bit each.
    unsent_slots: AtomicU64,
    is_sending: AtomicBool,
    /// True if another store listens, as far as is known.
    others_listen: AtomicBool,
    /// The connection that receives and sends notifications; `None` while it is lost.
    connection: Mutex<Option<Arc<Client>>>,
    runtime: Handle,
}

impl ChangeSubscriber {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            waiters: ChangeNotifier::new(),
            unsent_slots: AtomicU64::new(0),
            is_sending: AtomicBool::new(false),
            others_listen: AtomicBool::new(true),
            connection: Mutex::default(),
            runtime: Handle::current(),
        })
    }

    pub(super) fn waiters(&self) -> &ChangeNotifier {
        &self.waiters
    }

    /// Starts to listen if the connection is lost, and counts the other listeners.
    pub(super) async fn listen(self: &Arc<Self>, endpoint: &Endpoint) {
        if let Some(connection) = self.open_connection() {
            return self.count_listeners(&connection).await;
        }
        let subscriber = Arc::downgrade(self);
        let handler: NotificationHandler = Arc::new(move |payload| {
            if let Some(subscriber) = subscriber.upgrade() {
                subscriber.receive(payload);
            }
        });
        // On failure, the next check tries again: waiters poll until then.
        let Ok((client, _)) = session::connect(endpoint, handler).await else {
            return;
        };
        let start = format!(
            "SET application_name = '{LISTENER}'; LISTEN {CHANNEL}; NOTIFY {CHANNEL}, '{HELLO}'"
        );
        if client.batch_execute(&start).await.is_ok() {
            self.count_listeners(&client).await;
            *self.connection.lock() = Some(Arc::new(client));
            // Notifications from before this connection are lost, so every waiter reads again.
            self.waiters.notify_all();
        }
    }

    /// Looks for other listeners. One that starts later announces itself.
    async fn count_listeners(&self, connection: &Client) {
        let query = "SELECT count(*) FROM pg_stat_activity
            WHERE application_name = $1 AND datname = current_database() AND pid <> pg_backend_pid()";
        let others = connection
            .query_one(query, &[&LISTENER])
            .await
            .and_then(|row| row.try_get::<_, i64>(0));
        self.others_listen
            .store(others.is_ok_and(|others| others > 0), Ordering::Relaxed);
    }

    /// Wakes the waiters of these keys, here and on other hosts.
    pub(super) fn notify_changed(self: &Arc<Self>, keys: &[StoreKey]) {
        let mut slots = 0;
        for key in keys {
            self.waiters.notify(*key);
            slots |= 1 << ChangeNotifier::slot_for_key(*key);
        }
        if !self.others_listen.load(Ordering::Relaxed) {
            return;
        }
        self.unsent_slots.fetch_or(slots, Ordering::AcqRel);
        if !self.is_sending.swap(true, Ordering::AcqRel) {
            let subscriber = Arc::clone(self);
            self.runtime
                .spawn(async move { subscriber.send_notifications().await });
        }
    }

    async fn send_notifications(&self) {
        loop {
            let slots = self.unsent_slots.swap(0, Ordering::AcqRel);
            if slots != 0 {
                if let Some(connection) = self.open_connection() {
                    // If it is lost, waiters poll.
                    let _ = connection
                        .execute(
                            "SELECT pg_notify($1, $2)",
                            &[&CHANNEL, &format!("{slots:x}")],
                        )
                        .await;
                }
                continue;
            }
            self.is_sending.store(false, Ordering::Release);
            // A change after the swap above saw `is_sending`, and left its slots to this task.
            if self.unsent_slots.load(Ordering::Acquire) == 0
                || self.is_sending.swap(true, Ordering::AcqRel)
            {
                return;
            }
        }
    }

    fn receive(&self, payload: &str) {
        if payload == HELLO {
            self.others_listen.store(true, Ordering::Relaxed);
            return;
        }
        // An unknown message wakes all waiters.
        let slots = u64::from_str_radix(payload, 16).unwrap_or(u64::MAX);
        for slot in 0..NOTIFIER_SLOTS {
            if slots >> slot & 1 == 1 {
                self.waiters.notify_slot(slot);
            }
        }
    }

    fn open_connection(&self) -> Option<Arc<Client>> {
        let mut connection = self.connection.lock();
        if connection.as_ref().is_some_and(|client| client.is_closed()) {
            *connection = None;
        }
        connection.clone()
    }
}
