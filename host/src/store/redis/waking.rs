//! News of changes that other processes make. They may be lost, so those who wait look by themselves from time to time.
//!
//! Keys share a few bells, and each bell has a channel. A host listens to a bell while somebody here waits for it, and somewhat
//! longer: a change that nobody waits for is told to nobody, so what a host hears does not grow with what all hosts write.
//!
//! In a cluster any server is listened to: what is published goes to all of them. Channels of a slot (`SPUBLISH`) would spare
//! them that, and every host would have to listen to every server.

use super::place::{CONNECT_TIMEOUT, Place};
use crate::{
    store::waiters::{BELLS, Waiters},
    words::StoreKey,
};
use futures_util::StreamExt;
use redis::{
    RedisResult,
    aio::{PubSub, PubSubSink},
};
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

/// How long after a lost connection the next is tried.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a bell is listened to at the most after the last who waited for it has gone.
const LINGER: Duration = Duration::from_secs(5);

/// Who waits in this process, and for which bells.
pub(super) struct Ears {
    waiters: Waiters,
    /// How many wait for each bell.
    waiting: [AtomicUsize; BELLS],
    /// Rung where somebody waits for a bell for which nobody did.
    pricked: Notify,
}

impl Ears {
    pub(super) fn new() -> Self {
        Self { waiters: Waiters::new(), waiting: [const { AtomicUsize::new(0) }; BELLS], pricked: Notify::new() }
    }

    pub(super) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// Has the bell of a key listened to until this is dropped. The bell rings as soon as that has begun.
    pub(super) fn listening(&self, key: StoreKey) -> Option<Listening<'_>> {
        let waiting = self.waiting.get(Waiters::number(key))?;
        if waiting.fetch_add(1, Ordering::AcqRel) == 0 {
            self.pricked.notify_one();
        }
        Some(Listening(waiting))
    }

    /// The bells that somebody waits for.
    fn wanted(&self) -> BTreeSet<usize> {
        let is_wanted =
            |(number, waiting): (usize, &AtomicUsize)| (waiting.load(Ordering::Acquire) > 0).then_some(number);
        self.waiting.iter().enumerate().filter_map(is_wanted).collect()
    }
}

/// Somebody waits.
pub(super) struct Listening<'a>(&'a AtomicUsize);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Listens for as long as it is let.
pub(super) async fn listen(place: Arc<Place>, ears: Arc<Ears>) {
    loop {
        for client in place.doors() {
            if let Ok(Ok(news)) = timeout(CONNECT_TIMEOUT, client.get_async_pubsub()).await {
                // It ends with its connection.
                let _ = hear(news, &place, &ears).await;
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Wakes whoever waits for what changed, until the connection is lost.
async fn hear(news: PubSub, place: &Place, ears: &Ears) -> RedisResult<()> {
    let (mut sink, mut news) = news.split();
    let mut heard = BTreeSet::new();
    let mut rests = interval_at(Instant::now() + LINGER, LINGER);
    listen_to_more(&mut sink, &mut heard, place, ears).await?;
    loop {
        tokio::select! {
            told = news.next() => match told.map(|told| <[u8; 32]>::try_from(told.get_payload_bytes())) {
                Some(Ok(key)) => ears.waiters.wake(StoreKey::from_bytes(key)),
                // What no store would say.
                Some(Err(_)) => ears.waiters.wake_all(),
                None => return Ok(()),
            },
            () = ears.pricked.notified() => listen_to_more(&mut sink, &mut heard, place, ears).await?,
            _ = rests.tick() => listen_to_less(&mut sink, &mut heard, place, ears).await?,
        }
    }
}

async fn listen_to_more(
    sink: &mut PubSubSink,
    heard: &mut BTreeSet<usize>,
    place: &Place,
    ears: &Ears,
) -> RedisResult<()> {
    for bell in ears.wanted() {
        if heard.insert(bell) {
            sink.subscribe(place.channel(bell)).await?;
            // For whatever changed before.
            ears.waiters.wake_number(bell);
        }
    }
    Ok(())
}

async fn listen_to_less(
    sink: &mut PubSubSink,
    heard: &mut BTreeSet<usize>,
    place: &Place,
    ears: &Ears,
) -> RedisResult<()> {
    let wanted = ears.wanted();
    for bell in heard.difference(&wanted) {
        sink.unsubscribe(place.channel(*bell)).await?;
    }
    heard.retain(|bell| wanted.contains(bell));
    // Whoever came since is no longer heard.
    listen_to_more(sink, heard, place, ears).await
}
