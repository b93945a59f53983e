//! Notifications of changes by other processes. They may be lost, so waiters also poll from time to
//! time.
//!
//! Keys share a few notifiers, and each notifier has a channel. A host subscribes to a channel
//! while a local caller waits for it, and somewhat longer: a change without waiters is published to
//! no host, so the traffic of a host does not grow with the writes of all hosts.
//!
//! In a cluster any server is listened to: what is published goes to all of them. Channels of a slot (`SPUBLISH`) would spare
//! them that, and every host would have to listen to every server.

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
    waiting: [AtomicUsize; NOTIFIER_SLOTS],
    /// Notified at the first waiter of a channel.
    interest_added: Notify,
}

impl ChangeSubscriber {
    pub(super) fn new() -> Self {
        Self {
            waiters: ChangeNotifier::new(),
            waiting: [const { AtomicUsize::new(0) }; NOTIFIER_SLOTS],
            interest_added: Notify::new(),
        }
    }

    pub(super) fn waiters(&self) -> &ChangeNotifier {
        &self.waiters
    }

    /// Has the bell of a key listened to until this is dropped. The bell rings as soon as that has begun.
    pub(super) fn subscribe(&self, key: StoreKey) -> Option<ChannelInterest<'_>> {
        let waiting = self.waiting.get(ChangeNotifier::slot_for_key(key))?;
        if waiting.fetch_add(1, Ordering::AcqRel) == 0 {
            self.interest_added.notify_one();
        }
        Some(ChannelInterest(waiting))
    }

    /// Returns the channels with waiters.
    fn wanted(&self) -> BTreeSet<usize> {
        let is_wanted = |(number, waiting): (usize, &AtomicUsize)| {
            (waiting.load(Ordering::Acquire) > 0).then_some(number)
        };
        self.waiting
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

/// Listens for as long as it is let.
pub(super) async fn listen(place: Arc<Endpoint>, subscriber: Arc<ChangeSubscriber>) {
    loop {
        for client in place.seed_clients() {
            if let Ok(Ok(news)) = timeout(CONNECT_TIMEOUT, client.get_async_pubsub()).await {
                let (sink, news) = news.split();
                SubscriberConnection {
                    sink,
                    heard: BTreeSet::new(),
                    place: &place,
                    subscriber: &subscriber,
                }
                .until_lost(news)
                .await;
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A connection, and the bells that it listens to.
struct SubscriberConnection<'a> {
    sink: PubSubSink,
    heard: BTreeSet<usize>,
    place: &'a Endpoint,
    subscriber: &'a ChangeSubscriber,
}

impl SubscriberConnection<'_> {
    /// Wakes the waiters of changes until the connection is lost, or the server does not answer on
    /// it.
    async fn until_lost(mut self, mut news: PubSubStream) {
        let mut rests = interval_at(Instant::now() + LINGER, LINGER);
        let mut holds = in_time(self.listen_to_more()).await;
        while holds {
            holds = tokio::select! {
                told = news.next() => told.map(|told| self.wake(&told)).is_some(),
                () = self.subscriber.interest_added.notified() => in_time(self.listen_to_more()).await,
                _ = rests.tick() => in_time(self.listen_to_less()).await,
            };
        }
    }

    fn wake(&self, told: &Msg) {
        match <[u8; 32]>::try_from(told.get_payload_bytes()) {
            Ok(key) => self.subscriber.waiters.notify(StoreKey::from_bytes(key)),
            // What no store would say.
            Err(_) => self.subscriber.waiters.notify_all(),
        }
    }

    async fn listen_to_more(&mut self) -> RedisResult<()> {
        let new: Vec<_> = self
            .subscriber
            .wanted()
            .difference(&self.heard)
            .copied()
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.sink.subscribe(self.channels(&new)).await?;
        self.heard.extend(&new);
        // For whatever changed before.
        new.into_iter()
            .for_each(|bell| self.subscriber.waiters.notify_slot(bell));
        Ok(())
    }

    async fn listen_to_less(&mut self) -> RedisResult<()> {
        let old: Vec<_> = self
            .heard
            .difference(&self.subscriber.wanted())
            .copied()
            .collect();
        if old.is_empty() {
            return Ok(());
        }
        self.sink.unsubscribe(self.channels(&old)).await?;
        self.heard.retain(|bell| !old.contains(bell));
        // New waiters rely on the subscription.
        self.listen_to_more().await
    }

    fn channels(&self, bells: &[usize]) -> Vec<String> {
        bells.iter().map(|bell| self.place.channel(*bell)).collect()
    }
}

/// Returns true if the server did it in time.
async fn in_time(asked: impl Future<Output = RedisResult<()>>) -> bool {
    timeout(CONNECT_TIMEOUT, asked)
        .await
        .is_ok_and(|done| done.is_ok())
}
