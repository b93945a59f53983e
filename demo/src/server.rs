//! A payment server as they are: it remembers keys and replays its answer, and now and then a reply is lost after the charge.

use anyhow::Result;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// The largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// The server's counts for one order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderCounts {
    /// The charges.
    pub(crate) charges: u32,
    /// The times it recognised a key and repeated the first answer.
    pub(crate) replays: u32,
    /// The cancelled charges.
    pub(crate) cancelled: u32,
}

#[derive(Debug, Default)]
struct ShopBooks {
    counts: BTreeMap<String, OrderCounts>,
    /// The order that each charge is for.
    charges: BTreeMap<String, String>,
    answers: BTreeMap<String, Value>,
    lose: u32,
}

/// Serves on a free port of the loopback, and says which on stdout. It ends with its process.
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let books = Arc::new(Mutex::new(ShopBooks::default()));
    loop {
        let (stream, _) = listener.accept().await?;
        let books = Arc::clone(&books);
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(Arc::clone(&books), request));
            // A lost reply ends the connection with an error: that is what it is for.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn answer(
    books: Arc<Mutex<ShopBooks>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let path = request.uri().path().to_owned();
    let key = request
        .headers()
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok())
        .map(str::to_owned);
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX)
        .collect()
        .await;
    let body = body
        .map_err(|_| "the request is too large or was cut")?
        .to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, said) = books.answer(&path, key, &body);
    if matches!(path.as_str(), "/charges" | "/cancel") && books.lose > 0 {
        books.lose -= 1;
        return Err("the reply is lost");
    }
    let mut response = Response::new(Full::new(Bytes::from(said.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

impl ShopBooks {
    fn answer(&mut self, path: &str, key: Option<String>, body: &Value) -> (u16, Value) {
        match path {
            "/lose" => {
                self.lose = body["replies"]
                    .as_u64()
                    .and_then(|replies| u32::try_from(replies).ok())
                    .unwrap_or(0);
                (200, json!({}))
            }
            "/counts" => (
                200,
                json!(
                    self.counts
                        .get(text_response(body, "order_id"))
                        .copied()
                        .unwrap_or_default()
                ),
            ),
            "/charges" | "/cancel" => self.answer_once(path, key, body),
            _ => (404, json!({ "message": "no such thing" })),
        }
    }

    /// Under the same key the first answer again, without a further effect.
    fn answer_once(&mut self, path: &str, key: Option<String>, body: &Value) -> (u16, Value) {
        if let Some(first) = key.as_ref().and_then(|key| self.answers.get(key)).cloned() {
            let order = text_response(&first, "order_id").to_owned();
            self.counts.entry(order).or_default().replays += 1;
            return (200, first);
        }
        let done = if path == "/charges" {
            Ok(self.charge(body))
        } else {
            self.cancel(body)
        };
        match done {
            Err(message) => (404, json!({ "message": message })),
            Ok(answer) => {
                if let Some(key) = key {
                    self.answers.insert(key, answer.clone());
                }
                (200, answer)
            }
        }
    }

    fn charge(&mut self, body: &Value) -> Value {
        let order = text_response(body, "order_id").to_owned();
        let id = format!("ch_{}", self.charges.len() + 1);
        self.charges.insert(id.clone(), order.clone());
        self.counts.entry(order.clone()).or_default().charges += 1;
        json!({ "id": id, "order_id": order, "amount": body["amount"] })
    }

    fn cancel(&mut self, body: &Value) -> Result<Value, &'static str> {
        let id = text_response(body, "charge_id");
        let order = self.charges.get(id).ok_or("no such charge")?.clone();
        self.counts.entry(order.clone()).or_default().cancelled += 1;
        Ok(json!({ "id": id, "order_id": order, "cancelled": true }))
    }
}

fn text_response<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_default()
}
