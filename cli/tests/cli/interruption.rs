//! A command is cut short: by a time limit, by a signal, or because `semel` itself was killed between the effect and its record.
//! Nothing is sent again on its own, unless the system behind it knows the key.

use crate::workshop::{CHARGE, CommandOutput, EFFECT, PAY, Workshop, wait_until};
use std::{
    process::Command,
    time::{Duration, Instant},
};

const ORDER: &str = r#"{"order": 17, "amount": 10}"#;

/// Any exit code that no rule is about leaves the effect unknown.
#[test]
fn an_unexplained_failure_may_have_taken_effect_and_is_not_run_again() {
    let shop = Workshop::new(CHARGE);
    let first = shop.exec(
        "charge",
        ORDER,
        &format!("{EFFECT} echo broken >&2; exit 1"),
    );
    assert!([76, 77].contains(&first.exit), "{first:?}");
    shop.exec("charge", ORDER, EFFECT)
        .assert_message(77, "held: `charge`");
    shop.exec("charge", ORDER, EFFECT)
        .assert_message(77, "a person must decide");
    assert_eq!(shop.effects(), 1);
}

#[test]
fn a_command_that_runs_too_long_is_killed_with_all_that_it_started() {
    let shop = Workshop::new(CHARGE);
    let begun = Instant::now();
    let script = "sleep 30 & (sleep 3; echo late >> effects) & echo $$ > started; wait";
    let done = shop.exec_with("charge", ORDER, &["--timeout", "1s"], script);
    done.assert_message(done.exit, "timed out after 1s");
    assert!([76, 77].contains(&done.exit), "{done:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(shop.effects(), 0, "what it started is gone, too");
    shop.exec("charge", ORDER, EFFECT)
        .assert_message(77, "timed out after 1s");
}

#[test]
fn a_command_that_a_signal_ends_leaves_its_effect_unknown() {
    let shop = Workshop::new(CHARGE);
    let done = shop.exec("charge", ORDER, "kill -SEGV $$");
    done.assert_message(done.exit, "SIGSEGV");
    assert!([76, 77].contains(&done.exit), "{done:?}");
}

#[test]
fn a_signal_is_passed_on_and_what_came_of_it_is_recorded() {
    let shop = Workshop::new(CHARGE);
    let script =
        "trap 'echo told > told; exit 9' TERM; echo yes > started; while :; do sleep 0.05; done";
    let child = shop.start("charge", ORDER, &[], script);
    shop.wait_for("started");
    signal("-TERM", child.id());
    let done = CommandOutput::from(child.wait_with_output().unwrap());
    assert!([76, 77].contains(&done.exit), "{done:?}");
    assert_eq!(shop.read("told"), "told\n");
    shop.exec("charge", ORDER, EFFECT)
        .assert_message(77, "held");
    assert_eq!(shop.effects(), 0);
}

#[test]
fn a_second_signal_kills_a_command_that_will_not_end() {
    let shop = Workshop::new(CHARGE);
    let script = "trap '' TERM; echo yes > started; while :; do sleep 0.05; done";
    let child = shop.start("charge", ORDER, &[], script);
    shop.wait_for("started");
    signal("-TERM", child.id());
    std::thread::sleep(Duration::from_millis(200));
    signal("-TERM", child.id());
    let done = CommandOutput::from(child.wait_with_output().unwrap());
    done.assert_message(done.exit, "SIGKILL");
    assert!([76, 77].contains(&done.exit), "{done:?}");
}

#[test]
fn killed_between_effect_and_record_it_is_in_doubt_and_a_person_decides() {
    let shop = Workshop::new(&format!("[defaults]\nlease = \"3s\"\n{CHARGE}"));
    kill_after_the_effect(&shop, "charge");
    shop.exec_with("charge", ORDER, &["--wait", "20s"], EFFECT)
        .assert_message(77, "held: `charge`");
    assert_eq!(shop.effects(), 1);
    let key = shop.keys().remove(0);
    let words = [
        "ledger",
        "decide",
        &key,
        "landed",
        "--who",
        "Ada",
        "--why",
        "saw it",
        "--outcome",
        r#"{"id":"ch_1"}"#,
    ];
    shop.run(&words)
        .assert_stdout(0, &format!("{key}\tlanded\n"));
    shop.exec("charge", ORDER, EFFECT)
        .assert_stdout(0, "{\"id\":\"ch_1\"}\n");
    assert_eq!(shop.effects(), 1);
}

#[test]
fn killed_between_effect_and_record_it_is_sent_again_where_the_target_knows_the_key() {
    let shop = Workshop::new(&format!("[defaults]\nlease = \"3s\"\n{PAY}"));
    kill_after_the_effect(&shop, "pay");
    let again = shop.exec_with(
        "pay",
        ORDER,
        &["--wait", "20s"],
        &format!("{EFFECT} echo done"),
    );
    again.assert_stdout(0, "done\n");
    let effects = shop.read("effects");
    let sent: Vec<_> = effects
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    assert_eq!((sent.len(), sent[0].0, sent[1].0), (2, "1", "2"));
    assert_eq!(
        sent[0].1, sent[1].1,
        "the same key, so that the target sees a repeat"
    );
    shop.exec("pay", ORDER, EFFECT).assert_stdout(0, "done\n");
    assert_eq!(shop.effects(), 2);
}

fn kill_after_the_effect(shop: &Workshop, tool: &str) {
    let mut child = shop.start(
        tool,
        ORDER,
        &[],
        &format!("echo $$ > pid; {EFFECT} exec sleep 600"),
    );
    shop.wait_for("effects");
    child.kill().unwrap();
    child.wait().unwrap();
    let orphan = shop.read("pid").trim().parse().unwrap();
    signal("-KILL", orphan);
}

fn signal(name: &str, process: u32) {
    let done = Command::new("kill")
        .args([name, &process.to_string()])
        .status()
        .unwrap();
    assert!(done.success());
}

#[test]
fn interrupted_while_it_waits_for_another_caller_it_ends_and_runs_nothing() {
    let shop = Workshop::new(CHARGE);
    let mut owner = shop.start(
        "charge",
        ORDER,
        &[],
        "echo yes > started; sleep 5; echo done",
    );
    shop.wait_for("started");
    let mut waiting = shop.start("charge", ORDER, &["--wait", "60s"], EFFECT);
    std::thread::sleep(Duration::from_millis(1500));
    signal("-INT", waiting.id());
    wait_until(
        || waiting.try_wait().unwrap().is_some(),
        &shop.path("waiting"),
    );
    CommandOutput::from(waiting.wait_with_output().unwrap())
        .assert_message(130, "interrupted before the command was started");
    assert!(owner.wait().unwrap().success());
    assert_eq!(shop.effects(), 0);
}
