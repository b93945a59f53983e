//! A ledger in a PostgreSQL database, shared by any number of hosts.
//!
//! Every transition is one statement that commits by itself, with its condition in it; many at once are one statement with
//! a condition and an answer for each (`statement`). Times are the server's. No advisory lock, no transaction that
//! stays open, nothing that a host could leave behind when it dies.
//!
//! **Reads are durable.** PostgreSQL makes a transaction visible after its commit record is on the
//! disk, and after the synchronous standbys have it (`RecordTransactionCommit`: `XLogFlush` and
//! `SyncRepWaitForLSN` come before the transaction leaves the list of those in progress), as long
//! as `synchronous_commit` is on for the writer, which each session here sets. The one exception is
//! a wait for a standby that was given up: the server warns, and the commands of that session are
//! *unknown* then.
//!
//! **What an error means.** What the server reports as an error it has rolled back: not executed. A connection that ends,
//! a fatal error, or no answer in time: unknown.
//!
//! **A ledger that may have lost writes** has another incarnation: made of a random value in the
//! ledger, the server's own identity, and its timeline, which changes when a standby takes over or
//! a server is restored to an earlier moment. A connection belongs to one server process, so it is
//! checked once for each. Where `synchronous_commit` waits for a standby and only such a standby
//! takes over, nothing is lost; that it was one, no server can confirm.
//!
//! **Cost.** A first call is two round trips and two commits. A repeat of a settled call is one
//! round trip without a commit: a creation that finds an entry returns it, and where this process
//! knows of one, it begins with a read (`known_keys`). Under load up to 128 commands share a
//! statement, over a pool of four connections; a lone caller asks in its own task. Waiting costs an
//! occasional read. Measured (`cargo xtask bench stores`, the server on the same two cores, a sync
//! of 0.2 ms): one caller 0.78 to 0.89 ms where `pgbench` takes 0.54 to 0.61 with two minimal
//! statements, a quarter of the difference being the statements' own, and most of it this process's
//! work, probably slowed by cold caches; 64 callers 8,300 to 9,900 calls a second with 0.15 commits
//! each, 1.4 times `pgbench`'s best, and 45,000 repeats, 0.8 of the bare read; a waiter on another
//! host wakes after 1.3 ms.
//!
//! Absent: sums of rows (the server's own `data_checksums` do that), [`Store::scrub`] (what `VACUUM` leaves is the
//! administrator's, as are backups and the log), connections through a pooler that shares sessions between
//! transactions, and any way to notice that the files were copied back without recovery.

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
use row::{NewRow, Row, number};
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

/// The entries that are dropped in one statement.
const PURGE_BATCH: usize = 500;

/// A ledger in a PostgreSQL database.
pub struct PostgresStore {
    place: Arc<Endpoint>,
    pool: Arc<ConnectionPool>,
    subscriber: Arc<ChangeSubscriber>,
    known: KnownKeys,
    clock: Option<Arc<dyn Clock>>,
    standing: Arc<watch::ServerHealth>,
    /// Ends with the store.
    watcher: tokio::task::JoinHandle<()>,
}

impl PostgresStore {
    /// Opens the ledger in this database.
    ///
    /// # Errors
    /// If the server is not reached, there is no ledger that this release can use ([`Self::set_up`] makes one), or the
    /// server would not keep what it acknowledges.
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
        let place = Arc::new(Endpoint::new(server)?);
        let subscriber = ChangeSubscriber::new();
        subscriber.listen(&place).await;
        let first = Session::open(&place, Arc::new(|_| {})).await?;
        let standing = Arc::new(watch::ServerHealth::of(first.finding.clone()));
        let pool = Arc::new(ConnectionPool::new(
            Arc::clone(&place),
            first,
            clock.clone(),
            Arc::clone(&subscriber),
        ));
        let watcher = tokio::spawn(watch::watch(
            Arc::clone(&place),
            Arc::downgrade(&pool),
            Arc::downgrade(&subscriber),
            Arc::clone(&standing),
        ));
        Ok(Self {
            place,
            pool,
            subscriber,
            known: KnownKeys::none(),
            clock,
            standing,
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
        let place = Endpoint::new(server)?;
        let (mut client, _) = session::connect(&place, Arc::new(|_| {})).await?;
        schema::set_up(&mut client, &place, setup).await
    }

    /// Returns the server's state at its last check, which runs every few seconds.
    #[must_use]
    pub fn report(&self) -> ServerReport {
        self.standing.report()
    }

    fn now(&self) -> Option<i64> {
        self.clock.as_ref().map(|clock| number(clock.now().wall_ms))
    }

    async fn version_at(&self, key: StoreKey) -> Result<Option<Version>, StoreError> {
        match self
            .pool
            .carry_out(Command::Get(key))
            .await?
            .without_what_ended()
        {
            CommandResult::Found(Some(row), _) => Ok(Some(row.version()?)),
            CommandResult::Found(None, _) | CommandResult::Done(_) => Ok(None),
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
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Parses the entry, in the task of the caller.
fn stored(row: Option<Arc<Row>>) -> Result<Option<StoredEntry>, StoreError> {
    Ok(row.map(|row| row.stored()).transpose()?)
}

async fn create(
    pool: &Arc<ConnectionPool>,
    key: StoreKey,
    entry: &Entry,
    version: Version,
    keep: Retention,
) -> Result<CommandResult, StoreError> {
    pool.carry_out(Command::Create(
        key,
        Arc::new(NewRow::of(entry, version, keep)?),
    ))
    .await
}

/// Creates where nothing lies, after a look that mostly finds something.
async fn look_and_create(
    pool: &Arc<ConnectionPool>,
    key: StoreKey,
    entry: &Entry,
    version: Version,
    keep: Retention,
) -> Result<CommandResult, StoreError> {
    match pool
        .carry_out(Command::Get(key))
        .await
        .map(CommandResult::without_what_ended)
    {
        Ok(found @ CommandResult::Found(Some(_), _)) => Ok(found),
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
        let told = if self.known.has(key) {
            let pool = Arc::clone(&self.pool);
            let entry = Arc::clone(entry);
            RunToCompletion::new(
                async move { look_and_create(&pool, key, &entry, version, keep).await },
            )
            .await?
        } else {
            create(&self.pool, key, entry, version, keep).await?
        };
        self.known.add(key);
        match told {
            CommandResult::Done(now) => Ok(CreateResult::Created(now)),
            CommandResult::Found(row, now) => match stored(row)? {
                Some(stored) => Ok(CreateResult::Exists(stored, now)),
                None => Err(StoreError::unknown(
                    "nothing was created, and nothing lies there",
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
        let new = Arc::new(NewRow::of(entry, version, keep)?);
        let told = self
            .pool
            .carry_out(Command::Replace(key, expected, new))
            .await?;
        Ok(match told.without_what_ended() {
            CommandResult::Done(now) => ReplaceResult::Replaced(now),
            CommandResult::Found(row, now) => ReplaceResult::Changed(stored(row)?, now),
        })
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        let told = self.pool.carry_out(Command::Remove(key, expected)).await?;
        Ok(match told.without_what_ended() {
            CommandResult::Done(_) => RemoveResult::Removed,
            CommandResult::Found(row, now) => RemoveResult::Changed(stored(row)?, now),
        })
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        match self
            .pool
            .carry_out(Command::Get(key))
            .await?
            .without_what_ended()
        {
            CommandResult::Found(row, now) => Ok((stored(row)?, now)),
            CommandResult::Done(now) => Ok((None, now)),
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
        // One more than asked, to know whether there is more.
        let count = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let now = self.now();
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&now, &after, &tenant, &states, &query.due, &count];
        let borrowed = self.pool.borrow().await?;
        let session = borrowed.session()?;
        let statement = if only_open {
            &session.statements.list_open
        } else {
            &session.statements.list
        };
        let found = session.ask(statement, &parameters).await?;
        let keys: Result<Vec<_>, _> = found.iter().map(|found| row::key(found, 0)).collect();
        let mut keys = keys.map_err(StoreError::not_executed)?;
        let more = keys.len() > limit;
        keys.truncate(limit);
        Ok(KeyPage { keys, more })
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        let borrowed = self.pool.borrow().await?;
        let session = borrowed.session()?;
        let mut purged = 0;
        loop {
            let batch = PURGE_BATCH.min(at_most - purged);
            let count = i64::try_from(batch).unwrap_or(i64::MAX);
            let dropped = session
                .ask(&session.statements.purge, &[&self.now(), &count])
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
            "what was overwritten or removed stays in PostgreSQL's files until it is reused: let its owner run `VACUUM FULL semel.entry`, and let archived logs and backups of before expire",
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
        self.standing.durability()
    }

    fn reads_cheaply(&self) -> bool {
        false
    }
}
