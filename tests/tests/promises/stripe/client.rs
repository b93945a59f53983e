//! A client as Stripe's own libraries are: forms, the secret key as the user, and a random idempotency key on each request.

use semel::{
    json::{JsonMap, JsonValue},
    model::{Failure, Outcome},
    runtime::Ticket,
};
use serde_json::Value;
use std::{
    io::ErrorKind,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A secret key as tests have one.
const SECRET: &str = "Bearer sk_test_12345";

/// The address of Stripe, and the client's timeout.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    timeout: Duration,
}

impl Client {
    pub fn of(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout: Duration::from_secs(10),
        }
    }

    pub fn that_waits(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sends as a guarded tool does: with the library's headers, or the ticket's in place of them.
    pub async fn guarded(&self, tool: &str, ticket: &Ticket) -> Outcome {
        let mut headers = headers_of_the_library();
        ticket.put_headers(&mut headers);
        self.post(tool, &ticket.arguments, headers).await
    }

    /// Sends as the same tool does without Semel.
    pub async fn unguarded(&self, tool: &str, arguments: &JsonMap) -> Outcome {
        self.post(tool, arguments, headers_of_the_library()).await
    }

    /// Sends under a given key.
    pub async fn under_key(&self, key: &str, tool: &str, arguments: &JsonMap) -> Outcome {
        self.post(
            tool,
            arguments,
            vec![("Idempotency-Key".to_owned(), key.to_owned())],
        )
        .await
    }

    /// A request besides the story, which must succeed.
    pub async fn set_up(&self, path: &str, arguments: Value) -> Value {
        let url = format!("{}{path}", self.url);
        let (form, timeout) = (
            form(JsonValue::from(arguments).as_object().unwrap()),
            self.timeout,
        );
        let made = tokio::task::spawn_blocking(move || post(&url, &[], &form, timeout))
            .await
            .unwrap();
        let Outcome::Returned(object) = made else {
            panic!("{path}: {made:?}")
        };
        object.deserialize_into().unwrap()
    }

    /// Returns an object from Stripe.
    pub async fn shown(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.url);
        let read = move || {
            ureq::get(&url)
                .header("authorization", SECRET)
                .call()
                .unwrap()
                .body_mut()
                .read_to_string()
        };
        serde_json::from_str(&tokio::task::spawn_blocking(read).await.unwrap().unwrap()).unwrap()
    }

    async fn post(
        &self,
        tool: &str,
        arguments: &JsonMap,
        headers: Vec<(String, String)>,
    ) -> Outcome {
        let (path, form) = request(tool, arguments);
        let (url, timeout) = (format!("{}{path}", self.url), self.timeout);
        let sent = tokio::task::spawn_blocking(move || post(&url, &headers, &form, timeout)).await;
        sent.unwrap()
    }
}

/// No two are alike, and no spelling is the one that Semel uses.
fn headers_of_the_library() -> Vec<(String, String)> {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let spelling = if number.is_multiple_of(2) {
        "idempotency-key"
    } else {
        "Idempotency-key"
    };
    vec![(
        spelling.to_owned(),
        format!("stripe-node-retry-{now}-{number}"),
    )]
}

/// The path of a tool's request, and its form.
fn request(tool: &str, arguments: &JsonMap) -> (String, String) {
    let mut arguments = arguments.clone();
    let mut on = |kind: &str| {
        arguments
            .remove(kind)
            .or_else(|| arguments.remove("id"))
            .unwrap()
    };
    let path = match tool {
        "create_refund" => "/v1/refunds".to_owned(),
        "create_charge" => "/v1/charges".to_owned(),
        "create_payment_intent" => "/v1/payment_intents".to_owned(),
        "create_transfer" => "/v1/transfers".to_owned(),
        "create_payout" => "/v1/payouts".to_owned(),
        "capture_charge" => format!("/v1/charges/{}/capture", on("charge").as_str().unwrap()),
        intent => {
            let done = intent.strip_suffix("_payment_intent").unwrap();
            format!(
                "/v1/payment_intents/{}/{done}",
                on("payment_intent").as_str().unwrap()
            )
        }
    };
    (path, form(&arguments))
}

fn form(arguments: &JsonMap) -> String {
    let mut fields = Vec::new();
    for (name, value) in arguments {
        flatten(name.clone(), value, &mut fields);
    }
    fields.join("&")
}

/// As Stripe wants it: `metadata[order_id]=A1`.
fn flatten(name: String, value: &JsonValue, fields: &mut Vec<String>) {
    match value {
        JsonValue::Null => {}
        JsonValue::Object(members) => members
            .iter()
            .for_each(|(member, value)| flatten(format!("{name}[{member}]"), value, fields)),
        JsonValue::String(text) => fields.push(format!("{}={}", encoded(&name), encoded(text))),
        other => fields.push(format!(
            "{}={}",
            encoded(&name),
            encoded(&other.to_string())
        )),
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}

fn post(url: &str, headers: &[(String, String)], form: &str, timeout: Duration) -> Outcome {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_idle_connections(0)
        .build()
        .into();
    let request = agent.post(url).header("authorization", SECRET);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    let mut response = match request.send(form) {
        Ok(response) => response,
        Err(ureq::Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            return Outcome::not_sent(error.to_string());
        }
        Err(error) => return Outcome::no_answer(error.to_string()),
    };
    let status = response.status().as_u16();
    match response.body_mut().read_to_string() {
        Err(error) => Outcome::no_answer(error.to_string()),
        Ok(text) => outcome(status, &text),
    }
}

fn outcome(status: u16, text: &str) -> Outcome {
    let body: JsonValue = serde_json::from_str(text).unwrap_or_else(|_| text.into());
    if status < 400 {
        return Outcome::Returned(body);
    }
    let told = |name: &str| body["error"][name].as_str().map(str::to_owned);
    let message = told("message").unwrap_or_else(|| "failed".to_owned());
    Outcome::Failed(Failure {
        message,
        code: told("code"),
        status: Some(status),
        retry_after_ms: None,
        details: Some(body),
    })
}
