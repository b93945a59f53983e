//! Of which era a server is. It is found out only where that matters, and never by a single code of an error: servers of the
//! older era refuse what they do not know in many ways, or not at all.

use crate::{
    layer::{NoResponse, RequestContext, Upstream},
    wire::{JsonMembers, Message, MessageKind, RequestId, method, version},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The time after which a silent server is taken for an older one.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The time for a server that answers `initialize` neither: it may still be starting.
pub(super) const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// The result of probing a server's version.
#[derive(Debug)]
pub(super) enum ProbeResult {
    /// It is of the newer era.
    Newer(DiscoverResult),
    /// It does not know the question.
    Older,
    /// Nothing, so far.
    Silent,
}

/// Asks a server what it speaks.
///
/// # Errors
/// If it cannot be reached.
pub(super) async fn discover(
    server: &dyn Upstream,
    own: &JsonMembers,
    context: &RequestContext,
    within: Duration,
) -> Result<ProbeResult, NoResponse> {
    let mut params = JsonMembers::default();
    params.set("_meta", own).map_err(|error| NoResponse {
        reason: error.to_string(),
        sent: false,
    })?;
    let params = serde_json::to_string(&params).map_err(|error| NoResponse {
        reason: error.to_string(),
        sent: false,
    })?;
    let request = Message::request(&own_id("discover"), method::DISCOVER, &params);
    match tokio::time::timeout(within, server.request(request, &context.without_client())).await {
        Ok(Ok(response)) => {
            Ok(DiscoverResult::read(&response).map_or(ProbeResult::Older, ProbeResult::Newer))
        }
        Ok(Err(lost)) if !lost.sent => Err(lost),
        // It ended, or said something that is no answer.
        Ok(Err(_)) => Ok(ProbeResult::Older),
        Err(_) => Ok(ProbeResult::Silent),
    }
}

/// A newer server's description of itself; empty if it supports another version only.
#[derive(Debug, Clone, Default)]
pub(super) struct DiscoverResult(pub(super) JsonMembers);

impl DiscoverResult {
    fn read(response: &Message) -> Option<Self> {
        let body = JsonMembers::read(response.body()?).ok()?;
        let supported = match response.kind() {
            MessageKind::Error => body.object("data").ok()?.get("supported")?.to_owned(),
            _ => body.get("supportedVersions")?.to_owned(),
        };
        let supported: Vec<String> = serde_json::from_str(&supported).ok()?;
        let is_newer = supported
            .iter()
            .any(|version| version.as_str() >= version::V2026_07_28);
        is_newer.then(|| {
            if response.kind() == MessageKind::Error {
                Self::default()
            } else {
                Self(body)
            }
        })
    }
}

/// An id that no client of good will makes up.
pub(super) fn own_id(what: &str) -> RequestId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    RequestId::Text(format!("dev.semel/{}/{what}/{number}", std::process::id()).into())
}
