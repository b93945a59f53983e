//! The creation of a ledger, and the start of another epoch after a loss.

use super::{
    endpoint::Endpoint,
    inspect::{self, SCHEMA},
    marker::{EPOCH_BYTES, MARKER, Marker},
    record::{BUCKETS, Bucket},
    script::{ADOPT_BUCKET, BEGIN_EPOCH, Script},
    topology::ClusterTopology,
};
use redis::{Cmd, FromRedisValue, Value};
use semel_store::fresh_nonce;
use semel_store::{ServerError, Version};

/// The result of setting a ledger up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisSetupResult {
    /// The ledger was created.
    Created,
    /// The ledger began another incarnation: every host waits until no call of the former one can be in
    /// progress.
    Renewed {
        /// The records known to be lost.
        lost: u64,
    },
    /// The ledger existed already, and is whole.
    Unchanged,
}

/// The buckets of one request.
const BATCH_BUCKETS: u16 = 256;

/// Creates the ledger, unless it exists and is complete.
pub(super) async fn set_up(endpoint: &Endpoint) -> Result<RedisSetupResult, ServerError> {
    let (topology, there) = discover(endpoint).await?;
    let Some(marker) = there else {
        begin_epoch(&topology, b"").await?;
        return Ok(RedisSetupResult::Created);
    };
    if !marker.is_ready {
        // An earlier setup was interrupted, or is in progress. Its repetition has no further effect.
        adopt_buckets(&topology, &marker.epoch).await?;
        return Ok(RedisSetupResult::Created);
    }
    if is_complete(&topology, &marker.epoch).await? {
        return Ok(RedisSetupResult::Unchanged);
    }
    let lost = begin_epoch(&topology, &marker.epoch).await?;
    Ok(RedisSetupResult::Renewed { lost })
}

/// Begins another epoch, of a complete ledger too.
pub(super) async fn renew_ledger(endpoint: &Endpoint) -> Result<RedisSetupResult, ServerError> {
    let (topology, there) = discover(endpoint).await?;
    let ended = there.as_ref().map_or(&[][..], |marker| &marker.epoch);
    let lost = begin_epoch(&topology, ended).await?;
    Ok(if there.is_some() {
        RedisSetupResult::Renewed { lost }
    } else {
        RedisSetupResult::Created
    })
}

/// Returns the servers, if they are fit for a ledger, and the ledger's marker.
async fn discover(endpoint: &Endpoint) -> Result<(ClusterTopology, Option<Marker>), ServerError> {
    let topology = ClusterTopology::discover(endpoint, None).await?;
    match inspect::examine_servers(&topology, endpoint).await?.marker {
        Some(marker) if marker.schema > SCHEMA => Err(ServerError::Newer {
            found: marker.schema,
            known: SCHEMA,
        }),
        marker => Ok((topology, marker)),
    }
}

/// Begins another epoch, or continues one that another host began, and returns the number of lost records.
async fn begin_epoch(topology: &ClusterTopology, ended: &[u8]) -> Result<u64, ServerError> {
    let new = fresh_nonce().map_err(ServerError::other)?;
    let fill = |command: &mut Cmd| {
        command
            .arg(1)
            .arg(MARKER)
            .arg(SCHEMA)
            .arg(Version::as_bytes(&new))
            .arg(ended);
    };
    let script: &Script = &BEGIN_EPOCH;
    let epoch = script
        .run(topology.marker_server(), fill)
        .await
        .map_err(|error| topology.marker_server().server_error(&error))?;
    let epoch = Vec::<u8>::from_redis_value(epoch)
        .ok()
        .and_then(|epoch| epoch.try_into().ok());
    let epoch =
        epoch.ok_or_else(|| ServerError::other("the ledger was removed while it was set up"))?;
    adopt_buckets(topology, &epoch).await
}

/// Writes the epoch into every bucket, then marks the ledger as ready. Returns the number of lost records.
async fn adopt_buckets(
    topology: &ClusterTopology,
    epoch: &[u8; EPOCH_BYTES],
) -> Result<u64, ServerError> {
    let mut lost = 0;
    for buckets in bucket_batches() {
        for (connection, part) in topology.split_by_node(&buckets) {
            let mut commands = redis::pipe();
            commands
                .cmd("SCRIPT")
                .arg("LOAD")
                .arg(&ADOPT_BUCKET.source)
                .ignore();
            for bucket in part {
                commands.add_command(ADOPT_BUCKET.command(|command| {
                    command
                        .arg(4)
                        .arg(bucket.epoch_key())
                        .arg(bucket.all_list())
                        .arg(bucket.open_list())
                        .arg(bucket.ending_list());
                    command.arg(epoch).arg(bucket.record_prefix());
                }));
            }
            let counts = connection
                .query_all(&commands)
                .await
                .map_err(|error| connection.server_error(&error))?;
            lost += counts
                .into_iter()
                .filter_map(|count| u64::from_redis_value(count).ok())
                .sum::<u64>();
        }
    }
    let mut ready = redis::cmd("HSET");
    ready.arg(MARKER).arg("ready").arg(1);
    topology
        .marker_server()
        .query(&ready)
        .await
        .map_err(|error| topology.marker_server().server_error(&error))?;
    Ok(lost)
}

/// Returns true if every bucket has this epoch.
async fn is_complete(
    topology: &ClusterTopology,
    epoch: &[u8; EPOCH_BYTES],
) -> Result<bool, ServerError> {
    for buckets in bucket_batches() {
        for (connection, part) in topology.split_by_node(&buckets) {
            let mut epochs = redis::pipe();
            for bucket in part {
                epochs.cmd("GET").arg(bucket.epoch_key());
            }
            let epochs = connection
                .query_all(&epochs)
                .await
                .map_err(|error| connection.server_error(&error))?;
            if epochs
                .iter()
                .any(|found| !matches!(found, Value::BulkString(found) if found == epoch))
            {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Returns all buckets in batches.
fn bucket_batches() -> impl Iterator<Item = Vec<Bucket>> {
    (0..BUCKETS)
        .step_by(usize::from(BATCH_BUCKETS))
        .map(|first| {
            (first..BUCKETS.min(first + BATCH_BUCKETS))
                .map(Bucket)
                .collect()
        })
}
