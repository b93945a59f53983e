//! Erasing a tenant's content: every word, but not what keeps an operation from being sent again.

use crate::runtime::{
    ledger_client::LedgerError,
    operator::{Ledger, PAGE},
    shadow::put_tally,
};
use crate::{
    ledger::{Command, Entry, Record, RecordSecrets, StateLabel},
    model::{StoreKey, Tenant},
    store::{EntryQuery, RemoveResult, StoreError, StoredEntry},
};
use std::collections::BTreeMap;

/// The extent of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erasing {
    /// Nothing: what would be is counted.
    Nothing,
    /// The content of settled operations: calls, outcomes, reasons, evidence, facts, identities,
    /// handles. The settled state stays, so that no repeat is sent.
    Words,
    /// The records of settled operations altogether, and handles: a repeat is a new operation then, and is sent.
    Records,
}

/// The result of erasing a tenant's content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// The operations without content now, or removed.
    pub operations: u64,
    /// The removed handles.
    pub handles: u64,
    /// The operations that were left because they are not settled, by state.
    pub left: BTreeMap<StateLabel, u64>,
    /// The operations that were left because they cannot be read here, such as under a sealing key
    /// that this host does not have.
    pub unreadable: u64,
}

impl Ledger {
    /// Erases the content of `tenant`, and then clears the store's files of overwritten content.
    /// Operations that are running, in doubt or held are left and counted: a person needs their
    /// content to decide, and erases again.
    ///
    /// The tenant's name stays wherever a record does.
    ///
    /// # Errors
    ///
    /// If the ledger does not answer. What was erased until then is.
    pub async fn erase(&self, tenant: &Tenant, how: Erasing) -> Result<Erased, LedgerError> {
        let mut erased = Erased::default();
        for key in self
            .keys_of(tenant, StateLabel::of_operations().collect())
            .await?
        {
            self.erase_operation(key, tenant, how, &mut erased).await?;
        }
        if how == Erasing::Records {
            for key in self.keys_of(tenant, vec![StateLabel::Handle]).await? {
                erased.handles += u64::from(self.remove_handle(key, tenant).await?);
            }
        }
        if how != Erasing::Nothing {
            self.erase_examples(tenant).await?;
            self.table.store().scrub().await?;
        }
        Ok(erased)
    }

    async fn keys_of(
        &self,
        tenant: &Tenant,
        states: Vec<StateLabel>,
    ) -> Result<Vec<StoreKey>, LedgerError> {
        self.keys_where(Some(tenant.clone()), states).await
    }

    async fn keys_where(
        &self,
        tenant: Option<Tenant>,
        states: Vec<StateLabel>,
    ) -> Result<Vec<StoreKey>, LedgerError> {
        let mut keys = Vec::new();
        let mut query = EntryQuery {
            tenant,
            states,
            due: false,
            after: None,
            limit: PAGE,
        };
        loop {
            let page = self.table.store().list(&query).await?;
            query.after = page.keys.last().copied();
            keys.extend(page.keys);
            if !page.more {
                return Ok(keys);
            }
        }
    }

    async fn erase_operation(
        &self,
        key: StoreKey,
        tenant: &Tenant,
        how: Erasing,
        erased: &mut Erased,
    ) -> Result<(), LedgerError> {
        let stored = match self.table.store().get(key).await {
            Ok((stored, _)) => stored,
            Err(StoreError::Entry(_)) => {
                erased.unreadable += 1;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let Some((stored, record)) = stored
            .as_ref()
            .and_then(|stored| Some((stored, record(stored)?)))
        else {
            return Ok(());
        };
        if record.tenant == *tenant && record.terms.shadow && how != Erasing::Nothing {
            // Nothing rests on it, wherever it stands.
            self.table.store().remove(key, stored.version).await?;
            return Ok(());
        }
        if record.tenant != *tenant
            || record.terms.shadow
            || (how != Erasing::Records && tells_nothing(stored))
        {
            return Ok(());
        }
        let label = record.state.label();
        if !is_settled(label) {
            *erased.left.entry(label).or_default() += 1;
            return Ok(());
        }
        match how {
            Erasing::Nothing => erased.operations += 1,
            Erasing::Words => self.erase_words(key, label, erased).await?,
            Erasing::Records => match self.table.store().remove(key, stored.version).await? {
                RemoveResult::Removed => erased.operations += 1,
                RemoveResult::Changed(..) => *erased.left.entry(label).or_default() += 1,
            },
        }
        Ok(())
    }

    async fn erase_words(
        &self,
        key: StoreKey,
        label: StateLabel,
        erased: &mut Erased,
    ) -> Result<(), LedgerError> {
        match self.table.apply(key, &Command::Erase).await {
            Ok(_) => erased.operations += 1,
            // It moved on meanwhile, or has an undo to write or to wait for.
            Err(LedgerError::Refused(_)) => *erased.left.entry(label).or_default() += 1,
            Err(LedgerError::Store(StoreError::Entry(_))) => erased.unreadable += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// In tallies only examples hold a tenant's content; counts hold none.
    async fn erase_examples(&self, tenant: &Tenant) -> Result<(), LedgerError> {
        for key in self.keys_where(None, vec![StateLabel::Tally]).await? {
            let (Some(stored), _) = self.table.store().get(key).await? else {
                continue;
            };
            let Entry::Tally(tally) = &*stored.entry else {
                continue;
            };
            let mut without = tally.clone();
            without.examples.retain(|example| example.tenant != *tenant);
            if without.examples.len() < tally.examples.len() {
                // Where another writes it at this moment, the next erasure finds it.
                put_tally(
                    &**self.table.store(),
                    key,
                    Some(stored.version),
                    Entry::Tally(without),
                )
                .await?;
            }
        }
        Ok(())
    }

    async fn remove_handle(&self, key: StoreKey, tenant: &Tenant) -> Result<bool, LedgerError> {
        let (Some(stored), _) = self.table.store().get(key).await? else {
            return Ok(false);
        };
        match &*stored.entry {
            Entry::Handle(handle) if handle.tenant == *tenant => Ok(matches!(
                self.table.store().remove(key, stored.version).await?,
                RemoveResult::Removed
            )),
            _ => Ok(false),
        }
    }
}

fn record(stored: &StoredEntry) -> Option<&Record> {
    match &*stored.entry {
        Entry::Operation(record) => Some(record),
        Entry::Sealed(sealed) => Some(sealed.record()),
        Entry::Handle(_) | Entry::Scheme(_) | Entry::Tally(_) => None,
    }
}

/// Returns true if it was erased before, so that there is nothing left to write.
fn tells_nothing(stored: &StoredEntry) -> bool {
    let Entry::Operation(record) = &*stored.entry else {
        return false;
    };
    let mut erased = record.clone();
    RecordSecrets::erase(&mut erased);
    *record == erased && record.state.label() != StateLabel::Landed
}

/// Returns true if its outcome is final.
fn is_settled(label: StateLabel) -> bool {
    use StateLabel::{Landed, Refused, Released, Tombstone, Undone};
    matches!(label, Landed | Refused | Released | Tombstone | Undone)
}
