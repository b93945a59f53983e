//! A guarded command runs once. A repeat gets its output and its exit code.

use crate::workshop::{CHARGE, CommandOutput, EFFECT, PAY, Workshop};
use serde_json::json;
use std::process::Stdio;

const ORDER: &str = r#"{"order": 17, "amount": 10}"#;

#[test]
fn a_repeat_prints_the_same_bytes_exits_the_same_and_runs_nothing() {
    let shop = Workshop::new(CHARGE);
    for (order, output) in [
        r#"{ "id": "ch_1" }\n"#,
        r#"{"id":"ch_1"}\n"#,
        "plain",
        "",
        r"\377\000\376",
    ]
    .into_iter()
    .enumerate()
    {
        let args = json!({ "order": order, "amount": 1 }).to_string();
        let script = format!("echo x >> effects; printf '{output}'");
        let first = shop.exec("charge", &args, &script);
        let second = shop.exec("charge", &args, &script);
        assert_eq!(first.exit, 0, "{first:?}");
        assert_eq!(
            (first.exit, &first.bytes),
            (second.exit, &second.bytes),
            "{first:?} {second:?}"
        );
        second.assert_message(0, "replayed: `charge`");
    }
    assert_eq!(shop.effects(), 5);
}

#[test]
fn a_command_gets_its_arguments_on_stdin_and_its_key_in_the_environment() {
    let shop = Workshop::new(PAY);
    let script = "cat; echo $SEMEL_OPERATION $SEMEL_ATTEMPT $SEMEL_KEY";
    let done = shop.exec("pay", r#"{"order": 1}"#, script);
    let mut lines = done.stdout.lines();
    let arguments: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    let told = lines.next().unwrap().to_owned();
    let key = told
        .strip_prefix("pay 1 ")
        .expect("the operation, the attempt and the key")
        .to_owned();
    assert_eq!(
        arguments,
        json!({ "order": 1, "idempotency_key": key }),
        "the key is where the target wants it"
    );
    assert_eq!(key.len(), 36);
    assert_eq!(shop.keys(), [key], "and the ledger shows it");
}

/// A tool that reads a number as a double would charge another order.
#[test]
fn a_command_gets_the_arguments_as_they_were_written_with_only_the_key_put_in() {
    let shop = Workshop::new(PAY);
    let written = "{ \"z\":1.10,\n  \"order\" : 9007199254740993, \"a\":\"\\u0041\" }";
    let done = shop.exec("pay", &format!("  {written}\n"), "cat");
    let [key] = shop.keys().try_into().expect("one operation");
    let with_key = written.replace("\" }", &format!("\",\"idempotency_key\":\"{key}\" }}"));
    done.assert_stdout(0, &format!("{with_key}\n"));
    shop.exec(
        "pay",
        r#"{"a":"A","order":9007199254740992,"z":1.1}"#,
        "cat",
    );
    assert_eq!(shop.keys().len(), 2, "the neighbour is another order");
}

#[test]
fn a_call_that_passes_runs_each_time_without_a_key_and_leaves_no_record() {
    let shop = Workshop::new(
        "[[tool]]\nmatch = \"look\"\npolicy = \"intent\"\nsettings = { read_only = true }\n",
    );
    for _ in 0..2 {
        let mut command = shop.exec_command("look", "{}", &[], "echo \"key=$SEMEL_KEY.\"; exit 5");
        // What an outer call left behind is not its own.
        CommandOutput::from(command.env("SEMEL_KEY", "outer").output().unwrap())
            .assert_stdout(5, "key=.\n");
    }
    assert_eq!(shop.keys(), Vec::<String>::new());
}

#[test]
fn a_failure_that_took_no_effect_by_rule_is_replayed_with_its_exit_code_and_output() {
    let shop = Workshop::new(CHARGE);
    let script = format!("{EFFECT} echo declined; echo card declined >&2; exit 3");
    for said in ["card declined", "replayed: `charge`"] {
        let done = shop.exec("charge", ORDER, &script);
        done.assert_stdout(3, "declined\n");
        done.assert_message(3, said);
    }
    assert_eq!(shop.effects(), 1);
}

const PAYOUT: &str = r#"
[[tool]]
match = "payout"
policy = "intent"
[tool.settings]
identity = ["run_date"]
verdict = [{ when = { at = "/details/0/issue", is = "Duplicate batch request" }, effect = "landed" }]
"#;

/// A vendor that rejects a duplicate says that the first request took effect.
#[test]
fn a_failure_that_landed_by_rule_is_a_success() {
    let shop = Workshop::new(PAYOUT);
    let printed = r#"{"details":[{"issue":"Duplicate batch request"}]}"#;
    let script = format!("{EFFECT} echo '{printed}'; exit 22");
    for said in [
        "landed: `payout`",
        "took effect by attempt 1, although its command failed (exit-22), and nothing ran",
    ] {
        let done = shop.exec("payout", r#"{"run_date": "2026-11-30"}"#, &script);
        done.assert_stdout(0, &format!("{printed}\n"));
        done.assert_message(0, said);
    }
    assert_eq!(shop.effects(), 1);
}

#[test]
fn the_cause_is_found_far_before_the_end_of_stderr() {
    let shop = Workshop::new(CHARGE);
    let script = format!(
        "{EFFECT} echo 'card declined' >&2; head -c 9000 /dev/zero | tr '\\0' . >&2; exit 9"
    );
    shop.exec("charge", ORDER, &script);
    let again = shop.exec("charge", ORDER, &script);
    assert!(again.stderr.contains("card declined"), "{again:?}");
    assert_eq!(shop.effects(), 1, "the ledger says it, not the command");
}

#[test]
fn a_failure_without_effect_may_be_tried_again() {
    let shop = Workshop::new(CHARGE);
    shop.exec("charge", ORDER, &format!("{EFFECT} exit 4"))
        .assert_stdout(4, "");
    shop.exec("charge", ORDER, &format!("{EFFECT} echo done"))
        .assert_stdout(0, "done\n");
    assert_eq!(shop.effects(), 2);
}

#[test]
fn a_failure_that_names_a_delay_is_not_tried_again_before() {
    let shop = Workshop::new(
        r#"
[[tool]]
match = "charge"
policy = "intent"
settings = { identity = ["order"], verdict = [{ when = { exit = 4 }, effect = "absent", retry_after = "1h" }] }
"#,
    );
    let limited = format!("{EFFECT} echo 'rate limited' >&2; exit 4");
    let first = shop.exec("charge", ORDER, &limited);
    first.assert_message(
        4,
        "took no effect: rule `verdict[0]` of the settings; call again in 1h",
    );
    let again = shop.exec("charge", ORDER, &limited);
    again.assert_message(4, "nothing ran: rate limited; call again in ");
    assert_eq!(shop.effects(), 1);
}

/// A refund whose policy looks for it, and the command that does so, if there is one.
fn probing(command: &str) -> Workshop {
    Workshop::new(&format!(
        r#"
[[tool]]
match = "refund"
policy = "intent"
{command}
[tool.settings]
identity = ["order"]
[tool.settings.probe]
tool = "list_refunds"
arguments = {{ order = "{{/order}}" }}
landed = {{ at = "/data/0" }}
"#
    ))
}

#[test]
fn a_probe_is_the_tools_command() {
    let shop = probing(r#"probe_command = ["sh", "find-refund.sh"]"#);
    let lost = format!("{EFFECT} exit 52");
    shop.write(
        "find-refund.sh",
        r#"read arguments; echo "$SEMEL_PROBE $SEMEL_KEY $arguments" >> probes; echo '{"data":[{"id":"re_1"}]}'"#,
    );
    shop.exec("refund", ORDER, &lost)
        .assert_stdout(0, "{\"data\":[{\"id\":\"re_1\"}]}\n");
    shop.exec("refund", ORDER, &lost)
        .assert_message(0, "replayed: `refund`");
    assert_eq!(shop.effects(), 1);
    let probes = std::fs::read_to_string(shop.path("probes")).unwrap();
    assert_eq!(
        probes, "list_refunds  {\"order\":17}\n",
        "once, and without a key"
    );
}

#[test]
fn a_probe_that_finds_nothing_leaves_the_call_to_a_person() {
    let shop = probing(r#"probe_command = ["sh", "-c", "echo '{\"data\":[]}'"]"#);
    let lost = format!("{EFFECT} exit 52");
    for _ in 0..2 {
        shop.exec("refund", ORDER, &lost)
            .assert_message(77, "held: `refund`");
    }
    assert_eq!(shop.effects(), 1);
}

#[test]
fn a_probe_without_a_command_leaves_the_call_to_a_person() {
    let shop = probing("");
    let lost = format!("{EFFECT} exit 52");
    for _ in 0..2 {
        shop.exec("refund", ORDER, &lost).assert_message(
            77,
            "its policy would look with `list_refunds`, and this host runs no probes",
        );
    }
    assert_eq!(shop.effects(), 1);
}

#[test]
fn a_command_that_cannot_be_started_sent_nothing() {
    let shop = Workshop::new(CHARGE);
    let call = ["exec", "--tool", "charge", "--args", ORDER, "--"];
    shop.run(&[&call[..], &["./missing"]].concat())
        .assert_message(127, "cannot start `./missing`");
    shop.write("not-a-program", "");
    shop.run(&[&call[..], &["./not-a-program"]].concat())
        .assert_message(126, "cannot start `./not-a-program`");
    shop.exec("charge", ORDER, "echo done")
        .assert_stdout(0, "done\n");
}

#[test]
fn the_same_operation_with_other_content_is_a_conflict_that_tells_what_stands() {
    let shop = Workshop::new(CHARGE);
    shop.exec("charge", ORDER, "echo '{\"id\":\"ch_1\"}'");
    let other = shop.exec("charge", r#"{"order": 17, "amount": 11}"#, EFFECT);
    other.assert_message(73, "it landed as `charge/ch_1`");
    assert_eq!((other.stdout.as_str(), shop.effects()), ("", 0));
}

#[test]
fn tenants_never_meet_and_runs_are_apart_where_the_policy_says_so() {
    let shop = Workshop::new(CHARGE);
    for tenant in ["a", "b", "a"] {
        shop.exec_with(
            "charge",
            ORDER,
            &["--tenant", tenant],
            &format!("{EFFECT} echo {tenant}"),
        )
        .assert_stdout(0, &format!("{tenant}\n"));
    }
    assert_eq!(shop.effects(), 2);
}

#[test]
fn an_answer_in_json_is_one_object_and_the_command_prints_nothing_beside_it() {
    let shop = Workshop::new(CHARGE);
    let script = "echo '{ \"id\": \"ch_1\" }'; echo talk >&2";
    let answers = [("executed", 1), ("replayed", 1)].map(|(word, attempt)| {
        let done = shop.exec_with("charge", ORDER, &["--output", "json"], script);
        let answer = done.json();
        assert_eq!(
            (
                answer["answer"].as_str(),
                answer["about"]["attempt"].as_u64()
            ),
            (Some(word), Some(attempt)),
            "{done:?}"
        );
        assert_eq!(answer["outcome"], json!({ "returned": { "id": "ch_1" } }));
        assert_eq!(answer["about"]["recorded"], json!({ "yes": "power-loss" }));
        done
    });
    answers[0].assert_message(0, "talk");
    let refused = shop.exec_with("charge", "{}", &["--output", "json"], "");
    refused.assert_message(65, "order");
    assert_eq!(refused.json()["answer"], "refused");
    let broken = shop.exec_with("charge", "{", &["--output", "json"], "");
    assert_eq!(broken.json()["exit"], 65, "{broken:?}");
}

#[test]
fn much_output_is_passed_on_whole_and_its_beginning_is_recorded() {
    let shop = Workshop::new(CHARGE);
    let script = "yes 0123456789abcde | head -c 1000000";
    let first = shop.exec("charge", ORDER, script);
    assert_eq!((first.exit, first.bytes.len()), (0, 1_000_000));
    let again = shop.exec("charge", ORDER, script);
    again.assert_message(74, "only the beginning");
    assert_eq!(again.bytes, first.bytes[..256 << 10]);
}

#[test]
fn a_tool_that_nobody_named_may_be_meant_again_once_its_output_was_taken_and_not_before() {
    let shop = Workshop::new("");
    let script = format!("{EFFECT} echo sent");
    // The reader goes away before anything is written.
    let mut lost = shop
        .exec_command("send", "{}", &[], &format!("sleep 0.3; {script}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(lost.stdout.take());
    CommandOutput::from(lost.wait_with_output().unwrap())
        .assert_message(74, "could not be written");
    shop.exec("send", "{}", &script).assert_stdout(0, "sent\n");
    assert_eq!(shop.effects(), 1, "the lost output was replayed");
    shop.exec("send", "{}", &script).assert_stdout(0, "sent\n");
    assert_eq!(shop.effects(), 2, "what was taken may be meant again");
}

#[test]
fn a_background_process_that_keeps_the_output_does_not_outlive_the_timeout() {
    let shop = Workshop::new(CHARGE);
    let done = shop.exec_with(
        "charge",
        ORDER,
        &["--timeout", "3s"],
        "(sleep 60; echo late >> effects) & echo done",
    );
    done.assert_stdout(0, "done\n");
    assert_eq!(shop.effects(), 0);
}

#[test]
fn an_outcome_of_which_a_part_is_kept_is_never_taken() {
    let shop = Workshop::new("");
    let script = format!("{EFFECT} sleep 0.3; yes | head -c 300000");
    let mut lost = shop.exec_command("send", "{}", &[], &script);
    let mut lost = lost
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(lost.stdout.take());
    CommandOutput::from(lost.wait_with_output().unwrap())
        .assert_message(74, "could not be written");
    for _ in 0..2 {
        shop.exec("send", "{}", &script)
            .assert_message(74, "only the beginning");
    }
    assert_eq!(shop.effects(), 1);
}
