//! The scheme record: hosts that make keys in different ways must not share a ledger.

use super::{
    entries::EntryClient,
    error::{LedgerError, TRIES_MAX},
    quarantine::{self, Quarantine},
};
use crate::{
    key::{self, KeyMode, KeyScheme},
    ledger::{Entry, Person, SchemeRecord},
    model::{PolicyDescription, StoreKey},
};
use std::collections::BTreeMap;

/// The reason why a host does not start on a ledger.
#[derive(Debug, thiserror::Error)]
pub enum SchemeError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger holds keys of another format.
    #[error(
        "the ledger holds keys of format {found}, and this release makes format {}: use the release that wrote it, or a new ledger",
        key::FORMAT
    )]
    Format {
        /// The ledger's format.
        found: u16,
    },
    /// The ledger holds keys made with another secret.
    #[error("the ledger's keys are made with {}, and this host has {}: set the same secret (`[keys]`), or use a new ledger", secret_name(.found), secret_name(.mine))]
    Secret {
        /// The name of the ledger's secret.
        found: Option<String>,
        /// The name of the host's secret.
        mine: Option<String>,
    },
    /// A policy makes other keys than the one that wrote here.
    #[error(
        "the policy `{policy}` has key epoch {mine}, and the ledger holds its keys of epoch {found}: use that version of the policy, or a new ledger"
    )]
    KeyEpoch {
        /// The policy.
        policy: String,
        /// The ledger's epoch.
        found: u32,
        /// The host's epoch.
        mine: u32,
    },
}

fn secret_name(id: &Option<String>) -> String {
    id.as_ref()
        .map_or_else(|| "no secret".to_owned(), |id| format!("the secret `{id}`"))
}

/// Returns the key of the scheme record of a mode. No digest of an operation is all zeros, so no record can have it.
fn scheme_key(mode: KeyMode) -> StoreKey {
    let mut bytes = [0; 32];
    if mode == KeyMode::Shadow
        && let Some(last) = bytes.last_mut()
    {
        *last = 1;
    }
    StoreKey::from_bytes(bytes)
}

/// Checks that this host makes keys as the ledger's other hosts do, and notes the policies that it adds.
pub(crate) async fn agree_on_scheme<'a>(
    entries: &EntryClient,
    keys: &KeyScheme,
    policies: impl Iterator<Item = &'a PolicyDescription> + Clone,
) -> Result<Quarantine, SchemeError> {
    let key = scheme_key(keys.mode());
    for _ in 0..TRIES_MAX {
        let read = entries.read_entry(key).await?;
        let found = read
            .as_ref()
            .and_then(|(stored, _)| quarantine::scheme_of(stored));
        let mut scheme = merge_schemes(found.as_ref(), keys, policies.clone())?;
        if let Some((stored, now)) = &read
            && stored.written.incarnation != now.incarnation
        {
            // Written in this incarnation without a quarantine, it would hide that an earlier one ended.
            let horizon = scheme.horizon_seconds;
            scheme = quarantine::begin_quarantine(scheme, horizon);
        }
        // Nothing to add: no write, so many hosts may open the ledger at once.
        if found.as_ref() == Some(&scheme) {
            let intact = match (&read, scheme.quarantine_seconds) {
                (Some((_, now)), None) => Some(now.incarnation),
                _ => None,
            };
            return Ok(Quarantine::new(key, scheme, intact));
        }
        let expected = read.map(|(stored, _)| stored.version);
        if entries
            .write_scheme(key, expected, Entry::Scheme(scheme.clone()))
            .await?
        {
            return Ok(Quarantine::new(key, scheme, None));
        }
    }
    Err(LedgerError::Contended.into())
}

/// Ends a quarantine because a person trusts the ledger. Returns true if there was a quarantine.
pub(crate) async fn trust_ledger(
    entries: &EntryClient,
    mode: KeyMode,
    person: &Person,
) -> Result<bool, LedgerError> {
    let key = scheme_key(mode);
    for _ in 0..TRIES_MAX {
        let Some((stored, now)) = entries.read_entry(key).await? else {
            return Ok(false);
        };
        let Some(scheme) = quarantine::scheme_of(&stored) else {
            return Ok(false);
        };
        if scheme.quarantine_seconds.is_none() && stored.written.incarnation == now.incarnation {
            return Ok(false);
        }
        let trusted = quarantine::end_quarantine(scheme, person.clone());
        if entries
            .write_scheme(key, Some(stored.version), Entry::Scheme(trusted))
            .await?
        {
            return Ok(true);
        }
    }
    Err(LedgerError::Contended)
}

/// Returns the ledger's scheme with this host's policies added, or an error where the two schemes differ.
fn merge_schemes<'a>(
    found: Option<&SchemeRecord>,
    keys: &KeyScheme,
    policies: impl Iterator<Item = &'a PolicyDescription>,
) -> Result<SchemeRecord, SchemeError> {
    let mine = SchemeRecord {
        key_format: key::FORMAT,
        secret_id: keys.secret_id(),
        key_epochs: BTreeMap::new(),
        horizon_seconds: 0,
        quarantine_seconds: None,
        trusted_by: None,
    };
    let mut scheme = found.unwrap_or(&mine).clone();
    if scheme.key_format != mine.key_format {
        return Err(SchemeError::Format {
            found: scheme.key_format,
        });
    }
    if scheme.secret_id != mine.secret_id {
        return Err(SchemeError::Secret {
            found: scheme.secret_id,
            mine: mine.secret_id,
        });
    }
    for policy in policies {
        // A policy that no host used before is added with the epoch that this host has.
        let epoch = scheme
            .key_epochs
            .entry(policy.name.clone())
            .or_insert(policy.key_epoch);
        if *epoch != policy.key_epoch {
            return Err(SchemeError::KeyEpoch {
                policy: policy.name.clone(),
                found: *epoch,
                mine: policy.key_epoch,
            });
        }
    }
    Ok(scheme)
}
