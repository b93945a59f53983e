//! Probing the protocol version of a server.
//!
//! It is done only where the version matters. It never relies on a single error code: older servers
//! refuse an unknown request in many ways, or do not answer it at all.

use crate::{
    layer::{NoResponse, RequestContext, Upstream},
    wire::{JsonMembers, Message, MessageKind, RequestId, method, version},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The time after which a silent server counts as an older one.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The time for a server that does not answer `initialize` either: it may still be starting.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The result of probing a server's version.
#[derive(Debug)]
pub(super) enum ProbeResult {
    /// The server speaks 2026-07-28 or newer.
    Newer(ServerDescription),
    /// The server does not know `server/discover`.
    Older,
    /// The server has not answered in time.
    Silent,
}

/// Sends `server/discover` with this metadata.
///
/// # Errors
/// The request was not sent.
pub(super) async fn probe_version(
    server: &dyn Upstream,
    own_meta: &JsonMembers,
    context: &RequestContext,
    timeout: Duration,
) -> Result<ProbeResult, NoResponse> {
    let request = discover_request(own_meta).map_err(|error| NoResponse {
        reason: error.to_string(),
        sent: false,
    })?;
    let context = context.without_client();
    match tokio::time::timeout(timeout, server.request(request, &context)).await {
        Ok(Ok(response)) => Ok(match ServerDescription::from_response(&response) {
            Some(description) => ProbeResult::Newer(description),
            None => ProbeResult::Older,
        }),
        Ok(Err(no_response)) if !no_response.sent => Err(no_response),
        // The server ended, or its response was not usable.
        Ok(Err(_)) => Ok(ProbeResult::Older),
        Err(_) => Ok(ProbeResult::Silent),
    }
}

fn discover_request(own_meta: &JsonMembers) -> Result<Message, serde_json::Error> {
    let mut params = JsonMembers::default();
    params.set("_meta", own_meta)?;
    let params = serde_json::to_string(&params)?;
    let id = new_request_id("discover");
    Ok(Message::request(&id, method::DISCOVER, &params))
}

/// A newer server's description of itself; empty if it supports another version only.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerDescription(pub(super) JsonMembers);

impl ServerDescription {
    fn from_response(response: &Message) -> Option<Self> {
        let body = JsonMembers::read(response.body()?).ok()?;
        // A newer server that refuses the version lists its own ones in the error's data.
        let is_error = response.kind() == MessageKind::Error;
        let supported = if is_error {
            body.object("data").ok()?.get("supported")?.to_owned()
        } else {
            body.get("supportedVersions")?.to_owned()
        };
        let supported: Vec<String> = serde_json::from_str(&supported).ok()?;
        if !supported
            .iter()
            .any(|it| it.as_str() >= version::V2026_07_28)
        {
            return None;
        }
        Some(if is_error {
            Self::default()
        } else {
            Self(body)
        })
    }
}

/// Returns an id for a request of the gateway's own. No honest client makes up the same.
pub(super) fn new_request_id(purpose: &str) -> RequestId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    RequestId::Text(format!("dev.semel/{process}/{purpose}/{number}").into())
}
