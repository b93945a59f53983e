//! What an operator sees of the ledger, and decides.

use crate::workshop::{CHARGE, EFFECT, Workshop};
use std::{thread, time::Duration};

const ORDER: &str = r#"{"order": 17, "amount": 10}"#;

/// A shop with one charge that landed, and one that is held.
fn shop() -> (Workshop, String, String) {
    let shop = Workshop::new(CHARGE);
    shop.exec("charge", r#"{"order": 1}"#, "echo '{\"id\":\"ch_1\"}'")
        .assert_stdout(0, "{\"id\":\"ch_1\"}\n");
    for _ in 0..2 {
        shop.exec(
            "charge",
            ORDER,
            &format!("{EFFECT} echo broken >&2; exit 1"),
        );
    }
    let keys = shop.keys();
    let [landed, held] = keys.try_into().unwrap();
    (shop, landed, held)
}

#[test]
fn a_list_is_lines_with_tabs_where_no_terminal_is() {
    let (shop, landed, held) = shop();
    let listed = shop.run(&["ledger", "list"]);
    let rows: Vec<Vec<_>> = listed
        .stdout
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(
        rows[0][..6],
        [&landed, "landed", "charge", "default", "1", "1"]
    );
    assert_eq!(rows[1][..6], [&held, "held", "charge", "default", "1", "1"]);
    assert!(!listed.stdout.contains('\x1b'));
    shop.run(&["ledger", "list", "--tenant", "nobody"])
        .assert_stdout(0, "");
    let of_state = shop
        .run(&["ledger", "list", "--state", "held", "--output", "json"])
        .json();
    assert_eq!(
        (
            of_state.as_array().unwrap().len(),
            of_state[0]["key"].as_str()
        ),
        (1, Some(held.as_str()))
    );
    assert_eq!(
        shop.run(&["ledger", "list", "--limit", "1"])
            .stdout
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_record_is_shown_by_its_key_or_the_beginning_of_it() {
    let (shop, landed, held) = shop();
    let shown = shop.run(&["ledger", "show", &landed]);
    for told in [
        "state       landed",
        "handles     charge/ch_1",
        r#"returned {"id":"ch_1"}"#,
    ] {
        assert!(shown.stdout.contains(told), "{told} {shown:?}");
    }
    let shown = shop
        .run(&["ledger", "show", &held[..8], "--output", "json"])
        .json();
    assert_eq!(shown["attempts"][0]["outcome"]["failed"]["code"], "exit-1");
    assert!(!shown.to_string().contains("nonce"));
    shop.run(&["ledger", "show", "00000000-0000-8000-8000-000000000000"])
        .assert_message(66, "there is no record");
    shop.run(&["ledger", "show", "xyz"])
        .assert_message(66, "names no record");
}

#[test]
fn a_decision_stands_and_every_repeat_is_answered_by_it() {
    let (shop, landed, held) = shop();
    let decide = |id: &str, word: &str, more: &[&str]| {
        shop.run(
            &[
                &[
                    "ledger",
                    "decide",
                    id,
                    word,
                    "--who",
                    "Ada",
                    "--why",
                    "saw the bank",
                ],
                more,
            ]
            .concat(),
        )
    };
    decide(&held, "landed", &["--attempt", "7"])
        .assert_message(65, "must rest on the last attempt");
    decide(&held, "release", &["--outcome", "1"]).assert_message(64, "decide `landed`");
    decide(&held, "refused", &["--new-key"]).assert_message(64, "decide `release`");
    decide(&held, "landed", &["--outcome", "{"]).assert_message(65, "this is not valid JSON");
    decide(&landed, "refused", &[]).assert_message(65, "");
    decide(&held, "release", &[]).assert_stdout(0, &format!("{held}\treleased\n"));
    let listed = shop.run(&["ledger", "list"]);
    assert!(listed.stdout.contains("Ada: saw the bank"), "{listed:?}");
    shop.exec("charge", ORDER, &format!("{EFFECT} echo done"))
        .assert_stdout(0, "done\n");
    assert_eq!(shop.effects(), 2);
    decide(&held, "undone", &[]).assert_stdout(0, &format!("{held}\tundone\n"));
}

/// Stripe keeps a 500 for its key. Under the same key a released call would get it again, for as long as Stripe does.
#[test]
fn a_person_releases_under_a_new_key_what_a_vendor_answers_from_memory() {
    let shop = Workshop::new("[[tool]]\nmatch = \"create_refund\"\npolicy = \"stripe\"\n");
    let script = r#"
        [ -e first ] || echo "$SEMEL_KEY" > first
        if [ "$(cat first)" = "$SEMEL_KEY" ]; then
            echo '{"error":{"type":"api_error","message":"An unknown error occurred"},"http_status":500}'
            exit 1
        fi
        echo x >> effects
        echo '{"id":"re_1","object":"refund","status":"succeeded"}'
    "#;
    let call = || shop.exec("create_refund", r#"{"payment_intent":"pi_1"}"#, script);
    // A retry in doubt waits for a second: until then another call only reports the doubt.
    let is_held = || {
        (0..5).any(|_| {
            let exit = call().exit;
            assert!([76, 77].contains(&exit), "{exit}");
            thread::sleep(Duration::from_millis(1_100));
            exit == 77
        })
    };
    assert!(is_held());
    let key = shop.keys().remove(0);
    let release = |more: &[&str]| {
        let person = ["--who", "Ada", "--why", "Stripe shows no refund"];
        let decide = ["ledger", "decide", &key, "release"];
        shop.run(&[&decide[..], &person, more].concat())
            .assert_message(0, "");
    };
    release(&[]);
    assert!(is_held(), "the control: the same key");
    release(&["--new-key"]);
    let listed = shop.run(&["ledger", "list"]);
    assert!(listed.stdout.contains("under a new key"), "{listed:?}");
    assert_eq!(call().exit, 0);
    assert_eq!(shop.effects(), 1);
}

#[test]
fn a_decision_needs_somebody_and_a_reason() {
    let (shop, _, held) = shop();
    shop.run(&["ledger", "decide", &held, "landed", "--who", "Ada"])
        .assert_message(64, "--why");
    shop.run(&[
        "ledger", "decide", &held, "landed", "--who", " ", "--why", "x",
    ])
    .assert_message(64, "`--who` takes one line");
    shop.run(&[
        "ledger", "decide", &held, "perhaps", "--who", "Ada", "--why", "x",
    ])
    .assert_message(64, "perhaps");
}

#[test]
fn what_a_person_refused_is_refused_to_repeats() {
    let (shop, _, held) = shop();
    shop.run(&[
        "ledger", "decide", &held, "refused", "--who", "Ada", "--why", "no",
    ])
    .assert_stdout(0, &format!("{held}\trefused\n"));
    let done = shop.exec("charge", ORDER, EFFECT);
    assert_ne!(done.exit, 0, "{done:?}");
    assert_eq!(shop.effects(), 1);
}

#[test]
fn a_purge_removes_nothing_that_still_counts() {
    let (shop, ..) = shop();
    shop.run(&["ledger", "purge"]).assert_stdout(0, "0\n");
    assert_eq!(shop.keys().len(), 2);
}

#[test]
fn a_purge_may_forget_outcomes_but_not_that_they_landed() {
    let shop = Workshop::new("");
    let arguments = r#"{"order": 1}"#;
    let run = [
        "exec", "--tool", "note", "--args", arguments, "--", "echo", "done",
    ];
    shop.run(&run).assert_stdout(0, "done\n");
    shop.run(&["ledger", "purge", "--forget-outcomes-after", "1h"])
        .assert_stdout(0, "0\n");
    let forgot = shop.run(&["ledger", "purge", "--forget-outcomes-after", "0s"]);
    assert!(
        forgot.stderr.contains("1 outcomes are forgotten"),
        "{forgot:?}"
    );
    assert_eq!(
        shop.run(&["ledger", "list"])
            .stdout
            .lines()
            .filter(|line| line.contains("tombstone"))
            .count(),
        1
    );
    let wrong = shop.run(&["ledger", "purge", "--forget-outcomes-after", "soon"]);
    wrong.assert_message(64, "forget-outcomes-after");
}
