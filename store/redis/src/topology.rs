//! The servers of a ledger: one, or the primaries of a cluster, each with its buckets.
//!
//! The cluster client of the crate `redis` is not used. It reconnects and follows a failover on its own,
//! and here no request may go to a new primary before its losses are known. So each server has a connection
//! of its own, all of them are checked before the first request, and a ledger is used as a whole or not at
//! all.
//!
//! Absent: the handling of moved buckets; see `link.rs`.

use super::{
    connection::Connection,
    endpoint::{CONNECT_TIMEOUT, Endpoint},
    error::incomplete_cluster,
    marker::MARKER,
    record::{BUCKETS, Bucket},
};
use futures_util::future;
use redis::{Client, FromRedisValue, Value};
use semel_store::ServerError;
use std::{sync::LazyLock, time::Instant};

/// The slots of a cluster.
const SLOTS: u16 = 1 << 14;

/// The slot of each bucket.
static SLOT_OF_BUCKET: LazyLock<Vec<u16>> = LazyLock::new(|| {
    (0..BUCKETS)
        .map(|bucket| hash_slot(Bucket(bucket).hash_tag().as_bytes()))
        .collect()
});

/// A server, with its name in the cluster.
pub(super) struct ClusterNode {
    pub(super) name: String,
    pub(super) connection: Connection,
}

/// All servers of a ledger.
pub(super) struct ClusterTopology {
    nodes: Vec<ClusterNode>,
    /// The index of each bucket's node; empty if a single server has them all.
    by_bucket: Vec<usize>,
    /// The connection to the server of the marker.
    marker: Connection,
}

impl ClusterTopology {
    /// Discovers the servers through a connected one, the server of the URL, or a formerly known one. Open
    /// connections are kept.
    pub(super) async fn discover(
        endpoint: &Endpoint,
        before: Option<&Self>,
    ) -> Result<Self, ServerError> {
        let begun = Instant::now();
        let connected = before
            .into_iter()
            .flat_map(Self::nodes)
            .filter(|node| !node.connection.is_lost());
        let connected = connected.map(|node| SeedNode::Connected(node.connection.clone()));
        // The first error is reported: it is that of a connected server, or of the URL's.
        let mut error = None;
        for seed in connected.chain(
            endpoint
                .seed_clients()
                .into_iter()
                .map(SeedNode::Unconnected),
        ) {
            match Self::through_seed(seed, endpoint, before).await {
                Ok(nodes) => return Ok(nodes),
                Err(found) => error = error.or(Some(found)),
            }
            // A server that hangs has used up the time limit of the callers.
            if begun.elapsed() >= CONNECT_TIMEOUT {
                break;
            }
        }
        Err(error.unwrap_or_else(incomplete_cluster))
    }

    async fn through_seed(
        seed: SeedNode,
        endpoint: &Endpoint,
        before: Option<&Self>,
    ) -> Result<Self, ServerError> {
        let connection = match seed {
            SeedNode::Connected(connection) => connection,
            SeedNode::Unconnected(client) => Connection::open(&client).await?,
        };
        Self::through_connection(&connection, endpoint, before).await
    }

    async fn through_connection(
        seed: &Connection,
        endpoint: &Endpoint,
        before: Option<&Self>,
    ) -> Result<Self, ServerError> {
        let info = seed.info(Some("cluster")).await?;
        if info
            .get("cluster_enabled")
            .is_none_or(|enabled| enabled != "1")
        {
            let node = ClusterNode {
                name: String::new(),
                connection: seed.clone(),
            };
            return Ok(Self {
                nodes: vec![node],
                by_bucket: Vec::new(),
                marker: seed.clone(),
            });
        }
        let shares = slot_shares(seed, endpoint).await?;
        let by_slot = owners_by_slot(&shares);
        let of_slot = |slot: u16| {
            by_slot
                .get(usize::from(slot))
                .copied()
                .flatten()
                .ok_or_else(incomplete_cluster)
        };
        // A slot without an owner refuses the whole ledger, not only its own buckets.
        let by_bucket = SLOT_OF_BUCKET
            .iter()
            .map(|slot| of_slot(*slot))
            .collect::<Result<Vec<_>, _>>()?;
        let marker = of_slot(hash_slot(hash_tag(MARKER).as_bytes()))?;
        let nodes = future::join_all(shares.iter().map(|share| share.connect(before))).await;
        let nodes = nodes.into_iter().collect::<Result<Vec<_>, _>>()?;
        let marker = nodes
            .get(marker)
            .ok_or_else(incomplete_cluster)?
            .connection
            .clone();
        endpoint.remember_nodes(shares.into_iter().map(|share| share.client).collect());
        Ok(Self {
            nodes,
            by_bucket,
            marker,
        })
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &ClusterNode> {
        self.nodes.iter()
    }

    pub(super) fn is_cluster(&self) -> bool {
        !self.by_bucket.is_empty()
    }

    /// Returns true if a connection to one of them is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.nodes.iter().any(|node| node.connection.is_lost())
    }

    /// Returns the server of the marker.
    pub(super) fn marker_server(&self) -> &Connection {
        &self.marker
    }

    /// Returns the server of this bucket.
    pub(super) fn for_bucket(&self, bucket: Bucket) -> &Connection {
        let node = self
            .by_bucket
            .get(usize::from(bucket.0))
            .and_then(|at| self.nodes.get(*at));
        node.map_or(&self.marker, |node| &node.connection)
    }

    /// Divides these buckets by their servers.
    pub(super) fn split_by_node(&self, buckets: &[Bucket]) -> Vec<(&Connection, Vec<Bucket>)> {
        let mut parts: Vec<_> = self
            .nodes()
            .map(|node| (&node.connection, Vec::new()))
            .collect();
        for bucket in buckets {
            let at = self
                .by_bucket
                .get(usize::from(bucket.0))
                .copied()
                .unwrap_or(0);
            if let Some((_, part)) = parts.get_mut(at) {
                part.push(*bucket);
            }
        }
        parts.retain(|(_, part)| !part.is_empty());
        parts
    }
}

/// A server that may know the others.
enum SeedNode {
    Connected(Connection),
    Unconnected(Client),
}

/// A primary's slots.
struct SlotShare {
    name: String,
    client: Client,
    ranges: Vec<(u16, u16)>,
}

impl SlotShare {
    async fn connect(&self, before: Option<&ClusterTopology>) -> Result<ClusterNode, ServerError> {
        let shown = Endpoint::client_name(&self.client);
        let known = before
            .into_iter()
            .flat_map(ClusterTopology::nodes)
            .find(|node| {
                node.name == self.name
                    && node.connection.display_name() == shown
                    && !node.connection.is_lost()
            });
        let connection = match known {
            Some(node) => node.connection.clone(),
            None => Connection::open(&self.client).await?,
        };
        Ok(ClusterNode {
            name: self.name.clone(),
            connection,
        })
    }
}

/// Returns the owners of the slots, as the server of the URL knows them.
async fn slot_shares(
    seed: &Connection,
    endpoint: &Endpoint,
) -> Result<Vec<SlotShare>, ServerError> {
    let mut question = redis::cmd("CLUSTER");
    let answer = seed
        .query(question.arg("SLOTS"))
        .await
        .map_err(|error| seed.server_error(&error))?;
    let answer = Vec::<Vec<Value>>::from_redis_value(answer).map_err(|_| unreadable_slots())?;
    let mut shares: Vec<SlotShare> = Vec::new();
    for range in answer {
        let [first, last, primary, ..] = range.as_slice() else {
            return Err(unreadable_slots());
        };
        let (first, last, name, host, port) =
            parse_range(first, last, primary).ok_or_else(unreadable_slots)?;
        match shares.iter_mut().find(|share| share.name == name) {
            Some(share) => share.ranges.push((first, last)),
            None => {
                let client = endpoint.client_at(host.as_deref(), port)?;
                shares.push(SlotShare {
                    name,
                    client,
                    ranges: vec![(first, last)],
                });
            }
        }
    }
    Ok(shares)
}

/// Returns a range of slots, and the name, host and port of its primary. Without a host, it is that of the
/// asked server.
fn parse_range(
    first: &Value,
    last: &Value,
    primary: &Value,
) -> Option<(u16, u16, String, Option<String>, u16)> {
    let number = |value: &Value| u16::from_redis_value_ref(value).ok();
    let Value::Array(primary) = primary else {
        return None;
    };
    let [host, port, name, ..] = primary.as_slice() else {
        return None;
    };
    let host = Option::<String>::from_redis_value_ref(host)
        .ok()?
        .filter(|host| !host.is_empty() && host != "?");
    Some((
        number(first)?,
        number(last)?,
        String::from_redis_value_ref(name).ok()?,
        host,
        number(port)?,
    ))
}

fn owners_by_slot(shares: &[SlotShare]) -> Vec<Option<usize>> {
    let mut by_slot = vec![None; usize::from(SLOTS)];
    for (at, share) in shares.iter().enumerate() {
        for (first, last) in &share.ranges {
            if let Some(range) = by_slot.get_mut(usize::from(*first)..=usize::from(*last)) {
                range.fill(Some(at));
            }
        }
    }
    by_slot
}

/// Returns the text in braces, which decides on the slot.
fn hash_tag(key: &str) -> &str {
    key.split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map_or(key, |(tag, _)| tag)
}

/// Returns the slot of a hash tag: its CRC-16 (XMODEM), as the cluster specification defines.
fn hash_slot(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            (crc << 1) ^ if crc >> 15 == 1 { 0x1021 } else { 0 }
        })
    });
    crc % SLOTS
}

fn unreadable_slots() -> ServerError {
    ServerError::other("its answer to CLUSTER SLOTS cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(hash_slot(b"123456789"), 0x31c3);
        assert_eq!(hash_slot(b"foo"), 12182);
        assert_eq!(hash_tag(MARKER), "ledger");
    }

    #[test]
    fn buckets_spread_evenly() {
        let third = |of: u16| {
            SLOT_OF_BUCKET
                .iter()
                .filter(|slot| usize::from(**slot) * 3 / usize::from(SLOTS) == usize::from(of))
                .count()
        };
        let thirds = [0, 1, 2].map(third);
        assert!(
            thirds.iter().all(|count| (1200..1550).contains(count)),
            "{thirds:?}"
        );
    }
}
