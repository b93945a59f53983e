//! Which operation a call means.
//!
//! INVARIANT: identity never depends on the presence of an argument. A model leaves arguments out when it retries, and
//! the same operation would get another key. A call without an identity argument is refused.

use semel_guest::{Call, Derivation, Operation, Scope, Until, Value};

use crate::api::{self, DistinctBy, Endpoint};
use crate::settings::{
    OtherAmount, RefundBy, Settings, ToolMeaning, UnknownTool, WithoutReference,
};
use crate::target;

/// The arguments that are amounts, in the currency's smallest unit.
const AMOUNTS: &[&str] = &["amount", "amount_to_capture", "application_fee_amount"];

/// Returns the meaning of a call under these settings.
pub(crate) fn derive(settings: &Settings, call: &Call) -> Result<Derivation, String> {
    match settings.meaning(call.tool()) {
        ToolMeaning::Reads | ToolMeaning::Unknown(UnknownTool::Pass) => Ok(Derivation::Pass),
        ToolMeaning::Unknown(UnknownTool::Refuse) => Ok(Derivation::refuse(unknown_tool(call))),
        ToolMeaning::Unknown(UnknownTool::Guard) => guard_unknown(settings, call),
        ToolMeaning::Does(endpoint) => known_operation(settings, endpoint, call),
    }
}

fn unknown_tool(call: &Call) -> String {
    format!(
        "the operation of `{}` at Stripe is unknown: the operator can name it in the setting `tools`, \
         or allow unknown tools by the setting `unknown`",
        call.tool()
    )
}

/// An unknown tool: its requests to Stripe are unknown, and so is the effect of a repeat.
fn guard_unknown(settings: &Settings, call: &Call) -> Result<Derivation, String> {
    let operation = until_delivered(new_operation(settings, call.tool()), call);
    // The unit of its amounts is not known either, so they count unchanged.
    let unchanged = |_: &str, value: &Value| Ok(target::without_keys(value));
    Ok(all_arguments(
        operation.identity("tool", call.tool()),
        call,
        |_| true,
        unchanged,
    )?
    .once())
}

fn known_operation(
    settings: &Settings,
    endpoint: &'static Endpoint,
    call: &Call,
) -> Result<Derivation, String> {
    let mut operation = new_operation(settings, endpoint.name);
    operation.target = target::of(&settings.key_at, call)?;
    match endpoint.distinct {
        DistinctBy::Reference if settings.reference.is_empty() => {
            without_reference(settings, operation, call)
        }
        DistinctBy::Reference => {
            derive_from_content(with_reference(settings, operation, call)?, &[], call)
        }
        DistinctBy::Whole => given_back(settings, endpoint, operation, call),
        DistinctBy::Object => on_object(endpoint, operation, call),
        DistinctBy::ObjectUntilTaken => on_object(endpoint, operation.until(Until::Delivery), call),
    }
}

fn new_operation(settings: &Settings, name: &str) -> Operation {
    Operation::new(name)
        .scope(settings.scope)
        .window_seconds(settings.window_seconds)
        .attempt_seconds(settings.attempt_seconds)
}

/// Adds the reference of the business.
fn with_reference(
    settings: &Settings,
    operation: Operation,
    call: &Call,
) -> Result<Operation, String> {
    settings
        .reference
        .iter()
        .try_fold(operation, |operation, pointer| {
            Ok(operation.identity(pointer, object_id(call, pointer)?))
        })
}

/// A new object, without anything to distinguish a second one from a repeat.
fn without_reference(
    settings: &Settings,
    operation: Operation,
    call: &Call,
) -> Result<Derivation, String> {
    let operation = match settings.without_reference {
        WithoutReference::Refuse => {
            return Ok(Derivation::refuse(format!(
                "a second `{}` looks like a repeat of the first: the operator can name the argument \
                 that distinguishes them, as in `reference = \"/metadata/order_id\"`",
                call.tool()
            )));
        }
        WithoutReference::Run => operation.scope(Scope::Run),
        WithoutReference::Delivery => until_delivered(operation, call),
    };
    // Metadata may hold the distinction, so it counts here.
    let counts = |name: &str| name == "metadata" || !api::is_noise(name);
    let operation = all_arguments(operation, call, counts, in_form)?;
    if operation.identity.is_empty() {
        return Err("no argument identifies the operation".into());
    }
    Ok(operation.once())
}

/// A refund: once for a payment, unless a reference or the amount distinguishes two parts.
fn given_back(
    settings: &Settings,
    endpoint: &Endpoint,
    operation: Operation,
    call: &Call,
) -> Result<Derivation, String> {
    let (operation, names) = match endpoint.on {
        Some(on) => (operation.identity(on, object_field(call, on)?), [on, ""]),
        None => (
            of_payment(settings.refund_by, operation, call)?,
            ["payment_intent", "charge"],
        ),
    };
    let operation = with_reference(settings, operation, call)?;
    let [one, other] = names;
    match settings.other_amount {
        OtherAmount::Conflict => derive_from_content(operation, &[one, other, "id"], call),
        OtherAmount::Another => {
            let amount = call
                .get("/amount")
                .map_or(Ok("all of it".into()), |value| in_form("amount", value))?;
            derive_from_content(
                operation.identity("amount", amount),
                &[one, other, "id", "amount"],
                call,
            )
        }
    }
}

/// The payment that a refund is of, named by one of its two ids.
fn of_payment(by: RefundBy, operation: Operation, call: &Call) -> Result<Operation, String> {
    let name = match (by, call.get("/payment_intent"), call.get("/charge")) {
        (RefundBy::One(name), ..) => name,
        (RefundBy::Either, Some(_), Some(_)) => {
            return Err(
                "`/payment_intent` and `/charge` are both given: name the payment by one of them"
                    .into(),
            );
        }
        (RefundBy::Either, None, Some(_)) => "charge",
        (RefundBy::Either, ..) => "payment_intent",
    };
    let other = if name == "charge" {
        "/payment_intent"
    } else {
        "/charge"
    };
    if call.get(other).is_some() {
        return Err(format!(
            "`{other}` is given: name the payment by `/{name}`, as the operator wants it"
        ));
    }
    Ok(operation.identity(name, object_id(call, &format!("/{name}"))?))
}

/// An action on an object.
fn on_object(endpoint: &Endpoint, operation: Operation, call: &Call) -> Result<Derivation, String> {
    let on = endpoint.on.unwrap_or("id");
    let object = object_field(call, on)?;
    let operation = if endpoint.undoes {
        operation.undoes(format!("{on}/{object}"))
    } else {
        operation
    };
    derive_from_content(operation.identity(on, object), &[on, "id"], call)
}

/// The id of the object that a call is about, under its kind's name or as `object_id`.
fn object_field(call: &Call, kind: &str) -> Result<String, String> {
    let named = format!("/{kind}");
    match (call.get(&named), call.get("/id")) {
        (Some(one), Some(other)) if one != other => {
            Err(format!("`{named}` and `/id` differ: name one object"))
        }
        (None, Some(_)) => object_id(call, "/id"),
        _ => object_id(call, &named),
    }
}

/// A text that says something.
fn object_id(call: &Call, pointer: &str) -> Result<String, String> {
    let text = match call.value(pointer)? {
        Value::Number(number) if number.is_plain_integer() => number.to_string(),
        _ => call.text(pointer)?.trim().to_owned(),
    };
    if text.is_empty() {
        Err(format!("`{pointer}` is empty"))
    } else {
        Ok(text)
    }
}

/// Every argument that is neither named here nor noise, as content.
fn derive_from_content(
    operation: Operation,
    but: &[&str],
    call: &Call,
) -> Result<Derivation, String> {
    let mut operation = operation;
    for (name, value) in call.arguments()? {
        let counts =
            !but.contains(&name.as_str()) && !api::is_noise(name) && !says_nothing(name, value);
        if counts && !target::is_key(name) {
            operation = operation.content(name, in_form(name, value)?);
        }
    }
    Ok(operation.once())
}

/// Every argument that counts and says something, as identity.
fn all_arguments(
    operation: Operation,
    call: &Call,
    counts: fn(&str) -> bool,
    form: fn(&str, &Value) -> Result<Value, String>,
) -> Result<Operation, String> {
    let mut operation = operation;
    for (name, value) in call.arguments()? {
        if counts(name) && !target::is_key(name) && !says_nothing(name, value) {
            operation = operation.identity(format!("/{name}"), form(name, value)?);
        }
    }
    Ok(operation)
}

/// Returns true if the argument means the same as its absence. Without an amount everything is
/// refunded.
fn says_nothing(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        _ if AMOUNTS.contains(&name) => false,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The normal form of an argument: amounts as whole numbers, currencies in lowercase, as Stripe reads them.
fn in_form(name: &str, value: &Value) -> Result<Value, String> {
    match value {
        amount if AMOUNTS.contains(&name) => amount_in_smallest_unit(amount).ok_or_else(|| {
            format!(
                "`/{name}` must be a whole number of the currency's smallest unit: 1000 for 10.00 USD, 10 for 10 JPY, 10000 \
                 for 10.000 KWD"
            )
        }),
        Value::String(currency) if name == "currency" => {
            Ok(currency.trim().to_ascii_lowercase().into())
        }
        other => Ok(target::without_keys(other)),
    }
}

/// A whole number, possibly written as a text. Stripe accepts no other amount, such as 10.5.
fn amount_in_smallest_unit(value: &Value) -> Option<Value> {
    let amount: u64 = match value {
        Value::String(digits) => digits.trim().parse().ok()?,
        number => number.as_u64()?,
    };
    Some(amount.into())
}

/// For unknown tools: equal calls are one until the answer was delivered, within the run where that
/// is known.
fn until_delivered(operation: Operation, call: &Call) -> Operation {
    let run = call
        .fact("run")
        .and_then(Value::as_str)
        .is_some_and(|run| !run.trim().is_empty());
    let operation = operation.until(Until::Delivery);
    if run {
        operation.scope(Scope::Run)
    } else {
        operation
    }
}
