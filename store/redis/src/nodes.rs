//! The servers that a ledger lies in: one, or the primaries of a cluster, and which of them has which bucket.
//!
//! The cluster client of the crate `redis` is not used: it reconnects and follows a takeover on its
//! own, and here nothing may be asked of a new primary before it is known what may be lost. So each
//! server has a connection of its own, all of them are checked before the first is asked anything,
//! and a ledger is used as a whole or not at all.
//!
//! Absent: what is done when buckets move; see `link.rs`.

use super::{
    connection::Connection,
    endpoint::{CONNECT_TIMEOUT, Endpoint},
    marker::MARKER,
    record::{BUCKETS, Bucket},
    server,
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
        .map(|bucket| slot(Bucket(bucket).tag().as_bytes()))
        .collect()
});

/// A server, by the name that its cluster has for it.
pub(super) struct ClusterNode {
    pub(super) name: String,
    pub(super) connection: Connection,
}

/// All servers of a ledger.
pub(super) struct ClusterTopology {
    all: Vec<ClusterNode>,
    /// Which of them has which bucket; none: one has them all.
    by_bucket: Vec<usize>,
    /// Of the server that has the marker.
    marker: Connection,
}

impl ClusterTopology {
    /// Finds them by one that is connected, by the server of the URL, or by one that was known before. Connections that hold
    /// are kept.
    pub(super) async fn find(place: &Endpoint, before: Option<&Self>) -> Result<Self, ServerError> {
        let begun = Instant::now();
        let connected = before
            .into_iter()
            .flat_map(Self::iter)
            .filter(|node| !node.connection.is_lost());
        let connected = connected.map(|node| SeedNode::Open(node.connection.clone()));
        // What the first says is about one that is connected, or about the server of the URL.
        let mut fault = None;
        for door in connected.chain(place.seed_clients().into_iter().map(SeedNode::Shut)) {
            match Self::by(door, place, before).await {
                Ok(nodes) => return Ok(nodes),
                Err(found) => fault = fault.or(Some(found)),
            }
            // A server that hangs takes the whole time limit: its waiters get an error.
            if begun.elapsed() >= CONNECT_TIMEOUT {
                break;
            }
        }
        Err(fault.unwrap_or_else(incomplete))
    }

    async fn by(
        door: SeedNode,
        place: &Endpoint,
        before: Option<&Self>,
    ) -> Result<Self, ServerError> {
        let connection = match door {
            SeedNode::Open(connection) => connection,
            SeedNode::Shut(client) => Connection::open(&client).await?,
        };
        Self::through(&connection, place, before).await
    }

    async fn through(
        door: &Connection,
        place: &Endpoint,
        before: Option<&Self>,
    ) -> Result<Self, ServerError> {
        let told = server::info(door, Some("cluster")).await?;
        if told
            .get("cluster_enabled")
            .is_none_or(|enabled| enabled != "1")
        {
            let node = ClusterNode {
                name: String::new(),
                connection: door.clone(),
            };
            return Ok(Self {
                all: vec![node],
                by_bucket: Vec::new(),
                marker: door.clone(),
            });
        }
        let shares = shares(door, place).await?;
        let by_slot = by_slot(&shares);
        let of_slot = |slot: u16| {
            by_slot
                .get(usize::from(slot))
                .copied()
                .flatten()
                .ok_or_else(incomplete)
        };
        let by_bucket = SLOT_OF_BUCKET
            .iter()
            .map(|slot| of_slot(*slot))
            .collect::<Result<Vec<_>, _>>()?;
        let marker = of_slot(slot(tag(MARKER).as_bytes()))?;
        let all = future::join_all(shares.iter().map(|share| share.node(before))).await;
        let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
        let marker = all.get(marker).ok_or_else(incomplete)?.connection.clone();
        place.remember(shares.into_iter().map(|share| share.client).collect());
        Ok(Self {
            all,
            by_bucket,
            marker,
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ClusterNode> {
        self.all.iter()
    }

    pub(super) fn is_cluster(&self) -> bool {
        !self.by_bucket.is_empty()
    }

    /// Returns true if a connection to one of them is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.all.iter().any(|node| node.connection.is_lost())
    }

    /// The server that has the marker.
    pub(super) fn marker(&self) -> &Connection {
        &self.marker
    }

    /// The server that has this bucket.
    pub(super) fn of(&self, bucket: Bucket) -> &Connection {
        let node = self
            .by_bucket
            .get(usize::from(bucket.0))
            .and_then(|at| self.all.get(*at));
        node.map_or(&self.marker, |node| &node.connection)
    }

    /// These buckets, by the server that has them.
    pub(super) fn divide(&self, some: &[Bucket]) -> Vec<(&Connection, Vec<Bucket>)> {
        let mut parts: Vec<_> = self
            .iter()
            .map(|node| (&node.connection, Vec::new()))
            .collect();
        for bucket in some {
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

/// A server that is asked for the others.
enum SeedNode {
    Open(Connection),
    Shut(Client),
}

/// A primary's slots.
struct SlotShare {
    name: String,
    client: Client,
    ranges: Vec<(u16, u16)>,
}

impl SlotShare {
    async fn node(&self, before: Option<&ClusterTopology>) -> Result<ClusterNode, ServerError> {
        let shown = Endpoint::shown_as(&self.client);
        let known = before
            .into_iter()
            .flat_map(ClusterTopology::iter)
            .find(|node| {
                node.name == self.name
                    && node.connection.shown() == shown
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
async fn shares(door: &Connection, place: &Endpoint) -> Result<Vec<SlotShare>, ServerError> {
    let mut question = redis::cmd("CLUSTER");
    let told = door
        .ask(question.arg("SLOTS"))
        .await
        .map_err(|error| door.fault(&error))?;
    let told = Vec::<Vec<Value>>::from_redis_value(told).map_err(|_| strange())?;
    let mut shares: Vec<SlotShare> = Vec::new();
    for range in told {
        let [first, last, primary, ..] = range.as_slice() else {
            return Err(strange());
        };
        let (first, last, name, host, port) = range_of(first, last, primary).ok_or_else(strange)?;
        match shares.iter_mut().find(|share| share.name == name) {
            Some(share) => share.ranges.push((first, last)),
            None => {
                let client = place.client_at(host.as_deref(), port)?;
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

/// A range of slots, and the name, host and port of its primary. No host: the one where it was asked.
fn range_of(
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

fn by_slot(shares: &[SlotShare]) -> Vec<Option<usize>> {
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

/// The text in braces decides on the slot.
fn tag(key: &str) -> &str {
    key.split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map_or(key, |(tag, _)| tag)
}

/// The slot of a tag: its CRC-16 (XMODEM), as the specification of clusters says.
fn slot(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            (crc << 1) ^ if crc >> 15 == 1 { 0x1021 } else { 0 }
        })
    });
    crc % SLOTS
}

/// A cluster that lacks some slots.
pub(super) fn incomplete() -> ServerError {
    ServerError::Other(
        "the cluster does not serve all slots: start what is down, or see `redis-cli --cluster check` for what is missing"
            .to_owned(),
    )
}

fn strange() -> ServerError {
    ServerError::Other("its answer to CLUSTER SLOTS cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(tag(MARKER), "ledger");
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
