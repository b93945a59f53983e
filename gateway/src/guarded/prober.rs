//! Looking for an effect: a policy's probe is a call of a tool that only reads, over a connection that a client of the same
//! tenant has open.

use super::{Guard, outcome, own_id, protocol_meta};
use crate::{
    link::{Caller, Exchange, Nobody, Upstream},
    wire::{Members, Message, method},
};
use async_trait::async_trait;
use semel::{
    model::{Call, Outcome, Probe, Tenant},
    runtime::Prober,
};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// After so many connections those that have ended are forgotten.
const CONNECTIONS_MANY: usize = 1_024;

/// Runs the probes of policies. A host is built with it before there is any connection; each [`Guard`] that is given it
/// tells it where its calls go.
///
/// A probe must do nothing, so it is run only with a tool whose server says that it only reads, or that the operator named.
#[derive(Debug, Default)]
pub struct Probes {
    connections: Mutex<HashMap<(String, Tenant), Connection>>,
    named: HashSet<String>,
}

/// Where the last call of a tenant went.
#[derive(Debug, Clone)]
struct Connection {
    guard: Weak<Guard>,
    below: Weak<dyn Upstream>,
    caller: Arc<Caller>,
    /// What the newer era wants in each request.
    meta: Members,
}

impl Probes {
    /// These tools may be probed with, too, whatever their server says of them. They are named as clients name them.
    #[must_use]
    pub fn naming(mut self, tools: impl IntoIterator<Item = String>) -> Self {
        self.named.extend(tools);
        self
    }

    /// Probes for this tenant's calls of this server go there from now on.
    pub(super) fn remember(
        &self,
        guard: &Arc<Guard>,
        below: &Arc<dyn Upstream>,
        exchange: &Exchange,
        meta: &Members,
    ) {
        let caller = Arc::clone(&exchange.caller);
        let key = (guard.server.clone(), caller.tenant.clone());
        let connection = Connection {
            guard: Arc::downgrade(guard),
            below: Arc::downgrade(below),
            caller,
            meta: meta.clone(),
        };
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if connections.len() >= CONNECTIONS_MANY {
            connections.retain(|_, connection| connection.below.strong_count() > 0);
        }
        connections.insert(key, connection);
    }

    fn connection(&self, call: &Call) -> Option<Connection> {
        let facts = call.facts();
        let server = facts.get("server").and_then(Value::as_str)?.to_owned();
        let connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connections.get(&(server, call.tenant().clone())).cloned()
    }
}

#[async_trait]
impl Prober for Probes {
    async fn probe(&self, call: &Call, probe: &Probe) -> Outcome {
        let connection = self.connection(call);
        let open = connection.and_then(|at| Some((at.guard.upgrade()?, at.below.upgrade()?, at)));
        let Some((guard, below, Connection { caller, meta, .. })) = open else {
            return Outcome::not_sent("no connection to the server is open to look with");
        };
        let exchange = Exchange::new(Arc::new(Nobody), caller);
        let known = guard
            .catalog
            .tool(&probe.tool, &below, &exchange, &meta)
            .await;
        let is_named = self
            .named
            .contains(&format!("{}{}", guard.prefix, probe.tool));
        if !known.hints.only_reads() && !is_named {
            return Outcome::not_sent(format!(
                "`{}` is not said to read only, so it is not used to look: name another tool in the policy's probe, or \
                 this one in `probe_tools` of `[mcp]`",
                probe.tool
            ));
        }
        let mut headers = Vec::new();
        probe
            .arguments
            .as_object()
            .into_iter()
            .for_each(|arguments| known.parameters.put(arguments, &mut headers));
        let exchange = Exchange {
            headers: headers.into(),
            ..exchange
        };
        let mut params = json!({ "name": probe.tool, "arguments": probe.arguments });
        if let (Some(params), own) = (params.as_object_mut(), protocol_meta(&meta))
            && !own.is_empty()
        {
            params.insert("_meta".to_owned(), Value::Object(own));
        }
        let request = Message::request(&own_id(), method::TOOLS_CALL, &params.to_string());
        match below.ask(request, &exchange).await {
            Ok(response) => outcome::of_response(&response),
            Err(lost) => outcome::of_loss(lost),
        }
    }
}
