//! A client of the payment server that sends each request once.

use anyhow::{Context, Result, ensure};
use semel::json::JsonValue;
use semel::model::{Failure, Outcome};
use serde_json::{Value, json};
use std::{io::ErrorKind, time::Duration};

use crate::server::OrderCounts;

/// The time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client of the payment server.
#[derive(Debug, Clone)]
pub(crate) struct ShopClient {
    server: String,
}

impl ShopClient {
    pub(crate) fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
        }
    }

    /// Sends one request, and returns its outcome.
    pub(crate) async fn send(
        &self,
        path: &str,
        headers: Vec<(String, String)>,
        body: String,
    ) -> Outcome {
        let url = format!("http://{}{path}", self.server);
        let sent = tokio::task::spawn_blocking(move || post_json(&url, &headers, &body)).await;
        sent.unwrap_or_else(|failed| Outcome::no_answer(failed.to_string()))
    }

    /// Asks the server not for money.
    async fn ask_server(&self, path: &str, body: Value) -> Result<Value> {
        match self.send(path, Vec::new(), body.to_string()).await {
            Outcome::Returned(value) => Ok(value.deserialize_into()?),
            other => anyhow::bail!("the payment server does not answer: {other:?}"),
        }
    }

    /// From now on the server loses so many replies, after it did what was asked.
    pub(crate) async fn lose_replies(&self, replies: u32) -> Result<()> {
        self.ask_server("/lose", json!({ "replies": replies }))
            .await
            .map(drop)
    }

    /// Returns the server's counts for an order.
    pub(crate) async fn counts(&self, order_id: &str) -> Result<OrderCounts> {
        let counts = self
            .ask_server("/counts", json!({ "order_id": order_id }))
            .await?;
        serde_json::from_value(counts).context("the payment server's counts")
    }

    /// Checks what the server counted for an order.
    pub(crate) async fn expect(&self, order_id: &str, expected: OrderCounts) -> Result<()> {
        let counted = self.counts(order_id).await?;
        ensure!(
            counted == expected,
            "the payment server counted {counted:?} for `{order_id}`, not {expected:?}"
        );
        Ok(())
    }
}

fn post_json(url: &str, headers: &[(String, String)], body: &str) -> Outcome {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_idle_connections(0)
        .build()
        .into();
    let request = headers
        .iter()
        .fold(agent.post(url), |request, (name, value)| {
            request.header(name, value)
        });
    let mut response = match request.send(body) {
        Ok(response) => response,
        Err(ureq::Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            return Outcome::not_sent(error.to_string());
        }
        Err(error) => return Outcome::no_answer(error.to_string()),
    };
    let status = response.status().as_u16();
    match response.body_mut().read_to_string() {
        Err(error) => Outcome::no_answer(error.to_string()),
        Ok(text) => {
            let value = serde_json::from_str(&text).unwrap_or(JsonValue::String(text));
            if status < 400 {
                return Outcome::Returned(value);
            }
            let message = value
                .get("message")
                .and_then(JsonValue::as_str)
                .unwrap_or("failed")
                .to_owned();
            Outcome::Failed(Failure {
                message,
                status: Some(status),
                retry_after_ms: None,
                details: Some(value),
                code: None,
            })
        }
    }
}
