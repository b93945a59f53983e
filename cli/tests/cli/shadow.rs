//! `semel exec` watches a command: it runs as if there were no `semel`, and a report says what a guard would have done.

use crate::workshop::{CHARGE, CommandOutput, EFFECT, Workshop};
use serde_json::json;
use std::time::Instant;

const ORDER: &str = r#"{"order": 17, "amount": 10}"#;

fn watching() -> Workshop {
    Workshop::new(&CHARGE.replace(
        "policy = \"intent\"",
        "policy = \"intent\"\nmode = \"shadow\"",
    ))
}

fn would_be(shop: &Workshop) -> serde_json::Value {
    shop.run(&["ledger", "report", "--output", "json"]).json()[0]["would_be"].clone()
}

#[test]
fn a_command_runs_each_time_with_its_own_output_and_exit_code() {
    let shop = watching();
    for run in 1..=3 {
        let script = format!("{EFFECT} echo \"run {run} key=$SEMEL_KEY.\"; exit 7");
        shop.exec("charge", ORDER, &script)
            .assert_stdout(7, &format!("run {run} key=.\n"));
    }
    shop.exec(
        "charge",
        r#"{"order": 17, "amount": 11}"#,
        &format!("{EFFECT} echo done"),
    )
    .assert_stdout(0, "done\n");
    assert_eq!(shop.effects(), 4);
    // The first failed with an unknown effect, so that a guard would have asked a person.
    assert_eq!(
        would_be(&shop),
        json!({ "executed": 1, "held": 2, "conflict": 1 })
    );
    let report = shop.run(&["ledger", "report", "--since", "1d"]);
    report.assert_message(0, "of 4 calls since");
    report.assert_message(0, "3 would not have been sent");
    assert!(
        report.stdout.starts_with("charge\texecuted\t1\n"),
        "{report:?}"
    );
    let example: Vec<_> = report
        .stdout
        .split("\n\n")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .split('\t')
        .collect();
    assert_eq!(example[..5], ["2", "held", "charge", "charge", "default"]);
    shop.run(&["ledger", "list"]).assert_stdout(0, "");
    assert!(
        shop.run(&["ledger", "show", example[5]])
            .stdout
            .contains("shadow: a dry run")
    );
    assert!(shop.run(&["doctor"]).stdout.contains("; mode shadow)"));
}

#[test]
fn several_at_once_all_run_at_once() {
    let shop = watching();
    let script = format!("{EFFECT} sleep 1.5; echo done");
    let running: Vec<_> = (0..4)
        .map(|_| shop.start("charge", ORDER, &[], &script))
        .collect();
    for one in running {
        CommandOutput::from(one.wait_with_output().unwrap()).assert_stdout(0, "done\n");
    }
    let would_be = would_be(&shop);
    let count = |word: &str| would_be[word].as_u64().unwrap_or(0);
    assert_eq!(
        (
            shop.effects(),
            count("executed"),
            count("running") + count("replayed")
        ),
        (4, 1, 3),
        "{would_be}"
    );
    // Control: a guard lets one through.
    let guarded = Workshop::new(CHARGE);
    let running: Vec<_> = (0..4)
        .map(|_| guarded.start("charge", ORDER, &[], &script))
        .collect();
    running.into_iter().for_each(|one| {
        CommandOutput::from(one.wait_with_output().unwrap()).assert_stdout(0, "done\n")
    });
    assert_eq!(guarded.effects(), 1);
}

#[test]
fn a_ledger_or_policy_that_cannot_be_used_keeps_no_watched_command() {
    let shop = watching();
    shop.write("ledger.sqlite", "a diary, and no ledger");
    let begun = Instant::now();
    shop.exec("charge", ORDER, &format!("{EFFECT} echo done; exit 3"))
        .assert_stdout(3, "done\n");
    assert!(begun.elapsed().as_secs() < 30);
    shop.exec_with("charge", ORDER, &["--mode", "enforce"], EFFECT)
        .assert_message(69, "");
    assert_eq!(shop.effects(), 1, "the control ran nothing");
    let broken = Workshop::new(
        "[[tool]]\nmatch = \"charge\"\npolicy = \"intent\"\nmode = \"shadow\"\nsettings = { what = 1 }\n",
    );
    broken
        .exec("charge", ORDER, "echo done")
        .assert_stdout(0, "done\n");
    broken
        .exec_with("charge", ORDER, &["--mode", "enforce"], "echo done")
        .assert_message(78, "what");
}

#[test]
fn what_is_off_runs_and_leaves_no_trace() {
    let shop = Workshop::new(CHARGE);
    let off = shop.exec_with(
        "charge",
        ORDER,
        &["--mode", "off", "--output", "json"],
        "echo done",
    );
    assert_eq!(
        (off.exit, off.json()),
        (
            0,
            json!({ "answer": "passed", "why": "off", "outcome": { "returned": "done\n" } })
        )
    );
    assert!(!shop.path("ledger.sqlite").exists());
    shop.exec_with("charge", ORDER, &["--mode", "maybe"], "")
        .assert_message(64, "`enforce`, `shadow` or `off`");
    let wrong = Workshop::new("[defaults]\nmode = \"maybe\"\n");
    wrong.exec("charge", ORDER, "").assert_message(
        78,
        r#"`mode` in `[defaults]` is `"maybe"`: write `"enforce"`, `"shadow"` or `"off"`"#,
    );
    shop.run(&["ledger", "report"])
        .assert_message(0, "no call was observed");
}
