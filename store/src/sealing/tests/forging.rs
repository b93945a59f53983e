//! Who can write to a ledger's file puts the sealed part of one record into another, or changes what stands open beside
//! it. A host that believed it would replay a stranger's outcome, or send again what landed.

use super::*;
use semel_core::{ledger::EntryError, ledger::SealedRecord, model::Nonce};
use serde_json::{Value, json};

const VERSION: Nonce = Nonce::from_bytes([9; 16]);

fn sealed() -> SealedRecord {
    seal::seal_record(&key("a"), semel_conformance::key(1), VERSION, &records()[2]).unwrap()
}

fn changed(change: impl Fn(&mut Value)) -> SealedRecord {
    let mut written = serde_json::to_value(sealed()).unwrap();
    change(&mut written);
    serde_json::from_value(written).unwrap()
}

#[track_caller]
fn is_turned_away(at: u32, version: Nonce, forged: &SealedRecord) {
    let opened = seal::open_record(&keys("a"), semel_conformance::key(at), version, forged);
    let Err(fault @ EntryError::Unsealable { .. }) = opened else {
        panic!("it opens: {opened:?}")
    };
    let words = fault.to_string();
    for word in ["`a`", "it was changed", "[sealing]", "backup"] {
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn what_is_as_it_was_written_opens() {
    assert!(
        seal::open_record(&keys("a"), semel_conformance::key(1), VERSION, &sealed()).is_ok(),
        "the control"
    );
    assert!(
        seal::open_record(
            &keys("a"),
            semel_conformance::key(1),
            VERSION,
            &changed(|_| ())
        )
        .is_ok(),
        "the control"
    );
}

#[test]
fn what_belongs_to_another_record_or_another_write_does_not() {
    is_turned_away(2, VERSION, &sealed());
    is_turned_away(1, Nonce::from_bytes([8; 16]), &sealed());
}

#[test]
fn what_stands_open_cannot_be_changed() {
    let changes: [(&str, Value); 6] = [
        ("/tenant", json!("other")),
        ("/generation", json!(2)),
        ("/state", json!("started")),
        ("/attempts/1/fence/number", json!(3)),
        ("/terms/window_seconds", json!(1)),
        (
            "/since",
            json!({ "earlier": { "wall_ms": 0, "steady_ms": 0, "boot": 0, "incarnation": 0 } }),
        ),
    ];
    for (place, value) in changes {
        let forged = changed(|written| {
            let mut open: Value = serde_json::from_str(written["open"].as_str().unwrap()).unwrap();
            *open.pointer_mut(place).unwrap() = value.clone();
            written["open"] = json!(open.to_string());
        });
        is_turned_away(1, VERSION, &forged);
    }
    // Not even a blank, which would change no meaning.
    is_turned_away(
        1,
        VERSION,
        &changed(|written| {
            written["open"] = json!(format!("{} ", written["open"].as_str().unwrap()))
        }),
    );
}

#[test]
fn no_byte_of_what_is_sealed_can_be_changed() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let bytes = STANDARD.decode(sealed().sealed()).unwrap();
    for place in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[place] ^= 1;
        let forged = changed(|written| written["sealed"] = json!(STANDARD.encode(&bytes)));
        is_turned_away(1, VERSION, &forged);
    }
    for length in [0, 23, 24, 39, bytes.len() - 1] {
        let forged =
            changed(|written| written["sealed"] = json!(STANDARD.encode(&bytes[..length])));
        is_turned_away(1, VERSION, &forged);
    }
    is_turned_away(
        1,
        VERSION,
        &changed(|written| written["sealed"] = json!("no base64!")),
    );
}

#[test]
fn another_key_of_the_same_name_does_not_open_it() {
    let other = SealingKeys::new(SealingKey::new("a", &[7; 32]).unwrap());
    let opened = seal::open_record(&other, semel_conformance::key(1), VERSION, &sealed());
    assert!(matches!(opened, Err(EntryError::Unsealable { .. })));
    let renamed = changed(|written| written["key_id"] = json!("b"));
    let both = keys("a").with_older_key(
        SealingKey::new("b", b"the secret of a, which is long enough to be one").unwrap(),
    );
    let opened = seal::open_record(&both.unwrap(), semel_conformance::key(1), VERSION, &renamed);
    assert!(
        matches!(opened, Err(EntryError::Unsealable { id }) if id == "b"),
        "the name is part of the seal"
    );
}

#[test]
fn a_missing_key_is_told_by_its_name_and_with_the_cure() {
    let fault =
        seal::open_record(&keys("b"), semel_conformance::key(1), VERSION, &sealed()).unwrap_err();
    assert_eq!(fault, EntryError::NoKey { id: "a".to_owned() });
    assert!(
        fault.to_string().contains("add that key to `[sealing]`"),
        "{fault}"
    );
}

#[test]
fn keys_need_a_name_of_their_own_and_enough_of_a_secret() {
    assert!(matches!(
        SealingKey::new("", &[7; 32]),
        Err(SealingError::Name(_))
    ));
    assert!(matches!(
        SealingKey::new("a", &[7; 31]),
        Err(SealingError::Secret(_))
    ));
    assert!(
        matches!(keys("a").with_older_key(key("a")), Err(SealingError::DuplicateName(id)) if id == "a")
    );
}
