//! A server that makes a task of a call: the task is part of the operation, and what the task comes to is its outcome. The
//! gateway hears of that when the client asks for it; a task that nobody asks for in time leaves its operation in doubt.
//!
//! Which call a task belongs to is remembered in memory, under the name that the ledger has for the task. A gateway that was
//! started again learns it from whoever makes the call once more; until somebody does, what is asked about the task passes, and
//! settles nothing.
//!
//! Both forms of the protocol are heard: a result of the type `task` with `tasks/get` (2026-07-28), and `task` within a result
//! with `tasks/result` (2025-11-25).

use super::{Guard, handing::Lasting, outcome};
use crate::{
    link::Exchange,
    wire::{Kind, Members, Message},
};
use semel::{
    model::{Call, Outcome, Tenant},
    runtime::{Begun, CallError},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long a task may take whose server sets it no limit.
const DEFAULT_TTL: Duration = Duration::from_hours(24);

/// The longest that any may.
const TTL_MAX: Duration = Duration::from_hours(24 * 30);

/// The most tasks that are remembered.
const TASKS_MAX: usize = 10_000;

/// A task that a server made of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) id: String,
    /// How long it may take.
    pub(super) ttl: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    result_type: Option<String>,
    task: Option<Named>,
    #[serde(flatten)]
    own: Named,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Named {
    task_id: Option<String>,
    ttl_ms: Option<u64>,
    ttl: Option<u64>,
}

/// The task that the response makes of the call; none: it makes none.
pub(super) fn made_by(response: &Message) -> Option<Task> {
    // Most results do not even have the word.
    let body = response
        .body()
        .filter(|body| response.kind() == Kind::Result && body.contains("taskId"))?;
    let made: Made = serde_json::from_str(body).ok()?;
    let named = match made.result_type.as_deref() {
        Some("task") => made.own,
        None | Some("complete") => made.task?,
        Some(_) => return None,
    };
    let ttl = named
        .ttl_ms
        .or(named.ttl)
        .map_or(DEFAULT_TTL, Duration::from_millis)
        .min(TTL_MAX);
    Some(Task {
        id: named.task_id?,
        ttl,
    })
}

/// How the names of tasks in the ledger begin.
const NAMED: &str = "task:";

/// The task's name in the ledger, which need not know its id.
pub(super) fn continuation(id: &str) -> String {
    let digest = Sha256::digest(id);
    digest.iter().fold(String::from(NAMED), |mut hex, byte| {
        // Writing to a text does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The calls that are tasks now.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    calls: HashMap<(Tenant, String), Call>,
    in_order: VecDeque<(Tenant, String)>,
}

impl Tasks {
    /// Remembers whose task this is, if what waits under this name is one.
    pub(super) fn note(&self, continuation: &str, call: &Call) {
        if continuation.starts_with(NAMED) {
            self.keep(continuation, call);
        }
    }

    pub(super) fn keep(&self, continuation: &str, call: &Call) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (call.tenant().clone(), continuation.to_owned());
        if known.calls.insert(at.clone(), call.clone()).is_none() {
            known.in_order.push_back(at);
        }
        if known.in_order.len() > TASKS_MAX
            && let Some(oldest) = known.in_order.pop_front()
        {
            known.calls.remove(&oldest);
        }
    }

    /// The name of the task that a request asks for, and its call, where it is one of this tenant's.
    pub(super) fn asked_for(&self, request: &Message, tenant: &Tenant) -> Option<(String, Call)> {
        let task = continuation(&Members::read(request.body()?).ok()?.text("taskId")?);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let call = known.calls.get(&(tenant.clone(), task.clone()))?.clone();
        Some((task, call))
    }

    fn forget(&self, continuation: &str, tenant: &Tenant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (tenant.clone(), continuation.to_owned());
        known.calls.remove(&at);
        known.in_order.retain(|other| *other != at);
    }
}

#[derive(Deserialize)]
struct State<'a> {
    #[serde(default)]
    status: String,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What the task came to, by the response to a request for it; none: it is not over, or that response does not tell.
fn came_to(response: &Message, is_result: bool) -> Option<Outcome> {
    if is_result {
        // An error to the request for a result is not always one of the task.
        return (response.kind() == Kind::Result).then(|| outcome::of_response(response));
    }
    let state: State<'_> = serde_json::from_str(response.body()?).ok()?;
    let said = |member, json: &RawValue| {
        outcome::of_response(&Message::response(None, member, json.get()))
    };
    match (state.status.as_str(), state.result, state.error) {
        ("completed", Some(result), _) => {
            // A response without an id is no result on the wire, so it is given one.
            let id = crate::wire::Id::Number(0);
            Some(outcome::of_response(&Message::response(
                Some(&id),
                "result",
                result.get(),
            )))
        }
        ("failed", _, Some(error)) => Some(said("error", error)),
        ("cancelled", ..) => Some(Outcome::no_answer(
            "the task was cancelled, and may have taken effect before",
        )),
        _ => None,
    }
}

/// Settles the call of a task by what the response tells of it, and passes the response on. Whoever gets the task's outcome by it
/// takes the call's.
pub(super) async fn tell(
    guard: &Guard,
    task: &str,
    call: &Call,
    response: Message,
    is_result: bool,
    exchange: &Exchange,
) {
    let Some(outcome) = came_to(&response, is_result) else {
        return exchange.client.put(response).await.unwrap_or_default();
    };
    let settled = settle(guard, task, call, outcome).await;
    let is_settled = settled.is_ok();
    // A client gets what its server said, whether or not that could be recorded.
    let lasting = settled
        .inspect_err(|error| tracing::warn!(%error, "semel.task could not be recorded"))
        .ok()
        .flatten();
    // As long as nobody took its outcome, who asks for it again may.
    if guard.hand_over(response, call, lasting, exchange).await && is_settled {
        guard.tasks.forget(task, call.tenant());
    }
}

/// Settles the call, unless somebody else did before or its time was over, and tells what is to be taken.
async fn settle(
    guard: &Guard,
    task: &str,
    call: &Call,
    outcome: Outcome,
) -> Result<Option<Lasting>, CallError> {
    let answered = match guard.semel.resume(call.clone(), task).await? {
        Begun::Run(started) => started.finish(outcome).await?,
        Begun::Answered(answered) => *answered,
    };
    let (answer, delivery) = answered.into_parts();
    let generation = answer.about().map_or(0, |about| about.generation);
    Ok(delivery.map(|delivery| Lasting {
        generation,
        delivery,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Id;

    fn response(result: &str) -> Message {
        Message::response(Some(&Id::Number(1)), "result", result)
    }

    #[test]
    fn both_forms_of_a_task_are_one() {
        let task = |ttl| {
            Some(Task {
                id: "t1".to_owned(),
                ttl,
            })
        };
        assert_eq!(
            made_by(&response(
                r#"{"resultType":"task","taskId":"t1","status":"working","ttlMs":5000}"#
            )),
            task(Duration::from_secs(5))
        );
        let older = r#"{"task":{"taskId":"t1","status":"working","ttl":null}}"#;
        assert_eq!(made_by(&response(older)), task(DEFAULT_TTL));
        assert_eq!(
            made_by(&response(
                r#"{"content":[],"structuredContent":{"taskId":"t1"}}"#
            )),
            None
        );
        assert_eq!(made_by(&response(r#"{"content":[],"taskId":"t1"}"#)), None);
    }

    #[test]
    fn only_a_task_that_is_over_came_to_something() {
        let of = |state: &str| came_to(&response(state), false);
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
