//! Calls that a server continues as tasks. The task is part of the operation, and its result is the
//! operation's outcome. The gateway learns of it when the client asks for it; a task that no client
//! asks for in time leaves its operation in doubt.
//!
//! The call that a task belongs to is remembered in memory, under the task's name in the ledger. A
//! restarted gateway learns it again from a repeat of the call; until then, requests about the task
//! pass and settle nothing.
//!
//! Both forms of the protocol are read: a result of the type `task` with `tasks/get` (2026-07-28),
//! and `task` within a result with `tasks/result` (2025-11-25).

use super::{ToolGuard, deliver::PendingDelivery, outcome};
use crate::{
    bounded_map::BoundedMap,
    layer::RequestContext,
    wire::{JsonMembers, Message, MessageKind, RequestId},
};
use parking_lot::Mutex;
use semel::{
    model::{Call, Outcome, Tenant},
    runtime::{CallError, CallStep},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::{fmt::Write as _, time::Duration};

/// The time limit of a task without one of its own.
const DEFAULT_TTL: Duration = Duration::from_hours(24);

/// The longest time limit of a task.
const TTL_MAX: Duration = Duration::from_hours(24 * 30);

/// The most tasks that are remembered.
const TASKS_MAX: usize = 10_000;

/// The prefix of a task's name in the ledger.
const NAME_PREFIX: &str = "task:";

/// A task that a server made of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerTask {
    pub(super) id: String,
    /// The task's time limit.
    pub(super) ttl: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskResult {
    result_type: Option<String>,
    task: Option<TaskFields>,
    #[serde(flatten)]
    own: TaskFields,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TaskFields {
    task_id: Option<String>,
    ttl_ms: Option<u64>,
    ttl: Option<u64>,
}

/// Returns the task that a response makes of the call, if it makes one.
pub(super) fn task_of_response(response: &Message) -> Option<ServerTask> {
    let body = response.body()?;
    // Most results do not even contain the word, so they need no parsing.
    if response.kind() != MessageKind::Result || !body.contains("taskId") {
        return None;
    }
    let result: TaskResult = serde_json::from_str(body).ok()?;
    let fields = match result.result_type.as_deref() {
        Some("task") => result.own,
        None | Some("complete") => result.task?,
        Some(_) => return None,
    };
    let ttl = fields
        .ttl_ms
        .or(fields.ttl)
        .map_or(DEFAULT_TTL, Duration::from_millis);
    Some(ServerTask {
        id: fields.task_id?,
        ttl: ttl.min(TTL_MAX),
    })
}

/// Returns the task's name in the ledger. It is a digest, because the ledger need not know the id.
pub(super) fn task_continuation(id: &str) -> String {
    let mut continuation = String::from(NAME_PREFIX);
    for byte in Sha256::digest(id) {
        // Writing to a `String` does not fail.
        let _ = write!(continuation, "{byte:02x}");
    }
    continuation
}

/// The calls that continue as tasks, by tenant and continuation.
#[derive(Debug)]
pub(super) struct TaskCalls(Mutex<BoundedMap<(Tenant, String), Call>>);

impl Default for TaskCalls {
    fn default() -> Self {
        Self(Mutex::new(BoundedMap::new(TASKS_MAX)))
    }
}

impl TaskCalls {
    /// Remembers the call of a continuation, if that is a task.
    pub(super) fn insert_if_task(&self, continuation: &str, call: &Call) {
        if continuation.starts_with(NAME_PREFIX) {
            self.insert(continuation, call);
        }
    }

    pub(super) fn insert(&self, continuation: &str, call: &Call) {
        let key = (call.tenant().clone(), continuation.to_owned());
        self.0.lock().insert(key, call.clone());
    }

    /// Returns the continuation and the call of the task that a request asks for, if it is one of
    /// this tenant's.
    pub(super) fn find(&self, request: &Message, tenant: &Tenant) -> Option<(String, Call)> {
        let id = JsonMembers::read(request.body()?).ok()?.text("taskId")?;
        let continuation = task_continuation(&id);
        let tasks = self.0.lock();
        let call = tasks.get(&(tenant.clone(), continuation.clone()))?;
        Some((continuation, call.clone()))
    }

    fn remove(&self, continuation: &str, tenant: &Tenant) {
        let key = (tenant.clone(), continuation.to_owned());
        self.0.lock().remove(&key);
    }
}

#[derive(Deserialize)]
struct TaskStatus<'a> {
    #[serde(default)]
    status: String,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Returns the outcome of a task by the response to a request about it, or `None` if the response
/// reports none.
fn task_outcome(response: &Message, is_result_request: bool) -> Option<Outcome> {
    if is_result_request {
        // An error here may concern the request and not the task.
        return (response.kind() == MessageKind::Result).then(|| outcome::from_response(response));
    }
    let task: TaskStatus<'_> = serde_json::from_str(response.body()?).ok()?;
    // `Message` takes only responses with an id for results.
    let id = RequestId::Number(0);
    match (task.status.as_str(), task.result, task.error) {
        ("completed", Some(result), _) => {
            let response = Message::response(Some(&id), "result", result.get());
            Some(outcome::from_response(&response))
        }
        ("failed", _, Some(error)) => {
            let response = Message::response(Some(&id), "error", error.get());
            Some(outcome::from_response(&response))
        }
        ("cancelled", ..) => Some(Outcome::no_answer(
            "the task was cancelled, and may have had an effect before",
        )),
        _ => None,
    }
}

/// Settles a task's call by the response to a request about it, and forwards the response. A client
/// that receives the task's outcome this way has received the call's.
pub(super) async fn forward_task_response(
    guard: &ToolGuard,
    continuation: &str,
    call: &Call,
    response: Message,
    is_result_request: bool,
    context: &RequestContext,
) {
    let Some(outcome) = task_outcome(&response, is_result_request) else {
        // A disconnected client asks for its task again.
        let _ = context.client.send(response).await;
        return;
    };
    let settled = settle_task(guard, continuation, call, outcome).await;
    if let Err(error) = &settled {
        // The client gets the server's response all the same.
        tracing::warn!(%error, "semel.task could not be recorded");
    }
    let is_settled = settled.is_ok();
    let pending = settled.unwrap_or(None);
    let is_delivered = guard
        .deliver_response(response, call, pending, context)
        .await;
    // Until the outcome is delivered, the client may ask for the task again.
    if is_delivered && is_settled {
        guard.tasks.remove(continuation, call.tenant());
    }
}

/// Settles the call, unless it was settled before or its time was over, and returns the delivery to
/// acknowledge.
async fn settle_task(
    guard: &ToolGuard,
    continuation: &str,
    call: &Call,
    outcome: Outcome,
) -> Result<Option<PendingDelivery>, CallError> {
    let answered = match guard.semel.resume(call.clone(), continuation).await? {
        CallStep::Run(started) => started.finish(outcome).await?,
        CallStep::Answered(answered) => *answered,
    };
    let (answer, delivery) = answered.into_parts();
    let generation = answer.about().map_or(0, |about| about.generation);
    Ok(delivery.map(|delivery| PendingDelivery {
        generation,
        delivery,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(result: &str) -> Message {
        Message::response(Some(&RequestId::Number(1)), "result", result)
    }

    #[test]
    fn both_forms_of_a_task_are_one() {
        let task = |ttl| {
            Some(ServerTask {
                id: "t1".to_owned(),
                ttl,
            })
        };
        assert_eq!(
            task_of_response(&response(
                r#"{"resultType":"task","taskId":"t1","status":"working","ttlMs":5000}"#
            )),
            task(Duration::from_secs(5))
        );
        let older = r#"{"task":{"taskId":"t1","status":"working","ttl":null}}"#;
        assert_eq!(task_of_response(&response(older)), task(DEFAULT_TTL));
        assert_eq!(
            task_of_response(&response(
                r#"{"content":[],"structuredContent":{"taskId":"t1"}}"#
            )),
            None
        );
        assert_eq!(
            task_of_response(&response(r#"{"content":[],"taskId":"t1"}"#)),
            None
        );
    }

    #[test]
    fn only_a_finished_task_has_an_outcome() {
        let of = |state: &str| task_outcome(&response(state), false);
        assert_eq!(of(r#"{"taskId":"t1","status":"working"}"#), None);
        assert_eq!(
            of(r#"{"taskId":"t1","status":"input_required","inputRequests":{}}"#),
            None
        );
        let completed = of(r#"{"taskId":"t1","status":"completed","result":{"content":[]}}"#);
        assert!(matches!(completed, Some(Outcome::Returned(_))));
        let failed =
            of(r#"{"taskId":"t1","status":"failed","error":{"code":-32603,"message":"no"}}"#);
        assert!(matches!(failed, Some(Outcome::Failed(_))));
        let cancelled = of(r#"{"taskId":"t1","status":"cancelled"}"#);
        assert!(matches!(cancelled, Some(Outcome::Unanswered(silence)) if silence.sent));
    }
}
