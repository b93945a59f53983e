//! What goes through all buckets: lists, and dropping what is past its end.
//!
//! Buckets are asked in the order of keys, many at a time, so a list of the few that are held takes as long however large the
//! ledger is.

use super::{
    error,
    inspect::LedgerState,
    link::{RelocationWait, ServerLink, TopologyView},
    nodes::ClusterTopology,
    record::{self, BUCKETS, Bucket},
    script::{LIFE_ENDED, LIST, PURGE, Script},
};
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, Value};
use semel_core::model::StoreKey;
use semel_store::{EntryQuery, KeyPage, PAGE_MAX, StoreError};
use std::sync::Arc;

/// The buckets that are asked at once, at first and at most.
const AT_ONCE_FIRST: usize = 8;
const AT_ONCE_MAX: usize = 512;

/// The entries of a bucket that are dropped at once: the server does nothing else during that.
const PURGE_BATCH: usize = 500;

/// A page of keys, in their order.
pub(super) async fn list(link: &ServerLink, query: &EntryQuery) -> Result<KeyPage, StoreError> {
    let limit = query.limit.min(PAGE_MAX);
    let mut keys: Vec<StoreKey> = Vec::new();
    let mut next = query.after.map_or(0, record::bucket);
    let mut at_once = AT_ONCE_FIRST;
    while next < BUCKETS && keys.len() <= limit {
        // One more than asked, to know whether there is more.
        let wanted = limit + 1 - keys.len();
        let some: Vec<Bucket> = (next..BUCKETS).take(at_once).map(Bucket).collect();
        let found = list_in(link, query, &some, wanted).await?;
        next = next.saturating_add(u16::try_from(some.len()).unwrap_or(BUCKETS));
        // As many buckets as may fill the page, if the next are like these.
        at_once = (wanted * some.len())
            .checked_div(found.len())
            .unwrap_or(at_once * 4)
            .clamp(1, AT_ONCE_MAX);
        keys.extend(found);
    }
    let more = keys.len() > limit;
    keys.truncate(limit);
    Ok(KeyPage { keys, more })
}

async fn list_in(
    link: &ServerLink,
    query: &EntryQuery,
    some: &[Bucket],
    wanted: usize,
) -> Result<Vec<StoreKey>, StoreError> {
    let states: Vec<u8> = query
        .states
        .iter()
        .map(|state| record::state(*state))
        .collect();
    let tenant = query
        .tenant
        .as_ref()
        .map(|tenant| record::tenant(Some(tenant)))
        .unwrap_or_default();
    let after: &[u8] = query.after.as_ref().map_or(&[], |key| key.as_bytes());
    let only_open =
        query.due || !query.states.is_empty() && query.states.iter().all(|state| state.is_open());
    let clock = link.clock_argument();
    let fill = |call: &mut Cmd, bucket: Bucket, finding: &LedgerState| {
        call.arg(2).arg(bucket.life()).arg(if only_open {
            bucket.open()
        } else {
            bucket.all()
        });
        call.arg(&finding.life)
            .arg(&clock)
            .arg(bucket.records())
            .arg(after)
            .arg(wanted);
        call.arg(&states).arg(&tenant).arg(u8::from(query.due));
    };
    let answers = ask_each(link, &LIST, some, fill).await?;
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
async fn ask_each(
    link: &ServerLink,
    script: &Script,
    some: &[Bucket],
    fill: impl Fn(&mut Cmd, Bucket, &LedgerState),
) -> Result<Vec<Value>, StoreError> {
    let mut waited = RelocationWait::default();
    loop {
        let view = link.view().await?;
        match ask_each_once(&view, script, some, &fill).await? {
            Ok(answers) if !answers.contains(&Value::Int(LIFE_ENDED)) => return Ok(answers),
            // Goes on only if it finds that another life has begun, which takes its time.
            Ok(_) => link.life_ended(&view).await?,
            Err(error) if error::is_elsewhere(&error) => {
                link.went_elsewhere(&view, &mut waited, error).await?
            }
            Err(error) => return Err(StoreError::not_executed(error)),
        }
    }
}

async fn ask_each_once(
    view: &Arc<TopologyView>,
    script: &Script,
    some: &[Bucket],
    fill: &impl Fn(&mut Cmd, Bucket, &LedgerState),
) -> Result<Result<Vec<Value>, RedisError>, StoreError> {
    let finding = view.finding()?;
    let call = |calls: &mut Pipeline, bucket: Bucket| {
        calls.add_command(script.call(|call| fill(call, bucket, finding)));
    };
    Ok(pipelined(&view.nodes, some, Some(script), call).await)
}

/// Asks each of these buckets at its node, and returns their answers in order.
async fn pipelined(
    nodes: &ClusterTopology,
    some: &[Bucket],
    script: Option<&Script>,
    ask: impl Fn(&mut Pipeline, Bucket),
) -> Result<Vec<Value>, RedisError> {
    let mut answers = Vec::with_capacity(some.len());
    for (connection, part) in nodes.divide(some) {
        let mut calls = redis::pipe();
        // Many scripts in one pipeline are not asked again one by one where the server does not know them.
        if let Some(script) = script {
            calls.cmd("SCRIPT").arg("LOAD").arg(&script.source).ignore();
        }
        part.iter().for_each(|bucket| ask(&mut calls, *bucket));
        answers.extend(part.into_iter().zip(connection.ask_all(&calls).await?));
    }
    answers.sort_by_key(|(bucket, _)| bucket.0);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// Drops what is past its end, at most so many, and says how many.
pub(super) async fn purge(link: &ServerLink, at_most: usize) -> Result<usize, StoreError> {
    let mut purged = 0;
    let mut next = 0;
    while next < BUCKETS && purged < at_most {
        let some: Vec<Bucket> = (next..BUCKETS).take(AT_ONCE_MAX).map(Bucket).collect();
        next = next.saturating_add(u16::try_from(some.len()).unwrap_or(BUCKETS));
        for bucket in with_something_past(link, some).await? {
            purged += purge_in(link, bucket, at_most - purged).await?;
        }
    }
    Ok(purged)
}

/// Those of the buckets in which something may be past its end.
async fn with_something_past(
    link: &ServerLink,
    some: Vec<Bucket>,
) -> Result<Vec<Bucket>, StoreError> {
    let view = link.view().await?;
    let now = match link.clock_ms() {
        Some(now) => now,
        None => server_ms(&view).await?,
    };
    let count = |calls: &mut Pipeline, bucket: Bucket| {
        calls
            .cmd("ZCOUNT")
            .arg(bucket.ending())
            .arg("-inf")
            .arg(now);
    };
    let counts = pipelined(&view.nodes, &some, None, count)
        .await
        .map_err(StoreError::not_executed)?;
    let some = some.into_iter().zip(counts);
    Ok(some
        .filter(|(_, count)| !matches!(count, Value::Int(0)))
        .map(|(bucket, _)| bucket)
        .collect())
}

async fn server_ms(view: &TopologyView) -> Result<u64, StoreError> {
    let time = view
        .nodes
        .marker()
        .ask(&redis::cmd("TIME"))
        .await
        .map_err(StoreError::not_executed)?;
    let time = <(u64, u64)>::from_redis_value(time);
    time.map(|(seconds, micros)| seconds * 1000 + micros / 1000)
        .map_err(StoreError::not_executed)
}

async fn purge_in(link: &ServerLink, bucket: Bucket, at_most: usize) -> Result<usize, StoreError> {
    let mut purged = 0;
    loop {
        let batch = PURGE_BATCH.min(at_most - purged);
        let clock = link.clock_argument();
        let fill = |call: &mut Cmd, finding: &LedgerState| {
            call.arg(4)
                .arg(bucket.life())
                .arg(bucket.all())
                .arg(bucket.open())
                .arg(bucket.ending());
            call.arg(&finding.life)
                .arg(&clock)
                .arg(bucket.records())
                .arg(batch);
        };
        let dropped = match link
            .run(&PURGE, bucket, fill)
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
