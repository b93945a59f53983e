//! The inspection of the servers and their ledger: durability, epoch and losses.

use super::{
    endpoint::Endpoint,
    marker::{EPOCH_BYTES, Marker},
    server::{self, ServerInfo},
    topology::ClusterTopology,
};
use futures_util::future;
use semel_core::model::{Durability, Incarnation};
use semel_store::{ServerError, ServerReport};

/// The schema that this release writes, and the newest that it knows.
pub(super) const SCHEMA: i64 = 1;

/// The attempts of an inspection while other hosts change the marker.
const ATTEMPTS_MAX: u32 = 16;

/// The state of the ledger at an inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LedgerState {
    pub(super) durability: Durability,
    pub(super) epoch: [u8; EPOCH_BYTES],
    pub(super) incarnation: Incarnation,
    /// The report for the operator.
    pub(super) report: ServerReport,
}

/// The result of examining servers that are fit for a ledger.
pub(super) struct InspectionResult {
    /// `None` if there is no ledger yet.
    pub(super) marker: Option<Marker>,
    durability: Durability,
    report: ServerReport,
}

/// Inspects the servers and a ledger that must exist.
pub(super) async fn inspect_ledger(
    topology: &ClusterTopology,
    endpoint: &Endpoint,
) -> Result<LedgerState, ServerError> {
    let InspectionResult {
        marker,
        durability,
        report,
    } = examine_servers(topology, endpoint).await?;
    let marker = marker
        .filter(|marker| marker.is_ready || marker.schema != SCHEMA)
        .ok_or_else(|| not_set_up(endpoint))?;
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
    if !marker.is_complete() && durability != Durability::Unverified {
        return Err(ServerError::Unsafe {
            problem: "its append-only file does not hold everything yet, because it was turned on, or the server took over, just now".into(),
            cure: "wait until it is rewritten (`INFO persistence`), or run `BGREWRITEAOF`".to_owned(),
        });
    }
    Ok(LedgerState {
        durability,
        epoch: marker.epoch,
        incarnation: marker.incarnation(),
        report,
    })
}

/// Checks that the servers are fit for a ledger, and records the losses of an existing one.
pub(super) async fn examine_servers(
    topology: &ClusterTopology,
    endpoint: &Endpoint,
) -> Result<InspectionResult, ServerError> {
    for _ in 0..ATTEMPTS_MAX {
        // The marker is read first: the facts of the servers are recorded only if it is unchanged since.
        let found = Marker::read(topology.marker_server()).await;
        let answers = future::join_all(topology.nodes().map(ServerInfo::query)).await;
        let servers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let level = weakest_level(&servers, endpoint);
        if level
            .as_ref()
            .is_err_and(|error| !matches!(error, ServerError::Unsafe { .. }))
        {
            level.clone()?;
        }
        let marker = match found {
            Ok(Some(marker)) if marker.schema <= SCHEMA => {
                // Also for an unsafe server: a gap in its append-only file starts now, and must be recorded.
                let facts = servers
                    .iter()
                    .map(|server| server.facts(endpoint.accepts_unverified))
                    .collect();
                let Some(recorded) = marker.record(topology.marker_server(), facts).await? else {
                    continue;
                };
                Ok(Some(recorded))
            }
            other => other,
        };
        let durability = level?;
        return Ok(InspectionResult {
            marker: marker?,
            durability,
            report: server::combine_reports(&servers),
        });
    }
    Err(ServerError::other(
        "its servers keep changing during their inspection, or many hosts inspect them at once",
    ))
}

/// Returns the level of the weakest server.
fn weakest_level(servers: &[ServerInfo], endpoint: &Endpoint) -> Result<Durability, ServerError> {
    servers
        .iter()
        .try_fold(Durability::PowerLoss, |weakest, server| {
            let level = server.check_fitness(endpoint.accepts_unverified)?;
            Ok(
                if weakest == Durability::Unverified || level == Durability::PowerLoss {
                    weakest
                } else {
                    level
                },
            )
        })
}

fn not_set_up(endpoint: &Endpoint) -> ServerError {
    ServerError::NotSetUp {
        place: endpoint.display_name().to_owned(),
        hint: "; if there was one, the server was flushed or restarted without its data, and acknowledged writes are gone",
    }
}
