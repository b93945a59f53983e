//! The tables of a ledger: found, created, upgraded, and left alone if they belong to another
//! program.
//!
//! A host never changes them. `semel ledger init` does, as often as one likes, in one transaction; afterwards a role that
//! may read and write the tables, and make none, is enough.

use super::endpoint::{Endpoint, describe_error};
use semel_store::ServerError;
use semel_store::fresh_nonce;
use tokio_postgres::{
    Client, Transaction,
    error::{Error, SqlState},
};

/// The schemas, each from the one before. What was released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("sql/1.sql")];

/// The schema that this release needs.
const SCHEMA: i64 = MIGRATIONS.len() as i64;

/// The most parts that a table of entries has.
pub const PARTITIONS_MAX: u32 = 1_024;

/// Any number: those that set a ledger up at the same time wait for each other.
const TURN: i64 = 0x5345_4D4C;

/// The settings of a new ledger.
#[derive(Debug, Clone, Default)]
pub struct PostgresSetup {
    /// Into how many parts its table is divided, by hash of the key; none: it is one. Only when it is made.
    pub partitions: Option<u32>,
    /// The roles besides its owner that may read and write it.
    pub grant_to: Vec<String>,
}

/// The result of setting a ledger up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupResult {
    /// It was made.
    Made,
    /// It was brought up to date.
    Updated,
    /// It was there already.
    Found,
}

/// The random value of the ledger that lies there, if this release can use it.
pub(super) async fn find(client: &Client, place: &Endpoint) -> Result<i64, ServerError> {
    let row = match client
        .query_opt("SELECT schema::bigint, life FROM semel.ledger", &[])
        .await
    {
        Ok(Some(row)) => row,
        Ok(None) => return Err(missing(place)),
        Err(error) if is_missing(error.code()) => return Err(missing(place)),
        Err(error) => return Err(place.fault(&error)),
    };
    let fault = |error| place.fault(&error);
    match row.try_get::<_, i64>(0).map_err(fault)? {
        SCHEMA => row.try_get(1).map_err(fault),
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

fn missing(place: &Endpoint) -> ServerError {
    ServerError::NotSetUp {
        place: place.shown().to_owned(),
        hint: ", as a user who may make tables",
    }
}

fn is_missing(code: Option<&SqlState>) -> bool {
    code.is_some_and(|code| {
        [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(code)
    })
}

/// Makes the ledger, or brings it up to date.
pub(super) async fn set_up(
    client: &mut Client,
    place: &Endpoint,
    setup: &PostgresSetup,
) -> Result<SetupResult, ServerError> {
    if setup
        .partitions
        .is_some_and(|parts| parts == 0 || parts > PARTITIONS_MAX)
    {
        return Err(ServerError::Other(format!(
            "a ledger has 1 to {PARTITIONS_MAX} partitions"
        )));
    }
    let fault = |error| refused(&error, place);
    let transaction = client.transaction().await.map_err(fault)?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&TURN])
        .await
        .map_err(fault)?;
    let found = present(&transaction, place).await?;
    if found > SCHEMA {
        return Err(ServerError::Newer {
            found,
            known: SCHEMA,
        });
    }
    migrate(&transaction, place, setup, found).await?;
    for role in &setup.grant_to {
        transaction
            .batch_execute(&grants(role))
            .await
            .map_err(fault)?;
    }
    transaction.commit().await.map_err(fault)?;
    Ok(match found {
        0 => SetupResult::Made,
        SCHEMA => SetupResult::Found,
        _ => SetupResult::Updated,
    })
}

/// Returns the error of a creation without the rights, which exceed a host's.
fn refused(error: &Error, place: &Endpoint) -> ServerError {
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => ServerError::Denied {
            problem: describe_error(error),
            cure: "set the ledger up as a user who may make a schema in this database, such as its owner, or to whom the schema `semel` belongs",
        },
        _ => place.fault(error),
    }
}

/// The schema that is there; 0: none.
async fn present(transaction: &Transaction<'_>, place: &Endpoint) -> Result<i64, ServerError> {
    let fault = |error| refused(&error, place);
    let table = transaction
        .query_one("SELECT to_regclass('semel.ledger') IS NOT NULL", &[])
        .await
        .map_err(fault)?;
    if !table.try_get::<_, bool>(0).map_err(fault)? {
        return Ok(0);
    }
    let row = transaction
        .query_opt("SELECT schema::bigint FROM semel.ledger", &[])
        .await
        .map_err(fault)?;
    row.map_or(Ok(0), |row| row.try_get(0).map_err(fault))
}

async fn migrate(
    transaction: &Transaction<'_>,
    place: &Endpoint,
    setup: &PostgresSetup,
    found: i64,
) -> Result<(), ServerError> {
    let fault = |error| refused(&error, place);
    if found == 0 {
        transaction
            .batch_execute("CREATE SCHEMA IF NOT EXISTS semel")
            .await
            .map_err(fault)?;
    }
    for migration in MIGRATIONS
        .iter()
        .skip(usize::try_from(found).unwrap_or_default())
    {
        transaction
            .batch_execute(&divided(migration, setup.partitions))
            .await
            .map_err(fault)?;
    }
    if found == 0 {
        let life =
            fresh_nonce().map_err(|error| ServerError::Other(format!("no randomness: {error}")))?;
        let life = i64::from_be_bytes(*life.as_bytes().first_chunk().unwrap_or(&[0; 8]));
        let schema = i32::try_from(SCHEMA).unwrap_or_default();
        let made = "INSERT INTO semel.ledger (schema, life) VALUES ($1, $2)";
        transaction
            .execute(made, &[&schema, &life])
            .await
            .map_err(fault)?;
    } else if found < SCHEMA {
        let schema = i32::try_from(SCHEMA).unwrap_or_default();
        transaction
            .execute("UPDATE semel.ledger SET schema = $1", &[&schema])
            .await
            .map_err(fault)?;
    }
    Ok(())
}

/// A migration that makes the table of entries in so many parts.
fn divided(migration: &str, partitions: Option<u32>) -> String {
    let Some(parts) = partitions else {
        return migration.to_owned();
    };
    let tables = (0..parts).map(|part| {
        format!("CREATE TABLE semel.entry_{part} PARTITION OF semel.entry FOR VALUES WITH (MODULUS {parts}, REMAINDER {part});\n")
    });
    let divided = migration.replace("/* PARTITION BY HASH (key) */", "PARTITION BY HASH (key)");
    divided + &tables.collect::<String>()
}

fn grants(role: &str) -> String {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    format!(
        "GRANT USAGE ON SCHEMA semel TO {role};
         GRANT SELECT ON semel.ledger TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON semel.entry TO {role}"
    )
}
