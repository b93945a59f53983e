//! A ledger in a Redis server, or in the primaries of a Redis cluster, shared by any number of hosts.
//!
//! ```no_run
//! use semel_redis::RedisStore;
//! use semel_store::ServerAddress;
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ServerAddress::new("rediss://cache.example/0").with_password("secret");
//! let store = RedisStore::open(&server).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Every transition is one script: its condition, the record, and the lists of the record, all in one slot.
//! So the lists are exact: no reader sees, and no crash leaves, a record outside of its lists. The weaker
//! design, a list that is written before the record and verified on every read, saves no round trip and
//! leaves garbage for ever. The price: keys are divided into 4,096 buckets by their first bits, each with
//! lists of its own, and a list of everything visits all of them.
//!
//! **Reads are durable** if `appendfsync` is `always`. Redis runs scripts one after the other, and sends no
//! answer before its event loop's turn ends. Then `beforeSleep` first writes and syncs the append-only file
//! (`flushAppendOnlyFile`), and sends the answers after that (`handleClientsWithPendingWrites`). The rest of
//! a long answer is sent in a later turn, before its connection is read again (`AE_BARRIER`: "we want that a
//! given FD is never served for reading and writing in the same event loop iteration"). So no answer, of a
//! read either, rests on writes that are not synced. If a sync fails, the server exits. A script's writes
//! are one transaction in that file, and a restart applies all or none of them. During a rewrite of the file,
//! `no-appendfsync-on-rewrite yes` would break this, and counts as a lower level. A promoted server first
//! rewrites the whole file, and would lose everything if it ended before: it is refused until then.
//!
//! **Errors.** A script that the server rejected was not executed. Scripts begin with `#!lua`, so a replica,
//! a full memory and a failing disk reject them before they begin, not half-way. After an error within a
//! script, a lost connection, or a timeout, the result is unknown. No request is sent twice (`link`).
//!
//! **Epochs.** The creation of a ledger writes a random epoch into its marker and into every bucket. Each
//! script compares its bucket's epoch with that of its host, and does nothing if they differ. So the next
//! command detects a flush of one database, of a node or of all: forgotten entries are not taken for new
//! ones. The incarnation is a digest of the epoch and of the possible losses since (`loss_detection`). These
//! are recorded in the marker, so that it never returns to an earlier value. They are: a failover, because
//! the new primary names the history that it followed; evicted entries; and, unless `appendfsync` is
//! `always`, a restart. A record in its bucket's list that is absent is lost too: no entry is created in its
//! place. The servers are checked on each new connection and once a second, and refused while one could lose
//! acknowledged writes.
//!
//! **Clusters** are recognised by the server of the URL. The other nodes are discovered through it, and
//! remembered for when it is down. A bucket belongs to one slot, so each transition is still one script on
//! one node, and the load spreads with the keys. The ledger is used as a whole or not at all. All primaries
//! must be fit, the weakest decides the level, and while one is down or unchecked no request is sent
//! (`topology`). A failover is a loss, and is detected before any further request. A slot that moves to
//! another primary is no loss, and its commands wait until it has moved (`link`). Each node stamps its own
//! times, so their clocks must agree as those of hosts must. Notifications go to all nodes.
//!
//! **Expiry.** Redis' own expiry is not used: it has a clock of its own, and it would delete a record but not
//! its list entries, which is what a loss looks like. An expired entry is absent by the time in the script,
//! and [`Store::purge`] deletes it.
//!
//! **Cost.** A first call is two round trips and two syncs. A repeat is one round trip, because a creation
//! that finds an entry returns it. A write is up to eight commands of one script. The requests of all callers
//! share one connection to a server, and the sync of their turn. A second connection receives notifications,
//! only of changes with a local waiter. Measured (`cargo xtask bench stores`, the server on the same two
//! cores, a sync of 0.2 ms): one caller takes 0.93 ms, and the two bare scripts 0.57. Most of the rest is
//! this process's own work, probably slowed by cold caches. 64 callers make 5,500 to 6,400 calls a second,
//! 0.55 to 0.7 of the bare scripts on one connection. A waiter on another host wakes after 0.9 ms.
//!
//! Absent: Redis before 7.0; a level above D2 (a replica that takes over may lack acknowledged writes, which
//! shows as another incarnation); and detection of an older copy of the server's files, of a copy that runs
//! as a server of its own, and of a failover and its reversal while no host was connected. An operator in
//! such a case must begin another incarnation of the ledger.

mod connection;
mod endpoint;
mod error;
mod inspect;
mod link;
mod loss_detection;
mod marker;
mod record;
mod script;
mod scrub;
mod server;
mod setup;
mod subscriber;
mod topology;
mod walk;

pub use setup::RedisSetupResult;

use async_trait::async_trait;
use endpoint::Endpoint;
use inspect::LedgerState;
use link::ServerLink;
use record::{Bucket, NewRecord};
use redis::{Cmd, Value};
use script::{CREATE, GET, RECORD_LOST, REMOVE, REPLACE, Script};
use semel_core::{
    ledger::Entry,
    model::{Durability, Stamp, StoreKey},
};
use semel_store::RunToCompletion;
use semel_store::{
    Backoff, ChangeNotifier, Clock, ClockReading, CreateResult, EntryQuery, KeyPage, RemoveResult,
    ReplaceResult, Retention, ServerAddress, ServerError, ServerReport, Store, StoreError,
    StoredEntry, Version,
};
use std::{fmt, sync::Arc, time::Duration};
use subscriber::ChangeSubscriber;
use tokio::task::JoinHandle;

/// The polling of waiters, in case a notification is lost.
const POLL_BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(320));

/// A ledger in a Redis server, or in a Redis cluster, one server of which is named.
pub struct RedisStore {
    link: Arc<ServerLink>,
    subscriber: Arc<ChangeSubscriber>,
    /// The background tasks, which end with the store.
    background_tasks: [JoinHandle<()>; 2],
}

impl RedisStore {
    /// Opens the ledger in this server.
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
        let link = Arc::new(ServerLink::open(Arc::clone(&endpoint), clock).await?);
        let subscriber = Arc::new(ChangeSubscriber::new());
        let background_tasks = [
            tokio::spawn(link::watch_server(Arc::downgrade(&link))),
            tokio::spawn(subscriber::listen_for_changes(
                endpoint,
                Arc::clone(&subscriber),
            )),
        ];
        Ok(Self {
            link,
            subscriber,
            background_tasks,
        })
    }

    /// Creates the ledger in this server. If an existing one has lost a part, it begins another incarnation.
    /// This may be run repeatedly.
    ///
    /// # Errors
    ///
    /// If the server is not reached, does not allow it, or would not keep acknowledged writes.
    pub async fn set_up(server: &ServerAddress) -> Result<RedisSetupResult, ServerError> {
        setup::set_up(&Endpoint::new(server)?).await
    }

    /// Begins another incarnation of the ledger, also if it appears complete: after an older copy of its data
    /// was restored, or a record was lost. Every host then waits until no call of the former incarnation can
    /// be in progress.
    ///
    /// # Errors
    ///
    /// As [`Self::set_up`].
    pub async fn renew(server: &ServerAddress) -> Result<RedisSetupResult, ServerError> {
        setup::renew_ledger(&Endpoint::new(server)?).await
    }

    /// Returns the server's state at its last check, or `None` if it cannot be used.
    #[must_use]
    pub fn report(&self) -> Option<ServerReport> {
        self.link.report()
    }

    /// Runs a script on the record of a key, even if the future is dropped after its first poll.
    async fn run_on_record(
        &self,
        script: &'static Script,
        key: StoreKey,
        fill: impl Fn(&mut Cmd, &LedgerState) + Send + Sync + 'static,
    ) -> Result<ScriptReply, StoreError> {
        let link = Arc::clone(&self.link);
        RunToCompletion::new(async move {
            let bucket = Bucket(record::bucket(key));
            let keys = [
                bucket.epoch_key(),
                bucket.all_list(),
                bucket.open_list(),
                bucket.ending_list(),
            ];
            let [epoch, all, open, ending] = &keys;
            let record = bucket.record_key(key);
            // Read once, so that a repeat of the script has the same time.
            let clock = link.clock_argument();
            let reply = link.run_script(script, bucket, |command, state| {
                command
                    .arg(5)
                    .arg(epoch)
                    .arg(&record)
                    .arg(all)
                    .arg(open)
                    .arg(ending)
                    .arg(&state.epoch)
                    .arg(&clock);
                fill(command, state);
            });
            let (answer, state) = reply.await?.map_err(error::write_error)?;
            ScriptReply::from_value(answer, &state)
        })
        .await
    }

    /// Returns the channel that notifies waiters on other hosts of a key.
    fn channel_for_key(&self, key: StoreKey) -> String {
        self.link
            .endpoint()
            .channel_name(ChangeNotifier::slot_for_key(key))
    }

    async fn version_at(&self, key: StoreKey) -> Result<Option<Version>, StoreError> {
        match self.run_on_record(&GET, key, |_, _| {}).await? {
            ScriptReply::Current(Some(record), _) => Ok(record::record_version(&record)),
            ScriptReply::Current(None, _) | ScriptReply::Written(_) => Ok(None),
        }
    }
}

/// The reply of a script on a record.
enum ScriptReply {
    /// The record is written or removed, at this time.
    Written(Stamp),
    /// Nothing is written: the current record, if any, and the present time.
    Current(Option<Vec<u8>>, Stamp),
}

impl ScriptReply {
    fn from_value(answer: Value, state: &LedgerState) -> Result<Self, StoreError> {
        let stamp = |ms: i64| ClockReading::from_wall(ms.unsigned_abs()).stamp(state.incarnation);
        match answer {
            Value::Int(RECORD_LOST) => Err(StoreError::not_executed(
                "a record of this key is lost, evicted or removed by another program: run `semel ledger init --renew`, which begins another incarnation of the ledger",
            )),
            Value::Int(ms) => Ok(Self::Written(stamp(ms))),
            Value::Array(parts) => match <[Value; 2]>::try_from(parts) {
                Ok([Value::Int(ms), Value::BulkString(record)]) => {
                    Ok(Self::Current(Some(record), stamp(ms)))
                }
                Ok([Value::Int(ms), Value::Nil]) => Ok(Self::Current(None, stamp(ms))),
                _ => Err(unknown_reply()),
            },
            _ => Err(unknown_reply()),
        }
    }
}

fn unknown_reply() -> StoreError {
    StoreError::unknown("the server gave an answer that no script of this release gives")
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        for task in &self.background_tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("endpoint", &self.link.endpoint().display_name())
            .finish_non_exhaustive()
    }
}

/// Decodes the entry, in the task of the caller.
fn decode(key: StoreKey, record: Option<Vec<u8>>) -> Result<Option<StoredEntry>, StoreError> {
    Ok(record
        .map(|record| record::decode_record(key, &record))
        .transpose()?)
}

/// Adds the arguments of a script that writes a record.
fn add_write_arguments(command: &mut Cmd, state: &LedgerState, new: &NewRecord) {
    command
        .arg(&state.incarnation.0.to_be_bytes())
        .arg(new.version.as_bytes())
        .arg(new.keep_ms)
        .arg(&new.content);
}

#[async_trait]
impl Store for RedisStore {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        let new = NewRecord::new(key, entry, version, keep)?;
        let fill =
            move |command: &mut Cmd, state: &LedgerState| add_write_arguments(command, state, &new);
        match self.run_on_record(&CREATE, key, fill).await? {
            ScriptReply::Written(now) => Ok(CreateResult::Created(now)),
            ScriptReply::Current(record, now) => match decode(key, record)? {
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
        let new = NewRecord::new(key, entry, version, keep)?;
        let channel = self.channel_for_key(key);
        let fill = move |command: &mut Cmd, state: &LedgerState| {
            add_write_arguments(command, state, &new);
            command.arg(expected.as_bytes()).arg(&channel);
        };
        match self.run_on_record(&REPLACE, key, fill).await? {
            ScriptReply::Written(now) => {
                self.subscriber.waiters().notify(key);
                Ok(ReplaceResult::Replaced(now))
            }
            ScriptReply::Current(record, now) => {
                Ok(ReplaceResult::Changed(decode(key, record)?, now))
            }
        }
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        let channel = self.channel_for_key(key);
        let fill = move |command: &mut Cmd, _: &LedgerState| {
            command.arg(expected.as_bytes()).arg(&channel);
        };
        match self.run_on_record(&REMOVE, key, fill).await? {
            ScriptReply::Written(_) => {
                self.subscriber.waiters().notify(key);
                Ok(RemoveResult::Removed)
            }
            ScriptReply::Current(record, now) => {
                Ok(RemoveResult::Changed(decode(key, record)?, now))
            }
        }
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        match self
            .run_on_record(&GET, key, |_, _| {})
            .await
            .map_err(StoreError::into_read_error)?
        {
            ScriptReply::Current(record, now) => Ok((decode(key, record)?, now)),
            ScriptReply::Written(now) => Ok((None, now)),
        }
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        walk::list_keys(&self.link, query).await
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        walk::purge_expired(&self.link, at_most).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        scrub::scrub(&self.link).await
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        let has_changed = || async {
            self.version_at(key)
                .await
                .is_ok_and(|version| version != Some(since))
        };
        let _interest = self.subscriber.add_interest(key);
        self.subscriber
            .waiters()
            .wait_until_changed(key, at_most, POLL_BACKOFF, has_changed)
            .await;
    }

    fn durability(&self) -> Durability {
        self.link.durability()
    }

    fn reads_cheaply(&self) -> bool {
        false
    }
}
