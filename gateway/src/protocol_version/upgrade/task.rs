//! A server of the newer era that makes a task of a request whose client is of the older one, and cannot ask for what becomes
//! of it: the gateway asks in its place, and what the task comes to is the response.
//!
//! The request itself is never sent again here. Where the gateway does not learn what the task comes to, the response is lost,
//! and whether there was an effect is not known. What a task asks its client is not answered.

use super::UpgradedConnection;
use crate::{
    layer::{NoResponse, RequestContext},
    protocol_version::{probe::own_id, translation},
    wire::{JsonMembers, Message, MessageKind, method},
};
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The default polling interval, for servers that suggest none.
const ASKED_AFTER: Duration = Duration::from_secs(1);

/// The shortest that is waited, whatever the server says.
const ASKED_AFTER_MIN: Duration = Duration::from_millis(20);

/// The longest.
const ASKED_AFTER_MAX: Duration = Duration::from_secs(30);

/// The most polls in a row without a response. A poll has no effect, so it may be repeated.
const LOST_MAX: u32 = 3;

impl UpgradedConnection {
    /// Polls the task that a server made of the request, and returns its result as the response.
    pub(super) async fn follow(
        &self,
        request: &Message,
        made: JsonMembers,
        said: &JsonMembers,
        context: &RequestContext,
        cancellation: &CancellationToken,
    ) -> Result<Message, NoResponse> {
        let id = made.text("taskId").unwrap_or_default();
        let unknown = |why: &str| NoResponse {
            reason: format!("the server made the task `{id}` of it, and {why}"),
            sent: true,
        };
        let mut state = made;
        let mut lost_in_row = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait(&state)) => {}
                () = cancellation.cancelled() => return Err(unknown("nobody waits for what that comes to")),
            }
            let asks = Message::request(
                &own_id("task"),
                method::TASKS_GET,
                &json!({ "taskId": id }).to_string(),
            );
            match self
                .below
                .request(translation::upgrade_request(&asks, said), context)
                .await
            {
                Ok(response) => {
                    state = task_state(&response).map_err(|why| unknown(&why))?;
                    lost_in_row = 0;
                }
                Err(_) if lost_in_row < LOST_MAX => lost_in_row += 1,
                Err(lost) => {
                    return Err(unknown(&format!(
                        "does not tell what became of that: {lost}"
                    )));
                }
            }
            if let Some((member, json)) = task_result(&state).map_err(|why| unknown(&why))? {
                return Ok(Message::response(request.id(), member, json));
            }
        }
    }
}

/// Returns the polling interval.
fn wait(state: &JsonMembers) -> Duration {
    let told = state
        .get("pollIntervalMs")
        .and_then(|ms| ms.parse().ok())
        .map(Duration::from_millis);
    told.unwrap_or(ASKED_AFTER)
        .clamp(ASKED_AFTER_MIN, ASKED_AFTER_MAX)
}

/// Returns the task's state.
fn task_state(response: &Message) -> Result<JsonMembers, String> {
    let body = response.body().unwrap_or_default();
    let state = JsonMembers::read(body)
        .ok()
        .filter(|_| response.kind() == MessageKind::Result);
    state.ok_or_else(|| format!("does not tell what became of that: {body}"))
}

/// The member of the response that says what the task came to; none: it is not over.
fn task_result(state: &JsonMembers) -> Result<Option<(&'static str, &str)>, String> {
    let end = |member: &'static str| match state.get(member) {
        Some(json) => Ok(Some((member, json))),
        None => Err("says that it is over, but not what it came to".to_owned()),
    };
    match state.text("status").as_deref() {
        Some("completed") => end("result"),
        Some("failed") => end("error"),
        Some("cancelled") => Err("that was cancelled, and may have taken effect before".to_owned()),
        Some("input_required") => Err(
            "that asks back, which a client of this version of the protocol cannot answer: \
                                       look with the server's own tools how it stands"
                .to_owned(),
        ),
        _ => Ok(None),
    }
}
