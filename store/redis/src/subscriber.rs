//! Notifications of changes by other processes. They may be lost, so waiters also poll from time to
//! time.
//!
//! Keys share a few notifiers, and each notifier has a channel. A host subscribes to a channel
//! while a local caller waits for it, and somewhat longer: a change without waiters is published to
//! no host, so the traffic of a host does not grow with the writes of all hosts.
//!
//! In a cluster, a connection to any node is enough, because messages go to all nodes. Sharded channels
//! (`SPUBLISH`) would avoid that traffic, but every host would need a connection to every node.

use super::endpoint::{CONNECT_TIMEOUT, Endpoint};
use futures_util::StreamExt;
use redis::{
    Msg, RedisResult,
    aio::{PubSubSink, PubSubStream},
};
use semel_core::model::StoreKey;
use semel_store::{ChangeNotifier, NOTIFIER_SLOTS};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, interval_at, timeout},
};

/// The pause after a lost connection.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest subscription after its last waiter has gone.
const LINGER: Duration = Duration::from_secs(5);

/// The local waiters, by channel.
pub(super) struct ChangeSubscriber {
    waiters: ChangeNotifier,
    /// The number of waiters of each channel.
    waiter_counts: [AtomicUsize; NOTIFIER_SLOTS],
    /// Notified at the first waiter of a channel.
    interest_added: Notify,
}

impl ChangeSubscriber {
    pub(super) fn new() -> Self {
        Self {
            waiters: ChangeNotifier::new(),
            waiter_counts: [const { AtomicUsize::new(0) }; NOTIFIER_SLOTS],
            interest_added: Notify::new(),
        }
    }

    pub(super) fn waiters(&self) -> &ChangeNotifier {
        &self.waiters
    }

    /// Subscribes to the channel of a key until the result is dropped. Its waiters are woken once the
    /// subscription has begun, for changes from before.
    pub(super) fn add_interest(&self, key: StoreKey) -> Option<ChannelInterest<'_>> {
        let waiting = self.waiter_counts.get(ChangeNotifier::slot_for_key(key))?;
        if waiting.fetch_add(1, Ordering::AcqRel) == 0 {
            self.interest_added.notify_one();
        }
        Some(ChannelInterest(waiting))
    }

    /// Returns the channels with waiters.
    fn wanted_slots(&self) -> BTreeSet<usize> {
        let is_wanted = |(number, waiting): (usize, &AtomicUsize)| {
            (waiting.load(Ordering::Acquire) > 0).then_some(number)
        };
        self.waiter_counts
            .iter()
            .enumerate()
            .filter_map(is_wanted)
            .collect()
    }
}

/// A local waiter.
pub(super) struct ChannelInterest<'a>(&'a AtomicUsize);

impl Drop for ChannelInterest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Listens for changes until the task is aborted.
pub(super) async fn listen_for_changes(endpoint: Arc<Endpoint>, subscriber: Arc<ChangeSubscriber>) {
    loop {
        for client in endpoint.seed_clients() {
            if let Ok(Ok(pubsub)) = timeout(CONNECT_TIMEOUT, client.get_async_pubsub()).await {
                let (sink, messages) = pubsub.split();
                SubscriberConnection {
                    sink,
                    subscribed: BTreeSet::new(),
                    endpoint: &endpoint,
                    subscriber: &subscriber,
                }
                .run_until_lost(messages)
                .await;
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A connection, and the slots of its subscribed channels.
struct SubscriberConnection<'a> {
    sink: PubSubSink,
    subscribed: BTreeSet<usize>,
    endpoint: &'a Endpoint,
    subscriber: &'a ChangeSubscriber,
}

impl SubscriberConnection<'_> {
    /// Wakes the waiters of changes until the connection is lost, or the server does not answer on
    /// it.
    async fn run_until_lost(mut self, mut messages: PubSubStream) {
        let mut cleanup = interval_at(Instant::now() + LINGER, LINGER);
        let mut holds = succeeds_in_time(self.subscribe_wanted()).await;
        while holds {
            holds = tokio::select! {
                message = messages.next() => message.map(|message| self.wake_waiters(&message)).is_some(),
                () = self.subscriber.interest_added.notified() => succeeds_in_time(self.subscribe_wanted()).await,
                _ = cleanup.tick() => succeeds_in_time(self.unsubscribe_unwanted()).await,
            };
        }
    }

    fn wake_waiters(&self, message: &Msg) {
        match <[u8; 32]>::try_from(message.get_payload_bytes()) {
            Ok(key) => self.subscriber.waiters.notify(StoreKey::from_bytes(key)),
            // An unknown message wakes all waiters.
            Err(_) => self.subscriber.waiters.notify_all(),
        }
    }

    async fn subscribe_wanted(&mut self) -> RedisResult<()> {
        let new: Vec<_> = self
            .subscriber
            .wanted_slots()
            .difference(&self.subscribed)
            .copied()
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.sink.subscribe(self.channel_names(&new)).await?;
        self.subscribed.extend(&new);
        // The keys may have changed before the subscription.
        for slot in new {
            self.subscriber.waiters.notify_slot(slot);
        }
        Ok(())
    }

    async fn unsubscribe_unwanted(&mut self) -> RedisResult<()> {
        let old: Vec<_> = self
            .subscribed
            .difference(&self.subscriber.wanted_slots())
            .copied()
            .collect();
        if old.is_empty() {
            return Ok(());
        }
        self.sink.unsubscribe(self.channel_names(&old)).await?;
        self.subscribed.retain(|slot| !old.contains(slot));
        // A waiter that came during the request relies on its subscription.
        self.subscribe_wanted().await
    }

    fn channel_names(&self, slots: &[usize]) -> Vec<String> {
        slots
            .iter()
            .map(|slot| self.endpoint.channel_name(*slot))
            .collect()
    }
}

/// Returns true if the server executed the request in time.
async fn succeeds_in_time(request: impl Future<Output = RedisResult<()>>) -> bool {
    timeout(CONNECT_TIMEOUT, request)
        .await
        .is_ok_and(|done| done.is_ok())
}
