//! A server that behaves as a test tells it, and counts.

use async_trait::async_trait;
use semel_mcp::{
    layer::{NoResponse, RequestContext, Upstream},
    wire::Message,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

/// The server's behaviour for one call.
#[derive(Debug, Clone)]
pub enum CallFate {
    /// It is answered: a member and its JSON.
    Answered(&'static str, &'static str),
    /// It is sent, and no answer comes.
    Lost,
    /// It is sent, and nothing is heard of it.
    Silent,
    /// It is answered after so long: a member and its JSON.
    Late(Duration, &'static str, &'static str),
}

/// A server with a behaviour for each call in turn; the last one repeats.
#[derive(Debug)]
pub struct ScriptedServer {
    /// Its list of tools; none: it says nothing when it is asked for that.
    tools: &'static str,
    fates: Mutex<VecDeque<CallFate>>,
    /// The calls that came, as they were sent.
    pub calls: Mutex<Vec<serde_json::Value>>,
    /// Whatever else came.
    pub passed: Mutex<Vec<String>>,
    /// The result of any other request.
    says: Mutex<&'static str>,
}

impl ScriptedServer {
    /// A server that does not even list its tools.
    pub const SILENT: &str = "";

    pub fn new(tools: &'static str, fates: impl IntoIterator<Item = CallFate>) -> Arc<Self> {
        let fates = Mutex::new(fates.into_iter().collect());
        Arc::new(Self {
            tools,
            fates,
            calls: Mutex::default(),
            passed: Mutex::default(),
            says: Mutex::new("{}"),
        })
    }

    pub fn says(&self, result: &'static str) {
        *self.says.lock().unwrap() = result;
    }

    pub fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn fate(&self) -> CallFate {
        let mut fates = self.fates.lock().unwrap();
        let next = fates
            .front()
            .cloned()
            .expect("a test tells what becomes of a call");
        if fates.len() > 1 {
            fates.pop_front();
        }
        next
    }

    fn take(&self, request: &Message) {
        self.calls
            .lock()
            .unwrap()
            .push(serde_json::from_str(request.text()).unwrap());
    }
}

#[async_trait]
impl Upstream for ScriptedServer {
    async fn forward(&self, message: Message, context: &RequestContext) {
        if !message.asks("tools/call") {
            self.passed.lock().unwrap().push(message.text().to_owned());
            return;
        }
        if let Ok(response) = self.request(message, context).await {
            context.client.send(response).await.unwrap();
        }
    }

    async fn request(&self, request: Message, _: &RequestContext) -> Result<Message, NoResponse> {
        if request.method() == Some("tools/list") {
            if self.tools == Self::SILENT {
                return std::future::pending().await;
            }
            return Ok(Message::response(request.id(), "result", self.tools));
        }
        if request.method() != Some("tools/call") {
            return Ok(Message::response(
                request.id(),
                "result",
                *self.says.lock().unwrap(),
            ));
        }
        self.take(&request);
        match self.fate() {
            CallFate::Lost => Err(NoResponse {
                reason: "the server ended".to_owned(),
                sent: true,
            }),
            CallFate::Silent => std::future::pending().await,
            CallFate::Late(after, member, json) => {
                tokio::time::sleep(after).await;
                Ok(Message::response(request.id(), member, json))
            }
            CallFate::Answered(member, json) => Ok(Message::response(request.id(), member, json)),
        }
    }

    async fn close(&self) {}
}
