#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::error::{FIELDS_BYTES_MAX, FIELDS_MAX};
use super::*;
use crate::json::{JsonNumber, JsonValue};
use crate::model::{Field, KeyForm, OperationLifetime, RepeatEffect, Run, Target};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

fn field(name: &str, value: impl Into<JsonValue>) -> Field {
    Field {
        name: name.to_owned(),
        value: value.into(),
    }
}

fn refund() -> Operation {
    Operation {
        name: Some("refund".to_owned()),
        identity: vec![field("order", json!("A-1")), field("line", json!(3))],
        content: vec![field("amount", json!("10.00"))],
        scope: Scope::Tenant,
        until: OperationLifetime::Window,
        window_seconds: 86_400,
        attempt_seconds: 60,
        target: None,
        undoes: Vec::new(),
    }
}

fn call() -> Call {
    Call::new(
        "refund_order",
        json!({"order": "A-1", "line": 3, "amount": 10, "note": "sorry"}),
    )
    .unwrap()
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.repeat(32).as_bytes()).unwrap()
}

fn key(operation: &Operation) -> Result<StoreKey, KeyError> {
    KeyScheme::default().store_key("shop", &call(), operation)
}

fn error_text(change: impl FnOnce(&mut Operation)) -> String {
    let mut operation = refund();
    change(&mut operation);
    key(&operation).unwrap_err().to_string()
}

#[test]
fn whatever_makes_an_operation_another_makes_its_key_another() {
    let plain = KeyScheme::default();
    let in_run = |name: &str| call().in_run(Run::new(name).unwrap());
    let with = |change: &dyn Fn(&mut Operation)| {
        let mut operation = refund();
        change(&mut operation);
        operation
    };
    let by_run = with(&|operation| operation.scope = Scope::Run);
    let unnamed = || with(&|operation| operation.name = None);
    let on_server = |name: &str| call().with_fact("server", json!(name));
    let instance = |server, occurrence| {
        let instance = OperationInstance { server, occurrence };
        plain.instance_key("shop", &call(), &refund(), Some(&instance))
    };
    let keys = [
        plain.store_key("shop", &call(), &refund()),
        plain.store_key("other shop", &call(), &refund()),
        plain.store_key("shop", &call().for_tenant(tenant("bob")), &refund()),
        plain.store_key("shop", &in_run("r1"), &by_run),
        plain.store_key("shop", &in_run("r2"), &by_run),
        plain.store_key(
            "shop",
            &call(),
            &with(&|operation| operation.name = Some("refunds".to_owned())),
        ),
        plain.store_key(
            "shop",
            &call(),
            &with(&|operation| operation.identity.truncate(1)),
        ),
        plain.store_key(
            "shop",
            &call(),
            &with(&|operation| operation.identity[1].value = json!("3").into()),
        ),
        plain.store_key(
            "shop",
            &call(),
            &with(&|operation| operation.identity[1].name.push('s')),
        ),
        plain.store_key(
            "shop",
            &call(),
            &with(&|operation| operation.undoes = vec!["charge/1".to_owned()]),
        ),
        plain.store_key(
            "shop",
            &call(),
            &with(&|operation| operation.undoes = vec!["charge/2".to_owned()]),
        ),
        plain.store_key("shop", &call(), &unnamed()),
        plain.store_key("shop", &on_server("mail"), &unnamed()),
        plain.store_key("shop", &on_server("chat"), &unnamed()),
        plain.store_key(
            "shop",
            &call(),
            &with(&|operation| operation.name = Some("refund_order".to_owned())),
        ),
        instance([1; 32], 0),
        instance([2; 32], 0),
        instance([1; 32], 1),
        KeyScheme::new(KeyMode::Shadow, None).store_key("shop", &call(), &refund()),
        KeyScheme::new(KeyMode::Enforce, Some(secret("a"))).store_key("shop", &call(), &refund()),
        KeyScheme::new(KeyMode::Enforce, Some(secret("b"))).store_key("shop", &call(), &refund()),
    ];
    let different: BTreeSet<_> = keys.iter().map(|key| *key.as_ref().unwrap()).collect();
    assert_eq!(different.len(), keys.len());
}

#[test]
fn what_does_not_make_an_operation_does_not_make_its_key() {
    let mut other = refund();
    other.identity.reverse();
    other.identity[0].value = json!(3.0).into();
    other.content.clear();
    other.until = OperationLifetime::Delivery;
    other.window_seconds = 1;
    let elsewhere = Call::new("issue_refund", json!({}))
        .unwrap()
        .in_run(Run::new("r1").unwrap());
    let scheme = KeyScheme::default();
    assert_eq!(
        scheme.store_key("shop", &elsewhere, &other).unwrap(),
        key(&refund()).unwrap()
    );
}

#[test]
fn the_order_of_what_is_undone_does_not_matter() {
    let key = |undoes: &[&str]| {
        let operation = Operation {
            undoes: undoes.iter().map(|handle| (*handle).to_owned()).collect(),
            ..refund()
        };
        KeyScheme::default().store_key("shop", &call(), &operation)
    };
    let both = key(&["charge/1", "charge/2"]).unwrap();
    assert_eq!(both, key(&["charge/2", "charge/1", "charge/2"]).unwrap());
    let error = key(&vec!["charge/1"; UNDOES_MAX + 1]).unwrap_err();
    assert_eq!(
        error,
        KeyError::TooManyUndone {
            count: UNDOES_MAX + 1
        }
    );
}

#[test]
fn an_operation_without_identity_has_no_key() {
    assert!(
        error_text(|operation| operation.identity.clear())
            .starts_with("the operation has no identity")
    );
}

#[test]
fn an_identity_that_is_null_or_empty_has_no_key() {
    for (value, found) in [
        (json!(null), "null"),
        (json!(""), "an empty text"),
        (json!([]), "an empty list"),
        (json!({}), "an empty object"),
    ] {
        assert_eq!(
            error_text(|operation| operation.identity[0].value = value.into()),
            format!(
                "identity field `order` is {found}: give it the value that identifies this operation"
            )
        );
    }
    for value in [json!(0), json!(false), json!(" "), json!([null])] {
        let mut operation = refund();
        operation.identity[0].value = value.into();
        key(&operation).unwrap();
    }
}

#[test]
fn an_identity_named_twice_has_no_key_even_with_equal_values() {
    let message = error_text(|operation| operation.identity.push(field("order", json!("A-1"))));
    assert_eq!(
        message,
        "identity field `order` is named twice: the policy must name it once"
    );
}

#[test]
fn numbers_count_by_their_exact_value() {
    let number = |text: &str| JsonValue::from(JsonNumber::parse(text).unwrap());
    let key = |text: &str| {
        let mut operation = refund();
        operation.identity[0].value = number(text);
        key(&operation).unwrap()
    };
    assert_eq!(key("1.10"), key("1.1"));
    assert_eq!(key("1.10"), key("11e-1"));
    assert_ne!(key("1.1"), key("1.100000000000000001"));
    assert_ne!(key("9007199254740992"), key("9007199254740993"));
    assert_ne!(key("18446744073709551616"), key("18446744073709551617"));
    let fingerprint = |text: &str| {
        let mut operation = refund();
        operation.content[0].value = number(text);
        KeyScheme::default()
            .fingerprint("shop", &call(), &operation)
            .unwrap()
    };
    assert_eq!(fingerprint("1e16"), fingerprint("10000000000000000.0"));
    assert_ne!(fingerprint("1e16"), fingerprint("10000000000000001"));
}

#[test]
fn too_much_identity_has_no_key() {
    let many = error_text(|operation| {
        operation.identity = (0..=FIELDS_MAX)
            .map(|number| field(&number.to_string(), json!(1)))
            .collect();
    });
    assert_eq!(
        many,
        "the identity has 257 fields, more than 256: name fewer"
    );
    let large = error_text(|operation| {
        let half = "x".repeat(FIELDS_BYTES_MAX / 2);
        operation.identity = vec![field("a", json!(half)), field("b", json!(half))];
    });
    assert!(
        large.starts_with("identity field `b` cannot be used: the JSON is "),
        "{large}"
    );
    let deep = error_text(|operation| {
        operation.identity[0].value =
            (0..10_000).fold(JsonValue::from(1), |inner, _| JsonValue::Array(vec![inner]));
    });
    assert!(
        deep.starts_with(
            "identity field `order` cannot be used: the JSON is nested more than 100 deep"
        ),
        "{deep}"
    );
    assert!(error_text(|operation| operation.identity[0].name.clear()).contains("an empty name"));
}

#[test]
fn run_scope_without_a_run_has_no_key() {
    assert!(error_text(|operation| operation.scope = Scope::Run).contains("the call names none"));
}

#[test]
fn an_operation_with_a_bad_name_has_no_key() {
    assert!(
        error_text(|operation| operation.name = Some(String::new())).contains("the name is empty")
    );
    assert!(
        error_text(|operation| operation.name = Some("a\nb".to_owned()))
            .contains("control character")
    );
    assert!(
        error_text(|operation| operation.name = Some("a".repeat(257))).contains("257 bytes long")
    );
}

#[test]
fn a_form_that_does_not_exist_is_refused_before_anything_is_claimed() {
    let target = |form| Target {
        places: Vec::new(),
        form,
        repeats: RepeatEffect::Replayed,
        remembers_seconds: None,
    };
    for form in [KeyForm::Uuid(7), KeyForm::Hex(31), KeyForm::Hex(65)] {
        assert!(
            error_text(|operation| operation.target = Some(target(form)))
                .starts_with("the policy asks for")
        );
        assert!(
            KeyScheme::default()
                .downstream(&StoreKey::from_bytes([0; 32]), 1, 1)
                .render(form)
                .is_err()
        );
    }
}

#[test]
fn generation_and_series_each_make_another_downstream_key() {
    let scheme = KeyScheme::default();
    let key = StoreKey::from_bytes([7; 32]);
    let rendered: BTreeSet<_> = [(1, 1), (1, 2), (2, 1), (2, 2)]
        .map(|(generation, series)| {
            scheme
                .downstream(&key, generation, series)
                .render(KeyForm::default())
                .unwrap()
        })
        .into();
    assert_eq!(rendered.len(), 4);
}

#[test]
fn the_same_content_of_another_tenant_has_another_fingerprint() {
    let scheme = KeyScheme::default();
    let of = |name_space, name| {
        scheme
            .fingerprint(name_space, &call().for_tenant(tenant(name)), &refund())
            .unwrap()
    };
    assert_ne!(of("shop", "alice"), of("shop", "bob"));
    assert_ne!(of("shop", "alice"), of("other shop", "alice"));
}

#[test]
fn noise_makes_another_call_and_the_run_does_only_where_it_counts() {
    let scheme = KeyScheme::default();
    let in_run = |name: &str| call().in_run(Run::new(name).unwrap());
    let quiet = Call::new(
        "refund_order",
        json!({"order": "A-1", "line": 3, "amount": 10}),
    )
    .unwrap();
    let digest = |call: &Call, scope| scheme.call_digest("shop", call, scope);
    assert_ne!(
        digest(&call(), Scope::Tenant),
        digest(&quiet, Scope::Tenant)
    );
    assert_eq!(
        digest(&in_run("a"), Scope::Tenant),
        digest(&in_run("b"), Scope::Tenant)
    );
    assert_ne!(
        digest(&in_run("a"), Scope::Run),
        digest(&in_run("b"), Scope::Run)
    );
}

#[test]
fn a_secret_is_long_and_shows_nothing() {
    assert_eq!(
        Secret::new(&[b'x'; 31]).unwrap_err(),
        SecretError::TooShort(31)
    );
    assert_eq!(
        Secret::new(&[b'x'; 4097]).unwrap_err(),
        SecretError::TooLong
    );
    let with_line_end = Secret::new(b"0123456789abcdef0123456789abcdef\r\n").unwrap();
    let without = Secret::new(b"0123456789abcdef0123456789abcdef").unwrap();
    let [one, other] =
        [with_line_end, without].map(|secret| KeyScheme::new(KeyMode::Enforce, Some(secret)));
    assert_eq!(one.secret_id(), other.secret_id());
    assert_eq!(one.secret_id().unwrap().len(), 16);
    assert!(!format!("{one:?}").contains("0123"));
    assert_eq!(KeyScheme::default().secret_id(), None);
}

proptest! {
    #[test]
    fn no_two_identities_share_a_key(
        one in prop::collection::btree_map("[a-c]{1,3}", "[a-c\":,]{1,3}", 1..4),
        other in prop::collection::btree_map("[a-c]{1,3}", "[a-c\":,]{1,3}", 1..4),
    ) {
        let key = |fields: &std::collections::BTreeMap<String, String>| {
            let mut operation = refund();
            operation.identity = fields.iter().map(|(name, value)| field(name, json!(value))).collect();
            key(&operation).unwrap()
        };
        prop_assert_eq!(key(&one) == key(&other), one == other);
    }

    #[test]
    fn a_uuid_is_one_of_its_version(bytes in any::<[u8; 32]>(), version in prop::sample::select(vec![4_u8, 5, 8])) {
        let uuid = DownstreamKey::new(bytes).render(KeyForm::Uuid(version)).unwrap();
        let parts: Vec<_> = uuid.split('-').map(str::len).collect();
        prop_assert_eq!(parts, [8, 4, 4, 4, 12]);
        prop_assert!(uuid.chars().all(|char| char == '-' || char.is_ascii_digit() || ('a'..='f').contains(&char)));
        prop_assert_eq!(uuid.chars().nth(14).unwrap().to_digit(16), Some(u32::from(version)));
        prop_assert!("89ab".contains(uuid.chars().nth(19).unwrap()));
    }
}
