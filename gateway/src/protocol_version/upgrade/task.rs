//! Tasks of a newer server, on behalf of an older client that cannot ask for them: the gateway
//! polls the task and returns its result as the response.
//!
//! The request itself is never sent again here. If the gateway does not learn the task's result,
//! there is no response, and the call is in doubt. Questions of a task are not answered.

use super::UpgradedConnection;
use crate::{
    layer::{NoResponse, RequestContext},
    protocol_version::{probe::new_request_id, translation},
    wire::{JsonMembers, Message, method},
};
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The default polling interval, for servers that suggest none.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest polling interval. A server may suggest a shorter one.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(20);

/// The longest polling interval. A server may suggest a longer one.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(30);

/// The most polls in a row without a response. A poll has no effect, so it may be repeated.
const LOST_POLLS_MAX: u32 = 3;

/// The JSON of a finished task's result or error, and the name of its member.
type TaskResult<'a> = (&'static str, &'a str);

impl UpgradedConnection {
    /// Polls the task that a server made of the request, and returns its result as the response.
    pub(super) async fn poll_task(
        &self,
        request: &Message,
        created: JsonMembers,
        request_meta: &JsonMembers,
        context: &RequestContext,
        cancellation: &CancellationToken,
    ) -> Result<Message, NoResponse> {
        let id = created.text("taskId").unwrap_or_default();
        let unknown = |problem: &str| NoResponse {
            reason: format!("the server made it the task `{id}`, and {problem}"),
            sent: true,
        };
        let mut state = created;
        let mut lost_polls = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep(poll_interval(&state)) => {}
                () = cancellation.cancelled() => {
                    return Err(unknown("the client no longer waits for its result"));
                }
            }
            let params = json!({ "taskId": id }).to_string();
            let poll = Message::request(&new_request_id("task"), method::TASKS_GET, &params);
            let poll = translation::upgrade_request(&poll, request_meta);
            match self.below.request(poll, context).await {
                Ok(response) => {
                    state = task_state(&response).map_err(|problem| unknown(&problem))?;
                    lost_polls = 0;
                }
                Err(_) if lost_polls < LOST_POLLS_MAX => lost_polls += 1,
                Err(no_response) => {
                    return Err(unknown(&format!(
                        "does not report its state: {no_response}"
                    )));
                }
            }
            let result = task_result(&state).map_err(|problem| unknown(&problem))?;
            if let Some((member, json)) = result {
                return Ok(Message::response(request.id(), member, json));
            }
        }
    }
}

fn poll_interval(state: &JsonMembers) -> Duration {
    let suggested = state.get("pollIntervalMs").and_then(|ms| ms.parse().ok());
    suggested
        .map_or(POLL_INTERVAL, Duration::from_millis)
        .clamp(POLL_INTERVAL_MIN, POLL_INTERVAL_MAX)
}

fn task_state(response: &Message) -> Result<JsonMembers, String> {
    let state = response
        .result()
        .and_then(|json| JsonMembers::read(json).ok());
    state.ok_or_else(|| {
        let body = response.body().unwrap_or_default();
        format!("does not report its state: {body}")
    })
}

/// Returns the result of a task, or `None` while it runs.
fn task_result(state: &JsonMembers) -> Result<Option<TaskResult<'_>>, String> {
    let member = match state.text("status").as_deref() {
        Some("completed") => "result",
        Some("failed") => "error",
        Some("cancelled") => {
            return Err("the task was cancelled, and may have had an effect before".to_owned());
        }
        Some("input_required") => {
            let problem = "the task asks a question, which a client of this protocol version cannot \
                           answer: check its state with the server's own tools";
            return Err(problem.to_owned());
        }
        _ => return Ok(None),
    };
    match state.get(member) {
        Some(json) => Ok(Some((member, json))),
        None => Err("reports that it has ended, without its result".to_owned()),
    }
}
