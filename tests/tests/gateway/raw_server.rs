//! A server on the network that answers by hand, byte for byte, and breaks off wherever it likes; and a client below which a
//! connection to it stands.

use async_trait::async_trait;
use semel::model::Tenant;
use semel_mcp::{
    layer::{CallerIdentity, Client, Confirmation, Disconnected, RequestContext},
    upstream::{HttpUpstream, ServerEndpoint},
    wire::{Message, RequestId},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::Notify,
};
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// Method, headers: as one text in small letters.
    pub head: String,
    pub body: Value,
}

impl ReceivedRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn is_get(&self) -> bool {
        self.head.starts_with("get ")
    }

    pub fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }
}

/// The server: what came, and how it answers. Each connection carries one request.
pub struct RawServer {
    pub address: SocketAddr,
    came: Arc<Mutex<Vec<ReceivedRequest>>>,
}

impl RawServer {
    pub async fn answering(
        answer: impl Fn(&ReceivedRequest) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::serving(None, answer).await
    }

    /// One that is spoken to over TLS.
    pub async fn encrypted(
        tls: TlsAcceptor,
        answer: impl Fn(&ReceivedRequest) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::serving(Some(tls), answer).await
    }

    async fn serving(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&ReceivedRequest) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (came, answer) = (
            Arc::<Mutex<Vec<ReceivedRequest>>>::default(),
            Arc::new(answer),
        );
        let all = Arc::clone(&came);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (all, answer, tls) = (Arc::clone(&all), Arc::clone(&answer), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &all, &*answer).await,
                        Some(tls) => {
                            // A client that does not trust it goes.
                            let Ok(stream) = tls.accept(stream).await else {
                                return;
                            };
                            serve(stream, &all, &*answer).await;
                        }
                    }
                });
            }
        });
        Self { address, came }
    }

    /// The requests that came and fit.
    pub fn came(&self, fits: impl Fn(&ReceivedRequest) -> bool) -> Vec<ReceivedRequest> {
        self.came
            .lock()
            .unwrap()
            .iter()
            .filter(|came| fits(came))
            .cloned()
            .collect()
    }

    /// A connection to it.
    pub fn connection(&self, client: Arc<dyn Client>) -> HttpUpstream {
        HttpUpstream::new(
            Arc::new(ServerEndpoint::new(&format!("http://{}/mcp", self.address), &[]).unwrap()),
            client,
        )
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    all: &Mutex<Vec<ReceivedRequest>>,
    answer: &(dyn Fn(&ReceivedRequest) -> String + Send + Sync),
) {
    let mut bytes = Vec::new();
    let came = loop {
        let mut part = [0; 4_096];
        match stream.read(&mut part).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&part[..count]),
            _ => return,
        }
        if let Some(came) = whole(&String::from_utf8_lossy(&bytes)) {
            break came;
        }
    };
    all.lock().unwrap().push(came.clone());
    // A client that has gone reads nothing.
    let _ = stream.write_all(answer(&came).as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn whole(text: &str) -> Option<ReceivedRequest> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    (body.len() >= length).then(|| ReceivedRequest {
        head,
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    })
}

/// A response that is one JSON text.
pub fn json_of(status: u16, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A response that is a stream of events, which ends with the connection.
pub fn events_of(events: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}"
    )
}

/// A response without a body.
pub fn status(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
}

pub fn event(id: &str, data: &Value) -> String {
    format!("id: {id}\ndata: {data}\n\n")
}

pub fn result(id: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": {} })
}

/// The messages that a client received.
#[derive(Debug, Default)]
pub struct RecordingClient {
    messages: Mutex<Vec<Message>>,
    heard: Notify,
}

impl RecordingClient {
    /// The first message that fits, as soon as there is one.
    pub async fn wait(&self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let heard = self.heard.notified();
            if let Some(found) = self.all().into_iter().find(|message| fits(message)) {
                return found;
            }
            heard.await;
        }
    }

    pub fn all(&self) -> Vec<Value> {
        self.messages
            .lock()
            .unwrap()
            .iter()
            .map(|message| serde_json::from_str(message.text()).unwrap())
            .collect()
    }
}

#[async_trait]
impl Client for RecordingClient {
    async fn deliver(&self, message: Message, _: Confirmation) -> Result<(), Disconnected> {
        self.messages.lock().unwrap().push(message);
        self.heard.notify_waiters();
        Ok(())
    }
}

pub fn context(client: &Arc<RecordingClient>) -> RequestContext {
    RequestContext::new(
        Arc::<RecordingClient>::clone(client),
        Arc::new(CallerIdentity::new(Tenant::default(), None)),
    )
}

pub fn ask(id: i64, method: &str) -> Message {
    Message::request(&RequestId::Number(id), method, "{}")
}
