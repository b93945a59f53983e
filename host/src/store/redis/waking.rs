//! News of changes that other processes make. They may be lost, so those who wait look by themselves from time to time.
//!
//! In a cluster any server is listened to: what is published goes to all of them. Channels of a slot (`SPUBLISH`) would spare
//! them that, and every host would have to listen to every server.

use super::place::{CONNECT_TIMEOUT, Place};
use crate::{store::waiters::Waiters, words::StoreKey};
use futures_util::StreamExt;
use redis::Client;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// How long after a lost connection the next is tried.
const PAUSE: Duration = Duration::from_millis(500);

/// Listens until the store is gone.
pub(super) async fn listen(place: Arc<Place>, waiters: Weak<Waiters>) {
    while waiters.strong_count() > 0 {
        for client in place.doors() {
            if let Ok(Ok(news)) = tokio::time::timeout(CONNECT_TIMEOUT, subscribe(&client, place.channel())).await {
                hear(news, &waiters).await;
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn subscribe(client: &Client, channel: &str) -> Result<redis::aio::PubSub, redis::RedisError> {
    let mut news = client.get_async_pubsub().await?;
    news.subscribe(channel).await?;
    Ok(news)
}

/// Wakes whoever waits for what changed, until the connection is lost.
async fn hear(news: redis::aio::PubSub, waiters: &Weak<Waiters>) {
    if let Some(waiters) = waiters.upgrade() {
        // Whatever changed before.
        waiters.wake_all();
    }
    let mut news = news.into_on_message();
    while let (Some(told), Some(waiters)) = (news.next().await, waiters.upgrade()) {
        match <[u8; 32]>::try_from(told.get_payload_bytes()) {
            Ok(key) => waiters.wake(StoreKey::from_bytes(key)),
            // What no store would say.
            Err(_) => waiters.wake_all(),
        }
    }
}
