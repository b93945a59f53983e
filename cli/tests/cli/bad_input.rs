//! Every mistake: one clear message, a documented exit code, nothing run, nothing lost.

use crate::workshop::{CHARGE, CommandOutput, EFFECT, Workshop};
use std::fs;

const ORDER: &str = r#"{"order": 17, "amount": 10}"#;

#[track_caller]
fn refused(shop: &Workshop, exit: i32, said: &str) {
    shop.exec("charge", ORDER, EFFECT)
        .assert_message(exit, said);
    assert_eq!(shop.effects(), 0);
}

#[test]
fn arguments_that_cannot_be_used_are_refused_in_words_that_a_model_can_act_on() {
    let shop = Workshop::new(CHARGE);
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    let cases = [
        ("{", "this is not valid JSON"),
        ("[1]", "arguments must be one JSON object, found a list"),
        (&deep, "nested more than 64 deep"),
        (r#"{"order": 1, "order": 2}"#, "occurs twice"),
        (r#"{"amount": 1}"#, "order"),
        (r#"{"order": null}"#, "order"),
        (r#"{"order": ""}"#, "order"),
        (r#"{"order": 1e64}"#, "at most 64 characters"),
        (r#"{"order": 1e1000001}"#, "send it as a text"),
    ];
    for (args, said) in cases {
        let done = shop.exec("charge", args, EFFECT);
        assert_eq!(done.exit, 65, "{} {done:?}", &args[..args.len().min(60)]);
        assert!(done.stderr.contains(said), "{said} {done:?}");
    }
    assert_eq!((shop.effects(), shop.keys().len()), (0, 0));
}

#[test]
fn arguments_on_stdin_are_bounded_too() {
    let shop = Workshop::new(CHARGE);
    let run = |text: &str| {
        shop.write("arguments", text);
        let mut command = shop.exec_command("charge", "-", &[], "cat");
        CommandOutput::from(
            command
                .stdin(fs::File::open(shop.path("arguments")).unwrap())
                .output()
                .unwrap(),
        )
    };
    run(&format!("{{\"order\": \"{}\"}}", "x".repeat(1 << 20)))
        .assert_message(65, "the limit is 1048576");
    run(ORDER).assert_stdout(0, &format!("{ORDER}\n"));
}

#[test]
fn names_that_are_none_are_refused() {
    let shop = Workshop::new(CHARGE);
    shop.exec_with("charge", ORDER, &["--tenant", ""], EFFECT)
        .assert_message(65, "tenant is empty");
    shop.exec_with("charge", ORDER, &["--run", "a\nb"], EFFECT)
        .assert_message(65, "control character");
    shop.exec("", ORDER, EFFECT)
        .assert_message(65, "tool is empty");
    assert_eq!(shop.effects(), 0);
}

#[test]
fn what_is_no_command_is_a_usage_error() {
    let shop = Workshop::new(CHARGE);
    let cases: [(&[&str], &str); 8] = [
        (&[], "Usage"),
        (&["exce"], "unrecognized subcommand 'exce'"),
        (&["exec", "--tool", "charge", "--", "true"], "--args"),
        (&["exec", "--tool", "charge", "--args", "{}"], "COMMAND"),
        (
            &[
                "exec",
                "--tool",
                "charge",
                "--args",
                "{}",
                "--timeout",
                "soon",
                "--",
                "true",
            ],
            "--timeout",
        ),
        (
            &[
                "exec",
                "--tool",
                "charge",
                "--args",
                "{}",
                "--timeout",
                "0s",
                "--",
                "true",
            ],
            "more than `0s`",
        ),
        (
            &[
                "exec", "--tool", "charge", "--args", "{}", "--wait", "2h", "--", "true",
            ],
            "longer than `1h`",
        ),
        (
            &["ledger", "list", "--state", "lost"],
            "the states are running, waiting, in-doubt",
        ),
    ];
    for (words, said) in cases {
        shop.run(words).assert_message(64, said);
    }
}

#[test]
fn a_configuration_with_a_mistake_sets_nothing_up() {
    let shop = Workshop::new("[defaults]\nwiat = \"3s\"\n");
    refused(&shop, 78, "semel.toml:4");
    shop.exec_with("charge", ORDER, &["--config", "missing.toml"], EFFECT)
        .assert_message(78, "missing.toml");
    shop.run(&["doctor"]).assert_message(78, "wiat");
    shop.run(&["ledger", "list"]).assert_message(78, "wiat");
}

#[test]
fn a_policy_that_cannot_be_used_is_told_with_its_place() {
    let tool = |policy: &str, settings: &str| {
        format!("[[tool]]\nmatch = \"*\"\npolicy = \"{policy}\"\nsettings = {{ {settings} }}\n")
    };
    refused(
        &Workshop::new(&tool("strype", "")),
        78,
        "there is no ready-made policy `strype`",
    );
    refused(
        &Workshop::new(&tool("intent", "identiy = [\"order\"]")),
        78,
        "semel.toml:3",
    );
    let shop = Workshop::new("");
    shop.write("bad.wasm", "not wasm");
    shop.write("semel.toml", &tool("./bad.wasm", ""));
    refused(&shop, 78, "this is not WebAssembly");
}

#[test]
fn a_ledger_that_cannot_be_used_lets_nothing_run() {
    let shop = Workshop::new(CHARGE);
    shop.write(
        "ledger.sqlite",
        "this is no database, and it is long enough to show that it is none at all",
    );
    refused(&shop, 69, "not a ledger");
    fs::remove_file(shop.path("ledger.sqlite")).unwrap();
    fs::create_dir(shop.path("ledger.sqlite")).unwrap();
    refused(&shop, 69, "ledger.sqlite");
    let mut elsewhere = shop.exec_command("charge", ORDER, &[], EFFECT);
    let elsewhere = CommandOutput::from(
        elsewhere
            .env("SEMEL_LEDGER", "sqlite:no/such/folder/l.sqlite")
            .output()
            .unwrap(),
    );
    elsewhere.assert_message(69, "no/such/folder");
    assert_eq!(shop.effects(), 0);
}

#[test]
fn a_ledger_whose_keys_were_made_with_another_secret_is_refused() {
    let shop = Workshop::new(CHARGE);
    shop.exec("charge", ORDER, "echo done")
        .assert_stdout(0, "done\n");
    shop.write("secret", &"s".repeat(40));
    shop.write(
        "semel.toml",
        &format!(
            "[ledger]\nurl = \"sqlite:ledger.sqlite\"\n[keys]\nsecret_file = \"secret\"\n{CHARGE}"
        ),
    );
    refused(&shop, 78, "set the same secret");
}

#[test]
fn a_ledger_that_forgets_is_told_to_be_one() {
    let shop = Workshop::new("");
    shop.write(
        "semel.toml",
        &format!("[ledger]\nurl = \"memory:\"\n{CHARGE}"),
    );
    shop.exec("charge", ORDER, "echo done")
        .assert_message(0, "the ledger is in memory");
}

#[test]
fn what_cannot_be_undone_is_not_guarded_by_a_ledger_that_forgets() {
    let shop = Workshop::new("");
    let config = CHARGE.replace(
        "policy = \"intent\"",
        "policy = \"intent\"\nirreversible = true",
    );
    shop.write(
        "semel.toml",
        &format!("[ledger]\nurl = \"memory:\"\n{config}"),
    );
    refused(&shop, 65, "use a ledger that lasts");
}
