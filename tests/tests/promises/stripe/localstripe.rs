//! localstripe: another author's implementation of Stripe. Each story has a process of its own.

use super::Client;
use serde_json::json;
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// The process. It ends when it is dropped.
pub struct LocalStripe {
    process: Child,
    pub client: Client,
}

impl LocalStripe {
    pub fn start() -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = tests
            .parent()
            .unwrap()
            .join("target/localstripe/bin/python");
        assert!(
            python.is_file(),
            "localstripe is not installed: run `cargo xtask localstripe`"
        );
        let mut process = Command::new(python)
            .arg(tests.join("localstripe/serve.py"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        assert!(
            !port.is_empty(),
            "localstripe did not start: run `cargo xtask localstripe` anew"
        );
        Self {
            process,
            client: Client::of(format!("http://127.0.0.1:{}", port.trim())),
        }
    }

    /// A card of this number.
    pub async fn card(&self, number: &str) -> String {
        let card = json!({ "number": number, "exp_month": 12, "exp_year": 2035, "cvc": "123" });
        let made = self
            .client
            .set_up(
                "/v1/payment_methods",
                json!({ "type": "card", "card": card }),
            )
            .await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// 50.00 that were paid with a sound card.
    pub async fn charge(&self) -> String {
        let source = self.card("4242424242424242").await;
        let paid = json!({ "amount": 5000, "currency": "eur", "source": source });
        self.client.set_up("/v1/charges", paid).await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The refunded amount of a charge, and the number of its refunds.
    pub async fn given_back(&self, charge: &str) -> (u64, usize) {
        let shown = self
            .client
            .shown(&format!("/v1/refunds?charge={charge}"))
            .await;
        let refunds = shown["data"].as_array().unwrap();
        (
            refunds
                .iter()
                .map(|refund| refund["amount"].as_u64().unwrap())
                .sum(),
            refunds.len(),
        )
    }
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
