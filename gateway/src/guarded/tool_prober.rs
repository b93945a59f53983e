//! Probes of policies: calls of a read-only tool that search for an effect, over an open connection
//! of the same tenant.

use super::{ToolGuard, new_request_id, outcome, protocol_meta};
use crate::{
    layer::{CallerIdentity, NullClient, RequestContext, Upstream},
    wire::{JsonMembers, Message, method},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use semel::{
    json::{JsonMap, JsonValue},
    model::{Call, Outcome, Probe, Tenant},
    runtime::Prober,
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

/// The number of connections beyond which those that have ended are dropped.
const CONNECTIONS_MANY: usize = 1_024;

/// Runs the probes of policies. A host is built with it before there is any connection; each
/// [`ToolGuard`] that is given it registers its connections.
///
/// A probe must have no effect, so it runs only with a tool that its server declares read-only, or
/// that the operator named.
#[derive(Debug, Default)]
pub struct ToolProber {
    connections: Mutex<HashMap<(String, Tenant), ProbeConnection>>,
    allowed_tools: HashSet<String>,
}

/// The connection of a tenant's last call.
#[derive(Debug, Clone)]
struct ProbeConnection {
    guard: Weak<ToolGuard>,
    below: Weak<dyn Upstream>,
    caller: Arc<CallerIdentity>,
    /// The metadata that the newer protocol version requires in each request.
    meta: JsonMembers,
}

impl ToolProber {
    /// Allows probes with these tools, whatever their server declares. The names are those that
    /// clients use.
    #[must_use]
    pub fn with_allowed_tools(mut self, tools: impl IntoIterator<Item = String>) -> Self {
        self.allowed_tools.extend(tools);
        self
    }

    /// Uses this connection for probes of the tenant's calls from now on.
    pub(super) fn register(
        &self,
        guard: &Arc<ToolGuard>,
        below: &Arc<dyn Upstream>,
        context: &RequestContext,
        meta: &JsonMembers,
    ) {
        let caller = Arc::clone(&context.caller);
        let key = (guard.server.clone(), caller.tenant.clone());
        let connection = ProbeConnection {
            guard: Arc::downgrade(guard),
            below: Arc::downgrade(below),
            caller,
            meta: meta.clone(),
        };
        let mut connections = self.connections.lock();
        if connections.len() >= CONNECTIONS_MANY {
            connections.retain(|_, connection| connection.below.strong_count() > 0);
        }
        connections.insert(key, connection);
    }

    fn find_connection(&self, call: &Call) -> Option<ProbeConnection> {
        let facts = call.facts();
        let server = facts.get("server").and_then(JsonValue::as_str)?.to_owned();
        let key = (server, call.tenant().clone());
        self.connections.lock().get(&key).cloned()
    }
}

#[async_trait]
impl Prober for ToolProber {
    async fn probe(&self, call: &Call, probe: &Probe) -> Outcome {
        let no_connection = || Outcome::not_sent("no connection to the server is open for a probe");
        let Some(connection) = self.find_connection(call) else {
            return no_connection();
        };
        let (Some(guard), Some(below)) = (connection.guard.upgrade(), connection.below.upgrade())
        else {
            return no_connection();
        };
        let meta = &connection.meta;
        // A probe has no client that could answer a server's questions.
        let context = RequestContext::new(Arc::new(NullClient), connection.caller);
        let tool = guard
            .catalog
            .find_tool(&probe.tool, &below, &context, meta)
            .await;
        let client_name = format!("{}{}", guard.prefix, probe.tool);
        // A policy is only trusted to choose a probe, not to send a call with an effect.
        if !tool.hints.is_read_only() && !self.allowed_tools.contains(&client_name) {
            return Outcome::not_sent(format!(
                "`{}` is not declared read-only, so it is not used for a probe: name another tool in the policy's probe, \
                 or this one in `probe_tools` of `[mcp]`",
                probe.tool
            ));
        }
        let mut headers = Vec::new();
        if let Some(arguments) = probe.arguments.as_object() {
            tool.header_parameters.set_headers(arguments, &mut headers);
        }
        let context = RequestContext {
            headers: headers.into(),
            ..context
        };
        match below.request(probe_request(probe, meta), &context).await {
            Ok(response) => outcome::from_response(&response),
            Err(no_response) => outcome::from_no_response(no_response),
        }
    }
}

fn probe_request(probe: &Probe, request_meta: &JsonMembers) -> Message {
    let mut params = JsonMap::new();
    params.insert("name".to_owned(), probe.tool.as_str().into());
    params.insert("arguments".to_owned(), probe.arguments.clone());
    let meta = protocol_meta(request_meta);
    if !meta.is_empty() {
        params.insert("_meta".to_owned(), meta.into());
    }
    let params = JsonValue::Object(params).to_string();
    Message::request(&new_request_id(), method::TOOLS_CALL, &params)
}
