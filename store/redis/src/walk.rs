//! The operations on all buckets: lists, and the purge.
//!
//! Buckets are visited in the order of keys, many at a time. So the time of a list of the few held entries
//! does not depend on the size of the ledger.

use super::{
    error,
    inspect::LedgerState,
    link::{RelocationWait, ServerLink, TopologyView},
    record::{self, BUCKETS, Bucket},
    script::{EPOCH_ENDED, LIST, PURGE, Script},
    topology::ClusterTopology,
};
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, Value};
use semel_core::model::StoreKey;
use semel_store::{EntryQuery, KeyPage, PAGE_MAX, StoreError};
use std::sync::Arc;

/// The buckets of one request, at first and at most.
const BATCH_FIRST: usize = 8;
const BATCH_MAX: usize = 512;

/// The entries that one script purges. It blocks the server until it is done.
const PURGE_BATCH: usize = 500;

/// Lists a page of keys in their order.
pub(super) async fn list_keys(
    link: &ServerLink,
    query: &EntryQuery,
) -> Result<KeyPage, StoreError> {
    let limit = query.limit.min(PAGE_MAX);
    let mut keys: Vec<StoreKey> = Vec::new();
    let mut next = query.after.map_or(0, record::bucket);
    let mut at_once = BATCH_FIRST;
    while next < BUCKETS && keys.len() <= limit {
        // One key more than asked shows if there is another page.
        let wanted = limit + 1 - keys.len();
        let buckets: Vec<Bucket> = (next..BUCKETS).take(at_once).map(Bucket).collect();
        let found = list_buckets(link, query, &buckets, wanted).await?;
        next = next.saturating_add(u16::try_from(buckets.len()).unwrap_or(BUCKETS));
        // Enough buckets to fill the page, if the next ones are like these.
        at_once = (wanted * buckets.len())
            .checked_div(found.len())
            .unwrap_or(at_once * 4)
            .clamp(1, BATCH_MAX);
        keys.extend(found);
    }
    let more = keys.len() > limit;
    keys.truncate(limit);
    Ok(KeyPage { keys, more })
}

async fn list_buckets(
    link: &ServerLink,
    query: &EntryQuery,
    buckets: &[Bucket],
    wanted: usize,
) -> Result<Vec<StoreKey>, StoreError> {
    let states: Vec<u8> = query
        .states
        .iter()
        .map(|state| record::encode_state(*state))
        .collect();
    let tenant = query
        .tenant
        .as_ref()
        .map(|tenant| record::encode_tenant(Some(tenant)))
        .unwrap_or_default();
    let after: &[u8] = query.after.as_ref().map_or(&[], |key| key.as_bytes());
    let only_open =
        query.due || !query.states.is_empty() && query.states.iter().all(|state| state.is_open());
    let clock = link.clock_argument();
    let fill = |command: &mut Cmd, bucket: Bucket, state: &LedgerState| {
        command.arg(2).arg(bucket.epoch_key()).arg(if only_open {
            bucket.open_list()
        } else {
            bucket.all_list()
        });
        command
            .arg(&state.epoch)
            .arg(&clock)
            .arg(bucket.record_prefix())
            .arg(after)
            .arg(wanted);
        command.arg(&states).arg(&tenant).arg(u8::from(query.due));
    };
    let answers = query_buckets(link, &LIST, buckets, fill).await?;
    let answers = answers
        .into_iter()
        .map(Vec::<Vec<u8>>::from_redis_value)
        .collect::<Result<Vec<_>, _>>();
    let keys = answers
        .map_err(StoreError::not_executed)?
        .into_iter()
        .flatten();
    let keys = keys
        .map(|key| key.try_into().map(StoreKey::from_bytes))
        .collect::<Result<_, _>>();
    keys.map_err(|key: Vec<u8>| {
        StoreError::not_executed(format!("a key of {} bytes is listed", key.len()))
    })
}

/// Runs a read-only script on each of these buckets, and returns their answers in order.
async fn query_buckets(
    link: &ServerLink,
    script: &Script,
    buckets: &[Bucket],
    fill: impl Fn(&mut Cmd, Bucket, &LedgerState),
) -> Result<Vec<Value>, StoreError> {
    let mut waited = RelocationWait::default();
    loop {
        let view = link.usable_view().await?;
        match query_buckets_once(&view, script, buckets, &fill).await? {
            Ok(answers) if !answers.contains(&Value::Int(EPOCH_ENDED)) => return Ok(answers),
            // Repeats only in a new epoch, which takes some time to begin.
            Ok(_) => link.confirm_new_epoch(&view).await?,
            Err(error) if error::is_elsewhere(&error) => {
                link.wait_for_relocation(&view, &mut waited, error).await?
            }
            Err(error) => return Err(StoreError::not_executed(error)),
        }
    }
}

async fn query_buckets_once(
    view: &Arc<TopologyView>,
    script: &Script,
    buckets: &[Bucket],
    fill: &impl Fn(&mut Cmd, Bucket, &LedgerState),
) -> Result<Result<Vec<Value>, RedisError>, StoreError> {
    let state = view.ledger_state()?;
    let command = |commands: &mut Pipeline, bucket: Bucket| {
        commands.add_command(script.command(|call| fill(call, bucket, state)));
    };
    Ok(run_pipelined(&view.topology, buckets, Some(script), command).await)
}

/// Sends a command for each bucket to its node, and returns the answers in order.
async fn run_pipelined(
    topology: &ClusterTopology,
    buckets: &[Bucket],
    script: Option<&Script>,
    ask: impl Fn(&mut Pipeline, Bucket),
) -> Result<Vec<Value>, RedisError> {
    let mut answers = Vec::with_capacity(buckets.len());
    for (connection, part) in topology.split_by_node(buckets) {
        let mut commands = redis::pipe();
        // `NOSCRIPT` in a pipeline would need a repeat of some commands, so the script is loaded first.
        if let Some(script) = script {
            commands
                .cmd("SCRIPT")
                .arg("LOAD")
                .arg(&script.source)
                .ignore();
        }
        part.iter().for_each(|bucket| ask(&mut commands, *bucket));
        answers.extend(part.into_iter().zip(connection.query_all(&commands).await?));
    }
    answers.sort_by_key(|(bucket, _)| bucket.0);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// Deletes expired entries, at most `at_most`, and returns their number.
pub(super) async fn purge_expired(link: &ServerLink, at_most: usize) -> Result<usize, StoreError> {
    let mut purged = 0;
    let mut next = 0;
    while next < BUCKETS && purged < at_most {
        let buckets: Vec<Bucket> = (next..BUCKETS).take(BATCH_MAX).map(Bucket).collect();
        next = next.saturating_add(u16::try_from(buckets.len()).unwrap_or(BUCKETS));
        for bucket in buckets_with_expired(link, buckets).await? {
            purged += purge_bucket(link, bucket, at_most - purged).await?;
        }
    }
    Ok(purged)
}

/// Returns the buckets that may have expired entries.
async fn buckets_with_expired(
    link: &ServerLink,
    buckets: Vec<Bucket>,
) -> Result<Vec<Bucket>, StoreError> {
    let view = link.usable_view().await?;
    let now = match link.clock_ms() {
        Some(now) => now,
        None => server_time_ms(&view).await?,
    };
    let count = |commands: &mut Pipeline, bucket: Bucket| {
        commands
            .cmd("ZCOUNT")
            .arg(bucket.ending_list())
            .arg("-inf")
            .arg(now);
    };
    let counts = run_pipelined(&view.topology, &buckets, None, count)
        .await
        .map_err(StoreError::not_executed)?;
    let buckets = buckets.into_iter().zip(counts);
    Ok(buckets
        .filter(|(_, count)| !matches!(count, Value::Int(0)))
        .map(|(bucket, _)| bucket)
        .collect())
}

async fn server_time_ms(view: &TopologyView) -> Result<u64, StoreError> {
    let time = view
        .topology
        .marker_server()
        .query(&redis::cmd("TIME"))
        .await
        .map_err(StoreError::not_executed)?;
    let time = <(u64, u64)>::from_redis_value(time);
    time.map(|(seconds, micros)| seconds * 1000 + micros / 1000)
        .map_err(StoreError::not_executed)
}

async fn purge_bucket(
    link: &ServerLink,
    bucket: Bucket,
    at_most: usize,
) -> Result<usize, StoreError> {
    let mut purged = 0;
    loop {
        let batch = PURGE_BATCH.min(at_most - purged);
        let clock = link.clock_argument();
        let fill = |command: &mut Cmd, state: &LedgerState| {
            command
                .arg(4)
                .arg(bucket.epoch_key())
                .arg(bucket.all_list())
                .arg(bucket.open_list())
                .arg(bucket.ending_list());
            command
                .arg(&state.epoch)
                .arg(&clock)
                .arg(bucket.record_prefix())
                .arg(batch);
        };
        let dropped = match link
            .run_script(&PURGE, bucket, fill)
            .await?
            .map_err(error::write_error)?
        {
            (Value::Int(dropped), _) => usize::try_from(dropped).unwrap_or(0),
            (other, _) => {
                return Err(StoreError::unknown(format!(
                    "the server answered {other:?}"
                )));
            }
        };
        purged += dropped;
        if dropped < batch || purged >= at_most {
            return Ok(purged);
        }
    }
}
