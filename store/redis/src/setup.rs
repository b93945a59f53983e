//! Makes a ledger, and lets one that lost a part begin another life.

use super::{
    endpoint::Endpoint,
    inspect::{self, SCHEMA},
    marker::{LIFE_BYTES, MARKER, Marker},
    nodes::ClusterTopology,
    record::{BUCKETS, Bucket},
    script::{ADOPT, BEGIN, Script},
};
use redis::{Cmd, FromRedisValue, Value};
use semel_store::fresh_nonce;
use semel_store::{ServerError, Version};

/// The result of setting a ledger up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisSetupResult {
    /// The ledger was created.
    Created,
    /// A part of it was lost. It began another incarnation: every host waits until nothing of the
    /// former one can be in progress.
    Renewed {
        /// The records known to be lost.
        lost: u64,
    },
    /// The ledger existed already, and is whole.
    Unchanged,
}

/// The buckets that are asked at once.
const AT_ONCE: u16 = 256;

/// Makes the ledger, unless it is there and whole.
pub(super) async fn set_up(place: &Endpoint) -> Result<RedisSetupResult, ServerError> {
    let (nodes, there) = find(place).await?;
    let Some(marker) = there else {
        begin(&nodes, b"").await?;
        return Ok(RedisSetupResult::Created);
    };
    if !marker.is_ready {
        // An earlier attempt was cut off, or is in progress. Repeating it changes nothing.
        adopt_all(&nodes, &marker.life).await?;
        return Ok(RedisSetupResult::Created);
    }
    if is_whole(&nodes, &marker.life).await? {
        return Ok(RedisSetupResult::Unchanged);
    }
    let lost = begin(&nodes, &marker.life).await?;
    Ok(RedisSetupResult::Renewed { lost })
}

/// Lets it begin another life, whole or not.
pub(super) async fn renew(place: &Endpoint) -> Result<RedisSetupResult, ServerError> {
    let (nodes, there) = find(place).await?;
    let ended = there.as_ref().map_or(&[][..], |marker| &marker.life);
    let lost = begin(&nodes, ended).await?;
    Ok(if there.is_some() {
        RedisSetupResult::Renewed { lost }
    } else {
        RedisSetupResult::Created
    })
}

/// The servers, if they are fit for a ledger, and the ledger's marker.
async fn find(place: &Endpoint) -> Result<(ClusterTopology, Option<Marker>), ServerError> {
    let nodes = ClusterTopology::find(place, None).await?;
    match inspect::examine(&nodes, place).await?.marker {
        Some(marker) if marker.schema > SCHEMA => Err(ServerError::Newer {
            found: marker.schema,
            known: SCHEMA,
        }),
        marker => Ok((nodes, marker)),
    }
}

/// Begins another incarnation, or continues one that another host began.
async fn begin(nodes: &ClusterTopology, ended: &[u8]) -> Result<u64, ServerError> {
    let new = fresh_nonce().map_err(|error| ServerError::Other(error.to_string()))?;
    let fill = |call: &mut Cmd| {
        call.arg(1)
            .arg(MARKER)
            .arg(SCHEMA)
            .arg(Version::as_bytes(&new))
            .arg(ended);
    };
    let script: &Script = &BEGIN;
    let life = script
        .run(nodes.marker(), fill)
        .await
        .map_err(|error| nodes.marker().fault(&error))?;
    let life = Vec::<u8>::from_redis_value(life)
        .ok()
        .and_then(|life| life.try_into().ok());
    let life = life.ok_or_else(|| {
        ServerError::Other("the ledger was removed while it was set up".to_owned())
    })?;
    adopt_all(nodes, &life).await
}

/// Gives every bucket the life, and says how many records were found to be lost. The ledger is ready only then.
async fn adopt_all(nodes: &ClusterTopology, life: &[u8; LIFE_BYTES]) -> Result<u64, ServerError> {
    let mut lost = 0;
    for some in buckets() {
        for (connection, part) in nodes.divide(&some) {
            let mut calls = redis::pipe();
            calls.cmd("SCRIPT").arg("LOAD").arg(&ADOPT.source).ignore();
            for bucket in part {
                calls.add_command(ADOPT.call(|call| {
                    call.arg(4)
                        .arg(bucket.life())
                        .arg(bucket.all())
                        .arg(bucket.open())
                        .arg(bucket.ending());
                    call.arg(life).arg(bucket.records());
                }));
            }
            let counts = connection
                .ask_all(&calls)
                .await
                .map_err(|error| connection.fault(&error))?;
            lost += counts
                .into_iter()
                .filter_map(|count| u64::from_redis_value(count).ok())
                .sum::<u64>();
        }
    }
    let mut ready = redis::cmd("HSET");
    ready.arg(MARKER).arg("ready").arg(1);
    nodes
        .marker()
        .ask(&ready)
        .await
        .map_err(|error| nodes.marker().fault(&error))?;
    Ok(lost)
}

/// Returns true if every bucket has this incarnation.
async fn is_whole(nodes: &ClusterTopology, life: &[u8; LIFE_BYTES]) -> Result<bool, ServerError> {
    for some in buckets() {
        for (connection, part) in nodes.divide(&some) {
            let mut lives = redis::pipe();
            for bucket in part {
                lives.cmd("GET").arg(bucket.life());
            }
            let lives = connection
                .ask_all(&lives)
                .await
                .map_err(|error| connection.fault(&error))?;
            if lives
                .iter()
                .any(|found| !matches!(found, Value::BulkString(found) if found == life))
            {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// All buckets, some at a time.
fn buckets() -> impl Iterator<Item = Vec<Bucket>> {
    (0..BUCKETS)
        .step_by(usize::from(AT_ONCE))
        .map(|first| (first..BUCKETS.min(first + AT_ONCE)).map(Bucket).collect())
}
