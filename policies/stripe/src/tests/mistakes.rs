//! Settings that are wrong are told with their key, before anything runs.

use super::*;

#[test]
fn every_mistake_names_its_key() {
    for (settings, key) in [
        (json!({ "unknwon": "pass" }), "`unknwon`"),
        (json!({ "unknown": "ignore" }), "`unknown`"),
        (json!({ "reference": "order_id" }), "`reference`"),
        (json!({ "reference": [] }), "`reference`"),
        (json!({ "reference": ["/a", "/a"] }), "`/a` is named twice"),
        (json!({ "reference": 7 }), "`reference`"),
        (json!({ "tools": { "pay": "charges.make" } }), "`pay`"),
        (json!({ "tools": { "pay": 1 } }), "`pay`"),
        (json!({ "tools": [] }), "`tools`"),
        (json!({ "key": "body" }), "`key`"),
        (json!({ "scope": "world" }), "`scope`"),
        (json!({ "window": "soon" }), "`window`"),
        (json!({ "window": 10, "attempt": 11 }), "`window`"),
        (json!({ "other_amount": true }), "`other_amount`"),
        (json!({ "refund_by": "order" }), "`refund_by`"),
        (
            json!({ "without_reference": "pass" }),
            "`without_reference`",
        ),
        (json!([]), "table"),
    ] {
        let mistake = Stripe::configure(settings.clone())
            .err()
            .unwrap_or_else(|| panic!("taken: {settings}"));
        assert!(
            mistake.contains(key) && mistake.starts_with("settings: "),
            "{settings}: {mistake}"
        );
    }
}

#[test]
fn the_schema_names_the_settings_and_the_operations() {
    let schema: Value = serde_json::from_str(&Stripe::describe().settings_schema).unwrap();
    for key in schema["properties"].as_object().unwrap().keys() {
        let mistake = Stripe::configure(json!({ key: { "no": {} } }))
            .err()
            .unwrap();
        assert!(!mistake.contains("unknown key"), "{mistake}");
    }
    let listed = Stripe::configure(json!({ "": 1 })).err().unwrap();
    assert!(
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .all(|key| listed.contains(&format!("`{key}`"))),
        "{listed}"
    );
    let named = schema["properties"]["tools"]["additionalProperties"]["enum"]
        .as_array()
        .unwrap();
    let known: Vec<_> = crate::api::ENDPOINTS
        .iter()
        .map(|endpoint| endpoint.name)
        .chain(["read"])
        .collect();
    assert_eq!(
        named
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect::<Vec<_>>(),
        known
    );
}
