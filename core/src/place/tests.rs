#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::json::{JsonDocument, JsonLimits};
use proptest::prelude::*;
use serde_json::{Value, json};

fn call(arguments: Value) -> Call {
    Call::new("pay", arguments).unwrap()
}

/// Puts a key into a text of arguments.
fn placed(place: KeyPlace, before: &str) -> String {
    let document = JsonDocument::parse(before, &JsonLimits::default()).unwrap();
    let call = Call::new("pay", document).unwrap();
    put(&[place], "KEY", &call).unwrap().arguments_json
}

fn argument(pointer: &str) -> KeyPlace {
    KeyPlace::Argument(pointer.to_owned())
}

fn appended(pointer: &str) -> KeyPlace {
    KeyPlace::Appended(pointer.to_owned())
}

fn arguments(place: KeyPlace, before: Value) -> Value {
    let placed = put(&[place], "KEY", &call(before)).unwrap();
    serde_json::from_str(&placed.arguments_json).unwrap()
}

fn error_text(place: KeyPlace, before: Value) -> String {
    let before = call(before);
    let error = put(std::slice::from_ref(&place), "KEY", &before).unwrap_err();
    assert_eq!(check(&[place], &before), Err(error.clone()));
    error.to_string()
}

#[test]
fn missing_objects_on_the_way_are_made() {
    assert_eq!(
        arguments(argument("/a/b~1c/~0"), json!({"x": 1})),
        json!({"x": 1, "a": {"b/c": {"~": "KEY"}}})
    );
    assert_eq!(
        arguments(argument("/a/b"), json!({"a": null})),
        json!({"a": {"b": "KEY"}})
    );
    assert_eq!(arguments(argument("/"), json!({})), json!({"": "KEY"}));
}

#[test]
fn a_key_that_somebody_else_put_there_is_replaced() {
    for there in [json!("random"), json!(1), json!(null), json!(true)] {
        assert_eq!(
            arguments(argument("/key"), json!({"key": there})),
            json!({"key": "KEY"})
        );
    }
}

#[test]
fn a_value_in_the_path_is_named_and_nothing_is_lost() {
    assert_eq!(
        error_text(argument("/a/b"), json!({"a": [1]})),
        "the key belongs at `/a/b`, and a list is in its path: pass an object there, or leave it out"
    );
    assert!(error_text(argument("/a/b"), json!({"a": "text"})).contains("a text is in its path"));
    assert_eq!(
        error_text(argument("/a"), json!({"a": {}})),
        "the key belongs at `/a`, and the call has an object there: leave it out"
    );
    assert!(error_text(argument("/a/0"), json!({"a": ["text"]})).contains("a list"));
}

#[test]
fn a_text_gets_the_key_on_a_line_of_its_own() {
    for (before, after) in [
        ("Hello", "Hello\nKEY"),
        ("Hello\n", "Hello\nKEY"),
        ("", "KEY"),
    ] {
        assert_eq!(
            arguments(appended("/m/text"), json!({"m": {"text": before}})),
            json!({"m": {"text": after}})
        );
    }
}

#[test]
fn every_byte_but_the_key_stays_as_the_agent_wrote_it() {
    let before =
        "{ \"z\" : 1.10,\n  \"a\\u0062\":{\t}, \"t\":\"\\u0041\\/\", \"n\": null , \"k\" :7 }";
    for (place, after) in [
        (argument("/k"), before.replace(":7", ":\"KEY\"")),
        (argument("/n"), before.replace("null", "\"KEY\"")),
        (
            argument("/n/x~1/y"),
            before.replace("null", r#"{"x/":{"y":"KEY"}}"#),
        ),
        (
            argument("/ab/key"),
            before.replace("{\t}", "{\"key\":\"KEY\"\t}"),
        ),
        (argument("/m"), before.replace(":7 }", ":7,\"m\":\"KEY\" }")),
        (
            argument("/m/\""),
            before.replace(":7 }", ":7,\"m\":{\"\\\"\":\"KEY\"} }"),
        ),
        (appended("/t"), before.replace("\\/\"", "\\/\\nKEY\"")),
    ] {
        assert_eq!(placed(place, before), after);
    }
    assert_eq!(placed(argument("/a"), " { } \n"), r#"{"a":"KEY" }"#);
    assert_eq!(
        placed(KeyPlace::Header("X".to_owned()), &format!(" {before}\n")),
        before
    );
}

#[test]
fn a_text_that_is_none_gets_no_key() {
    assert_eq!(
        error_text(appended("/text"), json!({"text": 1})),
        "the key is added to the text at `/text`, and the call has a number there: pass a text"
    );
    assert!(error_text(appended("/text"), json!({})).contains("the call has nothing there"));
    assert!(
        error_text(appended("/a/text"), json!({"a": "x"})).contains("the call has nothing there")
    );
}

#[test]
fn headers_and_metadata_go_beside_the_arguments() {
    let places = [
        KeyPlace::Header("Idempotency-Key".to_owned()),
        KeyPlace::Metadata("semel/key".to_owned()),
    ];
    let placed = put(&places, "KEY", &call(json!({"a": 1}))).unwrap();
    assert_eq!(
        placed.headers,
        [("Idempotency-Key".to_owned(), "KEY".to_owned())]
    );
    assert_eq!(
        placed.metadata,
        [("semel/key".to_owned(), "KEY".to_owned())]
    );
    assert_eq!(placed.arguments_json, r#"{"a":1}"#);
    assert!(!format!("{placed:?}").contains("KEY"));
}

#[test]
fn a_header_that_would_split_a_request_is_refused() {
    for name in ["", "a b", "a:b", "a\r\nX: y", "ключ"] {
        assert!(
            error_text(KeyPlace::Header(name.to_owned()), json!({})).contains("not a header name"),
            "{name}"
        );
    }
    for name in ["", "a\nb", &"x".repeat(PLACE_BYTES_MAX + 1)] {
        assert!(
            error_text(KeyPlace::Metadata(name.to_owned()), json!({})).contains("in metadata"),
            "{name}"
        );
    }
}

#[test]
fn what_is_no_pointer_is_refused() {
    for (pointer, why) in [
        ("", "begin with a slash"),
        ("a", "begin with a slash"),
        ("/~2", "`0` or `1`"),
        ("/~", "`0`"),
    ] {
        assert!(
            error_text(argument(pointer), json!({})).contains(why),
            "{pointer}"
        );
    }
    assert!(error_text(argument(&"/a".repeat(33)), json!({})).contains("deeper than 32"));
    assert!(
        error_text(argument(&format!("/{}", "a".repeat(512))), json!({}))
            .contains("longer than 512")
    );
}

#[test]
fn a_place_named_twice_is_refused() {
    let twice = |one, other| put(&[one, other], "KEY", &call(json!({"a": "x"}))).unwrap_err();
    let header = |name: &str| KeyPlace::Header(name.to_owned());
    assert_eq!(
        twice(header("X-Key"), header("x-key")),
        KeyPlaceError::Twice(ShownPointer::new("x-key"))
    );
    assert_eq!(
        twice(argument("/a"), appended("/a")),
        KeyPlaceError::Twice(ShownPointer::new("/a"))
    );
    assert_eq!(
        put(&vec![argument("/a"); 9], "KEY", &call(json!({}))),
        Err(KeyPlaceError::TooMany(9))
    );
}

proptest! {
    #[test]
    fn a_placed_key_stands_in_its_place_and_nothing_else_changes(
        members in prop::collection::btree_map("[a-c~/\"]{0,2}", "-?[1-9][0-9]{0,30}(\\.[0-9]{1,9})?", 0..5),
        name in "[a-c~/\"]{0,2}",
    ) {
        let inner: Vec<_> = members.iter().rev().map(|(name, number)| format!("{} : {number}", json!(name))).collect();
        let before = format!("{{ \"in\" :{{{}}} ,\"out\": 1.0}}", inner.join(" ,"));
        let pointer = format!("/in/{}", name.replace('~', "~0").replace('/', "~1"));
        let after = crate::json::parse(&placed(argument(&pointer), &before), &JsonLimits::default()).unwrap();
        let mut expected = crate::json::parse(&before, &JsonLimits::default()).unwrap();
        expected.get_mut("in").unwrap().as_object_mut().unwrap().insert(name, "KEY".into());
        prop_assert_eq!(after, expected);
    }

    #[test]
    fn what_is_checked_can_be_put(pointer in "[/a~01]{0,12}", is_append in any::<bool>(), depth in 0_usize..3) {
        let before = (0..depth).fold(json!("text"), |inner, _| json!({"a": inner, "": 1}));
        let before = call(json!({"a": before, "0": [1]}));
        let place = if is_append { appended(&pointer) } else { argument(&pointer) };
        let checked = check(std::slice::from_ref(&place), &before);
        prop_assert_eq!(checked, put(&[place], "KEY", &before).map(drop));
    }
}
