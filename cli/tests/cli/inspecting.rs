//! What a policy is, and whether a set-up would work.

use crate::workshop::{CHARGE, Workshop};

#[test]
fn a_policy_is_told_with_its_imports_settings_and_limits() {
    let shop = Workshop::new("");
    let report = shop.run(&["policy", "inspect", "hints"]);
    assert_eq!(report.exit, 0, "{report:?}");
    for part in [
        "policy      hints ",
        "imports               semel:policy/types@0.1.0",
        "memory-bytes",
        "fuel",
        "\"trusted\"",
    ] {
        assert!(report.stdout.contains(part), "{part} {report:?}");
    }
    let json = shop
        .run(&["policy", "inspect", "intent", "--output", "json"])
        .json();
    assert_eq!(
        (
            json["policy"]["name"].as_str(),
            &json["component"]["imports"]
        ),
        (
            Some("intent"),
            &serde_json::json!(["semel:policy/types@0.1.0"])
        )
    );
}

#[test]
fn settings_are_tried_where_they_are_given() {
    let shop = Workshop::new("");
    let inspect = |settings| shop.run(&["policy", "inspect", "intent", "--settings", settings]);
    assert_eq!(inspect(r#"{"identity": ["order"]}"#).exit, 0);
    inspect(r#"{"identiy": ["order"]}"#).assert_message(78, "refuses its settings");
    inspect("{").assert_message(64, "this is not valid JSON");
}

#[test]
fn what_is_no_policy_is_told_why() {
    let shop = Workshop::new("");
    shop.write("bad.wasm", "not wasm");
    shop.run(&["policy", "inspect", "bad.wasm"])
        .assert_message(78, "this is not WebAssembly");
    shop.run(&["policy", "inspect", "./missing.wasm"])
        .assert_message(66, "missing.wasm");
    shop.run(&["policy", "inspect", "strype"])
        .assert_message(78, "there is no ready-made policy `strype`");
}

#[test]
fn the_doctor_tells_what_is_set_up_and_what_waits_for_a_person() {
    let shop = Workshop::new(CHARGE);
    for _ in 0..2 {
        shop.exec("charge", r#"{"order": 1}"#, "exit 1");
    }
    let report = shop.run(&["doctor"]);
    assert_eq!(report.exit, 0, "{report:?}");
    for part in [
        "semel.toml",
        "intent ",
        "hints ",
        "sqlite:",
        "D2: survives power loss",
        "1 held",
        "plain digests",
    ] {
        assert!(report.stdout.contains(part), "{part} {report:?}");
    }
}

#[test]
fn the_doctor_tells_every_mistake_and_ends_with_the_first() {
    let shop = Workshop::new(
        "[[tool]]\nmatch = \"x\"\npolicy = \"strype\"\n[[tool]]\nmatch = \"y\"\npolicy = \"intent\"\n",
    );
    shop.write(
        "ledger.sqlite",
        "this is no database, and it is long enough to show that it is none at all",
    );
    let report = shop.run(&["doctor"]);
    report.assert_message(78, "strype");
    assert_eq!(report.stdout.matches("unusable").count(), 3, "{report:?}");
}
