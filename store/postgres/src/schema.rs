//! The tables of a ledger: found, created and upgraded.
//!
//! Hosts never change the schema. `semel ledger init` does, in one transaction, and can be repeated.
//! Afterwards a role with the right to read and write the tables is enough.

use super::endpoint::{Endpoint, describe_error};
use semel_store::{ServerError, SharedError, fresh_nonce};
use tokio_postgres::{
    Client, Transaction,
    error::{Error, SqlState},
};

/// The migrations, each from the previous schema. A released one never changes.
const MIGRATIONS: &[&str] = &[include_str!("sql/1.sql")];

/// The schema that this release needs.
const SCHEMA: i64 = MIGRATIONS.len() as i64;

/// The most partitions of the table of entries.
pub const PARTITIONS_MAX: u32 = 1_024;

/// The advisory lock that serializes concurrent setups: an arbitrary number.
const SETUP_LOCK: i64 = 0x5345_4D4C;

/// The settings of a new ledger.
#[derive(Debug, Clone, Default)]
pub struct PostgresSetup {
    /// The number of partitions of its table, by hash of the key; `None` for a plain table. It takes effect
    /// only when the table is created.
    pub partitions: Option<u32>,
    /// The roles that may read and write it, besides its owner.
    pub grant_to: Vec<String>,
}

/// The result of setting a ledger up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupResult {
    /// The ledger was created.
    Created,
    /// The ledger was upgraded to this release's schema.
    Upgraded,
    /// The ledger existed already, with this schema.
    Unchanged,
}

/// Returns the random value of the ledger, if this release can use its schema.
pub(super) async fn find_ledger(client: &Client, endpoint: &Endpoint) -> Result<i64, ServerError> {
    let row = match client
        .query_opt("SELECT schema::bigint, life FROM semel.ledger", &[])
        .await
    {
        Ok(Some(row)) => row,
        Ok(None) => return Err(not_set_up(endpoint)),
        Err(error) if is_missing(error.code()) => return Err(not_set_up(endpoint)),
        Err(error) => return Err(endpoint.server_error(error)),
    };
    let server_error = |error| endpoint.server_error(error);
    match row.try_get::<_, i64>(0).map_err(server_error)? {
        SCHEMA => row.try_get(1).map_err(server_error),
        found if found > SCHEMA => Err(ServerError::Newer {
            found,
            known: SCHEMA,
        }),
        found => Err(ServerError::Older {
            found,
            known: SCHEMA,
        }),
    }
}

fn not_set_up(endpoint: &Endpoint) -> ServerError {
    ServerError::NotSetUp {
        place: endpoint.display_name().to_owned(),
        hint: ", as a user who may make tables",
    }
}

fn is_missing(code: Option<&SqlState>) -> bool {
    code.is_some_and(|code| {
        [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(code)
    })
}

/// Creates the ledger, or upgrades it.
pub(super) async fn set_up(
    client: &mut Client,
    endpoint: &Endpoint,
    setup: &PostgresSetup,
) -> Result<SetupResult, ServerError> {
    if setup
        .partitions
        .is_some_and(|parts| parts == 0 || parts > PARTITIONS_MAX)
    {
        return Err(ServerError::other(format!(
            "a ledger has 1 to {PARTITIONS_MAX} partitions"
        )));
    }
    let server_error = |error| setup_error(error, endpoint);
    let transaction = client.transaction().await.map_err(server_error)?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&SETUP_LOCK])
        .await
        .map_err(server_error)?;
    let found = current_schema(&transaction, endpoint).await?;
    if found > SCHEMA {
        return Err(ServerError::Newer {
            found,
            known: SCHEMA,
        });
    }
    migrate(&transaction, endpoint, setup, found).await?;
    for role in &setup.grant_to {
        transaction
            .batch_execute(&grant_statements(role))
            .await
            .map_err(server_error)?;
    }
    transaction.commit().await.map_err(server_error)?;
    Ok(match found {
        0 => SetupResult::Created,
        SCHEMA => SetupResult::Unchanged,
        _ => SetupResult::Upgraded,
    })
}

/// Classifies an error of the setup, which needs more rights than a host has.
fn setup_error(error: Error, endpoint: &Endpoint) -> ServerError {
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => ServerError::Denied {
            problem: SharedError::with_message(describe_error(&error), error),
            cure: "set the ledger up as a user who may make a schema in this database, such as its owner, or to whom the schema `semel` belongs",
        },
        _ => endpoint.server_error(error),
    }
}

/// Returns the present schema; 0 without a ledger.
async fn current_schema(
    transaction: &Transaction<'_>,
    endpoint: &Endpoint,
) -> Result<i64, ServerError> {
    let server_error = |error| setup_error(error, endpoint);
    let table = transaction
        .query_one("SELECT to_regclass('semel.ledger') IS NOT NULL", &[])
        .await
        .map_err(server_error)?;
    if !table.try_get::<_, bool>(0).map_err(server_error)? {
        return Ok(0);
    }
    let row = transaction
        .query_opt("SELECT schema::bigint FROM semel.ledger", &[])
        .await
        .map_err(server_error)?;
    row.map_or(Ok(0), |row| row.try_get(0).map_err(server_error))
}

async fn migrate(
    transaction: &Transaction<'_>,
    endpoint: &Endpoint,
    setup: &PostgresSetup,
    found: i64,
) -> Result<(), ServerError> {
    let server_error = |error| setup_error(error, endpoint);
    if found == 0 {
        transaction
            .batch_execute("CREATE SCHEMA IF NOT EXISTS semel")
            .await
            .map_err(server_error)?;
    }
    for migration in MIGRATIONS
        .iter()
        .skip(usize::try_from(found).unwrap_or_default())
    {
        transaction
            .batch_execute(&with_partitions(migration, setup.partitions))
            .await
            .map_err(server_error)?;
    }
    if found == 0 {
        let incarnation = fresh_nonce().map_err(ServerError::other)?;
        let incarnation =
            i64::from_be_bytes(*incarnation.as_bytes().first_chunk().unwrap_or(&[0; 8]));
        let schema = i32::try_from(SCHEMA).unwrap_or_default();
        let made = "INSERT INTO semel.ledger (schema, life) VALUES ($1, $2)";
        transaction
            .execute(made, &[&schema, &incarnation])
            .await
            .map_err(server_error)?;
    } else if found < SCHEMA {
        let schema = i32::try_from(SCHEMA).unwrap_or_default();
        transaction
            .execute("UPDATE semel.ledger SET schema = $1", &[&schema])
            .await
            .map_err(server_error)?;
    }
    Ok(())
}

/// Returns a migration that creates the table of entries with partitions.
fn with_partitions(migration: &str, partitions: Option<u32>) -> String {
    let Some(parts) = partitions else {
        return migration.to_owned();
    };
    let tables = (0..parts).map(|part| {
        format!("CREATE TABLE semel.entry_{part} PARTITION OF semel.entry FOR VALUES WITH (MODULUS {parts}, REMAINDER {part});\n")
    });
    let divided = migration.replace("/* PARTITION BY HASH (key) */", "PARTITION BY HASH (key)");
    divided + &tables.collect::<String>()
}

fn grant_statements(role: &str) -> String {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    format!(
        "GRANT USAGE ON SCHEMA semel TO {role};
         GRANT SELECT ON semel.ledger TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON semel.entry TO {role}"
    )
}
