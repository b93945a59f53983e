//! Models leave arguments out, send a list in place of an object, write identifiers as huge
//! numbers, nest without end. No such call may be charged under a key with another meaning, and the
//! refusal must let the model correct it.

use crate::world::{Bank, ask, ask_in_vain, charging, host, intent, memory, with};
use semel::{
    json::{JsonDocument, JsonMap, JsonNumber, JsonValue},
    model::{Answer, Call, NextStep},
    runtime::Semel,
};
use serde_json::{Value, json};

async fn shop() -> Semel {
    host(memory(), intent(charging()).await).await
}

/// The refusal of a call with these arguments, which must not run.
async fn refused(semel: &Semel, arguments: impl Into<JsonDocument>) -> String {
    let answer = ask_in_vain(semel, Call::new("charge", arguments).unwrap()).await;
    let Answer::Refused {
        reason,
        next: NextStep::CorrectTheCall,
    } = answer
    else {
        panic!("{answer:?}")
    };
    assert!(semel.ledger().list(None, &[], 10).await.unwrap().is_empty());
    reason
}

#[tokio::test]
async fn identity_that_is_missing_or_says_nothing_is_named() {
    let semel = shop().await;
    let empty = [json!(null), json!(""), json!([]), json!({})];
    for id in empty {
        let reason = refused(&semel, json!({ "order_id": id, "amount": 10 })).await;
        assert!(reason.contains("order_id"), "{id}: {reason}");
    }
    let reason = refused(&semel, json!({ "amount": 10 })).await;
    assert!(reason.contains("order_id"), "{reason}");
}

/// A number of 64 bits keeps its digits, and means what its text means.
#[tokio::test]
async fn an_identity_is_the_same_as_a_number_and_as_a_text() {
    let (semel, bank) = (shop().await, Bank::plain());
    let charge = |id: Value| Call::new("charge", json!({ "order_id": id, "amount": 10 })).unwrap();
    for (number, text) in [
        (json!(7), " 7\n"),
        (json!(9_007_199_254_740_992_u64), "9007199254740992"),
        (json!(9_007_199_254_740_993_u64), "9007199254740993"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!(i64::MIN), "-9223372036854775808"),
    ] {
        assert_eq!(ask(&semel, charge(number), &bank).await.word(), "executed");
        assert_eq!(
            ask(&semel, charge(json!(text)), &bank).await.word(),
            "replayed"
        );
    }
    assert_eq!(bank.charges(), 5);
}

#[tokio::test]
async fn a_number_that_is_too_long_for_an_identity_is_named() {
    let semel = shop().await;
    let id = JsonNumber::parse("1e999").unwrap();
    let mut arguments = JsonMap::new();
    arguments.insert("order_id".to_owned(), id.into());
    arguments.insert("amount".to_owned(), 10.into());
    let reason = refused(&semel, JsonValue::Object(arguments)).await;
    assert!(
        reason.contains("order_id") && reason.contains("of at most 64 characters"),
        "{reason}"
    );
}

#[tokio::test]
async fn what_is_too_deep_or_too_large_is_refused() {
    let semel = shop().await;
    let deep = (0..90).fold(json!(1), |inner, _| json!([inner]));
    let reason = refused(
        &semel,
        json!({ "order_id": "A1", "amount": 10, "note": deep }),
    )
    .await;
    assert!(reason.contains("deep"), "{reason}");
    // Built in memory, so that no parser bounded it: what is refused must not exhaust the stack before.
    let abyss = (0..10_000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    let mut arguments = serde_json::Map::new();
    arguments.insert("note".to_owned(), abyss);
    let reason = refused(&semel, Value::Object(arguments)).await;
    assert!(reason.contains("deep"), "{reason}");
    let reason = refused(
        &semel,
        json!({ "order_id": "A1", "amount": 10, "note": "x".repeat(2 << 20) }),
    )
    .await;
    assert!(reason.contains("bytes"), "{reason}");
}

#[test]
fn arguments_that_are_no_object_make_no_call() {
    for arguments in [json!(null), json!([1]), json!("order_id=A1"), json!(7)] {
        let mistake = Call::new("charge", arguments).unwrap_err().to_string();
        assert!(
            mistake.starts_with("arguments must be one JSON object, found "),
            "{mistake}"
        );
    }
}

#[test]
fn arguments_with_a_name_twice_are_not_read() {
    let limits = semel::json::JsonLimits::default();
    let mistake = semel::json::parse(r#"{"order_id":"A1","order_id":"A2"}"#, &limits)
        .unwrap_err()
        .to_string();
    assert!(mistake.contains("order_id"), "{mistake}");
}

#[tokio::test]
async fn an_amount_that_is_none_is_named() {
    let semel = shop().await;
    for amount in [json!("ten"), json!([]), json!("10,00.1"), json!(true)] {
        let reason = refused(&semel, json!({ "order_id": "A1", "amount": amount })).await;
        assert!(reason.contains("amount"), "{reason}");
    }
}

/// Of odd but meaningful values only white space around them is left out: no two of these are the same order.
#[tokio::test]
async fn odd_identities_stay_apart() {
    let (semel, bank) = (shop().await, Bank::plain());
    let odd = [
        "A",
        "a",
        "A\u{0}",
        "A\u{0}B",
        "\u{200b}A",
        "A\u{301}",
        "\u{c1}",
        "\u{fffd}",
        "\"A\"",
        "\\u0041",
    ];
    for (count, id) in odd.into_iter().enumerate() {
        let call = Call::new("charge", json!({ "order_id": id, "amount": 10 })).unwrap();
        let answer = ask(&semel, call, &bank).await;
        assert_eq!(
            (answer.word(), bank.charges()),
            ("executed", count + 1),
            "{id:?}"
        );
    }
}

#[tokio::test]
async fn a_place_that_is_taken_is_told_before_anything_is_claimed() {
    let settings = with(
        charging(),
        json!({ "target": { "argument": "/order_id/key", "repeats": "replayed", "remembers": "24h" } }),
    );
    let semel = host(memory(), intent(settings).await).await;
    let reason = refused(&semel, json!({ "order_id": "A1", "amount": 10 })).await;
    assert!(reason.contains("/order_id"), "{reason}");
}

#[tokio::test]
async fn a_tool_that_nobody_set_up_is_an_error_with_its_cure() {
    let error = shop()
        .await
        .begin(Call::new("refund", json!({})).unwrap())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`refund`") && error.contains("[[tool]]"),
        "{error}"
    );
}
