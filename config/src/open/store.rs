//! The store of a ledger, by its URL.

use super::SetupError;
use crate::{LedgerPlace, ServerPlace};
use semel::store::{MemoryStore, ServerAddress, ServerReport, SqliteStore, Store};
#[cfg(feature = "postgres")]
use semel_postgres::PostgresStore;
#[cfg(feature = "redis")]
use semel_redis::RedisStore;
use std::{path::Path, sync::Arc};

/// The store of a ledger, without sealing.
#[non_exhaustive]
pub enum OpenedStore {
    /// In memory.
    Memory(Box<MemoryStore>),
    /// In a SQLite file.
    Sqlite(SqliteStore),
    /// In a PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(PostgresStore),
    /// In a Redis server.
    #[cfg(feature = "redis")]
    Redis(RedisStore),
}

impl OpenedStore {
    /// Opens the store at this place.
    ///
    /// # Errors
    /// [`SetupError::Folder`] or [`SetupError::Store`] if it cannot be opened,
    /// [`SetupError::MissingDriver`] if the driver for its URL is not compiled in.
    pub async fn open(place: &LedgerPlace) -> Result<Self, SetupError> {
        match place {
            LedgerPlace::Memory => Ok(Self::Memory(Box::default())),
            LedgerPlace::Sqlite { path, .. } => open_file(place, path).map(Self::Sqlite),
            LedgerPlace::Postgres(server) => Self::open_postgres(server).await,
            LedgerPlace::Redis(server) => Self::open_redis(server).await,
        }
    }

    #[cfg(feature = "postgres")]
    async fn open_postgres(place: &ServerPlace) -> Result<Self, SetupError> {
        let opened = PostgresStore::open(&place.to_server()).await;
        opened.map(Self::Postgres).map_err(SetupError::from_store)
    }

    #[cfg(not(feature = "postgres"))]
    #[expect(clippy::unused_async, reason = "as with the driver")]
    async fn open_postgres(_: &ServerPlace) -> Result<Self, SetupError> {
        Err(SetupError::MissingDriver {
            scheme: "postgres",
            feature: "postgres",
        })
    }

    #[cfg(feature = "redis")]
    async fn open_redis(place: &ServerPlace) -> Result<Self, SetupError> {
        let opened = RedisStore::open(&place.to_server()).await;
        opened.map(Self::Redis).map_err(SetupError::from_store)
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_async, reason = "as with the driver")]
    async fn open_redis(_: &ServerPlace) -> Result<Self, SetupError> {
        Err(SetupError::MissingDriver {
            scheme: "redis",
            feature: "redis",
        })
    }

    /// Returns the store for a host.
    #[must_use]
    pub fn into_store(self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::new(*store),
            Self::Sqlite(store) => Arc::new(store),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::new(store),
            #[cfg(feature = "redis")]
            Self::Redis(store) => Arc::new(store),
        }
    }

    /// The settings, latency and clock of the ledger's server, if it has one.
    #[must_use]
    pub fn server_report(&self) -> Option<ServerReport> {
        match self {
            Self::Memory(_) | Self::Sqlite(_) => None,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Some(store.report()),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.report(),
        }
    }

    /// Reads the whole of a ledger's file, and checks it for damage. A server's ledger is not checked.
    ///
    /// # Errors
    /// [`SetupError::Store`] if the file is damaged.
    pub fn check_file(&self) -> Result<(), SetupError> {
        match self {
            Self::Sqlite(store) => store.check().map_err(SetupError::from_store),
            _ => Ok(()),
        }
    }
}

impl ServerPlace {
    /// Returns the server for a driver, with its password.
    #[must_use]
    pub fn to_server(&self) -> ServerAddress {
        let mut server = ServerAddress::new(self.url.reveal());
        if let Some(password) = &self.password {
            server = server.with_password(password.reveal());
        }
        if self.accept_unverified {
            server = server.allow_unverified();
        }
        server
    }
}

fn open_file(place: &LedgerPlace, path: &Path) -> Result<SqliteStore, SetupError> {
    place
        .create_default_folder()
        .map_err(|source| SetupError::Folder {
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            source,
        })?;
    SqliteStore::open(path).map_err(SetupError::from_store)
}
