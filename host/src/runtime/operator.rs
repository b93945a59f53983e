//! The ledger as its operator sees it: listing, looking up, deciding, sweeping.

pub(crate) mod erasing;
mod report;

use crate::runtime::{
    ledger_client::scheme::{self, SchemeError},
    ledger_client::{LedgerClient, LedgerError},
};
use crate::{
    key::{KeyMode, KeyScheme},
    ledger::{Command, Decision, Entry, OperationGeneration, Person, Record, StateLabel},
    model::{Stamp, StoreKey, Tenant},
    store::{EntryQuery, Store, StoreError},
};
use semel_store::failpoints::{self, Failpoint};
use std::{sync::Arc, time::Duration};

/// The keys of one page.
pub(crate) const PAGE: usize = 256;

/// The fewest digits of a store key that name a record.
const PREFIX_DIGITS_MIN: usize = 8;

/// A record, as a person reads it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The key of the record.
    pub key: StoreKey,
    /// Its present downstream key, by which answers name it.
    pub downstream: String,
    /// The record.
    pub record: Record,
    /// The sealing key that this host does not have: the record's content is missing then.
    pub sealed_under: Option<String>,
    /// When it was first written.
    pub created: Stamp,
    /// When it was last written.
    pub written: Stamp,
    /// The ledger's time of the reading.
    pub now: Stamp,
}

/// The target of a name.
#[derive(Debug)]
pub enum Found {
    /// One record.
    One(Box<Listed>),
    /// More than one: the name is too short.
    Several(usize),
    /// None.
    None,
}

/// Why a name was not looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// It is no name of a record.
    #[error(
        "`{0}` names no record: give the key of an answer, or at least {PREFIX_DIGITS_MIN} digits of an id that `list` shows"
    )]
    NoName(String),
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The result of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// The operations found in doubt because their lease had ended.
    pub expired: u64,
    /// The records with undos that were still to be written.
    pub undone: u64,
}

/// The ledger as its operator sees it.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) table: LedgerClient,
    keys: KeyScheme,
}

impl Ledger {
    pub(crate) fn over(table: LedgerClient, keys: KeyScheme) -> Self {
        Self { table, keys }
    }

    /// The ledger kept in `store`, for an operator without policies.
    ///
    /// # Errors
    /// If its keys are made in another way than `keys` says.
    pub async fn open(store: Arc<dyn Store>, keys: KeyScheme) -> Result<Self, SchemeError> {
        let table = LedgerClient::new(store);
        scheme::agree(&table, &keys, std::iter::empty()).await?;
        Ok(Self { table, keys })
    }

    /// Ends the quarantine of a ledger that may have lost acknowledged writes, on the word of a
    /// person who knows that no earlier call is repeated. Returns true if there was a quarantine.
    ///
    /// # Errors
    ///
    /// If the ledger does not answer.
    pub async fn trust(&self, person: &Person) -> Result<bool, LedgerError> {
        scheme::trust(&self.table, self.keys.mode(), person).await
    }

    /// Up to `limit` records of the tenant (none: of all), in one of the states (none: in any), in the order of keys.
    /// Without shadow records, on which nothing rests.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn list(
        &self,
        tenant: Option<&Tenant>,
        states: &[StateLabel],
        limit: usize,
    ) -> Result<Vec<Listed>, LedgerError> {
        self.list_of(false, tenant, states, limit).await
    }

    async fn list_of(
        &self,
        shadow: bool,
        tenant: Option<&Tenant>,
        states: &[StateLabel],
        limit: usize,
    ) -> Result<Vec<Listed>, LedgerError> {
        let mut listed = Vec::new();
        let mut query = EntryQuery {
            tenant: tenant.cloned(),
            states: operations(states),
            due: false,
            after: None,
            limit: PAGE,
        };
        loop {
            let page = self.table.store().list(&query).await?;
            query.after = page.keys.last().copied();
            for key in page.keys {
                let found = self
                    .read(key)
                    .await?
                    .filter(|found| found.record.terms.shadow == shadow);
                listed.extend(found.filter(|found| matches(found, tenant, states)));
                if listed.len() >= limit {
                    return Ok(listed);
                }
            }
            if !page.more {
                return Ok(listed);
            }
        }
    }

    /// The record at `key`, if there is one.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn read(&self, key: StoreKey) -> Result<Option<Listed>, LedgerError> {
        let (Some(stored), now) = self.table.store().get(key).await? else {
            return Ok(None);
        };
        let (record, sealed_under) = match &*stored.entry {
            Entry::Operation(record) => (&**record, None),
            Entry::Sealed(sealed) => (sealed.record(), Some(sealed.key_id().to_owned())),
            _ => return Ok(None),
        };
        Ok(Some(Listed {
            key,
            downstream: self.downstream(key, record),
            record: record.clone(),
            sealed_under,
            created: stored.created,
            written: stored.written,
            now,
        }))
    }

    fn downstream(&self, key: StoreKey, record: &Record) -> String {
        let form = record
            .terms
            .target
            .as_ref()
            .map(|target| target.form)
            .unwrap_or_default();
        let mode = if record.terms.shadow {
            KeyMode::Shadow
        } else {
            self.keys.mode()
        };
        let keys = self.keys.in_mode(mode);
        keys.downstream(&key, record.generation, record.series)
            .render(form)
            .unwrap_or_default()
    }

    /// The record of this name: an answer's key, or the beginning of an id that a list or a report shows.
    ///
    /// # Errors
    /// If it is no such name, or the ledger does not answer.
    pub async fn find(&self, name: &str) -> Result<Found, LookUpError> {
        if let Some(key) = StoreKey::from_hex(name)
            && let Some(found) = self.read(key).await?
        {
            return Ok(Found::One(Box::new(found)));
        }
        let sound = name.len() >= PREFIX_DIGITS_MIN
            && name.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if !sound {
            return Err(LookUpError::NoName(name.to_owned()));
        }
        let name = name.to_lowercase();
        let mut all = self.list(None, &[], usize::MAX).await?;
        all.extend(self.list_of(true, None, &[], usize::MAX).await?);
        let mut named: Vec<Listed> = all
            .into_iter()
            .filter(|listed| {
                listed.key.to_hex().starts_with(&name) || listed.downstream.starts_with(&name)
            })
            .collect();
        Ok(match (named.pop(), named.len()) {
            (None, _) => Found::None,
            (Some(one), 0) => Found::One(Box::new(one)),
            (Some(_), more) => Found::Several(more + 1),
        })
    }

    /// Writes what a person decided of the record at `key`, on the ground of its attempt `shown`.
    ///
    /// # Errors
    /// If the table forbids it (the error says which rule), or the ledger does not answer.
    pub async fn decide(
        &self,
        key: StoreKey,
        shown: u32,
        person: Person,
        decision: Decision,
    ) -> Result<(), LedgerError> {
        if let Decision::Landed { handles, .. } = &decision
            && let Some(listed) = self.read(key).await?
        {
            let names = OperationGeneration {
                key,
                generation: listed.record.generation,
            };
            let name_space = &listed.record.name_space;
            let tenant = &listed.record.tenant;
            self.table
                .write_handles(&self.keys, name_space, tenant, handles, names)
                .await?;
        }
        let applied = self
            .table
            .apply(
                key,
                &Command::Decide {
                    shown,
                    person,
                    decision,
                },
            )
            .await?;
        if let Some(record) = applied.record() {
            self.table.finish_undoes(key, record).await;
        }
        Ok(())
    }

    /// Removes up to `at_most` entries that are past their end.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn purge(&self, at_most: usize) -> Result<usize, LedgerError> {
        failpoints::before(Failpoint::Purge);
        let purged = self.table.store().purge(at_most).await;
        failpoints::after(Failpoint::Purge);
        Ok(purged?)
    }

    /// Forgets the outcomes of what landed at least `older_than` ago, but not that it landed: a repeat is *expired* from
    /// then on. What later calls may undo by a handle is left whole. Says how many outcomes are gone.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn forget_outcomes(&self, older_than: Duration) -> Result<u64, LedgerError> {
        let older_than_ms = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        let mut forgotten = 0;
        let mut query = EntryQuery {
            states: vec![StateLabel::Landed],
            limit: PAGE,
            ..EntryQuery::default()
        };
        loop {
            let page = self.table.store().list(&query).await?;
            query.after = page.keys.last().copied();
            for key in &page.keys {
                forgotten += u64::from(self.forget_outcome(*key, older_than_ms).await?);
            }
            if !page.more {
                return Ok(forgotten);
            }
        }
    }

    async fn forget_outcome(&self, key: StoreKey, older_than_ms: u64) -> Result<bool, LedgerError> {
        let Some(listed) = self.read(key).await? else {
            return Ok(false);
        };
        let age_ms = listed
            .now
            .shortest_since(&listed.record.since.at(listed.written));
        if !listed.record.handles.is_empty() || age_ms < older_than_ms {
            return Ok(false);
        }
        match self.table.apply(key, &Command::Age).await {
            Ok(_) => Ok(true),
            // It moved on meanwhile, still has an undo to write, or is sealed under a key that is not here.
            Err(LedgerError::Refused(_) | LedgerError::Store(StoreError::Entry(_))) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Looks at what is due: leases that are over, and undos that are still to be written.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn sweep(&self) -> Result<Swept, LedgerError> {
        let mut swept = Swept::default();
        let mut query = EntryQuery {
            due: true,
            limit: PAGE,
            ..EntryQuery::default()
        };
        loop {
            let page = self.table.store().list(&query).await?;
            query.after = page.keys.last().copied();
            for key in &page.keys {
                self.sweep_one(*key, &mut swept).await?;
            }
            if !page.more {
                return Ok(swept);
            }
        }
    }

    async fn sweep_one(&self, key: StoreKey, swept: &mut Swept) -> Result<(), LedgerError> {
        match self.table.apply(key, &Command::Expire).await {
            Ok(applied) => {
                swept.expired +=
                    u64::from(applied.record().is_some_and(|record| !record.terms.shadow));
            }
            Err(LedgerError::Refused(_)) => {
                if let Some(listed) = self
                    .read(key)
                    .await?
                    .filter(|listed| listed.record.has_open_undoes())
                {
                    self.table.finish_undoes(key, &listed.record).await;
                    swept.undone += 1;
                }
            }
            // It is for a host that can read it.
            Err(LedgerError::Store(StoreError::Entry(_))) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Only records of operations are listed, never handles or the scheme.
fn operations(states: &[StateLabel]) -> Vec<StateLabel> {
    if states.is_empty() {
        StateLabel::of_operations().collect()
    } else {
        states.to_vec()
    }
}

/// A store may list too much.
fn matches(listed: &Listed, tenant: Option<&Tenant>, states: &[StateLabel]) -> bool {
    tenant.is_none_or(|tenant| listed.record.tenant == *tenant)
        && (states.is_empty() || states.contains(&listed.record.state.label()))
}
