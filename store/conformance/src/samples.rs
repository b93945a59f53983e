//! Sample keys and entries.

use semel_core::{
    json::JsonNumber,
    ledger::{
        Entry, Handle, HandleOwner, OperationGeneration, OperationTerms, PolicyName, Record,
        RecordTime, SchemeRecord, State,
    },
    model::{
        CallDigest, Field, Fingerprint, Nonce, OperationLifetime, PolicyDigest, StoreKey, Tenant,
    },
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// The lease of a sample operation.
pub(super) const LEASE_SECONDS: u32 = 15;

/// Returns the key of this number. Keys have the order of their numbers.
#[must_use]
pub fn key(number: u32) -> StoreKey {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    StoreKey::from_bytes(bytes)
}

/// Returns a key that differs from every [`key`].
#[must_use]
pub(crate) fn any_key() -> StoreKey {
    StoreKey::from_bytes([255; 32])
}

/// Returns a tenant of this name.
#[must_use]
pub fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("a sample has a good name")
}

/// Returns a small entry that differs for each number.
#[must_use]
pub fn entry(number: u32) -> Arc<Entry> {
    handle("acme", number)
}

/// Returns a small entry of this tenant.
#[must_use]
pub fn handle(of: &str, generation: u32) -> Arc<Entry> {
    let owner = HandleOwner {
        of: OperationGeneration {
            key: key(generation),
            generation,
        },
        nonce: Nonce::from_bytes([1; 16]),
    };
    Arc::new(Entry::Handle(Handle {
        tenant: tenant(of),
        owners: vec![owner],
    }))
}

/// Returns the record of an operation of this tenant, in this state.
#[must_use]
pub fn operation(of: &str, state: State) -> Arc<Entry> {
    let record = Record {
        tenant: tenant(of),
        name_space: "sample".to_owned(),
        terms: terms().into(),
        generation: 1,
        series: 1,
        state,
        since: RecordTime::ThisWrite,
        leased: RecordTime::ThisWrite,
        first_started: RecordTime::ThisWrite,
        attempts: Vec::new(),
        evidence: Vec::new(),
        looks: 0,
        standing: None,
        found: None,
        handles: Vec::new(),
        undoes: Vec::new(),
        left_marks: false,
        undid: Vec::new(),
        rewritten: false,
    };
    Arc::new(Entry::Operation(Box::new(record)))
}

fn terms() -> OperationTerms {
    OperationTerms {
        operation: "refund".to_owned(),
        identity: odd_fields(),
        content: Fingerprint::from_bytes([1; 32]),
        call_digest: CallDigest::from_bytes([2; 32]),
        call: None,
        until: OperationLifetime::Window,
        window_seconds: 3_600,
        attempt_seconds: 60,
        lease_seconds: LEASE_SECONDS,
        refusal_seconds: 600,
        target: None,
        policy: PolicyName {
            name: "sample".to_owned(),
            digest: PolicyDigest::from_bytes([3; 32]),
            key_epoch: 1,
        },
        undoing: false,
        shadow: false,
    }
}

/// Returns values that a serialiser is most likely to mistake.
fn odd_fields() -> Vec<Field> {
    let odd = [
        json!("\u{0}\u{1f}\u{7f}\u{ffff}\u{10ffff}'\"\\;--"),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(5e-324),
        json!(1.797_693_134_862_315_7e308),
        json!(-0.0),
        json!(0.1),
        json!({"": [[], {}, null]}),
    ];
    odd.into_iter()
        .enumerate()
        .map(|(at, value)| Field {
            name: format!("odd {at}"),
            value: value.into(),
        })
        .chain(odd_numbers())
        .collect()
}

/// Returns numbers that a serialiser by floating-point values changes.
fn odd_numbers() -> impl Iterator<Item = Field> {
    [
        "1.10",
        "-0",
        "1E2",
        "18446744073709551617",
        "0.1000000000000000055511151231257827",
        "1e999999",
    ]
    .into_iter()
    .filter_map(|text| JsonNumber::parse(text).ok())
    .map(|number| Field {
        name: format!("odd number {number}"),
        value: number.into(),
    })
}

/// Returns entries of each kind, with odd content.
#[must_use]
pub(crate) fn odd_entries() -> Vec<Arc<Entry>> {
    let epochs = BTreeMap::from([(String::new(), 0), ("\u{0}\"\u{2028}".to_owned(), u32::MAX)]);
    vec![
        entry(0),
        handle("Ünï\u{10ffff} 'x'; --", u32::MAX),
        operation(
            "acme",
            State::Held {
                reason: "\u{0}".repeat(100_000),
                two_effects: true,
            },
        ),
        Arc::new(Entry::Scheme(SchemeRecord {
            key_format: u16::MAX,
            secret_id: Some(String::new()),
            key_epochs: epochs,
            horizon_seconds: u64::MAX,
            quarantine_seconds: Some(0),
            trusted_by: None,
        })),
    ]
}
