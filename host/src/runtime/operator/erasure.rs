//! Erasing a tenant's content, but not what keeps an operation from being sent again.

use super::{Ledger, pages::KeyPages};
use crate::{
    ledger::{Command, Entry, Record, RecordSecrets, StateLabel},
    model::{StoreKey, Tenant},
    runtime::ledger_client::error::LedgerError,
    store::{EntryQuery, RemoveResult, StoreError, StoredEntry},
};
use std::collections::BTreeMap;

/// The extent of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureScope {
    /// Nothing: a dry run, which only counts.
    DryRun,
    /// The content of settled operations: calls, outcomes, reasons, evidence, facts, identities,
    /// handles. The settled state stays, so that no repeat is sent.
    Content,
    /// The records of settled operations as a whole, and handles. A repeat is a new operation then, and is sent.
    Records,
}

/// The result of erasing a tenant's content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErasureReport {
    /// The operations without content or record now.
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
    pub async fn erase(
        &self,
        tenant: &Tenant,
        scope: ErasureScope,
    ) -> Result<ErasureReport, LedgerError> {
        let mut report = ErasureReport::default();
        let operations = StateLabel::of_operations().collect();
        for key in self.keys_of(Some(tenant), operations).await? {
            self.erase_operation(key, tenant, scope, &mut report)
                .await?;
        }
        if scope == ErasureScope::Records {
            for key in self.keys_of(Some(tenant), vec![StateLabel::Handle]).await? {
                if self.remove_handle(key, tenant).await? {
                    report.handles += 1;
                }
            }
        }
        // Last, since the files hold overwritten content until all records are written.
        if scope != ErasureScope::DryRun {
            self.erase_examples(tenant).await?;
            self.store().scrub().await?;
        }
        Ok(report)
    }

    /// Returns the keys before any is erased: an erasure changes the states that the query selects by.
    async fn keys_of(
        &self,
        tenant: Option<&Tenant>,
        states: Vec<StateLabel>,
    ) -> Result<Vec<StoreKey>, LedgerError> {
        let mut all = Vec::new();
        let mut pages = KeyPages::new(EntryQuery {
            tenant: tenant.cloned(),
            states,
            ..EntryQuery::default()
        });
        while let Some(keys) = pages.next_page(self.store()).await? {
            all.extend(keys);
        }
        Ok(all)
    }

    async fn erase_operation(
        &self,
        key: StoreKey,
        tenant: &Tenant,
        scope: ErasureScope,
        report: &mut ErasureReport,
    ) -> Result<(), LedgerError> {
        let stored = match self.store().get(key).await {
            Ok((Some(stored), _)) => stored,
            Ok((None, _)) => return Ok(()),
            Err(StoreError::Entry(_)) => {
                report.unreadable += 1;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let Some(record) = record_of(&stored) else {
            return Ok(());
        };
        if record.tenant != *tenant {
            return Ok(());
        }
        if record.terms.shadow {
            // No call depends on a shadow record, so it is removed in any state.
            if scope != ErasureScope::DryRun {
                self.store().remove(key, stored.version).await?;
            }
            return Ok(());
        }
        if scope != ErasureScope::Records && is_erased(&stored) {
            return Ok(());
        }
        let label = record.state.label();
        if !is_settled(label) {
            *report.left.entry(label).or_default() += 1;
            return Ok(());
        }
        match scope {
            ErasureScope::DryRun => report.operations += 1,
            ErasureScope::Content => self.erase_content(key, label, report).await?,
            ErasureScope::Records => match self.store().remove(key, stored.version).await? {
                RemoveResult::Removed => report.operations += 1,
                RemoveResult::Changed(..) => *report.left.entry(label).or_default() += 1,
            },
        }
        Ok(())
    }

    async fn erase_content(
        &self,
        key: StoreKey,
        label: StateLabel,
        report: &mut ErasureReport,
    ) -> Result<(), LedgerError> {
        match self.client.apply(key, &Command::Erase).await {
            Ok(_) => report.operations += 1,
            // It changed since it was read, or has an undo to write or to wait for.
            Err(LedgerError::Refused(_)) => *report.left.entry(label).or_default() += 1,
            Err(LedgerError::Store(StoreError::Entry(_))) => report.unreadable += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Removes the tenant's examples from all tallies. Their counts name no tenant, and stay.
    async fn erase_examples(&self, tenant: &Tenant) -> Result<(), LedgerError> {
        for key in self.keys_of(None, vec![StateLabel::Tally]).await? {
            let (Some(stored), _) = self.store().get(key).await? else {
                continue;
            };
            let Entry::Tally(tally) = &*stored.entry else {
                continue;
            };
            let mut without = tally.clone();
            without.examples.retain(|example| example.tenant != *tenant);
            if without.examples.len() < tally.examples.len() {
                // Where another host writes the tally at this moment, the next erasure finds it.
                let entries = self.client.entries();
                entries
                    .write_tally(key, Some(stored.version), without)
                    .await?;
            }
        }
        Ok(())
    }

    async fn remove_handle(&self, key: StoreKey, tenant: &Tenant) -> Result<bool, LedgerError> {
        let (Some(stored), _) = self.store().get(key).await? else {
            return Ok(false);
        };
        match &*stored.entry {
            Entry::Handle(handle) if handle.tenant == *tenant => {
                let removed = self.store().remove(key, stored.version).await?;
                Ok(matches!(removed, RemoveResult::Removed))
            }
            _ => Ok(false),
        }
    }
}

fn record_of(stored: &StoredEntry) -> Option<&Record> {
    match &*stored.entry {
        Entry::Operation(record) => Some(record),
        Entry::Sealed(sealed) => Some(sealed.record()),
        Entry::Handle(_) | Entry::Scheme(_) | Entry::Tally(_) => None,
    }
}

/// Returns true if the content was erased before, so that there is nothing left to erase.
fn is_erased(stored: &StoredEntry) -> bool {
    let Entry::Operation(record) = &*stored.entry else {
        return false;
    };
    let mut erased = record.clone();
    RecordSecrets::erase(&mut erased);
    *record == erased && record.state.label() != StateLabel::Landed
}

/// Returns true if the outcome is final.
fn is_settled(label: StateLabel) -> bool {
    use StateLabel::{Landed, Refused, Released, Tombstone, Undone};
    matches!(label, Landed | Refused | Released | Tombstone | Undone)
}
