//! The part of Stripe's API that this policy knows: the object of each operation, and the arguments that distinguish it.
//!
//! Tools are known by the names that Stripe's own toolkit uses or would use; others are named in the settings.

/// The distinction between a second, intended operation and a repeat of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DistinctBy {
    /// Nothing in Stripe's own terms: each call makes a new object. A reference of the business
    /// must distinguish them.
    Reference,
    /// The amount is capped by the payment, but two parts of it may be equal.
    Whole,
    /// By its object, whose state allows it once.
    Object,
    /// As above, but it may have to be done again after its answer: a payment is confirmed again
    /// after the customer's bank was satisfied, a part is captured after another.
    ObjectUntilTaken,
}

/// One operation of the API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// As settings and records name it.
    pub(crate) name: &'static str,
    /// The name of the tool in Stripe's toolkit.
    pub(crate) tool: &'static str,
    pub(crate) distinct: DistinctBy,
    /// The argument that holds the id of its object.
    pub(crate) on: Option<&'static str>,
    /// The kind of object that it makes.
    pub(crate) makes: Option<&'static str>,
    /// True if it undoes the call that made the object.
    pub(crate) undoes: bool,
}

impl Endpoint {
    /// The kind of object that it answers with.
    pub(crate) fn object(&self) -> &'static str {
        self.makes.or(self.on).unwrap_or("object")
    }
}

/// The operation that collects the money of a payment intent.
pub(crate) const CONFIRM: &str = "payment_intents.confirm";

/// The prefixes of objects' ids. Tools may leave out the member `object`, and never the id.
const ID_PREFIXES: &[(&str, &[&str])] = &[
    ("charge", &["ch_", "py_"]),
    ("payment_intent", &["pi_"]),
    ("payout", &["po_"]),
    ("refund", &["re_", "pyr_"]),
    ("transfer", &["tr_"]),
    ("transfer_reversal", &["trr_"]),
];

/// Returns true if an answer with this `object` and `id` is an object of this kind. Where the kind is not known, any
/// object of Stripe's will do.
pub(crate) fn is_object(kind: Option<&str>, object: Option<&str>, id: &str) -> bool {
    match (kind, object) {
        (_, _) if id.trim().is_empty() => false,
        (Some(kind), Some(object)) => object == kind,
        (Some(kind), None) => ID_PREFIXES
            .iter()
            .filter(|(known, _)| *known == kind)
            .any(|(_, prefixes)| prefixes.iter().any(|prefix| id.starts_with(prefix))),
        (None, object) => object.is_some(),
    }
}

const fn makes_object(name: &'static str, tool: &'static str, object: &'static str) -> Endpoint {
    let makes = Some(object);
    Endpoint {
        name,
        tool,
        distinct: DistinctBy::Reference,
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
        distinct: DistinctBy::Whole,
        on,
        makes: Some(object),
        undoes: false,
    }
}

const fn acts_on(
    name: &'static str,
    tool: &'static str,
    on: &'static str,
    distinct: DistinctBy,
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

const fn cancels_object(name: &'static str, tool: &'static str, on: &'static str) -> Endpoint {
    Endpoint {
        undoes: true,
        ..acts_on(name, tool, on, DistinctBy::Object)
    }
}

/// The known endpoints.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    // The payment is a charge or a payment intent: `operation` finds out which.
    gives_back("refunds.create", "create_refund", None, "refund"),
    cancels_object("refunds.cancel", "cancel_refund", "refund"),
    makes_object("charges.create", "create_charge", "charge"),
    acts_on(
        "charges.capture",
        "capture_charge",
        "charge",
        DistinctBy::Object,
    ),
    makes_object(
        "payment_intents.create",
        "create_payment_intent",
        "payment_intent",
    ),
    acts_on(
        CONFIRM,
        "confirm_payment_intent",
        "payment_intent",
        DistinctBy::ObjectUntilTaken,
    ),
    acts_on(
        "payment_intents.capture",
        "capture_payment_intent",
        "payment_intent",
        DistinctBy::ObjectUntilTaken,
    ),
    cancels_object(
        "payment_intents.cancel",
        "cancel_payment_intent",
        "payment_intent",
    ),
    makes_object("transfers.create", "create_transfer", "transfer"),
    gives_back(
        "transfers.reverse",
        "create_transfer_reversal",
        Some("transfer"),
        "transfer_reversal",
    ),
    makes_object("payouts.create", "create_payout", "payout"),
    cancels_object("payouts.cancel", "cancel_payout", "payout"),
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
pub(crate) fn endpoint_named(name: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.name == name)
}

/// The operation that Stripe's tool of this name does.
pub(crate) fn of_tool(tool: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.tool == tool)
}
