//! The checks of a session: durability, role, schema and incarnation of its server.

use super::{endpoint::Endpoint, schema};
use semel_core::model::{Durability, Incarnation};
use semel_store::{ServerError, ServerReport};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant, SystemTime};
use tokio_postgres::Client;

/// The state of the ledger at a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LedgerState {
    pub(super) durability: Durability,
    pub(super) incarnation: Incarnation,
    pub(super) report: ServerReport,
}

/// The query of the settings. Values that only a primary has are null on a standby.
const SETTINGS_QUERY: &str = "SELECT
    pg_is_in_recovery(),
    current_setting('transaction_read_only') = 'on',
    current_setting('fsync'),
    current_setting('full_page_writes'),
    current_setting('synchronous_commit'),
    current_setting('synchronous_standby_names'),
    CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END,
    (SELECT system_identifier FROM pg_control_system()),
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    current_setting('server_version')";

/// The query of the table's persistence, or of all its partitions.
const PERSISTENCE_QUERY: &str = "SELECT bool_and(relpersistence = 'p') FROM pg_class
    WHERE oid = 'semel.entry'::regclass
        OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'semel.entry'::regclass)";

/// Checks a new session, and strengthens its own settings where it can.
pub(super) async fn check_session(
    client: &Client,
    endpoint: &Endpoint,
) -> Result<LedgerState, ServerError> {
    let server_error = |error| endpoint.server_error(error);
    let begun = Instant::now();
    let asked_at = wall_ms();
    let row = client
        .query_one(SETTINGS_QUERY, &[])
        .await
        .map_err(server_error)?;
    let latency = begun.elapsed();
    let text = |at: usize| row.try_get::<_, String>(at).map_err(server_error);
    if row.try_get::<_, bool>(0).map_err(server_error)? {
        return Err(ServerError::ReadOnly {
            place: endpoint.display_name().to_owned(),
            problem: "it is a standby".into(),
        });
    }
    if row.try_get::<_, bool>(1).map_err(server_error)? {
        let problem = "`default_transaction_read_only` is on".into();
        return Err(ServerError::ReadOnly {
            place: endpoint.display_name().to_owned(),
            problem,
        });
    }
    let ledger = schema::find_ledger(client, endpoint).await?;
    ensure_on("fsync", &text(2)?)?;
    ensure_on("full_page_writes", &text(3)?)?;
    let commit = ensure_synchronous_commit(client, endpoint, text(4)?).await?;
    let logged = client
        .query_one(PERSISTENCE_QUERY, &[])
        .await
        .map_err(server_error)?;
    if logged.try_get::<_, Option<bool>>(0).map_err(server_error)? == Some(false) {
        return Err(ServerError::Unsafe {
            problem: "the table `semel.entry` is not logged, and is emptied by a crash".into(),
            cure: "run `ALTER TABLE semel.entry SET LOGGED`".to_owned(),
        });
    }
    let standbys = text(5)?;
    let timeline = text(6)?;
    let system = row.try_get::<_, i64>(7).map_err(server_error)?;
    let survives_machine_loss = !standbys.is_empty() && commit != "local";
    Ok(LedgerState {
        durability: if survives_machine_loss {
            Durability::MachineLoss
        } else {
            Durability::PowerLoss
        },
        incarnation: incarnation(ledger, system, &timeline),
        report: ServerReport {
            settings: vec![
                ("server_version", text(9)?),
                ("synchronous_commit", commit),
                ("synchronous_standby_names", standbys),
                ("timeline", timeline),
            ],
            latency,
            // The server is assumed to have read its clock in the middle of the round trip.
            clock_ahead_ms: row.try_get::<_, i64>(8).map_err(server_error)?
                - asked_at
                - half_ms(latency),
        },
    })
}

fn wall_ms() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

fn half_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis() / 2).unwrap_or(i64::MAX)
}

fn ensure_on(name: &str, value: &str) -> Result<(), ServerError> {
    if value == "on" {
        return Ok(());
    }
    Err(ServerError::Unsafe {
        problem: format!("`{name}` is {value}").into(),
        cure: format!("run `ALTER SYSTEM SET {name} = on`, then `SELECT pg_reload_conf()`"),
    })
}

/// Sets `synchronous_commit` for the session if the server's, database's or user's value is weaker, and
/// returns the value in effect.
async fn ensure_synchronous_commit(
    client: &Client,
    endpoint: &Endpoint,
    found: String,
) -> Result<String, ServerError> {
    if matches!(found.as_str(), "on" | "remote_apply" | "remote_write") {
        return Ok(found);
    }
    client
        .batch_execute("SET synchronous_commit = on")
        .await
        .map_err(|error| endpoint.server_error(error))?;
    Ok("on".to_owned())
}

/// Returns the incarnation of the ledger, which changes where acknowledged writes may be missing.
///
/// It is made of the ledger's random value, the server's identity, and its timeline. The timeline changes
/// when a standby is promoted, or the server recovers to an earlier moment.
fn incarnation(ledger: i64, system: i64, timeline: &str) -> Incarnation {
    let mut digest = Sha256::new();
    digest.update(ledger.to_be_bytes());
    digest.update(system.to_be_bytes());
    digest.update(timeline);
    let digest: [u8; 32] = digest.finalize().into();
    Incarnation(
        digest
            .first_chunk()
            .map_or(0, |first| u64::from_be_bytes(*first)),
    )
}
