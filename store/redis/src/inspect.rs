//! Whether the servers keep what they acknowledge, which life of the ledger lies there, and whether any of it may be lost.

use super::{
    endpoint::Endpoint,
    marker::{LIFE_BYTES, MARKER, Marker},
    nodes::ClusterTopology,
    server::{self, Server},
};
use futures_util::future;
use semel_core::model::{Durability, Incarnation};
use semel_store::{ServerError, ServerReport};

/// The schema that this release writes, and the newest that it knows.
pub(super) const SCHEMA: i64 = 1;

/// The repetitions of a check that other hosts interrupted by notes of their own.
const TRIES_MAX: u32 = 16;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LedgerState {
    pub(super) durability: Durability,
    pub(super) life: [u8; LIFE_BYTES],
    pub(super) incarnation: Incarnation,
    /// The report for the operator.
    pub(super) report: ServerReport,
}

/// The facts of servers that are fit for a ledger.
pub(super) struct InspectionResult {
    /// None: there is no ledger yet.
    pub(super) marker: Option<Marker>,
    durability: Durability,
    report: ServerReport,
}

/// Looks at the servers and their ledger.
pub(super) async fn inspect(
    nodes: &ClusterTopology,
    place: &Endpoint,
) -> Result<LedgerState, ServerError> {
    let InspectionResult {
        marker,
        durability,
        report,
    } = examine(nodes, place).await?;
    let marker = marker
        .filter(|marker| marker.is_ready || marker.schema != SCHEMA)
        .ok_or_else(|| missing(place))?;
    match marker.schema {
        SCHEMA => {}
        found if found > SCHEMA => {
            return Err(ServerError::Newer {
                found,
                known: SCHEMA,
            });
        }
        found => {
            return Err(ServerError::Older {
                found,
                known: SCHEMA,
            });
        }
    }
    if !marker.is_whole() && durability != Durability::Unverified {
        return Err(ServerError::Unsafe {
            problem: "its append-only file does not hold everything yet, because it was turned on, or the server took over, just now".to_owned(),
            cure: "wait until it is rewritten (`INFO persistence`), or run `BGREWRITEAOF`".to_owned(),
        });
    }
    Ok(LedgerState {
        durability,
        life: marker.life,
        incarnation: marker.incarnation(),
        report,
    })
}

/// Looks whether the servers are fit for a ledger, and notes what may be lost of one that is there.
pub(super) async fn examine(
    nodes: &ClusterTopology,
    place: &Endpoint,
) -> Result<InspectionResult, ServerError> {
    for _ in 0..TRIES_MAX {
        // Before the servers are asked: their facts are recorded only if the marker is unchanged
        // since.
        let found = Marker::read(nodes.marker()).await;
        let asked = future::join_all(nodes.iter().map(Server::ask)).await;
        let servers = asked.into_iter().collect::<Result<Vec<_>, _>>()?;
        let checked = check(&servers, place);
        if checked
            .as_ref()
            .is_err_and(|fault| !matches!(fault, ServerError::Unsafe { .. }))
        {
            checked.clone()?;
        }
        let marker = match found {
            Ok(Some(marker)) if marker.schema <= SCHEMA => {
                // Also of an unsafe server, so that it is noted where its append-only file has a gap from now on.
                let facts = servers
                    .iter()
                    .map(|server| server.facts(place.accepts_unverified))
                    .collect();
                let Some(noted) = marker.note(nodes.marker(), facts).await? else {
                    continue;
                };
                Ok(Some(noted))
            }
            other => other,
        };
        let durability = checked?;
        return Ok(InspectionResult {
            marker: marker?,
            durability,
            report: server::report(&servers),
        });
    }
    Err(ServerError::Other(
        "its servers change while they are looked at, or many hosts look at once".to_owned(),
    ))
}

/// The level of the weakest of them.
fn check(servers: &[Server], place: &Endpoint) -> Result<Durability, ServerError> {
    servers
        .iter()
        .try_fold(Durability::PowerLoss, |weakest, server| {
            let level = server.check(place.accepts_unverified)?;
            Ok(
                if weakest == Durability::Unverified || level == Durability::PowerLoss {
                    weakest
                } else {
                    level
                },
            )
        })
}

fn missing(place: &Endpoint) -> ServerError {
    ServerError::NotSetUp {
        place: place.shown().to_owned(),
        hint: "; if there was one, the server was flushed or restarted without its data, and what was acknowledged is gone",
    }
}

pub(super) fn foreign() -> ServerError {
    ServerError::Other(format!(
        "what lies at `{MARKER}` is no ledger of Semel: name another database"
    ))
}
