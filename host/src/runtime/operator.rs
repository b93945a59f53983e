//! The ledger as its operator reads and changes it: listing, looking up, deciding, sweeping.

pub(crate) mod erasure;
mod pages;
mod report;

use crate::runtime::{
    host::key_form,
    ledger_client::{
        LedgerClient,
        entries::EntryClient,
        error::LedgerError,
        scheme::{self, SchemeError},
    },
};
use crate::{
    key::{KeyMode, KeyScheme},
    ledger::{
        Command, Decision, Entry, HandleOwner, OperationGeneration, Person, Record, StateLabel,
    },
    model::{Stamp, StoreKey, Tenant},
    store::{EntryQuery, Store, StoreError},
};
use pages::KeyPages;
use semel_store::failpoints::{self, Failpoint};
use std::{sync::Arc, time::Duration};

/// The fewest digits of a store key that name a record.
const PREFIX_DIGITS_MIN: usize = 8;

/// A record, as a person reads it.
#[derive(Debug, Clone)]
pub struct RecordView {
    /// The key of the record.
    pub key: StoreKey,
    /// Its present downstream key, by which answers name it.
    pub downstream: String,
    /// The record.
    pub record: Record,
    /// The sealing key that this host does not have, in which case the record's content is missing.
    pub sealed_under: Option<String>,
    /// The time of its first write.
    pub created: Stamp,
    /// The time of its last write.
    pub written: Stamp,
    /// The ledger's time of the reading.
    pub now: Stamp,
}

/// The result of looking a name up.
#[derive(Debug)]
pub enum LookUpResult {
    /// The one record of this name.
    Record(Box<RecordView>),
    /// The number of records with a name that begins so.
    Ambiguous(usize),
    /// There is no such record.
    NotFound,
}

/// The reason why a name was not looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// The text cannot be the name of a record.
    #[error(
        "`{0}` names no record: give the key of an answer, or at least {PREFIX_DIGITS_MIN} digits of an id that `list` shows"
    )]
    NoName(String),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The result of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// The operations that are in doubt now because their lease had ended.
    pub expired: u64,
    /// The records with undos that were not written before.
    pub undone: u64,
}

/// The ledger as its operator reads and changes it.
#[derive(Debug, Clone)]
pub struct Ledger {
    client: LedgerClient,
    keys: KeyScheme,
}

impl Ledger {
    pub(crate) fn new(client: LedgerClient, keys: KeyScheme) -> Self {
        Self { client, keys }
    }

    /// Opens the ledger kept in `store`, for an operator without policies.
    ///
    /// # Errors
    ///
    /// If its keys are made in another way than `keys` makes them.
    pub async fn open(store: Arc<dyn Store>, keys: KeyScheme) -> Result<Self, SchemeError> {
        let entries = EntryClient::new(store);
        scheme::agree_on_scheme(&entries, &keys, std::iter::empty()).await?;
        Ok(Self::new(LedgerClient::new(entries), keys))
    }

    fn store(&self) -> &dyn Store {
        &**self.client.store()
    }

    /// Ends the quarantine of a ledger that may have lost acknowledged writes. `person` vouches
    /// that no earlier call is repeated. Returns true if there was a quarantine.
    ///
    /// # Errors
    ///
    /// If the ledger does not answer.
    pub async fn trust(&self, person: &Person) -> Result<bool, LedgerError> {
        scheme::trust_ledger(self.client.entries(), self.keys.mode(), person).await
    }

    /// Returns up to `limit` records of the tenant (`None`: of all tenants), in one of the states (empty: in any), in the
    /// order of keys. Shadow records are left out: no call depends on them.
    ///
    /// # Errors
    ///
    /// If the ledger does not answer.
    pub async fn list(
        &self,
        tenant: Option<&Tenant>,
        states: &[StateLabel],
        limit: usize,
    ) -> Result<Vec<RecordView>, LedgerError> {
        self.list_records(false, tenant, states, limit).await
    }

    async fn list_records(
        &self,
        shadow: bool,
        tenant: Option<&Tenant>,
        states: &[StateLabel],
        limit: usize,
    ) -> Result<Vec<RecordView>, LedgerError> {
        let mut listed = Vec::new();
        let mut pages = KeyPages::new(EntryQuery {
            tenant: tenant.cloned(),
            states: operation_states(states),
            ..EntryQuery::default()
        });
        while let Some(keys) = pages.next_page(self.store()).await? {
            for key in keys {
                if let Some(view) = self.read(key).await?
                    && view.record.terms.shadow == shadow
                    && matches_query(&view, tenant, states)
                {
                    listed.push(view);
                }
                if listed.len() >= limit {
                    return Ok(listed);
                }
            }
        }
        Ok(listed)
    }

    /// Returns the record at `key`, if there is one.
    ///
    /// # Errors
    ///
    /// If the ledger does not answer.
    pub async fn read(&self, key: StoreKey) -> Result<Option<RecordView>, LedgerError> {
        let (Some(stored), now) = self.store().get(key).await? else {
            return Ok(None);
        };
        let (record, sealed_under) = match &*stored.entry {
            Entry::Operation(record) => (&**record, None),
            Entry::Sealed(sealed) => (sealed.record(), Some(sealed.key_id().to_owned())),
            _ => return Ok(None),
        };
        Ok(Some(RecordView {
            key,
            downstream: self.downstream_key(key, record),
            record: record.clone(),
            sealed_under,
            created: stored.created,
            written: stored.written,
            now,
        }))
    }

    fn downstream_key(&self, key: StoreKey, record: &Record) -> String {
        let mode = if record.terms.shadow {
            KeyMode::Shadow
        } else {
            self.keys.mode()
        };
        self.keys
            .in_mode(mode)
            .downstream(&key, record.generation, record.series)
            .render(key_form(&record.terms))
            .unwrap_or_default()
    }

    /// Looks up the record of a name: an answer's key, or the beginning of an id that a list or a report shows.
    ///
    /// # Errors
    ///
    /// If the text cannot be such a name, or the ledger does not answer.
    pub async fn look_up(&self, name: &str) -> Result<LookUpResult, LookUpError> {
        if let Some(key) = StoreKey::from_hex(name)
            && let Some(view) = self.read(key).await?
        {
            return Ok(LookUpResult::Record(Box::new(view)));
        }
        let is_prefix = name.len() >= PREFIX_DIGITS_MIN
            && name.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if !is_prefix {
            return Err(LookUpError::NoName(name.to_owned()));
        }
        // No store finds a key by its beginning, so all records are read, and shadow records last.
        let name = name.to_lowercase();
        let mut named = self.list_records(false, None, &[], usize::MAX).await?;
        named.extend(self.list_records(true, None, &[], usize::MAX).await?);
        named.retain(|view| {
            view.key.to_hex().starts_with(&name) || view.downstream.starts_with(&name)
        });
        let count = named.len();
        Ok(match named.pop() {
            None => LookUpResult::NotFound,
            Some(view) if count == 1 => LookUpResult::Record(Box::new(view)),
            Some(_) => LookUpResult::Ambiguous(count),
        })
    }

    /// Writes a person's decision about the record at `key`. `shown` is the last attempt that the person was shown.
    ///
    /// # Errors
    ///
    /// If a rule of the ledger forbids it (the error names the rule), or the ledger does not answer.
    pub async fn decide(
        &self,
        key: StoreKey,
        shown: u32,
        person: Person,
        decision: Decision,
    ) -> Result<(), LedgerError> {
        if let Decision::Landed { handles, .. } = &decision
            && let Some(RecordView { record, .. }) = self.read(key).await?
            && let Some(last) = record.last_attempt()
        {
            // Before the decision, so that a landing is never recorded without its handles.
            let owner = HandleOwner {
                of: OperationGeneration {
                    key,
                    generation: record.generation,
                },
                nonce: last.fence.nonce,
            };
            self.client
                .write_owner(
                    &self.keys,
                    &record.name_space,
                    &record.tenant,
                    handles,
                    owner,
                )
                .await?;
        }
        let decide = Command::Decide {
            shown,
            person,
            decision,
        };
        let applied = self.client.apply(key, &decide).await?;
        if let Some(record) = applied.record() {
            self.client.finish_undoes(key, record).await;
        }
        Ok(())
    }

    /// Removes up to `at_most` entries that are past their retention.
    ///
    /// # Errors
    ///
    /// If the ledger does not answer.
    pub async fn purge(&self, at_most: usize) -> Result<usize, LedgerError> {
        failpoints::before(Failpoint::Purge);
        let purged = self.store().purge(at_most).await;
        failpoints::after(Failpoint::Purge);
        Ok(purged?)
    }

    /// Removes the outcomes of operations that landed at least `older_than` ago, and keeps that they landed: a repeat is
    /// *expired* from then on. Outcomes with handles, by which later calls may undo, are kept. Returns the number of
    /// removed outcomes.
    ///
    /// # Errors
    ///
    /// If the ledger does not answer.
    pub async fn forget_outcomes(&self, older_than: Duration) -> Result<u64, LedgerError> {
        let older_than_ms = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        let mut forgotten = 0;
        let mut pages = KeyPages::new(EntryQuery {
            states: vec![StateLabel::Landed],
            ..EntryQuery::default()
        });
        while let Some(keys) = pages.next_page(self.store()).await? {
            for key in keys {
                if self.forget_outcome(key, older_than_ms).await? {
                    forgotten += 1;
                }
            }
        }
        Ok(forgotten)
    }

    async fn forget_outcome(&self, key: StoreKey, older_than_ms: u64) -> Result<bool, LedgerError> {
        let Some(view) = self.read(key).await? else {
            return Ok(false);
        };
        let age_ms = view.now.shortest_since(&view.record.since.at(view.written));
        // An undo by a handle needs the outcome, and so does the next undo of what is done again.
        let is_needed = view.record.terms.undoing || !view.record.handles.is_empty();
        if is_needed || age_ms < older_than_ms {
            return Ok(false);
        }
        match self.client.apply(key, &Command::Age).await {
            Ok(_) => Ok(true),
            // It changed since it was read, has an undo to write, or is sealed under a key that is not here.
            Err(LedgerError::Refused(_) | LedgerError::Store(StoreError::Entry(_))) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts operations with an expired lease in doubt, and writes the undos that are not written yet.
    ///
    /// # Errors
    ///
    /// If the ledger does not answer.
    pub async fn sweep(&self) -> Result<SweepReport, LedgerError> {
        let mut report = SweepReport::default();
        let mut pages = KeyPages::new(EntryQuery {
            due: true,
            ..EntryQuery::default()
        });
        while let Some(keys) = pages.next_page(self.store()).await? {
            for key in keys {
                self.sweep_record(key, &mut report).await?;
            }
        }
        Ok(report)
    }

    async fn sweep_record(
        &self,
        key: StoreKey,
        report: &mut SweepReport,
    ) -> Result<(), LedgerError> {
        match self.client.apply(key, &Command::Expire).await {
            Ok(applied) => {
                if let Some(record) = applied.record()
                    && !record.terms.shadow
                {
                    report.expired += 1;
                }
            }
            Err(LedgerError::Refused(_)) => {
                if let Some(view) = self.read(key).await?
                    && view.record.has_open_undoes()
                {
                    self.client.finish_undoes(key, &view.record).await;
                    report.undone += 1;
                }
            }
            // A host with the sealing key sweeps it.
            Err(LedgerError::Store(StoreError::Entry(_))) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Returns the states to list: only records of operations, never handles or the scheme.
fn operation_states(states: &[StateLabel]) -> Vec<StateLabel> {
    if states.is_empty() {
        StateLabel::of_operations().collect()
    } else {
        states.to_vec()
    }
}

/// Returns true if the record matches the query, because a store may list more than was asked.
fn matches_query(view: &RecordView, tenant: Option<&Tenant>, states: &[StateLabel]) -> bool {
    tenant.is_none_or(|tenant| view.record.tenant == *tenant)
        && (states.is_empty() || states.contains(&view.record.state.label()))
}
