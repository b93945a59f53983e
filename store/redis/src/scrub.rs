//! Erasure of overwritten and removed content from the server's files.
//!
//! Absent: freed blocks of the disk, the files of replicas, and backups.

use super::{connection::Connection, link::ServerLink};
use futures_util::future;
use redis::{FromRedisValue, RedisError};
use semel_store::{SharedError, StoreError};
use std::time::{Duration, Instant};

/// The time limit of a rewrite, and the interval between polls.
const REWRITE_TIMEOUT: Duration = Duration::from_secs(3600);
const POLL_PAUSE: Duration = Duration::from_millis(50);

/// The server's fields for rewrites in progress, and for failures of the last ones.
const IN_PROGRESS: [&str; 3] = [
    "aof_rewrite_in_progress:1",
    "aof_rewrite_scheduled:1",
    "rdb_bgsave_in_progress:1",
];
const FAILED: [&str; 2] = [
    "aof_last_bgrewrite_status:err",
    "rdb_last_bgsave_status:err",
];

/// Rewrites the append-only file of each server, then its dump: an old one still holds removed content.
pub(super) async fn scrub(link: &ServerLink) -> Result<(), StoreError> {
    let view = link.usable_view().await?;
    let scrubbed = future::join_all(
        view.topology
            .nodes()
            .map(|node| scrub_server(&node.connection)),
    )
    .await;
    scrubbed.into_iter().collect()
}

async fn scrub_server(connection: &Connection) -> Result<(), StoreError> {
    // A rewrite that was already in progress may have begun before the last removal.
    wait_for_rewrites(connection).await?;
    for command in ["BGREWRITEAOF", "BGSAVE"] {
        connection
            .query(&redis::cmd(command))
            .await
            .map_err(|error| permission_error(command, error))?;
        wait_for_rewrites(connection).await?;
    }
    Ok(())
}

async fn wait_for_rewrites(connection: &Connection) -> Result<(), StoreError> {
    let begun = Instant::now();
    loop {
        let mut question = redis::cmd("INFO");
        question.arg("persistence");
        let answer = connection
            .query(&question)
            .await
            .map_err(StoreError::not_executed)?;
        let answer = String::from_redis_value(answer).map_err(StoreError::not_executed)?;
        if !IN_PROGRESS.iter().any(|sign| answer.contains(sign)) {
            return match FAILED.iter().find(|sign| answer.contains(**sign)) {
                None => Ok(()),
                Some(sign) => Err(StoreError::not_executed(format!(
                    "the server could not rewrite its files ({sign}): see in its log why, and whether its disk is full"
                ))),
            };
        }
        if begun.elapsed() > REWRITE_TIMEOUT {
            return Err(StoreError::unknown(
                "the server takes too long to rewrite its files",
            ));
        }
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

fn permission_error(command: &str, error: RedisError) -> StoreError {
    let message = format!("{error}: let its user run `{command}`, or let its administrator run it");
    StoreError::NotExecuted(SharedError::with_message(message, error))
}
