//! A policy for one tool, `refund_order`, of a payment service that takes the header `Idempotency-Key`.
//!
//! `cargo test --example refunds` tests it; built for wasm32 it is the module of a component.

use semel_guest::{Call, Derivation, Description, NoSettings, Operation, Policy, Target, normal};

struct Refunds;

impl Policy for Refunds {
    type Settings = NoSettings;

    fn describe() -> Description {
        Description::new("refunds", env!("CARGO_PKG_VERSION")).summary("one refund per order").tool("refund_order")
    }

    fn configure(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }

    fn derive(&self, call: &Call) -> Result<Derivation, String> {
        let refund = Operation::new("refund")
            .identity("order", call.text("/order_id")?)
            .content("amount", call.normal("/amount", normal::integer)?)
            .target(Target::header("Idempotency-Key").remembers(86_400));
        Ok(refund.once())
    }
}

semel_guest::export!(Refunds);

#[cfg(test)]
mod tests {
    use semel_guest::json;

    use super::*;

    #[test]
    fn an_amount_written_as_text_is_the_same_refund() {
        let derive = |amount| Refunds.derive(&Call::new("refund_order", json!({ "order_id": "A1", "amount": amount })));
        assert_eq!(derive(json!("10")), derive(json!(10)));
    }
}
