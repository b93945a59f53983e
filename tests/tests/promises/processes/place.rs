//! Where the ledger of a process lies.

use crate::world::{file, memory};
use semel::store::{Clock, ClockReading, ServerAddress, SqliteStore, Store, SystemClock};
use semel_postgres::PostgresStore;
use semel_redis::RedisStore;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc};

/// A ledger that outlives the process, but for the one in memory: that is for controls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Place {
    Memory,
    File(PathBuf),
    /// In the PostgreSQL database with this URL.
    Postgres(String),
    /// In the Redis server with this URL.
    Redis(String),
}

impl Place {
    /// The store, if its server is reached.
    pub async fn try_open(&self) -> Option<Arc<dyn Store>> {
        Some(match self {
            Self::Memory => memory(),
            Self::File(path) => file(path),
            Self::Postgres(url) => {
                Arc::new(PostgresStore::open(&ServerAddress::new(url)).await.ok()?)
            }
            Self::Redis(url) => Arc::new(RedisStore::open(&ServerAddress::new(url)).await.ok()?),
        })
    }

    pub async fn open(&self) -> Arc<dyn Store> {
        self.try_open()
            .await
            .unwrap_or_else(|| panic!("{self:?} does not open"))
    }

    /// Opens the store a long time later: leases have ended without a wait.
    pub async fn open_later(&self) -> Arc<dyn Store> {
        let clock: Arc<dyn Clock> = Arc::new(Later(SystemClock::new()));
        match self {
            Self::Memory => memory(),
            Self::File(path) => Arc::new(SqliteStore::open_with_clock(path, clock).unwrap()),
            Self::Postgres(url) => Arc::new(
                PostgresStore::open_with_clock(&ServerAddress::new(url), Some(clock))
                    .await
                    .unwrap(),
            ),
            Self::Redis(url) => Arc::new(
                RedisStore::open_with_clock(&ServerAddress::new(url), Some(clock))
                    .await
                    .unwrap(),
            ),
        }
    }
}

/// An hour: longer than any attempt, shorter than the shop remembers keys.
const LATER_MS: u64 = 3_600_000;

/// The machine's clock, some time later.
#[derive(Debug)]
struct Later(SystemClock);

impl Clock for Later {
    fn now(&self) -> ClockReading {
        let now = self.0.now();
        ClockReading {
            wall_ms: now.wall_ms + LATER_MS,
            steady_ms: now.steady_ms + LATER_MS,
            ..now
        }
    }
}
