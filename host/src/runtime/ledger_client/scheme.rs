//! The scheme record: hosts that make keys in different ways must not share a ledger.

use crate::runtime::{
    ledger_client::quarantine::{self, Quarantine},
    ledger_client::{LedgerClient, LedgerError},
};
use crate::{
    key::{self, KeyMode, KeyScheme},
    ledger::{Entry, Person, SchemeRecord},
    model::{PolicyDescription, StoreKey},
};
use std::collections::BTreeMap;

/// Why a host does not start on this ledger.
#[derive(Debug, thiserror::Error)]
pub enum SchemeError {
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It holds keys of another format.
    #[error(
        "the ledger holds keys of format {found}, and this release makes format {}: use the release that wrote it, or a new ledger",
        key::FORMAT
    )]
    Format {
        /// Its format.
        found: u16,
    },
    /// It holds keys made with another secret.
    #[error("the ledger's keys are made with {}, and this host has {}: set the same secret (`[keys]`), or use a new ledger", secret(.found), secret(.mine))]
    Secret {
        /// The ledger's.
        found: Option<String>,
        /// The host's.
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
        /// The host's.
        mine: u32,
    },
}

fn secret(id: &Option<String>) -> String {
    id.as_ref()
        .map_or_else(|| "no secret".to_owned(), |id| format!("the secret `{id}`"))
}

/// Returns the key of this mode's scheme: no digest is all zeros.
fn scheme_key(mode: KeyMode) -> StoreKey {
    let mut bytes = [0; 32];
    if mode == KeyMode::Shadow
        && let Some(last) = bytes.last_mut()
    {
        *last = 1;
    }
    StoreKey::from_bytes(bytes)
}

/// The reads of a scheme that other hosts keep changing.
const TRIES_MAX: u32 = 64;

/// Checks that this host makes keys as the ledger's others do, and notes the policies it adds.
pub(crate) async fn agree<'a>(
    table: &LedgerClient,
    keys: &KeyScheme,
    policies: impl Iterator<Item = &'a PolicyDescription> + Clone,
) -> Result<Quarantine, SchemeError> {
    let at = scheme_key(keys.mode());
    for _ in 0..TRIES_MAX {
        let read = table.read(at).await?;
        let found = read
            .as_ref()
            .and_then(|(stored, _)| quarantine::scheme_of(stored));
        let mut scheme = agreed(found.as_ref(), keys, policies.clone())?;
        if read
            .as_ref()
            .is_some_and(|(stored, now)| stored.written.incarnation != now.incarnation)
        {
            // Writing it in this incarnation of the ledger would hide that an earlier one ended.
            let horizon = scheme.horizon_seconds;
            scheme = quarantine::begun(scheme, horizon);
        }
        if found.as_ref() == Some(&scheme) {
            // No quarantine has begun, and it was written in the present incarnation.
            let whole = read
                .filter(|_| scheme.quarantine_seconds.is_none())
                .map(|(_, now)| now.incarnation);
            return Ok(Quarantine::of(at, scheme, whole));
        }
        let expected = read.map(|(stored, _)| stored.version);
        if table
            .write_in_place(at, expected, Entry::Scheme(scheme.clone()))
            .await?
        {
            return Ok(Quarantine::of(at, scheme, None));
        }
    }
    Err(LedgerError::Contended.into())
}

/// Ends a quarantine, on a person's word.
pub(crate) async fn trust(
    table: &LedgerClient,
    mode: KeyMode,
    person: &Person,
) -> Result<bool, LedgerError> {
    let at = scheme_key(mode);
    for _ in 0..TRIES_MAX {
        let Some((stored, now)) = table.read(at).await? else {
            return Ok(false);
        };
        let Some(scheme) = quarantine::scheme_of(&stored) else {
            return Ok(false);
        };
        if scheme.quarantine_seconds.is_none() && stored.written.incarnation == now.incarnation {
            return Ok(false);
        }
        let trusted = quarantine::trusted(scheme, person.clone());
        if table
            .write_in_place(at, Some(stored.version), Entry::Scheme(trusted))
            .await?
        {
            return Ok(true);
        }
    }
    Err(LedgerError::Contended)
}

/// The scheme that holds from now on, if this host's is no other.
fn agreed<'a>(
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
