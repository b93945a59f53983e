use proptest::prelude::*;

use super::*;
use crate::json;

#[test]
fn every_digit_of_a_number_is_kept() {
    for (text, form) in [
        ("1.10", "1.1"),
        ("11e-1", "1.1"),
        ("1.100000000000000001", "1.100000000000000001"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551617", "18446744073709551617"),
        ("-0", "0"),
        ("0.0e9", "0"),
        ("1E2", "100"),
        ("1e21", "1e+21"),
        ("1234567890123456789012", "1.234567890123456789012e+21"),
        ("0.000001", "0.000001"),
        ("-0.0000001", "-1e-7"),
        ("1e1000000", "1e+1000000"),
    ] {
        assert_eq!(Value::parse(text).unwrap().to_string(), form, "{text}");
        assert_eq!(Value::parse(form), Value::parse(text), "{text}");
    }
    assert_eq!(json!(1.5), Value::parse("15e-1").unwrap());
    assert_ne!(Value::parse("1.1"), Value::parse("1.100000000000000001"));
}

#[test]
fn json_is_read_and_nothing_else() {
    let text = r#" {"a":[null,true,-1,"\ud83d\ude00\u0000\/\n"] , "b":{}, "c" : [ ] } "#;
    assert_eq!(
        Value::parse(text).unwrap(),
        json!({ "a": [null, true, -1, "😀\0/\n"], "b": {}, "c": [] })
    );
    for odd in [
        "",
        "nul",
        "[1,]",
        "[1 2]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "-",
        "NaN",
        "\"\t\"",
        "\"a",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "1 2",
        "[",
        "{\"a\":",
    ] {
        assert!(Value::parse(odd).is_err(), "{odd}");
    }
    assert!(Value::parse(&"[".repeat(100_000)).is_err());
    assert!(Value::parse(&["[".repeat(128), "]".repeat(128)].concat()).is_ok());
}

#[test]
fn json_in_a_policy_makes_the_value_that_it_shows() {
    let exact = Value::parse("1.100000000000000001").unwrap();
    let value = json!({ "a": [1, null, [], { "x": exact }, "t".to_owned() + "u",], "b": null, "c": Some(2_u8) });
    assert_eq!(
        value.to_string(),
        r#"{"a":[1,null,[],{"x":1.100000000000000001},"tu"],"b":null,"c":2}"#
    );
}

proptest! {
    #[test]
    fn a_text_is_read_as_serde_json_reads_it(text in ".{0,40}", json in "[\\[\\]{}:,\"\\\\a-fu0-9eE.+ -]{0,24}") {
        for text in [text, json] {
            // It changes or refuses numbers that no double holds; nothing else.
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            let ours = Value::parse(&text);
            match theirs {
                Ok(theirs) => prop_assert_eq!(ours.is_ok(), true, "{} {}", text, theirs),
                Err(error) => prop_assert!(ours.is_err() || error.to_string().contains("out of range"), "{}", text),
            }
        }
    }

    #[test]
    fn a_string_survives(text in any::<String>()) {
        let value = Value::from(text.as_str());
        prop_assert_eq!(serde_json::from_str::<String>(&value.to_string()).unwrap(), text);
        prop_assert_eq!(Value::parse(&value.to_string()).unwrap(), value);
    }
}
