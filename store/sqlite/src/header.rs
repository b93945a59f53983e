//! The header of a database file, which separates a ledger from every other file.

use super::{error::SqliteOpenError, file::LedgerFile};
use rusqlite::Connection;

/// The application ID of a ledger: `SEML`.
pub(super) const APPLICATION_ID: i64 = 0x5345_4D4C;

/// The schema that this release writes, and the only one that it knows. Schema 1, before the first release, had another
/// checksum.
pub(super) const SCHEMA: i64 = 2;

/// The content of a file that may hold a ledger.
pub(super) enum FileContent {
    /// An empty database.
    Empty,
    /// A ledger of a known schema.
    Ledger,
}

/// Reads the header through this connection. Any other content than [`FileContent`] is an error.
pub(super) fn inspect(
    file: &LedgerFile,
    connection: &Connection,
) -> Result<FileContent, SqliteOpenError> {
    // One statement, so that no other process creates the ledger between two of its values.
    const HEADER: &str = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
        FROM pragma_application_id, pragma_user_version";
    let header = connection.query_row(HEADER, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    match header.map_err(|error| file.sqlite_error(&error))? {
        (0_i64, 0_i64, 0_i64) => Ok(FileContent::Empty),
        (APPLICATION_ID, SCHEMA, _) => Ok(FileContent::Ledger),
        (APPLICATION_ID, found, _) if found > SCHEMA => Err(SqliteOpenError::Newer {
            path: file.path().to_owned(),
            found,
            known: SCHEMA,
        }),
        (APPLICATION_ID, found @ 1.., _) => Err(SqliteOpenError::Older {
            path: file.path().to_owned(),
            found,
            known: SCHEMA,
        }),
        _ => Err(SqliteOpenError::Foreign(file.path().to_owned())),
    }
}
