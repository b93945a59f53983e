//! Settings that are refused, each with the path of the key that is wrong.

use std::collections::BTreeSet;

use semel_guest::{json, normal};

use super::*;

/// Sets `key` beside a sound identity.
fn with(key: &str, value: Value) -> Value {
    let mut settings = json!({ "identity": ["order_id"] });
    settings
        .as_object_mut()
        .unwrap()
        .insert(key.to_owned(), value);
    settings
}

#[test]
fn every_mistake_is_told_by_its_path() {
    let landed = json!({ "at": "id" });
    for (settings, path, hint) in [
        (json!({}), "identity", "name the arguments"),
        (json!({ "identity": [] }), "identity", "name the arguments"),
        (json!({ "identity": [""] }), "identity[0]", "empty"),
        (json!({ "identity": ["/a~b"] }), "identity[0]", "~0"),
        (
            json!({ "identity": [7] }),
            "identity[0]",
            "an argument's name",
        ),
        (
            json!({ "identity": ["a", "/a"] }),
            "identity[1]",
            "`identity[0]`",
        ),
        (
            json!({ "identity": ["a", { "at": "a", "name": "b" }] }),
            "identity[1]",
            "`identity[0]`",
        ),
        (
            json!({ "identity": [{ "at": "a", "name": " " }] }),
            "identity[0]",
            "name is empty",
        ),
        (
            json!({ "identity": [{ "at": "a", "as": "monney" }] }),
            "identity[0].as",
            "money",
        ),
        (
            json!({ "identity": [{ "at": "a", "is": "x" }] }),
            "identity[0].is",
            "unknown key",
        ),
        (
            with("content", json!(["order_id"])),
            "content[0]",
            "`identity[0]`",
        ),
        (with("operation", json!(" ")), "operation", "empty"),
        (with("scope", json!("agent")), "scope", "tenant"),
        (with("window", json!("1 month")), "window", "length of time"),
        (with("window", json!(0)), "window", "length of time"),
        (with("window", json!("forever")), "window", "length of time"),
        (
            with("window", json!("1m")),
            "window",
            "shorter than an attempt",
        ),
        (
            with("target", json!({ "header": "K" })),
            "target",
            "repeats",
        ),
        (
            with("target", json!({ "repeats": "replayed" })),
            "target",
            "`header`",
        ),
        (
            with(
                "target",
                json!({ "repeats": "replayed", "remembers": "1h" }),
            ),
            "target",
            "`header`",
        ),
        (
            with("target", json!({ "repeats": "harmless", "form": "uuid4" })),
            "target.form",
            "the key has no place",
        ),
        (
            with(
                "target",
                json!({ "header": "K", "repeats": "effective", "remembers": "1h" }),
            ),
            "target.remembers",
            "leave it out",
        ),
        (
            with(
                "target",
                json!({ "header": "K", "repeats": "replayed", "form": "uuid9" }),
            ),
            "target.form",
            "uuid8",
        ),
        (
            with("target", json!({ "header": "a b", "repeats": "replayed" })),
            "target.header",
            "not a valid name",
        ),
        (
            with("target", json!({ "argument": "", "repeats": "replayed" })),
            "target.argument",
            "empty",
        ),
        (
            with("handles", json!(["order/{id}"])),
            "handles[0]",
            "{/order_id}",
        ),
        (with("handles", json!(["{key}"])), "handles[0]", "not known"),
        (
            with("undoes", json!(["ok", "order/{/id"])),
            "undoes[1]",
            "brace",
        ),
        (
            with("verdict", json!([{ "when": {}, "effect": "landed" }])),
            "verdict[0].when",
            "every answer",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "is": 1 }, "effect": "landed" }]),
            ),
            "verdict[0].when.is",
            "`at`",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "text": "x" }, "effect": "fine" }]),
            ),
            "verdict[0].effect",
            "landed",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "exit": 0 }, "effect": "landed" }]),
            ),
            "verdict[0].when.exit",
            "not a failure",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "exit": 3, "code": "x" }, "effect": "landed" }]),
            ),
            "verdict[0].when",
            "one of them",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "status": 42 }, "effect": "landed" }]),
            ),
            "verdict[0].when.status",
            "4xx",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "code": [] }, "effect": "landed" }]),
            ),
            "verdict[0].when.code",
            "never matches",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "text": "" }, "effect": "landed" }]),
            ),
            "verdict[0].when.text",
            "empty",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "text": "{\"a" }, "effect": "landed" }]),
            ),
            "verdict[0].when.text",
            "{{",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "text": "x" }, "effect": "landed" }, { "when": { "text": "x" }, "effect": "absent" }]),
            ),
            "verdict[1]",
            "`verdict[0]`",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "text": "x" }, "effect": "landed", "retry_after": 1 }]),
            ),
            "verdict[0].retry_after",
            "leave",
        ),
        (
            with(
                "verdict",
                json!([{ "when": { "text": "x" }, "effect": "absent", "retry_after": "50d" }]),
            ),
            "verdict[0].retry_after",
            "49",
        ),
        (
            with("probe", json!({ "tool": "", "landed": landed })),
            "probe.tool",
            "empty",
        ),
        (with("probe", json!({ "tool": "t" })), "probe", "landed"),
        (
            with("probe", json!({ "tool": "t", "landed": {} })),
            "probe.landed",
            "every answer",
        ),
        (
            with(
                "probe",
                json!({ "tool": "t", "landed": landed, "arguments": [1] }),
            ),
            "probe.arguments",
            "table",
        ),
        (
            with(
                "probe",
                json!({ "tool": "t", "landed": landed, "arguments": { "a": { "b": ["{x}"] } } }),
            ),
            "probe.arguments.a.b[0]",
            "not a placeholder",
        ),
        (
            with("read_only", json!(true)),
            "read_only",
            "leave the other keys out",
        ),
        (
            with("idempotency", json!("x")),
            "idempotency",
            "unknown key",
        ),
    ] {
        let mistake = configure(&settings)
            .err()
            .unwrap_or_else(|| panic!("accepted: {settings}"));
        assert!(
            mistake.contains(&format!("`{path}`")) && mistake.contains(hint),
            "{settings}\n  says: {mistake}"
        );
    }
}

#[test]
fn the_schema_names_every_key_and_no_other() {
    let schema: Value = serde_json::from_str(&Intent::describe().settings_schema).unwrap();
    for (place, settings) in [
        ("/properties", with("?", json!(1))),
        (
            "/$defs/entry/oneOf/1/properties",
            json!({ "identity": [{ "?": 1 }] }),
        ),
        (
            "/$defs/target/properties",
            with("target", json!({ "?": 1 })),
        ),
        (
            "/$defs/rule/properties",
            with("verdict", json!([{ "?": 1 }])),
        ),
        (
            "/$defs/when/properties",
            with("verdict", json!([{ "when": { "?": 1 } }])),
        ),
        ("/$defs/probe/properties", with("probe", json!({ "?": 1 }))),
    ] {
        let described: BTreeSet<_> = schema
            .pointer(place)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(described, accepted(&settings), "{place}");
    }
}

#[test]
fn the_schema_names_every_normaliser() {
    let schema: Value = serde_json::from_str(&Intent::describe().settings_schema).unwrap();
    let listed = &schema["$defs"]["entry"]["oneOf"][1]["properties"]["as"]["enum"];
    let known: Vec<_> = normal::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(*listed, json!(known));
}

/// The keys that the mistake lists.
fn accepted(settings: &Value) -> BTreeSet<String> {
    let mistake = configure(settings).err().unwrap();
    let (_, names) = mistake.split_once("the keys are ").unwrap();
    names
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn settings_without_a_sign_of_a_landing_are_warned_of() {
    let warnings = |more: Value| {
        let mut settings = json!({ "identity": ["id"] });
        for (name, value) in more.as_object().unwrap().iter() {
            settings
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone());
        }
        Intent::configure(settings).unwrap().warnings()
    };
    let [warning] = warnings(json!({})).try_into().unwrap();
    assert!(warning.contains("set `landed` or `verdict`"), "{warning}");
    for sign in [
        json!({ "landed": { "at": "/id" } }),
        json!({ "verdict": [{ "when": { "text": "Error:" }, "effect": "unknown" }] }),
    ] {
        assert_eq!(warnings(sign), [""; 0]);
    }
    let reads = Intent::configure(json!({ "read_only": true })).unwrap();
    assert_eq!(reads.warnings(), [""; 0]);
}
