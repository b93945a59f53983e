//! The policy Stripe: refunds, charges, payment intents, transfers, payouts.
//!
//! It knows the arguments of Stripe's API that make two calls the same operation, the place of the key, and the effect
//! that Stripe's errors imply. It never reads prose. A setting decides about tools that it does not know: they are
//! refused, guarded without a target, or passed.
//!
//! ```
//! use semel_guest::{Call, Policy, json};
//! use semel_policy_stripe::Stripe;
//!
//! let policy = Stripe::configure(json!({}))?;
//! let refund = |reason| json!({ "payment_intent": "pi_1", "amount": 1000, "reason": reason });
//! let first = policy.derive(&Call::new("create_refund", refund("duplicate")))?;
//! let again = policy.derive(&Call::new("create_refund", refund("requested_by_customer")))?;
//! assert_eq!(first, again);
//! # Ok::<(), String>(())
//! ```
//!
//! Its facts, and the pages of Stripe that state them (API v1; v2 keeps keys for 30 days and runs failed requests again):
//!
//! | fact | page |
//! |---|---|
//! | every POST takes `Idempotency-Key`, up to 255 characters; GET and DELETE do not | <https://docs.stripe.com/api/idempotent_requests> |
//! | the first answer is kept once execution has begun, and repeated, a 500 too | the same |
//! | what failed validation or met a concurrent request is not kept | the same |
//! | keys may be removed once they are 24 hours old; after that the request is a new one | the same |
//! | the same key with other parameters is an error | the same |
//! | types: `api_error`, `card_error`, `idempotency_error`, `invalid_request_error`; statuses 400 to 429, 5xx | <https://docs.stripe.com/api/errors> |
//! | a 429, and a 401 without a key, come before keys are read; a 500 leaves the effect unknown | <https://docs.stripe.com/error-low-level> |
//! | `lock_timeout` (429): the object was busy, try again; `idempotency_key_in_use` (409): the first is in progress | <https://docs.stripe.com/error-codes>, <https://docs.stripe.com/rate-limits> |
//! | its own library retries after 409, a `lock_timeout` and 503, and not after a 500 to a POST, which is kept | <https://github.com/stripe/stripe-ruby/blob/master/lib/stripe/api_requestor.rb> |
//! | a refund's `status` may be `failed` or `canceled` in an answer that came with 200 | <https://docs.stripe.com/api/refunds/object> |
//!
//! See the README for the settings.

mod answer;
mod api;
mod operation;
mod settings;
mod target;
mod verdict;

use semel_guest::{Attempt, Call, Derivation, Description, Policy, Recovery, Value, Verdict};

use settings::{Settings, ToolMeaning};

/// The policy.
pub struct Stripe {
    settings: Settings,
}

impl Policy for Stripe {
    // Read by hand: a derived reader, with its errors for every type, would be a fifth of this guest.
    type Settings = Value;

    fn describe() -> Description {
        Description::new("stripe", env!("CARGO_PKG_VERSION"))
            .summary("Stripe: refunds, charges, payment intents, transfers, payouts")
            .tool("*")
            .settings_schema(include_str!("../settings.schema.json"))
    }

    fn configure(settings: Value) -> Result<Self, String> {
        Settings::read(&settings).map(|settings| Self { settings })
    }

    fn derive(&self, call: &Call) -> Result<Derivation, String> {
        operation::derive(&self.settings, call)
    }

    fn judge(&self, call: &Call, attempts: &[Attempt]) -> Result<Verdict, String> {
        match self.settings.meaning(call.tool()) {
            ToolMeaning::Does(endpoint) => verdict::judge(Some(endpoint), call, attempts),
            _ => verdict::judge(None, call, attempts),
        }
    }

    fn recover(&self, call: &Call, attempts: &[Attempt]) -> Result<Recovery, String> {
        verdict::recover(&self.derive(call)?, attempts)
    }
}

semel_guest::export!(Stripe);

#[cfg(test)]
mod tests;
