//! The part of Stripe's API that this policy knows: what each operation is done to, and what would make it another one.
//!
//! Tools are known by the names that Stripe's own toolkit uses or would use; others are named in the settings.

/// What tells a second, intended operation from a repeat of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distinct {
    /// Nothing in Stripe's own terms: it makes something new each time. A reference of the business must tell.
    Reference,
    /// What it gives back is capped by what was paid, but two parts of it may be equal.
    Whole,
    /// The object it is done to: its state lets it be done once.
    Object,
    /// The same, but it may have to be done again once its answer is known: a payment is confirmed anew after the
    /// customer's bank was satisfied, a part is captured after another.
    ObjectUntilTaken,
}

/// One operation of the API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// As settings and records name it.
    pub(crate) name: &'static str,
    /// What Stripe's toolkit calls its tool.
    pub(crate) tool: &'static str,
    pub(crate) distinct: Distinct,
    /// The object that it is done to, by the name of the argument that holds its id.
    pub(crate) on: Option<&'static str>,
    /// The kind of object that it makes.
    pub(crate) makes: Option<&'static str>,
    /// Whether it takes back what made the object.
    pub(crate) undoes: bool,
}

const fn makes(name: &'static str, tool: &'static str, object: &'static str) -> Endpoint {
    let makes = Some(object);
    Endpoint {
        name,
        tool,
        distinct: Distinct::Reference,
        on: None,
        makes,
        undoes: false,
    }
}

const fn gives_back(
    name: &'static str,
    tool: &'static str,
    on: Option<&'static str>,
    object: &'static str,
) -> Endpoint {
    Endpoint {
        name,
        tool,
        distinct: Distinct::Whole,
        on,
        makes: Some(object),
        undoes: false,
    }
}

const fn does(
    name: &'static str,
    tool: &'static str,
    on: &'static str,
    distinct: Distinct,
) -> Endpoint {
    Endpoint {
        name,
        tool,
        distinct,
        on: Some(on),
        makes: None,
        undoes: false,
    }
}

const fn cancels(name: &'static str, tool: &'static str, on: &'static str) -> Endpoint {
    Endpoint {
        undoes: true,
        ..does(name, tool, on, Distinct::Object)
    }
}

/// What it knows.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    // The payment it is done to is a charge or a payment intent: `operation` finds out which.
    gives_back("refunds.create", "create_refund", None, "refund"),
    cancels("refunds.cancel", "cancel_refund", "refund"),
    makes("charges.create", "create_charge", "charge"),
    does(
        "charges.capture",
        "capture_charge",
        "charge",
        Distinct::Object,
    ),
    makes(
        "payment_intents.create",
        "create_payment_intent",
        "payment_intent",
    ),
    does(
        "payment_intents.confirm",
        "confirm_payment_intent",
        "payment_intent",
        Distinct::ObjectUntilTaken,
    ),
    does(
        "payment_intents.capture",
        "capture_payment_intent",
        "payment_intent",
        Distinct::ObjectUntilTaken,
    ),
    cancels(
        "payment_intents.cancel",
        "cancel_payment_intent",
        "payment_intent",
    ),
    makes("transfers.create", "create_transfer", "transfer"),
    gives_back(
        "transfers.reverse",
        "create_transfer_reversal",
        Some("transfer"),
        "transfer_reversal",
    ),
    makes("payouts.create", "create_payout", "payout"),
    cancels("payouts.cancel", "cancel_payout", "payout"),
];

/// The tools of Stripe's toolkit and server that only read.
pub(crate) const READS: &[&str] = &[
    "fetch_stripe_resources",
    "get_stripe_account_info",
    "list_coupons",
    "list_customers",
    "list_disputes",
    "list_invoices",
    "list_payment_intents",
    "list_prices",
    "list_products",
    "list_subscriptions",
    "retrieve_balance",
    "search_documentation",
    "search_stripe_documentation",
    "search_stripe_resources",
];

/// Arguments that are words for people, or say how to answer: a repeat may word them otherwise.
const NOISE: &[&str] = &[
    "cancellation_reason",
    "description",
    "expand",
    "metadata",
    "reason",
    "receipt_email",
    "statement_descriptor",
    "statement_descriptor_suffix",
];

pub(crate) fn is_noise(argument: &str) -> bool {
    NOISE.contains(&argument)
}

/// The operation of this name.
pub(crate) fn named(name: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.name == name)
}

/// The operation that Stripe's tool of this name does.
pub(crate) fn of_tool(tool: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.tool == tool)
}
