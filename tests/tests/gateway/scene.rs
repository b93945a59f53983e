//! A client, the gateway, and a server behind it that counts what it does.

use async_trait::async_trait;
use semel::{
    engine::{CodeCache, Engine, Limits},
    model::{Tenant, ToolMode},
    runtime::{Semel, Tool},
    store::MemoryStore,
};
use semel_config::{Config, Environment};
use semel_mcp::{
    front::stdio,
    guarded::{GuardLayer, ToolGuard, ToolProber},
    layer::{CallerIdentity, Client, NoResponse, RequestContext, Upstream},
    wire::{Message, MessageKind, RequestId},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf},
    sync::Semaphore,
};

/// A server with one tool, `pay`. It takes effect at once; its answer waits until it is let go.
#[derive(Debug)]
pub struct Server {
    pub effects: AtomicUsize,
    /// The other messages that it received, besides calls and lists.
    pub passed: Mutex<Vec<String>>,
    answers: Semaphore,
    loses_answers: bool,
}

impl Server {
    pub fn new(loses_answers: bool) -> Arc<Self> {
        let (effects, passed) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self {
            effects,
            passed,
            answers: Semaphore::new(0),
            loses_answers,
        })
    }

    pub fn effects(&self) -> usize {
        self.effects.load(Ordering::SeqCst)
    }

    /// Lets so many answers go.
    pub fn answer(&self, count: usize) {
        self.answers.add_permits(count);
    }
}

#[async_trait]
impl Upstream for Server {
    async fn forward(&self, message: Message, context: &RequestContext) {
        self.passed.lock().unwrap().push(message.text().to_owned());
        if message.kind() == MessageKind::Request {
            context
                .client
                .send(Message::response(
                    message.id(),
                    "result",
                    r#"{"unknown":[1.50]}"#,
                ))
                .await
                .unwrap();
        }
    }

    async fn request(&self, request: Message, _: &RequestContext) -> Result<Message, NoResponse> {
        if request.method() == Some("tools/list") {
            return Ok(Message::response(
                request.id(),
                "result",
                r#"{"tools":[{"name":"pay","inputSchema":{}}]}"#,
            ));
        }
        let effect = self.effects.fetch_add(1, Ordering::SeqCst) + 1;
        self.answers.acquire().await.unwrap().forget();
        if self.loses_answers {
            return Err(NoResponse {
                reason: "the server ended".to_owned(),
                sent: true,
            });
        }
        let text = json!({ "content": [{ "type": "text", "text": format!("paid {effect}") }] })
            .to_string();
        Ok(Message::response(request.id(), "result", &text))
    }

    async fn close(&self) {}
}

/// A client of the gateway.
pub struct Agent {
    write: WriteHalf<DuplexStream>,
    read: Lines<BufReader<ReadHalf<DuplexStream>>>,
}

/// The settings of a gateway that differ between tests.
#[derive(Debug, Clone)]
pub struct Setup {
    /// True if the operator trusts the server.
    pub is_trusted: bool,
    /// True if nothing is guarded: the control.
    pub is_off: bool,
    /// Which policy guards, and its settings.
    pub policy: (&'static str, Value),
    /// The content of `semel.toml`.
    pub file: &'static str,
    /// The prober for the policy's probes.
    pub probes: Option<Arc<ToolProber>>,
    /// The ledger's store.
    pub store: Arc<MemoryStore>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            is_trusted: false,
            is_off: false,
            policy: ("hints", json!({})),
            file: "",
            probes: None,
            store: Arc::default(),
        }
    }
}

impl Agent {
    /// A client of a gateway before this server, with everything as it is without a configuration.
    pub async fn before(server: &Arc<Server>) -> Self {
        Self::of(Setup::default(), Arc::<Server>::clone(server)).await
    }

    /// A client of a gateway that is set up so, before this server.
    pub async fn of(setup: Setup, server: Arc<dyn Upstream>) -> Self {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (far_read, far_write) = tokio::io::split(far);
        let client = stdio::line_client(far_write);
        let (is_trusted, probes) = (setup.is_trusted, setup.probes.clone());
        let config = Arc::new(config_of(setup.file));
        let guard = ToolGuard::new(semel(setup).await, config, "bank", "").with_trust(is_trusted);
        let guard = match probes {
            Some(prober) => guard.with_prober(prober),
            None => guard,
        };
        let guarded = Arc::new(GuardLayer::new(Arc::new(guard), server));
        tokio::spawn(stdio::serve_client(
            far_read,
            client,
            CallerIdentity::new(Tenant::default(), None),
            guarded,
        ));
        let (read, write) = tokio::io::split(near);
        Self {
            write,
            read: BufReader::new(read).lines(),
        }
    }

    /// A client, and its ends of the standard streams of a gateway.
    pub fn apart() -> (Self, ReadHalf<DuplexStream>, Arc<dyn Client>) {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (far_read, far_write) = tokio::io::split(far);
        let (read, write) = tokio::io::split(near);
        (
            Self {
                write,
                read: BufReader::new(read).lines(),
            },
            far_read,
            stdio::line_client(far_write),
        )
    }

    pub async fn write(&mut self, line: &str) {
        self.write
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    pub async fn pay(&mut self, id: i64, amount: u32) {
        self.call(id, "pay", &json!({ "amount": amount })).await;
    }

    pub async fn call(&mut self, id: i64, tool: &str, arguments: &Value) {
        let params = json!({ "name": tool, "arguments": arguments }).to_string();
        self.write(Message::request(&RequestId::Number(id), "tools/call", &params).text())
            .await;
    }

    pub async fn read(&mut self) -> String {
        self.read
            .next_line()
            .await
            .unwrap()
            .expect("the gateway closed its stream")
    }

    pub async fn response(&mut self) -> Value {
        serde_json::from_str(&self.read().await).unwrap()
    }

    /// The answer's word and the text of the next response.
    pub async fn answer(&mut self) -> (Value, String) {
        let response = self.response().await;
        let result = &response["result"];
        (
            result["_meta"]["dev.semel/answer"].clone(),
            result["content"][0]["text"].as_str().unwrap().to_owned(),
        )
    }
}

pub fn config() -> Config {
    config_of("")
}

fn config_of(text: &str) -> Config {
    let mut surroundings = Environment::default();
    surroundings
        .variables
        .insert("SEMEL_LEDGER".to_owned(), "memory:".into());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("semel.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(Some(&file), &surroundings).unwrap_or_else(|faults| panic!("{faults}"))
}

pub async fn semel(setup: Setup) -> Semel {
    // Each engine reserves room for its instances, of which a process has not any amount.
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| {
        let kept = CodeCache::in_folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join("code"));
        Engine::builder(Limits::default())
            .cache(kept)
            .build()
            .unwrap()
    });
    let component =
        semel_policies::get(setup.policy.0).unwrap_or_else(|missing| panic!("{missing}"));
    let policy = engine.load(component, setup.policy.1).await.unwrap();
    let mode = if setup.is_off {
        ToolMode::Off
    } else {
        ToolMode::Enforce
    };
    let tool = Tool {
        mode,
        ..Tool::new(policy)
    };
    let builder = Semel::builder(setup.store).default_tool(tool);
    let builder = setup
        .probes
        .into_iter()
        .fold(builder, |builder, probes| builder.prober(probes));
    builder.open().await.unwrap()
}
