//! Sees to it that the server's files hold nothing of what was overwritten or removed.
//!
//! Absent: blocks of the disk that belonged to files of before, files of replicas, and backups.

use super::{connection::Connection, link::ServerLink};
use futures_util::future;
use redis::{FromRedisValue, RedisError};
use semel_store::{SharedError, StoreError};
use std::time::{Duration, Instant};

/// The time limit for the server to rewrite a file, and the interval between polls.
const PATIENCE: Duration = Duration::from_secs(3600);
const PAUSE: Duration = Duration::from_millis(50);

/// The server's fields for rewrites in progress, and for the result of the last ones.
const UNDER_WAY: [&str; 3] = [
    "aof_rewrite_in_progress:1",
    "aof_rewrite_scheduled:1",
    "rdb_bgsave_in_progress:1",
];
const FAILED: [&str; 2] = [
    "aof_last_bgrewrite_status:err",
    "rdb_last_bgsave_status:err",
];

/// Makes each server rewrite its append-only file, then its dump, which holds all that the file
/// held when it was written.
pub(super) async fn scrub(link: &ServerLink) -> Result<(), StoreError> {
    let view = link.view().await?;
    let scrubbed =
        future::join_all(view.nodes.iter().map(|node| scrub_one(&node.connection))).await;
    scrubbed.into_iter().collect()
}

async fn scrub_one(connection: &Connection) -> Result<(), StoreError> {
    // A rewrite that was already in progress may have begun before the last removal.
    until_done(connection).await?;
    for command in ["BGREWRITEAOF", "BGSAVE"] {
        connection
            .ask(&redis::cmd(command))
            .await
            .map_err(|error| denied(command, error))?;
        until_done(connection).await?;
    }
    Ok(())
}

async fn until_done(connection: &Connection) -> Result<(), StoreError> {
    let begun = Instant::now();
    loop {
        let mut question = redis::cmd("INFO");
        question.arg("persistence");
        let told = connection
            .ask(&question)
            .await
            .map_err(StoreError::not_executed)?;
        let told = String::from_redis_value(told).map_err(StoreError::not_executed)?;
        if !UNDER_WAY.iter().any(|sign| told.contains(sign)) {
            return match FAILED.iter().find(|sign| told.contains(**sign)) {
                None => Ok(()),
                Some(sign) => Err(StoreError::not_executed(format!(
                    "the server could not write its files anew ({sign}): see in its log why, and whether its disk is full"
                ))),
            };
        }
        if begun.elapsed() > PATIENCE {
            return Err(StoreError::unknown(
                "the server takes too long to write its files anew",
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn denied(command: &str, error: RedisError) -> StoreError {
    let message = format!("{error}: let its user run `{command}`, or let its administrator run it");
    StoreError::NotExecuted(SharedError::with_message(message, error))
}
