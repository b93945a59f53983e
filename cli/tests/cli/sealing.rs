//! An operator encrypts a ledger, rotates its key, and erases a customer.

use crate::workshop::{CHARGE, Workshop};
use std::fs;

const A: &str =
    "[sealing]\ncurrent = \"a\"\n[[sealing.key]]\nid = \"a\"\nsecret_file = \"key-a\"\n";
const B_AND_A: &str = "[sealing]\ncurrent = \"b\"\n[[sealing.key]]\nid = \"b\"\nsecret_file = \"key-b\"\n\
    [[sealing.key]]\nid = \"a\"\nsecret_file = \"key-a\"\n";
const B: &str =
    "[sealing]\ncurrent = \"b\"\n[[sealing.key]]\nid = \"b\"\nsecret_file = \"key-b\"\n";

fn set_up(shop: &Workshop, sealing: &str) {
    shop.write(
        "semel.toml",
        &format!("[ledger]\nurl = \"sqlite:ledger.sqlite\"\n{sealing}{CHARGE}"),
    );
}

fn shop() -> Workshop {
    let shop = Workshop::new("");
    shop.write("key-a", &"a".repeat(32));
    shop.write("key-b", &"b".repeat(32));
    set_up(&shop, A);
    shop
}

fn charge(shop: &Workshop, tenant: &str) -> crate::workshop::CommandOutput {
    shop.exec_with(
        "charge",
        r#"{"order": 1, "amount": 10}"#,
        &["--tenant", tenant],
        &format!("echo told-{tenant}; echo x >> effects"),
    )
}

/// Returns true if the ledger's files hold this text.
fn holds(shop: &Workshop, what: &str) -> bool {
    ["ledger.sqlite", "ledger.sqlite-wal"].iter().any(|name| {
        let bytes = fs::read(shop.path(name)).unwrap_or_default();
        bytes
            .windows(what.len())
            .any(|window| window == what.as_bytes())
    })
}

#[test]
fn a_ledger_is_sealed_and_its_key_changed() {
    let shop = shop();
    charge(&shop, "ada").assert_stdout(0, "told-ada\n");
    charge(&shop, "ada").assert_stdout(0, "told-ada\n");
    assert!(!holds(&shop, "told-ada"));
    assert!(
        shop.run(&["doctor"])
            .stdout
            .contains("sealing     under the key `a`; 0 unencrypted records, 1 under `a`")
    );
    set_up(&shop, B);
    charge(&shop, "ada").assert_message(69, "sealed under the key `a`");
    let listed = shop.run(&["ledger", "list"]);
    assert!(
        listed.stdout.contains("landed") && listed.stdout.contains("sealed under the key `a`"),
        "{listed:?}"
    );
    let missing = shop.run(&["ledger", "reseal"]);
    missing.assert_message(78, "1 records are sealed under the key `a`");
    set_up(&shop, B_AND_A);
    shop.run(&["ledger", "reseal"]).assert_stdout(0, "1\n");
    shop.run(&["ledger", "reseal"]).assert_stdout(0, "0\n");
    set_up(&shop, B);
    charge(&shop, "ada").assert_stdout(0, "told-ada\n");
    assert_eq!(shop.effects(), 1);
    set_up(&shop, "");
    shop.run(&["ledger", "reseal"])
        .assert_message(78, "no sealing key is configured");
}

#[test]
fn what_a_ledger_tells_of_a_tenant_is_erased_once_the_operator_says_so() {
    let shop = shop();
    set_up(&shop, "");
    for tenant in ["ada", "bob"] {
        charge(&shop, tenant).assert_stdout(0, &format!("told-{tenant}\n"));
    }
    shop.exec_with("charge", r#"{"order": 2}"#, &["--tenant", "ada"], "exit 1");
    let erase = ["ledger", "erase", "--tenant", "ada"];
    let would = shop.run(&erase);
    would.assert_stdout(0, "1\n");
    would.assert_message(0, "would be erased: add `--yes`");
    would.assert_message(0, "not erased: 1 held");
    assert!(holds(&shop, "told-ada"), "the control");
    let erased = shop.run(&[&erase[..], &["--yes"]].concat());
    erased.assert_stdout(0, "1\n");
    assert!(!holds(&shop, "told-ada") && holds(&shop, "told-bob"));
    charge(&shop, "ada").assert_message(74, "expired");
    charge(&shop, "bob").assert_stdout(0, "told-bob\n");
    assert_eq!(shop.effects(), 2);
    shop.run(&[&erase[..], &["--with-records"]].concat())
        .assert_message(64, "--yes");
    shop.run(&[&erase[..], &["--yes", "--with-records"]].concat())
        .assert_stdout(0, "1\n");
    charge(&shop, "ada").assert_stdout(0, "told-ada\n");
    assert_eq!(shop.effects(), 3);
}
