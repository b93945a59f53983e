//! A ledger in a Redis server, or in the primaries of a Redis cluster, shared by any number of hosts.
//!
//! Every transition is one script: its condition, the record and the lists that hold the record,
//! all in one slot. So the lists are exact: no reader sees, and no crash leaves, a record outside
//! its lists. The weaker way, a list written before the record and verified on every reading, saves
//! no round trip and leaves garbage for ever. The price: keys are divided into 4,096 buckets by
//! their first bits, each with lists of its own, and a list of all asks them all.
//!
//! **What a reader sees is durable** where `appendfsync` is `always`. Redis runs scripts one after the other, and sends no
//! answer before the turn of its event loop ends: `beforeSleep` writes and syncs the append-only file (`flushAppendOnlyFile`),
//! then sends what was answered (`handleClientsWithPendingWrites`); an answer that is too long for one turn goes on in a later one
//! before its connection is read again (`AE_BARRIER`: "we want that a given FD is never served for reading and writing in the
//! same event loop iteration"). So an answer, be it to a look, never rests on what is not synced. If a sync fails, the server
//! ends itself. A script's writes stand in that file as one transaction, of which a restart takes all or nothing. While the file
//! is rewritten, `no-appendfsync-on-rewrite yes` would break all this, and is counted as a lower level. A server that took
//! over writes that file as a whole first, and would lose everything if it ended before: it is refused until then.
//!
//! **Errors.** A script that the server turned away before it began was not executed: scripts begin
//! with `#!lua`, so that a replica, a full memory and a failing disk are reported before and not
//! half-way. An error from within a script, a lost connection, no answer in time: unknown. Nothing
//! is sent twice (`link`).
//!
//! **Lives.** Making a ledger writes a random life into its marker and into every bucket; each script compares its bucket's
//! with the one that its host knows, and does nothing where it differs. So a flush, of one database, of a node or of all, is
//! found out by the first command after it, and nothing is taken for new that was only forgotten. `incarnation` is a digest of
//! the life and of what may have been lost since (`loss_detection`), noted in the marker so that it never goes back: another server
//! took over (it names the history that it followed), entries were evicted, or, where `appendfsync` is not `always`,
//! the server was restarted. A restart with `always` changes nothing. A record that is in its bucket's list but not there is
//! lost, too: nothing is created in its place. The servers are looked at on each new connection and once a second, and refused
//! while one could lose what it acknowledges.
//!
//! **Clusters** are recognised by the answers of the server of the URL; the other nodes are found
//! by it, and remembered for when it is down. A bucket belongs to one slot, so each transition is
//! still one script on one node, and the load spreads with the keys. The ledger is used as a whole
//! or not at all: all primaries must be fit, its level is that of the weakest, and while one is
//! down or unchecked since its connection was lost, nothing is asked (`nodes`). A replica that
//! takes over is a loss, detected before anything is sent on; a slot that moves to another primary
//! is none, and its commands wait until it has moved (`link`). Each node writes its own times:
//! their clocks must agree as those of hosts must. Notifications are published to all of them.
//!
//! **Ends.** Redis' own expiry is not used: it goes by a clock of its own, and it would take a record and leave its lists, which
//! is what a loss looks like. What is past its end is absent by the time in the script, and [`Store::purge`] drops it.
//!
//! **Cost.** A first call is two round trips and two syncs, a repeat one round trip: a creation
//! that finds an entry returns it. A write is up to eight commands of one script. Requests of all
//! callers share one connection to a server, and whatever syncs in the same turn; a second
//! connection receives notifications, only of changes with a local waiter. Measured (`cargo xtask
//! bench stores`, the server on the same two cores, a sync of 0.2 ms): one caller 0.93 ms where the
//! two bare scripts take 0.57, most of the rest being this process's own work, probably slowed by
//! cold caches; 64 callers 5,500 to 6,400 calls a second, 0.55 to 0.7 of the bare scripts on one
//! connection; a waiter on another host wakes after 0.9 ms.
//!
//! Absent: Redis before 7.0; a level above D2 (a replica that takes over may lack acknowledged
//! writes; that shows as another incarnation); and detection of an older copy of the server's files
//! put back, of a copy started as a server of its own, or of a replica that took over and gave back
//! while no host looked: an operator that does so must let the ledger begin another incarnation.

mod connection;
mod endpoint;
mod error;
mod inspect;
mod link;
mod loss_detection;
mod marker;
mod nodes;
mod record;
mod script;
mod scrub;
mod server;
mod setup;
mod subscriber;
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
    /// Background tasks, which end with the store.
    beside: [JoinHandle<()>; 2],
}

impl RedisStore {
    /// Opens the ledger in this server.
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
        let link = Arc::new(ServerLink::open(Arc::clone(&place), clock).await?);
        let subscriber = Arc::new(ChangeSubscriber::new());
        let beside = [
            tokio::spawn(link::watch(Arc::downgrade(&link))),
            tokio::spawn(subscriber::listen(place, Arc::clone(&subscriber))),
        ];
        Ok(Self {
            link,
            subscriber,
            beside,
        })
    }

    /// Makes the ledger in this server, or lets one that lost a part begin another life. It may be run as often as one
    /// likes.
    ///
    /// # Errors
    /// If the server is not reached, does not allow it, or would not keep what it acknowledges.
    pub async fn set_up(server: &ServerAddress) -> Result<RedisSetupResult, ServerError> {
        setup::set_up(&Endpoint::new(server)?).await
    }

    /// Lets the ledger in this server begin another incarnation, though it looks whole: after an
    /// older copy of its data was put back, or a record was lost. Every host waits then until
    /// nothing of the former one can be in progress.
    ///
    /// # Errors
    ///
    /// As [`Self::set_up`].
    pub async fn renew(server: &ServerAddress) -> Result<RedisSetupResult, ServerError> {
        setup::renew(&Endpoint::new(server)?).await
    }

    /// Returns the server's state at its last check, or `None` if it cannot be used.
    #[must_use]
    pub fn report(&self) -> Option<ServerReport> {
        self.link.report()
    }

    /// Runs a script on the record of a key. It is carried out whether or not the caller still waits for it.
    async fn on_record(
        &self,
        script: &'static Script,
        key: StoreKey,
        fill: impl Fn(&mut Cmd, &LedgerState) + Send + Sync + 'static,
    ) -> Result<ScriptReply, StoreError> {
        let link = Arc::clone(&self.link);
        RunToCompletion::new(async move {
            let bucket = Bucket(record::bucket(key));
            let keys = [bucket.life(), bucket.all(), bucket.open(), bucket.ending()];
            let [life, all, open, ending] = &keys;
            let record = bucket.record(key);
            // One moment for all that is asked again.
            let clock = link.clock_argument();
            let answered = link.run(script, bucket, |call, finding| {
                call.arg(5)
                    .arg(life)
                    .arg(&record)
                    .arg(all)
                    .arg(open)
                    .arg(ending)
                    .arg(&finding.life)
                    .arg(&clock);
                fill(call, finding);
            });
            let (answer, finding) = answered.await?.map_err(error::write_error)?;
            ScriptReply::of(answer, &finding)
        })
        .await
    }

    /// Returns the channel that notifies waiters on other hosts of a key.
    fn channel(&self, key: StoreKey) -> String {
        self.link.place().channel(ChangeNotifier::slot_for_key(key))
    }

    async fn version_at(&self, key: StoreKey) -> Result<Option<Version>, StoreError> {
        match self.on_record(&GET, key, |_, _| {}).await? {
            ScriptReply::Found(Some(record), _) => Ok(record::version(&record)),
            ScriptReply::Found(None, _) | ScriptReply::Done(_) => Ok(None),
        }
    }
}

/// The answer of a script on a record.
enum ScriptReply {
    /// It is done, at this time.
    Done(Stamp),
    /// This lies there instead, and the time is now.
    Found(Option<Vec<u8>>, Stamp),
}

impl ScriptReply {
    fn of(answer: Value, finding: &LedgerState) -> Result<Self, StoreError> {
        let stamp = |ms: i64| ClockReading::from_wall(ms.unsigned_abs()).stamp(finding.incarnation);
        match answer {
            Value::Int(RECORD_LOST) => Err(StoreError::not_executed(
                "a record that was written there is gone, evicted or removed by somebody else: run `semel ledger init --renew`, which begins another life of the ledger",
            )),
            Value::Int(ms) => Ok(Self::Done(stamp(ms))),
            Value::Array(parts) => match <[Value; 2]>::try_from(parts) {
                Ok([Value::Int(ms), Value::BulkString(record)]) => {
                    Ok(Self::Found(Some(record), stamp(ms)))
                }
                Ok([Value::Int(ms), Value::Nil]) => Ok(Self::Found(None, stamp(ms))),
                _ => Err(strange()),
            },
            _ => Err(strange()),
        }
    }
}

fn strange() -> StoreError {
    StoreError::unknown("the server gave an answer that no script of this release gives")
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.beside.iter().for_each(JoinHandle::abort);
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("place", &self.link.place().shown())
            .finish_non_exhaustive()
    }
}

/// Parses the entry, in the task of the caller.
fn stored(key: StoreKey, record: Option<Vec<u8>>) -> Result<Option<StoredEntry>, StoreError> {
    Ok(record
        .map(|record| record::read(key, &record))
        .transpose()?)
}

/// Adds the arguments of a writing script beside its keys.
fn fill_in(call: &mut Cmd, finding: &LedgerState, new: &NewRecord) {
    call.arg(&finding.incarnation.0.to_be_bytes())
        .arg(new.version.as_bytes())
        .arg(new.keep_ms)
        .arg(&new.made);
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
        let new = NewRecord::of(key, entry, version, keep)?;
        let fill = move |call: &mut Cmd, finding: &LedgerState| fill_in(call, finding, &new);
        match self.on_record(&CREATE, key, fill).await? {
            ScriptReply::Done(now) => Ok(CreateResult::Created(now)),
            ScriptReply::Found(record, now) => match stored(key, record)? {
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
        let new = NewRecord::of(key, entry, version, keep)?;
        let channel = self.channel(key);
        let fill = move |call: &mut Cmd, finding: &LedgerState| {
            fill_in(call, finding, &new);
            call.arg(expected.as_bytes()).arg(&channel);
        };
        match self.on_record(&REPLACE, key, fill).await? {
            ScriptReply::Done(now) => {
                self.subscriber.waiters().notify(key);
                Ok(ReplaceResult::Replaced(now))
            }
            ScriptReply::Found(record, now) => {
                Ok(ReplaceResult::Changed(stored(key, record)?, now))
            }
        }
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        let channel = self.channel(key);
        let fill = move |call: &mut Cmd, _: &LedgerState| {
            call.arg(expected.as_bytes()).arg(&channel);
        };
        match self.on_record(&REMOVE, key, fill).await? {
            ScriptReply::Done(_) => {
                self.subscriber.waiters().notify(key);
                Ok(RemoveResult::Removed)
            }
            ScriptReply::Found(record, now) => Ok(RemoveResult::Changed(stored(key, record)?, now)),
        }
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        match self
            .on_record(&GET, key, |_, _| {})
            .await
            .map_err(StoreError::into_read_error)?
        {
            ScriptReply::Found(record, now) => Ok((stored(key, record)?, now)),
            ScriptReply::Done(now) => Ok((None, now)),
        }
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        walk::list(&self.link, query).await
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        walk::purge(&self.link, at_most).await
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
        let _listening = self.subscriber.subscribe(key);
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
