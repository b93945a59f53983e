//! A ledger in a PostgreSQL database, shared by any number of hosts.
//!
//! ```no_run
//! use semel_postgres::PostgresStore;
//! use semel_store::ServerAddress;
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ServerAddress::new("postgres://semel@db.example/semel").with_password("secret");
//! let store = PostgresStore::open(&server).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Every transition is one statement that commits by itself, with its condition in it. Many transitions are
//! one statement with a condition and a result for each (`statement`). Times are the server's. There is no
//! advisory lock and no open transaction, so a host that dies leaves nothing behind.
//!
//! **Reads are durable.** PostgreSQL makes a transaction visible after its commit record is on the disk, and
//! after the synchronous standbys have it. In `RecordTransactionCommit`, `XLogFlush` and
//! `SyncRepWaitForLSN` come before the transaction leaves the list of those in progress. This requires
//! `synchronous_commit` of every writer, which each session here ensures. The one exception is a cancelled
//! wait for a standby: the server warns, and the results of that session's statements are *unknown* then.
//!
//! **Errors.** A statement with an error of the server is rolled back: not executed. After a lost
//! connection, a fatal error, or a timeout, the result is unknown.
//!
//! **The incarnation** changes where acknowledged writes may be lost. It is made of a random value in the
//! ledger, the server's identity, and its timeline, which changes when a standby is promoted or the server
//! recovers to an earlier moment. A connection belongs to one server process, so each is checked once. A
//! promotion loses nothing if it is that of a standby for which `synchronous_commit` waited, but no server
//! can confirm that.
//!
//! **Cost.** A first call is two round trips and two commits. A repeat of a settled call is one round trip
//! without a commit: a creation that finds an entry returns it, and begins with a read if this process
//! knows of the entry (`known_keys`). Under load up to 128 commands share a statement, over a pool of four
//! connections; a lone caller uses its own task. A wait costs an occasional read. Measured
//! (`cargo xtask bench stores`, the server on the same two cores, a sync of 0.2 ms): one caller takes 0.78
//! to 0.89 ms, and `pgbench` 0.54 to 0.61 with two minimal statements. A quarter of the difference is the
//! statements' own, and most of it this process's work, probably slowed by cold caches. 64 callers make
//! 8,300 to 9,900 calls a second with 0.15 commits each, 1.4 times `pgbench`'s best, and 45,000 repeats,
//! 0.8 of the bare read. A waiter on another host wakes after 1.3 ms.
//!
//! Absent: checksums of rows (`data_checksums` of the server has that purpose); [`Store::scrub`] (its
//! administrator runs `VACUUM`, and owns backups and the log); connections through a pooler that shares
//! sessions between transactions; and detection of files that were copied back without recovery.

mod checks;
mod command;
mod endpoint;
mod known_keys;
mod pool;
mod row;
mod schema;
mod session;
mod statement;
mod subscriber;
mod watch;

use async_trait::async_trait;
use command::{Command, CommandResult};
use endpoint::Endpoint;
use known_keys::KnownKeys;
use pool::ConnectionPool;
use row::{EntryRow, NewRow, to_column};
use semel_core::{
    ledger::Entry,
    model::{Durability, Stamp, StoreKey},
};
use semel_store::RunToCompletion;
use semel_store::{
    Backoff, Clock, CreateResult, EntryQuery, KeyPage, PAGE_MAX, RemoveResult, ReplaceResult,
    Retention, ServerAddress, ServerError, ServerReport, Store, StoreError, StoredEntry, Version,
};
use session::Session;
use std::{fmt, sync::Arc, time::Duration};
use subscriber::ChangeSubscriber;
use tokio_postgres::types::ToSql;

pub use schema::{PARTITIONS_MAX, PostgresSetup, SetupResult};

/// The polling of waiters, in case a notification is lost.
const POLL_BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(320));

/// The entries that one statement purges.
const PURGE_BATCH: usize = 500;

/// A ledger in a PostgreSQL database.
pub struct PostgresStore {
    endpoint: Arc<Endpoint>,
    pool: Arc<ConnectionPool>,
    subscriber: Arc<ChangeSubscriber>,
    known_keys: KnownKeys,
    clock: Option<Arc<dyn Clock>>,
    health: Arc<watch::ServerHealth>,
    /// The periodic check, which ends with the store.
    watcher: tokio::task::JoinHandle<()>,
}

impl PostgresStore {
    /// Opens the ledger in this database.
    ///
    /// # Errors
    ///
    /// If the server is not reached, has no ledger that this release can use ([`Self::set_up`] creates one),
    /// or would not keep acknowledged writes.
    pub async fn open(server: &ServerAddress) -> Result<Self, ServerError> {
        Self::open_with_clock(server, None).await
    }

    /// As [`Self::open`], by this clock in place of the server's. Hidden because all hosts of a
    /// ledger must share its clock: for tests only.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    #[doc(hidden)]
    pub async fn open_with_clock(
        server: &ServerAddress,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self, ServerError> {
        let endpoint = Arc::new(Endpoint::new(server)?);
        let subscriber = ChangeSubscriber::new();
        subscriber.listen(&endpoint).await;
        let first = Session::open(&endpoint, Arc::new(|_| {})).await?;
        let health = Arc::new(watch::ServerHealth::new(first.state.clone()));
        let pool = Arc::new(ConnectionPool::new(
            Arc::clone(&endpoint),
            first,
            clock.clone(),
            Arc::clone(&subscriber),
        ));
        let watcher = tokio::spawn(watch::watch_server(
            Arc::clone(&endpoint),
            Arc::downgrade(&pool),
            Arc::downgrade(&subscriber),
            Arc::clone(&health),
        ));
        Ok(Self {
            endpoint,
            pool,
            subscriber,
            known_keys: KnownKeys::new(),
            clock,
            health,
            watcher,
        })
    }

    /// Creates the ledger in this database, or upgrades it. It may be run repeatedly, by a user
    /// with the right to create tables; hosts need no such right.
    ///
    /// # Errors
    ///
    /// If the server is not reached, or does not allow it. Nothing is changed then.
    pub async fn set_up(
        server: &ServerAddress,
        setup: &PostgresSetup,
    ) -> Result<SetupResult, ServerError> {
        let endpoint = Endpoint::new(server)?;
        let (mut client, _) = session::connect(&endpoint, Arc::new(|_| {})).await?;
        schema::set_up(&mut client, &endpoint, setup).await
    }

    /// Returns the server's state at its last check, which runs every few seconds.
    #[must_use]
    pub fn report(&self) -> ServerReport {
        self.health.report()
    }

    fn now(&self) -> Option<i64> {
        self.clock
            .as_ref()
            .map(|clock| to_column(clock.now().wall_ms))
    }

    async fn version_at(&self, key: StoreKey) -> Result<Option<Version>, StoreError> {
        match self
            .pool
            .execute(Command::Get(key))
            .await?
            .without_expired()
        {
            CommandResult::Current(Some(row), _) => Ok(Some(row.version()?)),
            CommandResult::Current(None, _) | CommandResult::Written(_) => Ok(None),
        }
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Decodes the entry, in the task of the caller.
fn decode(row: Option<Arc<EntryRow>>) -> Result<Option<StoredEntry>, StoreError> {
    Ok(row.map(|row| row.to_entry()).transpose()?)
}

async fn create(
    pool: &Arc<ConnectionPool>,
    key: StoreKey,
    entry: &Entry,
    version: Version,
    keep: Retention,
) -> Result<CommandResult, StoreError> {
    pool.execute(Command::Create(
        key,
        Arc::new(NewRow::new(entry, version, keep)?),
    ))
    .await
}

/// Creates an entry after a read, which mostly finds one.
async fn read_or_create(
    pool: &Arc<ConnectionPool>,
    key: StoreKey,
    entry: &Entry,
    version: Version,
    keep: Retention,
) -> Result<CommandResult, StoreError> {
    match pool
        .execute(Command::Get(key))
        .await
        .map(CommandResult::without_expired)
    {
        Ok(found @ CommandResult::Current(Some(_), _)) => Ok(found),
        Ok(_) => create(pool, key, entry, version, keep).await,
        Err(error) => Err(error.into_read_error()),
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        let result = if self.known_keys.contains(key) {
            let pool = Arc::clone(&self.pool);
            let entry = Arc::clone(entry);
            RunToCompletion::new(
                async move { read_or_create(&pool, key, &entry, version, keep).await },
            )
            .await?
        } else {
            create(&self.pool, key, entry, version, keep).await?
        };
        self.known_keys.insert(key);
        match result {
            CommandResult::Written(now) => Ok(CreateResult::Created(now)),
            CommandResult::Current(row, now) => match decode(row)? {
                Some(stored) => Ok(CreateResult::Exists(stored, now)),
                None => Err(StoreError::unknown(
                    "nothing was created, and there is no entry",
                )),
            },
        }
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<ReplaceResult, StoreError> {
        let new = Arc::new(NewRow::new(entry, version, keep)?);
        let result = self
            .pool
            .execute(Command::Replace(key, expected, new))
            .await?;
        Ok(match result.without_expired() {
            CommandResult::Written(now) => ReplaceResult::Replaced(now),
            CommandResult::Current(row, now) => ReplaceResult::Changed(decode(row)?, now),
        })
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        let result = self.pool.execute(Command::Remove(key, expected)).await?;
        Ok(match result.without_expired() {
            CommandResult::Written(_) => RemoveResult::Removed,
            CommandResult::Current(row, now) => RemoveResult::Changed(decode(row)?, now),
        })
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        match self
            .pool
            .execute(Command::Get(key))
            .await?
            .without_expired()
        {
            CommandResult::Current(row, now) => Ok((decode(row)?, now)),
            CommandResult::Written(now) => Ok((None, now)),
        }
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        let limit = query.limit.min(PAGE_MAX);
        let states = (!query.states.is_empty()).then(|| {
            query
                .states
                .iter()
                .map(|state| state.word())
                .collect::<Vec<&'static str>>()
        });
        let only_open = query.due
            || query.states.iter().all(|state| state.is_open()) && !query.states.is_empty();
        let after: &[u8] = query.after.as_ref().map_or(&[], |key| key.as_bytes());
        let tenant = query.tenant.as_ref().map(|tenant| tenant.as_str());
        // One key more than asked shows if there is another page.
        let count = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let now = self.now();
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&now, &after, &tenant, &states, &query.due, &count];
        let borrowed = self.pool.borrow_session().await?;
        let session = borrowed.session()?;
        let statement = if only_open {
            &session.statements.list_open
        } else {
            &session.statements.list
        };
        let found = session.query(statement, &parameters).await?;
        let keys: Result<Vec<_>, _> = found.iter().map(|found| row::read_key(found, 0)).collect();
        let mut keys = keys.map_err(StoreError::not_executed)?;
        let more = keys.len() > limit;
        keys.truncate(limit);
        Ok(KeyPage { keys, more })
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        let borrowed = self.pool.borrow_session().await?;
        let session = borrowed.session()?;
        let mut purged = 0;
        loop {
            let batch = PURGE_BATCH.min(at_most - purged);
            let count = i64::try_from(batch).unwrap_or(i64::MAX);
            let dropped = session
                .query(&session.statements.purge, &[&self.now(), &count])
                .await?
                .len();
            purged += dropped;
            if dropped < batch || purged >= at_most {
                return Ok(purged);
            }
        }
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        Err(StoreError::not_executed(
            "PostgreSQL's files keep overwritten and removed content until they reuse its space: let the owner run `VACUUM FULL semel.entry`, and let older log archives and backups expire",
        ))
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        let has_changed = || async {
            self.version_at(key)
                .await
                .is_ok_and(|version| version != Some(since))
        };
        self.subscriber
            .waiters()
            .wait_until_changed(key, at_most, POLL_BACKOFF, has_changed)
            .await;
    }

    fn durability(&self) -> Durability {
        self.health.durability()
    }

    fn reads_cheaply(&self) -> bool {
        false
    }
}
