//! An agent books flight 9007199254740993, and the tool that read the number as a double books 9007199254740992. It
//! pays `1.10`, and repeats it as `11e-1`: to a key made of the spelling that is another payment. It pays
//! `1.100000000000000001`, and to a key made of doubles that is none. So no digit is lost between the agent, the key
//! and the tool, and the tool gets the agent's own text with only the key put in.

use crate::{
    random::Random,
    world::{intent, memory},
};
use semel::{
    json::{JsonDocument, JsonLimits, JsonValue, canonical},
    model::{Answer, Call, Outcome},
    runtime::{CallStep, Semel, Ticket},
};
use serde_json::json;
use std::fmt::Write as _;

const DOCUMENTS: u64 = 1_000;

/// A host for the tool `keep`: all of `doc` is its identity, as it is, and its key goes into `key`.
async fn keeper() -> Semel {
    let settings = json!({
        "operation": "keep",
        "identity": [{ "at": "doc", "as": "exact" }],
        "target": { "argument": "key", "repeats": "replayed", "remembers": "24h" },
    });
    let tool = intent(settings).await;
    Semel::builder(memory())
        .tool(["keep"], tool)
        .open()
        .await
        .unwrap()
}

fn call(text: &str) -> Call {
    let document = JsonDocument::parse(text, &JsonLimits::default()).unwrap();
    Call::new("keep", document).unwrap()
}

/// Calls the tool with a text of arguments, and returns the answer and the ticket, if it ran. The tool returns what it
/// got.
async fn keep(semel: &Semel, text: &str) -> (Answer, Option<Ticket>) {
    match semel.begin(call(text)).await.unwrap() {
        CallStep::Answered(answered) => (answered.into_parts().0, None),
        CallStep::Run(run) => {
            let ticket = run.ticket.clone();
            let got = JsonDocument::parse(&ticket.arguments_json, &JsonLimits::default()).unwrap();
            let outcome = Outcome::returned(got.value().clone());
            let answered = run.finish(outcome).await.unwrap();
            (answered.into_parts().0, Some(ticket))
        }
    }
}

/// A text of arguments in which each document is another one: its number is part of it.
fn random_arguments(random: &mut Random, number: u64) -> String {
    let mut text = String::from("{");
    blank(random, &mut text);
    write!(text, "\"doc\":[{number},").unwrap();
    random_value(random, &mut text, 4);
    text.push(']');
    blank(random, &mut text);
    if random.below(2) == 0 {
        text.push_str(",\"note\" : ");
        random_value(random, &mut text, 2);
    }
    blank(random, &mut text);
    text.push('}');
    text
}

fn blank(random: &mut Random, text: &mut String) {
    text.push_str(["", "", " ", "\n  ", "\t", "\r\n"][random.below(6) as usize]);
}

fn random_value(random: &mut Random, text: &mut String, depth: u64) {
    match random.below(if depth == 0 { 4 } else { 8 }) {
        0 => text.push_str(["null", "true", "false"][random.below(3) as usize]),
        1 | 2 => text.push_str(&random_number(random)),
        3 => random_text(random, text),
        4 | 5 => random_list(random, text, depth - 1),
        _ => random_object(random, text, depth - 1),
    }
}

fn random_list(random: &mut Random, text: &mut String, depth: u64) {
    text.push('[');
    for index in 0..random.below(4) {
        text.push_str(if index > 0 { "," } else { "" });
        blank(random, text);
        random_value(random, text, depth);
        blank(random, text);
    }
    text.push(']');
}

fn random_object(random: &mut Random, text: &mut String, depth: u64) {
    text.push('{');
    for index in 0..random.below(4) {
        text.push_str(if index > 0 { "," } else { "" });
        blank(random, text);
        // Names go down, so that no object lies in the order of its canonical text.
        write!(text, "\"{}\\u006{}\"", 9 - index, 1 + index).unwrap();
        blank(random, text);
        text.push(':');
        random_value(random, text, depth);
    }
    blank(random, text);
    text.push('}');
}

fn random_text(random: &mut Random, text: &mut String) {
    text.push('"');
    for _ in 0..random.below(6) {
        text.push_str(
            [
                "a",
                "é",
                "😀",
                "\\ud83d\\ude00",
                "\\/",
                "\\n",
                "\\u0041",
                "\\\"",
                "1.10",
                "\\\\",
            ][random.below(10) as usize],
        );
    }
    text.push('"');
}

fn random_number(random: &mut Random) -> String {
    let mut number = String::from(["", "-"][random.below(2) as usize]);
    if random.below(4) == 0 {
        number.push('0');
    } else {
        number.push_str(&(1 + random.below(9)).to_string());
        random_digits(random, &mut number, 30);
    }
    if random.below(2) == 0 {
        number.push('.');
        number.push_str(&random.below(10).to_string());
        random_digits(random, &mut number, 30);
    }
    if random.below(3) == 0 {
        number.push_str(["e", "E", "e+", "E-"][random.below(4) as usize]);
        number.push_str(&random.below(500).to_string());
    }
    number
}

fn random_digits(random: &mut Random, number: &mut String, most: u64) {
    for _ in 0..random.below(most) {
        number.push_str(&random.below(10).to_string());
    }
}

/// The text with the key as its last member: nothing else may differ.
fn with_key(text: &str, key: &str) -> String {
    let end = text.trim_end_matches(['}', ' ', '\n', '\t', '\r']).len();
    let (members, rest) = text.split_at(end);
    // What was trimmed may have closed values, too.
    let last = rest.rfind('}').unwrap();
    let closes = rest[..last].trim_end().len();
    let (inner, rest) = rest.split_at(closes);
    format!("{members}{inner},\"key\":\"{key}\"{rest}")
}

#[tokio::test]
async fn a_thousand_documents_reach_the_tool_unchanged() {
    let semel = keeper().await;
    let mut random = Random(20_260_730);
    for number in 0..DOCUMENTS {
        let text = random_arguments(&mut random, number);
        let (answer, ticket) = keep(&semel, &text).await;
        assert_eq!(answer.word(), "executed", "{text}");
        let ticket = ticket.unwrap();
        let key = ticket.key.clone().unwrap();
        assert_eq!(ticket.arguments_json, with_key(&text, &key));
        assert_eq!(ticket.arguments["doc"], call(&text).arguments()["doc"]);
        // Written anew, in another order and with other numbers, it is the same document, and its outcome comes back.
        let anew = canonical(&JsonValue::Object(call(&text).arguments().clone()));
        let (answer, ticket) = keep(&semel, &anew).await;
        assert_eq!(
            (answer.word(), ticket.is_none()),
            ("replayed", true),
            "{text} {anew}"
        );
        let Some(Outcome::Returned(value)) = answer.outcome() else {
            panic!("{answer:?}")
        };
        let sent: JsonValue = serde_json::from_str(&with_key(&text, &key)).unwrap();
        assert_eq!(value, &sent);
        assert_eq!(
            value.to_string(),
            sent.to_string(),
            "number by number as it was written"
        );
    }
}

#[tokio::test]
async fn numbers_of_one_value_are_one_operation_and_of_two_are_two() {
    let semel = keeper().await;
    for (text, word) in [
        ("1.10", "executed"),
        ("1.1", "replayed"),
        ("11e-1", "replayed"),
        ("1.100000000000000001", "executed"),
        ("9007199254740993", "executed"),
        ("9007199254740992", "executed"),
        ("9007199254740993.0", "replayed"),
        ("18446744073709551617", "executed"),
        ("1e1000000", "executed"),
        ("-0.0", "executed"),
        ("0", "replayed"),
    ] {
        let (answer, _) = keep(&semel, &format!("{{\"doc\":{text}}}")).await;
        assert_eq!(answer.word(), word, "{text}");
    }
}

/// A call that is sent again is sent as it was written first, whatever the repeat looks like.
#[tokio::test]
async fn a_retry_sends_the_text_that_was_recorded() {
    let semel = keeper().await;
    let text = "{ \"doc\" : [ 1.10, \"\\u0041\" ],\n \"b\":1E2, \"a\":null }";
    let CallStep::Run(run) = semel.begin(call(text)).await.unwrap() else {
        panic!("a first call runs")
    };
    let first = run.ticket.clone();
    run.finish(Outcome::no_answer("timed out")).await.unwrap();
    let repeat = r#"{"a":null,"b":100,"doc":[1.1,"A"]}"#;
    let (answer, again) = keep(&semel, repeat).await;
    let again = again.unwrap();
    assert_eq!(answer.word(), "executed");
    assert!(again.repeats);
    assert_eq!(again.arguments_json, first.arguments_json);
    assert_eq!(
        first.arguments_json,
        with_key(text, first.key.as_ref().unwrap())
    );
}

/// A number that no key can hold is refused before anything is sent, with its place.
#[test]
fn a_number_past_the_limits_is_refused_in_words() {
    let refusal = |text: &str| {
        JsonDocument::parse(text, &JsonLimits::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal(&format!("{{\"doc\":\n {}}}", "7".repeat(1_001))),
        "line 2, column 2 holds a number with 1001 digits, more than 1000: send it as a text"
    );
    assert_eq!(
        refusal(r#"{"doc":1e1000001}"#),
        "line 1, column 8 holds a number with an exponent beyond 1000000 or below -1000000: send it as a text"
    );
}
