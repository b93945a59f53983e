//! A ledger outlives the release that wrote it. One fixture a format, as the release wrote it; whoever changes how a
//! record is written finds here whether the older ones still read. They are never written anew.

use super::*;
use semel_core::{ledger::EntryError, model::Nonce};

/// A record in the clear, as the first format has it.
const FORMAT_1: &str = include_str!("../fixtures/format-1.json");

/// The same record sealed, as the second has it: under `semel_conformance::key(1)`, in the version of sixteen nines.
const FORMAT_2: &str = include_str!("../fixtures/format-2.json");

fn fixture() -> Record {
    records().remove(5)
}

#[test]
fn older_formats_still_read() {
    let clear = Entry::from_bytes(FORMAT_1.trim().as_bytes()).unwrap();
    assert_eq!(clear, Entry::Operation(Box::new(fixture())));
    let Entry::Sealed(sealed) = Entry::from_bytes(FORMAT_2.trim().as_bytes()).unwrap() else {
        panic!()
    };
    let opened = seal::open_record(
        &keys("a"),
        semel_conformance::key(1),
        Nonce::from_bytes([9; 16]),
        &sealed,
    )
    .unwrap();
    assert_eq!(opened, fixture());
}

#[test]
fn an_entry_is_written_in_the_oldest_format_that_can_hold_it() {
    let clear = Entry::Operation(Box::new(fixture())).to_bytes().unwrap();
    assert_eq!(String::from_utf8(clear).unwrap(), FORMAT_1.trim());
    let sealed = seal::seal_record(
        &key("a"),
        semel_conformance::key(1),
        Nonce::from_bytes([9; 16]),
        &fixture(),
    )
    .unwrap();
    let sealed = Entry::Sealed(Box::new(sealed)).to_bytes().unwrap();
    assert!(sealed.starts_with(br#"{"format":2,"entry":{"sealed":{"open":"{"#));
}

#[test]
fn a_newer_format_is_refused_even_where_it_looks_the_same() {
    for fixture in [
        FORMAT_1.replacen("\"format\":1", "\"format\":3", 1),
        r#"{"format":3,"entry":{"new":1}}"#.to_owned(),
    ] {
        assert_eq!(
            Entry::from_bytes(fixture.trim().as_bytes()),
            Err(EntryError::Newer { found: 3 })
        );
    }
}
