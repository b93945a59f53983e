//! The client of a ledger: a command is a compare-and-swap on a store (read, apply, write if unchanged), repeated where the
//! entry changed.

pub(crate) mod clock;
pub(crate) mod quarantine;
pub(crate) mod scheme;
pub(crate) mod undoing;

use crate::{
    guard::{GuardLedgerError, RecordReading},
    ledger::{
        self, Claim, ClaimReply, Command, Entry, EntryError, Handle, PresentRecord, Record,
        Refusal, Reply, State, Transition,
    },
    model::{Boot, Incarnation, Stamp, StoreKey},
    store::{CreateResult, ReplaceResult, Retention, Store, StoreError, StoredEntry, Version},
};
use clock::Moment;
use quarantine::Quarantine;
use semel_store::failpoints::{self, Failpoint};
use semel_store::{RandomnessError, fresh_nonce};
use std::{sync::Arc, time::Duration};

/// The tries of a transition against a record that keeps changing.
const TRIES_MAX: u32 = 64;

/// The further tries after a write without a certain answer that was not found.
const LOSSES_MAX: u32 = 2;

/// The reads that search for a write with a lost reply.
const LOOKS_AFTER_UNKNOWN: u32 = 5;

/// The first pause before such a look; each next is twice as long.
const PAUSE_AFTER_UNKNOWN: Duration = Duration::from_millis(20);

/// The time before the store has reported one. The first claim of an operation needs none.
const NO_TIME: Stamp = Stamp {
    wall_ms: 0,
    steady_ms: 0,
    boot: Boot(0),
    incarnation: Incarnation(0),
};

/// Why the ledger did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Its store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its table forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The record changed each time it was about to be written.
    #[error(
        "the record changed {TRIES_MAX} times while it was about to be written: try again later"
    )]
    Contended,
    /// Something else lies under the key.
    #[error("the ledger holds a {found} where {wanted} was expected: restore it from a backup")]
    Misplaced {
        /// The kind found.
        found: &'static str,
        /// The kind expected.
        wanted: &'static str,
    },
    /// It may have lost what it acknowledged.
    #[error(
        "the ledger may have lost what it acknowledged, so that what was sent may be missing: nothing is sent for {}, unless a person ends that before (`semel ledger trust`)",
        humantime::format_duration(Duration::from_secs(left.as_secs() + 1))
    )]
    Quarantined {
        /// For how long.
        left: Duration,
    },
    /// The operating system has no randomness to give.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

impl From<LedgerError> for GuardLedgerError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Refused(refusal) => Self::Refused(refusal),
            unreadable @ (LedgerError::Store(StoreError::Entry(_))
            | LedgerError::Misplaced { .. }) => Self::Unreadable(unreadable.to_string()),
            other => Self::Away(other.to_string()),
        }
    }
}

/// The result of a command.
#[derive(Debug, Clone)]
pub(crate) struct AppliedCommand {
    pub(crate) reply: Reply,
    pub(crate) key: StoreKey,
    pub(crate) version: Version,
    /// The record as it stands after the command.
    pub(crate) record: Arc<Entry>,
    /// When this version of it was written.
    pub(crate) written: Stamp,
    /// The store's time of the reply.
    pub(crate) now: Stamp,
    /// The host's time from before the ledger was read: rights count from here.
    pub(crate) asked: Moment,
}

impl AppliedCommand {
    pub(crate) fn record(&self) -> Option<&Record> {
        match &*self.record {
            Entry::Operation(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn reading(&self) -> RecordReading {
        let record = self.record();
        let delivered = record.is_some_and(|record| {
            matches!(
                record.state,
                State::Landed {
                    delivered: true,
                    ..
                } | State::Tombstone {
                    delivered: true,
                    ..
                }
            )
        });
        RecordReading {
            reply: self.reply.clone(),
            key: self.key,
            version: self.version,
            generation: record.map_or(0, |record| record.generation),
            delivered,
            last: record.and_then(Record::last_attempt).map(|last| last.fence),
        }
    }
}

/// The entry at a key.
struct CurrentEntry {
    entry: Arc<Entry>,
    version: Version,
    written: Stamp,
}

impl From<StoredEntry> for CurrentEntry {
    fn from(stored: StoredEntry) -> Self {
        Self {
            entry: stored.entry,
            version: stored.version,
            written: stored.written,
        }
    }
}

/// The result of a write.
enum WriteOutcome {
    Done(Stamp),
    Changed(Option<StoredEntry>, Stamp),
    /// The store gave no certain answer, and it is not what lies there now.
    Lost(StoreError, Option<StoredEntry>, Stamp),
}

/// The client of a ledger on a store.
#[derive(Debug, Clone)]
pub(crate) struct LedgerClient {
    store: Arc<dyn Store>,
    /// `None` for a client that sends nothing.
    quarantine: Option<Arc<Quarantine>>,
}

impl LedgerClient {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            quarantine: None,
        }
    }

    /// The same, for a host that sends: it grants nothing on a ledger that may have lost something.
    pub(crate) fn with_quarantine(self, quarantine: Quarantine) -> Self {
        Self {
            quarantine: Some(Arc::new(quarantine)),
            ..self
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Carries out `command` on what lies at `key`, and follows an alias once.
    pub(crate) async fn apply(
        &self,
        key: StoreKey,
        command: &Command,
    ) -> Result<AppliedCommand, LedgerError> {
        let applied = self.apply_at(key, command).await?;
        match applied.reply {
            Reply::Told(ClaimReply::Alias { to }) if to != key => self.apply_at(to, command).await,
            _ => Ok(applied),
        }
    }

    /// Returns the reply that a claim would get, without making it. It grants no right.
    pub(crate) async fn told(
        &self,
        key: StoreKey,
        claim: &Arc<Claim>,
    ) -> Result<AppliedCommand, LedgerError> {
        let told = self.told_at(key, claim).await?;
        match told.reply {
            Reply::Told(ClaimReply::Alias { to }) if to != key => self.told_at(to, claim).await,
            _ => Ok(told),
        }
    }

    async fn told_at(
        &self,
        key: StoreKey,
        claim: &Arc<Claim>,
    ) -> Result<AppliedCommand, LedgerError> {
        let asked = Moment::now();
        let (stored, now) = self.store.get(key).await?;
        let lies = stored.map(CurrentEntry::from).ok_or(Refusal::NoRecord {
            command: "continue",
        })?;
        let reply = ledger::apply(
            present(Some(&lies))?,
            &Command::Claim(Arc::clone(claim)),
            now,
        )?
        .reply;
        let CurrentEntry {
            entry,
            version,
            written,
        } = lies;
        Ok(AppliedCommand {
            reply,
            key,
            version,
            record: entry,
            written,
            now,
            asked,
        })
    }

    /// Carries out `command` on the entry that `seen` left in the ledger, without reading first: it
    /// is usually unchanged, and otherwise the conditional write fails. For settlements by the
    /// owner, which gain nothing from an earlier time.
    pub(crate) async fn apply_after(
        &self,
        seen: &AppliedCommand,
        command: &Command,
    ) -> Result<AppliedCommand, LedgerError> {
        let lies = CurrentEntry {
            entry: Arc::clone(&seen.record),
            version: seen.version,
            written: seen.written,
        };
        self.carry_out(seen.key, command, Some(lies), seen.now, Moment::now())
            .await
    }

    /// As [`Self::apply_after`], but deferred: nothing is written if the record has changed since.
    pub(crate) async fn apply_soon(
        &self,
        seen: &AppliedCommand,
        command: &Command,
    ) -> Result<(), LedgerError> {
        let lies = CurrentEntry {
            entry: Arc::clone(&seen.record),
            version: seen.version,
            written: seen.written,
        };
        let step = ledger::apply(present(Some(&lies))?, command, seen.now)?;
        let Some((record, keep)) = step.write else {
            return Ok(());
        };
        let entry = Arc::new(Entry::Operation(record));
        let version = fresh_nonce()?;
        let deed = Failpoint::of_command(command);
        failpoints::before(deed);
        let put_off = self
            .store
            .replace_deferred(seen.key, seen.version, &entry, version, keep)
            .await;
        failpoints::after(deed);
        Ok(put_off?)
    }

    async fn apply_at(
        &self,
        key: StoreKey,
        command: &Command,
    ) -> Result<AppliedCommand, LedgerError> {
        // A claim is mostly the first, so the creation itself is the cheapest look, unless the store reads cheaply.
        let blind = matches!(command, Command::Claim(_)) && !self.store.reads_cheaply();
        let asked = Moment::now();
        let (stored, now) = if blind {
            (None, NO_TIME)
        } else {
            self.store.get(key).await?
        };
        self.carry_out(key, command, stored.map(CurrentEntry::from), now, asked)
            .await
    }

    async fn carry_out(
        &self,
        key: StoreKey,
        command: &Command,
        mut lies: Option<CurrentEntry>,
        mut now: Stamp,
        mut asked: Moment,
    ) -> Result<AppliedCommand, LedgerError> {
        let mut losses = 0;
        for _ in 0..TRIES_MAX {
            let present = present(lies.as_ref())?;
            let step = ledger::apply(present, command, now)?;
            let Transition {
                write: Some((record, keep)),
                reply,
            } = step
            else {
                return told(key, lies, step.reply, now, asked);
            };
            let grants = matches!(reply, Reply::Granted(_));
            if grants {
                self.may_grant(command, now).await?;
            }
            let version = fresh_nonce()?;
            let entry = Arc::new(Entry::Operation(record));
            let expected = lies.as_ref().map(|lies| lies.version);
            let (changed, at) = match self
                .write(
                    Failpoint::of_command(command),
                    key,
                    expected,
                    &entry,
                    version,
                    keep,
                )
                .await?
            {
                WriteOutcome::Done(written) => {
                    if grants && let Err(fault) = self.ensure_not_quarantined(written).await {
                        self.take_back(key, expected, version).await;
                        return Err(fault);
                    }
                    return Ok(AppliedCommand {
                        reply,
                        key,
                        version,
                        record: entry,
                        written,
                        now: written,
                        asked,
                    });
                }
                WriteOutcome::Lost(fault, ..) if losses == LOSSES_MAX => return Err(fault.into()),
                WriteOutcome::Lost(_, changed, at) => {
                    losses += 1;
                    (changed, at)
                }
                WriteOutcome::Changed(changed, at) => (changed, at),
            };
            asked = Moment::now();
            (lies, now) = (changed.map(CurrentEntry::from), at);
        }
        Err(LedgerError::Contended)
    }

    /// Checks the conditions of a right to send before it is written. Before the store has reported
    /// a time, the reply to the write is checked.
    async fn may_grant(&self, command: &Command, now: Stamp) -> Result<(), LedgerError> {
        if now != NO_TIME {
            self.ensure_not_quarantined(now).await?;
        }
        match (&self.quarantine, command) {
            (Some(quarantine), Command::Claim(claim)) => quarantine.note(self, claim).await,
            _ => Ok(()),
        }
    }

    async fn ensure_not_quarantined(&self, now: Stamp) -> Result<(), LedgerError> {
        match &self.quarantine {
            Some(quarantine) => quarantine.ensure_not_quarantined(self, now).await,
            None => Ok(()),
        }
    }

    /// Removes a first claim with a right that is not granted after all. If that fails, its lease
    /// ends, and it is in doubt.
    async fn take_back(&self, key: StoreKey, expected: Option<Version>, version: Version) {
        if expected.is_none() {
            let _left = self.store.remove(key, version).await;
        }
    }

    /// Writes if unchanged. After a lost reply, the record itself decides: a version is its
    /// writer's own.
    async fn write(
        &self,
        deed: Option<Failpoint>,
        key: StoreKey,
        expected: Option<Version>,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<WriteOutcome, LedgerError> {
        failpoints::before(deed);
        let wrote = match expected {
            None => {
                self.store
                    .create(key, entry, version, keep)
                    .await
                    .map(|created| match created {
                        CreateResult::Created(at) => WriteOutcome::Done(at),
                        CreateResult::Exists(stored, at) => WriteOutcome::Changed(Some(stored), at),
                    })
            }
            Some(expected) => self
                .store
                .replace(key, expected, entry, version, keep)
                .await
                .map(|replaced| match replaced {
                    ReplaceResult::Replaced(at) => WriteOutcome::Done(at),
                    ReplaceResult::Changed(stored, at) => WriteOutcome::Changed(stored, at),
                }),
        };
        failpoints::after(deed);
        match wrote {
            Ok(wrote) => Ok(wrote),
            Err(unknown @ StoreError::Unknown(_)) => self.look_for(key, version, unknown).await,
            Err(fault) => Err(fault.into()),
        }
    }

    async fn look_for(
        &self,
        key: StoreKey,
        version: Version,
        unknown: StoreError,
    ) -> Result<WriteOutcome, LedgerError> {
        let mut pause = PAUSE_AFTER_UNKNOWN;
        for _ in 0..LOOKS_AFTER_UNKNOWN {
            if let Ok((stored, now)) = self.store.get(key).await {
                return Ok(match stored {
                    Some(stored) if stored.version == version => WriteOutcome::Done(stored.written),
                    stored => WriteOutcome::Lost(unknown, stored, now),
                });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(unknown.into())
    }

    /// Returns the entry at `key`, without a command.
    pub(crate) async fn read(
        &self,
        key: StoreKey,
    ) -> Result<Option<(StoredEntry, Stamp)>, LedgerError> {
        let (stored, now) = self.store.get(key).await?;
        match stored.as_ref().map(|stored| &*stored.entry) {
            Some(sealed @ Entry::Sealed(_)) => Err(misplaced(sealed, "an operation")),
            _ => Ok(stored.map(|stored| (stored, now))),
        }
    }

    /// Returns the target of a handle.
    pub(crate) async fn handle(&self, key: StoreKey) -> Result<Option<Handle>, LedgerError> {
        let (stored, _) = self.store.get(key).await?;
        match stored.as_ref().map(|stored| &*stored.entry) {
            None => Ok(None),
            Some(Entry::Handle(handle)) => Ok(Some(handle.clone())),
            Some(other) => Err(misplaced(other, "a handle")),
        }
    }

    /// Writes what a handle names from now on.
    pub(crate) async fn write_handle(
        &self,
        key: StoreKey,
        handle: Handle,
    ) -> Result<(), LedgerError> {
        self.write_always(key, Entry::Handle(handle)).await
    }

    /// Writes an entry in place of the version `expected` (none: where nothing lies), and says whether it still was there.
    pub(crate) async fn write_in_place(
        &self,
        key: StoreKey,
        expected: Option<Version>,
        entry: Entry,
    ) -> Result<bool, LedgerError> {
        let deed = Some(Failpoint::Scheme);
        let entry = Arc::new(entry);
        let wrote = self
            .write(
                deed,
                key,
                expected,
                &entry,
                fresh_nonce()?,
                Retention::UntilRemoved,
            )
            .await?;
        match wrote {
            WriteOutcome::Done(_) => Ok(true),
            WriteOutcome::Changed(..) => Ok(false),
            WriteOutcome::Lost(fault, ..) => Err(fault.into()),
        }
    }

    /// Writes an entry that has the same meaning for every writer.
    pub(crate) async fn write_always(
        &self,
        key: StoreKey,
        entry: Entry,
    ) -> Result<(), LedgerError> {
        let entry = Arc::new(entry);
        let (mut stored, _) = self.store.get(key).await?;
        for _ in 0..TRIES_MAX {
            if stored.as_ref().is_some_and(|stored| stored.entry == entry) {
                return Ok(());
            }
            let expected = stored.as_ref().map(|stored| stored.version);
            let deed = Some(Failpoint::Handle);
            let version = fresh_nonce()?;
            match self
                .write(
                    deed,
                    key,
                    expected,
                    &entry,
                    version,
                    Retention::UntilRemoved,
                )
                .await?
            {
                WriteOutcome::Done(_) => return Ok(()),
                WriteOutcome::Changed(changed, _) => stored = changed,
                WriteOutcome::Lost(fault, ..) => return Err(fault.into()),
            }
        }
        Err(LedgerError::Contended)
    }
}

fn told(
    key: StoreKey,
    lies: Option<CurrentEntry>,
    reply: Reply,
    now: Stamp,
    asked: Moment,
) -> Result<AppliedCommand, LedgerError> {
    // Without a record the table writes one or refuses.
    let lies = lies.ok_or(Refusal::NoRecord { command: "claim" })?;
    Ok(AppliedCommand {
        reply,
        key,
        version: lies.version,
        record: lies.entry,
        written: lies.written,
        now,
        asked,
    })
}

fn present(lies: Option<&CurrentEntry>) -> Result<Option<PresentRecord<'_>>, LedgerError> {
    match lies.map(|lies| (&*lies.entry, lies.written)) {
        None => Ok(None),
        Some((Entry::Operation(record), written)) => Ok(Some(PresentRecord { record, written })),
        Some((other, _)) => Err(misplaced(other, "an operation")),
    }
}

fn misplaced(found: &Entry, wanted: &'static str) -> LedgerError {
    match found {
        // Sealed records are opened before they come here, where there are keys at all.
        Entry::Sealed(sealed) => StoreError::Entry(EntryError::NoKey {
            id: sealed.key_id().to_owned(),
        })
        .into(),
        _ => LedgerError::Misplaced {
            found: found.kind(),
            wanted,
        },
    }
}
