//! The gateway at an address, and clients that speak HTTP by hand, so that they can break off wherever they like.

use crate::scene::{Server, Setup, config, semel};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use semel::model::Tenant;
use semel_mcp::{
    access::Authenticator,
    front::http::HttpServer,
    guarded::{GuardLayer, ToolGuard},
    layer::{Client, ConnectError, Connector, Upstream},
    limits::HttpLimits,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Connects to one server, guarded.
#[derive(Debug)]
struct GuardConnector {
    guard: Arc<ToolGuard>,
    server: Arc<dyn Upstream>,
}

#[async_trait]
impl Connector for GuardConnector {
    async fn connect(&self, _: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError> {
        Ok(Arc::new(GuardLayer::new(
            Arc::clone(&self.guard),
            Arc::clone(&self.server),
        )))
    }
}

/// The address of a gateway.
#[derive(Clone)]
pub struct Gateway {
    pub address: SocketAddr,
}

impl Gateway {
    /// A gateway before this server, with everything as it is without a configuration.
    pub async fn before(server: &Arc<Server>) -> Self {
        let guard = Arc::new(ToolGuard::new(
            semel(Setup::default()).await,
            Arc::new(config()),
            "bank",
            "",
        ));
        Self::connecting(Arc::new(GuardConnector {
            guard,
            server: Arc::<Server>::clone(server),
        }))
        .await
    }

    /// A gateway before whatever this connects to.
    pub async fn connecting(connect: Arc<dyn Connector>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http = Arc::new(HttpServer::new(
            connect,
            Authenticator::for_loopback(Tenant::default(), None),
            HttpLimits::default(),
        ));
        tokio::spawn(http.serve(listener, CancellationToken::new()));
        Self { address }
    }

    /// Sends a request on a connection of its own. The connection ends as the response is dropped.
    pub async fn send(
        &self,
        method: Method,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_send(method, headers, body).await.unwrap()
    }

    /// The same, where the gateway may close the connection instead of an answer.
    pub async fn try_send(
        &self,
        method: Method,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Option<Answer> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri("/mcp")
            .header("host", "localhost");
        let request = request.header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let response = sender
            .send_request(request.body(Full::new(body.into())).unwrap())
            .await
            .ok()?;
        Some(Answer {
            response,
            rest: String::new(),
            connection: connection.abort_handle(),
        })
    }

    pub async fn post(&self, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.send(Method::POST, headers, body.to_string()).await
    }

    /// A request of the newer era, with what its head must say.
    pub async fn ask(&self, id: i64, method: &str, params: Value) -> Answer {
        let name = params["name"].as_str().unwrap_or("-").to_owned();
        let headers = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
            ("mcp-name", &name),
        ];
        self.post(&headers, &modern(id, method, params)).await
    }

    /// The same of a client that can be asked back.
    pub async fn ask_able(&self, id: i64, method: &str, mut params: Value) -> Answer {
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({ "elicitation": {} });
        self.ask(id, method, params).await
    }

    /// Opens a session, and returns its id.
    pub async fn open(&self) -> String {
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
        let answer = self.post(&[], &request(0, "initialize", params)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.header("mcp-session-id")
    }
}

pub fn request(id: i64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// The same with what a request says of itself in the newer era.
pub fn modern(id: i64, method: &str, mut params: Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    let capabilities = &mut params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    if capabilities.is_null() {
        *capabilities = json!({});
    }
    request(id, method, params)
}

pub fn pay(amount: u32) -> Value {
    json!({ "name": "pay", "arguments": { "amount": amount } })
}

/// A response, as far as it has come.
pub struct Answer {
    response: Response<Incoming>,
    rest: String,
    connection: tokio::task::AbortHandle,
}

impl Answer {
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub fn header(&self, name: &str) -> String {
        self.response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    /// All of it as one JSON text.
    pub async fn json(mut self) -> Value {
        let body = self.response.body_mut().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    /// The id and the data of the next event that has data; none: the stream has ended.
    pub async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some(end) = self.rest.find("\n\n") {
                let block: String = self.rest.drain(..end + 2).collect();
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .unwrap_or_default()
                };
                if !field("data: ").is_empty() {
                    return Some((
                        field("id: ").to_owned(),
                        serde_json::from_str(field("data: ")).unwrap(),
                    ));
                }
            }
            let frame = self.response.body_mut().frame().await?.ok()?;
            self.rest
                .push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
