//! Which calls are one operation: by the ids of Stripe's objects, by the reference of the business, and never by chance.

use semel_guest::{Field, Form, Place, Repeats, Scope, Until};

use super::*;
use crate::api::{DistinctBy, ENDPOINTS, READS};

fn create(tool: &str, arguments: Value) -> Call {
    Call::new(tool, arguments)
}

fn by_order() -> Stripe {
    policy(json!({ "reference": "/metadata/order_id" }))
}

fn payment(order: &str, amount: u32) -> Call {
    let arguments = json!({ "amount": amount, "currency": "eur", "customer": "cus_1", "metadata": { "order_id": order } });
    create("create_payment_intent", arguments)
}

#[test]
fn a_refund_is_one_for_its_payment_and_another_amount_is_a_conflict() {
    let of = |arguments| operation(&plain(), &create("create_refund", arguments));
    let first = of(json!({ "payment_intent": "pi_1", "amount": 1000, "reason": "duplicate" }));
    assert_eq!(
        (first.name.as_deref(), &first.identity[..]),
        (
            Some("refunds.create"),
            &[Field::new("payment_intent", "pi_1")][..]
        )
    );
    assert_eq!(first.content, [Field::new("amount", 1000)]);
    assert_eq!((first.scope, first.until), (Scope::Tenant, Until::Window));
    let reworded = json!({ "payment_intent": " pi_1 ", "amount": "1000", "description": "sorry", "metadata": { "a": "b" } });
    assert_eq!(first, of(reworded));
    let whole = of(json!({ "payment_intent": "pi_1", "amount": null }));
    assert_eq!((&whole.identity, whole.content.len()), (&first.identity, 0));
    assert_ne!(
        first.identity,
        of(json!({ "payment_intent": "pi_2", "amount": 1000 })).identity
    );
}

#[test]
fn the_operator_may_take_another_amount_for_another_refund() {
    let policy = policy(json!({ "other_amount": "another" }));
    let of = |arguments| operation(&policy, &create("create_refund", arguments));
    let parts = [
        json!({ "payment_intent": "pi_1", "amount": 300 }),
        json!({ "payment_intent": "pi_1", "amount": 500 }),
    ];
    let [one, other] = parts.map(of);
    assert_ne!(one.identity, other.identity);
    assert_ne!(
        one.identity,
        of(json!({ "payment_intent": "pi_1" })).identity
    );
    assert_eq!(
        one,
        of(json!({ "payment_intent": "pi_1", "amount": "300" }))
    );
}

#[test]
fn a_reference_tells_two_intended_equal_refunds_apart_and_is_needed_then() {
    let policy = policy(json!({ "reference": ["/metadata/return_id"] }));
    let of = |id| {
        create(
            "create_refund",
            json!({ "charge": "ch_1", "amount": 300, "metadata": { "return_id": id } }),
        )
    };
    let [one, other] = [json!("R1"), json!("R2")].map(|id| operation(&policy, &of(id)));
    assert_ne!(one.identity, other.identity);
    assert_eq!(
        one.identity,
        operation(&policy, &of(json!(" R1 "))).identity
    );
    for missing in [json!(null), json!(""), json!(" "), json!([])] {
        assert!(refused(&policy, &of(missing)).contains("/metadata/return_id"));
    }
    assert!(refused(&policy, &refund()).contains("`/metadata/return_id` is missing"));
}

#[test]
fn a_payment_is_named_by_one_of_its_ids_and_by_the_one_that_the_operator_wants() {
    let both = create(
        "create_refund",
        json!({ "payment_intent": "pi_1", "charge": "ch_1" }),
    );
    assert!(refused(&plain(), &both).contains("both"));
    assert!(
        refused(&plain(), &create("create_refund", json!({})))
            .contains("`/payment_intent` is missing")
    );
    let strict = policy(json!({ "refund_by": "charge" }));
    assert_eq!(
        operation(
            &strict,
            &create("create_refund", json!({ "charge": "ch_1" }))
        )
        .identity
        .len(),
        1
    );
    for call in [refund(), both] {
        assert!(refused(&strict, &call).contains("`/charge`"), "{call:?}");
    }
}

#[test]
fn what_makes_something_new_is_told_from_a_second_one_by_its_reference() {
    let first = operation(&by_order(), &payment("A1", 1000));
    assert_eq!(first.identity, [Field::new("/metadata/order_id", "A1")]);
    let other_amount = operation(&by_order(), &payment("A1", 900));
    assert_eq!(first.identity, other_amount.identity);
    assert_ne!(first.content, other_amount.content);
    assert_ne!(
        first.identity,
        operation(&by_order(), &payment("A2", 1000)).identity
    );
    for tool in [
        "create_charge",
        "create_payment_intent",
        "create_transfer",
        "create_payout",
    ] {
        let call = create(tool, json!({ "amount": 1000, "currency": "eur" }));
        assert!(
            refused(&by_order(), &call).contains("`/metadata/order_id` is missing"),
            "{tool}"
        );
        assert!(refused(&plain(), &call).contains("reference"), "{tool}");
    }
}

#[test]
fn without_a_reference_equal_payments_are_one_within_a_run_or_until_one_was_answered() {
    let coffee =
        json!({ "amount": 300, "currency": "EUR", "customer": "cus_1", "description": "coffee" });
    let call = create("create_payment_intent", coffee.clone()).with_fact("run", "r-7");
    let by_run = operation(&policy(json!({ "without_reference": "run" })), &call);
    assert_eq!((by_run.scope, by_run.until), (Scope::Run, Until::Window));
    assert_eq!(by_run.identity.len(), 3, "{:?}", by_run.identity);
    let delivered = operation(&policy(json!({ "without_reference": "delivery" })), &call);
    assert_eq!(
        (delivered.scope, delivered.until),
        (Scope::Run, Until::Delivery)
    );
    let unknown_run = create("create_payment_intent", coffee);
    assert_eq!(
        operation(
            &policy(json!({ "without_reference": "delivery" })),
            &unknown_run
        )
        .scope,
        Scope::Tenant
    );
    let empty = create(
        "create_payment_intent",
        json!({ "description": "coffee", "metadata": {} }),
    );
    assert!(
        refused(&policy(json!({ "without_reference": "run" })), &empty).contains("no argument")
    );
}

#[test]
fn what_is_done_to_an_object_is_one_for_that_object() {
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.on.is_some()) {
        let on = endpoint.on.unwrap();
        let of = |name: &str| {
            operation(
                &plain(),
                &create(endpoint.tool, json!({ name: "x_1", "amount": 5 })),
            )
        };
        let named = of(on);
        assert_eq!(named, of("id"), "{}", endpoint.name);
        assert_eq!(
            named.identity[0],
            Field::new(on, "x_1"),
            "{}",
            endpoint.name
        );
        let differ = create(endpoint.tool, json!({ on: "x_1", "id": "x_2" }));
        assert!(
            refused(&plain(), &differ).contains("differ"),
            "{}",
            endpoint.name
        );
        let cancels = endpoint.name.ends_with(".cancel");
        assert_eq!(
            named.undoes,
            if cancels {
                vec![format!("{on}/x_1")]
            } else {
                Vec::new()
            },
            "{}",
            endpoint.name
        );
    }
}

#[test]
fn what_may_have_to_be_done_again_lasts_until_its_answer_was_taken() {
    let until = |tool| operation(&plain(), &create(tool, json!({ "id": "pi_1" }))).until;
    for tool in ["confirm_payment_intent", "capture_payment_intent"] {
        assert_eq!(until(tool), Until::Delivery, "{tool}");
    }
    assert_eq!(until("cancel_payment_intent"), Until::Window);
}

#[test]
fn stripe_finds_the_key_in_its_header_and_is_relied_on_for_less_than_a_day() {
    let target = operation(&plain(), &refund()).target.unwrap();
    assert_eq!(target.places, [Place::Header("Idempotency-Key".into())]);
    assert_eq!(
        (target.form, target.repeats),
        (Form::Uuid(8), Repeats::Replayed)
    );
    assert!((23 * 3_600..24 * 3_600).contains(&target.remembers_seconds.unwrap()));
}

#[test]
fn a_key_of_somebody_elses_is_overwritten_wherever_it_stands_and_makes_no_difference() {
    let of = |arguments| operation(&plain(), &create("create_refund", arguments));
    let plainly = of(json!({ "payment_intent": "pi_1", "options": { "timeout": 3 } }));
    let random = json!({
        "payment_intent": "pi_1", "Idempotency-Key": "a", "idempotencyKey": "b", "IDEMPOTENCY_KEY": null,
        "options": { "timeout": 3, "headers": { "idempotency-key": "c" } }, "lists": [{ "idempotency_key": "d" }],
    });
    let places = of(random.clone()).target.unwrap().places;
    let at = |pointer: &str| Place::Argument(pointer.into());
    for pointer in [
        "/Idempotency-Key",
        "/idempotencyKey",
        "/IDEMPOTENCY_KEY",
        "/options/headers/idempotency-key",
    ] {
        assert!(places.contains(&at(pointer)), "{pointer}: {places:?}");
    }
    assert_eq!(
        (places.len(), of(random.clone()).identity),
        (5, plainly.identity.clone())
    );
    let mut without_list = random;
    without_list.as_object_mut().unwrap().remove("lists");
    without_list
        .get_mut("options")
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("headers");
    assert_eq!(of(without_list).content, plainly.content);
    let odd = of(json!({ "payment_intent": "pi_1", "a/b~c": { "idempotency_key": "x" } }))
        .target
        .unwrap()
        .places;
    assert_eq!(odd[1], at("/a~1b~0c/idempotency_key"));
}

#[test]
fn a_tool_may_take_the_key_among_its_arguments_or_not_at_all() {
    let placed = operation(
        &policy(json!({ "key": "/options/idempotency_key" })),
        &refund(),
    )
    .target
    .unwrap();
    assert!(
        placed
            .places
            .contains(&Place::Argument("/options/idempotency_key".into()))
    );
    assert_eq!(
        operation(&policy(json!({ "key": "none" })), &refund()).target,
        None
    );
    let many: Value = (0..8)
        .map(|n| (format!("o{n}"), json!({ "idempotency_key": n })))
        .collect();
    let mut call = json!({ "payment_intent": "pi_1" });
    call.as_object_mut()
        .unwrap()
        .extend(many.as_object().unwrap().clone());
    assert!(refused(&plain(), &create("create_refund", call)).contains("leave them out"));
}

#[test]
fn amounts_in_rupiah_have_up_to_fourteen_digits() {
    let of = |amount: Value| {
        let arguments =
            json!({ "amount": amount, "currency": "idr", "metadata": { "order_id": "A1" } });
        operation(&by_order(), &create("create_payment_intent", arguments))
    };
    let most = of(json!(99_999_999_999_899_u64));
    assert_eq!(most, of(json!("99999999999899")));
    assert_ne!(most, of(json!(99_999_999_999_898_u64)));
}

#[test]
fn amounts_are_whole_and_currencies_are_what_they_are_in_any_case() {
    for odd in [
        json!(10.5),
        json!("10.00"),
        json!(-5),
        json!("ten"),
        json!(""),
        json!({}),
        json!(true),
    ] {
        let call = create(
            "create_refund",
            json!({ "payment_intent": "pi_1", "amount": odd }),
        );
        assert!(refused(&plain(), &call).contains("/amount"), "{odd}");
    }
    let of = |currency| {
        operation(
            &by_order(),
            &create(
                "create_charge",
                json!({ "currency": currency, "metadata": { "order_id": 7 } }),
            ),
        )
    };
    assert_eq!(of("eur"), of("EUR"));
    assert_eq!(of("eur").identity, [Field::new("/metadata/order_id", "7")]);
}

#[test]
fn a_tool_that_nobody_knows_is_refused_unless_the_operator_says_otherwise() {
    let call = create(
        "stripe_magic",
        json!({ "payment_intent": "pi_1", "note": "" }),
    )
    .with_fact("run", "r-1");
    assert!(refused(&plain(), &call).contains("`stripe_magic`"));
    assert_eq!(
        policy(json!({ "unknown": "pass" })).derive(&call).unwrap(),
        Derivation::Pass
    );
    let guarded = operation(&policy(json!({ "unknown": "guard" })), &call);
    assert_eq!(
        (guarded.until, guarded.scope, guarded.target),
        (Until::Delivery, Scope::Run, None)
    );
    assert_eq!(guarded.identity.len(), 2);
    let in_euros = create("stripe_magic", json!({ "amount": "129.90" }));
    let guarded = operation(&policy(json!({ "unknown": "guard" })), &in_euros);
    assert!(
        guarded.identity.contains(&Field::new("/amount", "129.90")),
        "it counts as it stands: {guarded:?}"
    );
    let named = policy(json!({ "tools": { "stripe_magic": "refunds.create", "peek": "read" } }));
    assert_eq!(
        operation(&named, &call).name.as_deref(),
        Some("refunds.create")
    );
    assert_eq!(
        named.derive(&create("peek", json!({}))).unwrap(),
        Derivation::Pass
    );
}

#[test]
fn stripes_own_reading_tools_pass_and_no_known_tool_does_both() {
    for tool in READS {
        assert_eq!(
            plain().derive(&create(tool, json!({}))).unwrap(),
            Derivation::Pass,
            "{tool}"
        );
        assert!(ENDPOINTS.iter().all(|endpoint| endpoint.tool != *tool));
    }
    for endpoint in ENDPOINTS {
        let arguments =
            json!({ "id": "x_1", "payment_intent": "x_1", "metadata": { "order_id": "A1" } });
        let arguments = if endpoint.on == Some("payment_intent") || endpoint.on.is_none() {
            arguments
        } else {
            json!({ "id": "x_1", "metadata": { "order_id": "A1" } })
        };
        assert_eq!(
            operation(&by_order(), &create(endpoint.tool, arguments))
                .name
                .as_deref(),
            Some(endpoint.name)
        );
        assert_eq!(
            endpoint.distinct == DistinctBy::Reference,
            endpoint.on.is_none() && endpoint.name != "refunds.create"
        );
    }
}
