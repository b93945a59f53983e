//! The client of a ledger: a command is a compare-and-swap on a store (read, apply, write if unchanged), repeated where the
//! entry changed.
//!
//! `entries` reads and writes single entries; `scheme` and `quarantine` decide whether this host may use the ledger, and
//! may send; `undoing` coordinates the records of operations that undo others.

pub(crate) mod clock;
pub(crate) mod entries;
pub(crate) mod error;
pub(crate) mod quarantine;
pub(crate) mod scheme;
pub(crate) mod undoing;

use crate::{
    guard::RecordReading,
    ledger::{
        self, Claim, ClaimReply, Command, Entry, PresentRecord, Record, Refusal, Reply, State,
        Transition,
    },
    model::{Stamp, StoreKey},
    store::{Store, StoredEntry, Version},
};
use clock::BootInstant;
use entries::{EntryClient, EntryWrite, WriteOutcome};
use error::{LedgerError, TRIES_MAX};
use quarantine::Quarantine;
use semel_store::failpoints::{self, Failpoint};
use semel_store::fresh_nonce;
use std::sync::Arc;

/// The further tries after a write without a certain answer that was not found.
const LOSSES_MAX: u32 = 2;

/// The result of a command.
#[derive(Debug, Clone)]
pub(crate) struct AppliedCommand {
    pub(crate) reply: Reply,
    pub(crate) key: StoreKey,
    pub(crate) version: Version,
    /// The entry after the command.
    pub(crate) entry: Arc<Entry>,
    /// The time of the write of this version.
    pub(crate) written: Stamp,
    /// The store's time of the reply.
    pub(crate) now: Stamp,
    /// The host's time from before the ledger was read: rights count from here.
    pub(crate) asked: BootInstant,
    /// True if this is the record of the operation that is about to undo the requested one.
    pub(crate) is_undoer: bool,
}

impl AppliedCommand {
    pub(crate) fn record(&self) -> Option<&Record> {
        match &*self.entry {
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
                } | State::Undone {
                    delivered: true,
                    ..
                }
            )
        });
        // A caller has nothing to wait for of the operation that undoes its own.
        let delivered = delivered || self.is_undoer;
        RecordReading {
            reply: self.reply.clone(),
            key: self.key,
            version: self.version,
            generation: record.map_or(0, |record| record.generation),
            delivered,
            last: record.and_then(Record::last_attempt).map(|last| last.fence),
        }
    }

    fn current(&self) -> CurrentEntry {
        CurrentEntry {
            entry: Arc::clone(&self.entry),
            version: self.version,
            written: self.written,
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

/// A client's knowledge of the entry that it is about to change.
enum EntryView {
    /// Nothing was read. A claim takes its operation to be new.
    Unread(Arc<Claim>),
    /// The entry, or its absence, and the store's time of the reading.
    Read(Option<CurrentEntry>, Stamp),
}

impl EntryView {
    fn expected(&self) -> Option<Version> {
        match self {
            Self::Read(Some(current), _) => Some(current.version),
            Self::Read(None, _) | Self::Unread(_) => None,
        }
    }

    fn transition(&self, command: &Command) -> Result<Transition, LedgerError> {
        match self {
            Self::Unread(claim) => Ok(ledger::first_claim(claim)),
            Self::Read(current, now) => {
                Ok(ledger::apply(present(current.as_ref())?, command, *now)?)
            }
        }
    }

    /// Returns the result of a command that changed nothing.
    fn unchanged(
        self,
        key: StoreKey,
        reply: Reply,
        asked: BootInstant,
    ) -> Result<AppliedCommand, LedgerError> {
        let Self::Read(Some(current), now) = self else {
            // Without a record, a command either writes one or is refused.
            return Err(Refusal::NoRecord { command: "claim" }.into());
        };
        Ok(AppliedCommand {
            reply,
            key,
            version: current.version,
            entry: current.entry,
            written: current.written,
            now,
            asked,
            is_undoer: false,
        })
    }
}

/// The client of a ledger on a store.
#[derive(Debug, Clone)]
pub(crate) struct LedgerClient {
    entries: EntryClient,
    /// `None` for a client that sends nothing.
    quarantine: Option<Arc<Quarantine>>,
}

impl LedgerClient {
    pub(crate) fn new(entries: EntryClient) -> Self {
        Self {
            entries,
            quarantine: None,
        }
    }

    /// Returns the client of a host that sends: it grants no right on a ledger that may have lost a record.
    pub(crate) fn with_quarantine(entries: EntryClient, quarantine: Quarantine) -> Self {
        Self {
            entries,
            quarantine: Some(Arc::new(quarantine)),
        }
    }

    pub(crate) fn entries(&self) -> &EntryClient {
        &self.entries
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        self.entries.store()
    }

    /// Carries out `command` on the record at `key`, and follows an alias once.
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

    async fn apply_at(
        &self,
        key: StoreKey,
        command: &Command,
    ) -> Result<AppliedCommand, LedgerError> {
        let asked = BootInstant::now();
        let view = match command {
            // Most claims are the first of their operation, so the creation itself is the cheapest reading, unless
            // the store reads cheaply.
            Command::Claim(claim) if !self.store().reads_cheaply() => {
                EntryView::Unread(Arc::clone(claim))
            }
            _ => {
                let (stored, now) = self.store().get(key).await?;
                EntryView::Read(stored.map(CurrentEntry::from), now)
            }
        };
        self.compare_and_swap(key, command, view, asked).await
    }

    /// Carries out `command` on the entry that `earlier` left in the ledger, without reading first: it is usually
    /// unchanged, and otherwise the conditional write fails. For settlements by the owner, which gain nothing from an
    /// earlier time.
    pub(crate) async fn apply_after(
        &self,
        earlier: &AppliedCommand,
        command: &Command,
    ) -> Result<AppliedCommand, LedgerError> {
        let view = EntryView::Read(Some(earlier.current()), earlier.now);
        self.compare_and_swap(earlier.key, command, view, BootInstant::now())
            .await
    }

    /// As [`Self::apply_after`], but deferred: nothing is written if the record has changed since.
    pub(crate) async fn apply_deferred(
        &self,
        earlier: &AppliedCommand,
        command: &Command,
    ) -> Result<(), LedgerError> {
        let current = earlier.current();
        let transition = ledger::apply(present(Some(&current))?, command, earlier.now)?;
        let Some((record, retention)) = transition.write else {
            return Ok(());
        };
        let entry = Arc::new(Entry::Operation(record));
        let version = fresh_nonce()?;
        let failpoint = Failpoint::of_command(command);
        failpoints::before(failpoint);
        let deferred = self
            .store()
            .replace_deferred(earlier.key, earlier.version, &entry, version, retention)
            .await;
        failpoints::after(failpoint);
        Ok(deferred?)
    }

    /// Returns the reply that a claim would get, without making it. It grants no right.
    pub(crate) async fn preview_claim(
        &self,
        key: StoreKey,
        claim: &Arc<Claim>,
    ) -> Result<AppliedCommand, LedgerError> {
        let preview = self.preview_claim_at(key, claim).await?;
        match preview.reply {
            Reply::Told(ClaimReply::Alias { to }) if to != key => {
                self.preview_claim_at(to, claim).await
            }
            _ => Ok(preview),
        }
    }

    async fn preview_claim_at(
        &self,
        key: StoreKey,
        claim: &Arc<Claim>,
    ) -> Result<AppliedCommand, LedgerError> {
        let asked = BootInstant::now();
        let (stored, now) = self.store().get(key).await?;
        let current = stored.map(CurrentEntry::from).ok_or(Refusal::NoRecord {
            command: "continue",
        })?;
        let view = EntryView::Read(Some(current), now);
        let reply = view.transition(&Command::Claim(Arc::clone(claim)))?.reply;
        view.unchanged(key, reply, asked)
    }

    async fn compare_and_swap(
        &self,
        key: StoreKey,
        command: &Command,
        mut view: EntryView,
        mut asked: BootInstant,
    ) -> Result<AppliedCommand, LedgerError> {
        let mut losses = 0;
        for _ in 0..TRIES_MAX {
            let Transition { write, reply } = view.transition(command)?;
            let Some((record, retention)) = write else {
                return view.unchanged(key, reply, asked);
            };
            let grants = matches!(reply, Reply::Granted(_));
            if grants {
                self.prepare_grant(command, &view).await?;
            }
            let entry = Arc::new(Entry::Operation(record));
            let version = fresh_nonce()?;
            let expected = view.expected();
            let write = EntryWrite {
                key,
                expected,
                entry: &entry,
                version,
                retention,
                failpoint: Failpoint::of_command(command),
            };
            // A changed entry is applied to again: the command may mean something else on it, or be refused.
            let (changed, now) = match self.entries.write(write).await? {
                WriteOutcome::Written(written) => {
                    // The incarnation of the write itself counts: a failover may have come between.
                    if grants && let Err(error) = self.ensure_not_quarantined(written).await {
                        self.withdraw_first_claim(key, expected, version).await;
                        return Err(error);
                    }
                    return Ok(AppliedCommand {
                        reply,
                        key,
                        version,
                        entry,
                        written,
                        now: written,
                        asked,
                        is_undoer: false,
                    });
                }
                WriteOutcome::Lost(error, ..) if losses == LOSSES_MAX => return Err(error.into()),
                WriteOutcome::Lost(_, changed, now) => {
                    losses += 1;
                    (changed, now)
                }
                WriteOutcome::Changed(changed, now) => (changed, now),
            };
            // A right counts from before the reading that it rests on, and this reading is new.
            asked = BootInstant::now();
            view = EntryView::Read(changed.map(CurrentEntry::from), now);
        }
        Err(LedgerError::Contended)
    }

    /// Checks the conditions of a right to send before it is written. Where the store has reported no time yet, the
    /// reply to the write is checked instead.
    async fn prepare_grant(&self, command: &Command, view: &EntryView) -> Result<(), LedgerError> {
        let Some(quarantine) = &self.quarantine else {
            return Ok(());
        };
        if let EntryView::Read(_, now) = view {
            quarantine
                .ensure_not_quarantined(&self.entries, *now)
                .await?;
        }
        match command {
            Command::Claim(claim) => quarantine.raise_horizon(&self.entries, claim).await,
            _ => Ok(()),
        }
    }

    async fn ensure_not_quarantined(&self, now: Stamp) -> Result<(), LedgerError> {
        match &self.quarantine {
            Some(quarantine) => quarantine.ensure_not_quarantined(&self.entries, now).await,
            None => Ok(()),
        }
    }

    /// Removes a first claim after its right is withdrawn. If that fails, its lease ends, and the operation is in doubt.
    async fn withdraw_first_claim(
        &self,
        key: StoreKey,
        expected: Option<Version>,
        version: Version,
    ) {
        if expected.is_none() {
            let _left = self.store().remove(key, version).await;
        }
    }
}

fn present(current: Option<&CurrentEntry>) -> Result<Option<PresentRecord<'_>>, LedgerError> {
    let Some(current) = current else {
        return Ok(None);
    };
    match &*current.entry {
        Entry::Operation(record) => Ok(Some(PresentRecord {
            record,
            written: current.written,
        })),
        other => Err(LedgerError::misplaced(other, "an operation")),
    }
}
