//! What is told of a record.

use semel::{
    ledger::{KeptOutcome, LandingSource, ReleaseSource, State},
    model::{Outcome, Stamp},
    runtime::RecordView,
};
use serde_json::{Value, json};

/// When the present state began.
pub(super) fn since(listed: &RecordView) -> Stamp {
    listed.record.since.at(listed.written)
}

/// Why it is as it is, as far as somebody said so.
pub(super) fn why(listed: &RecordView) -> String {
    let record = &listed.record;
    if let Some(key) = &listed.sealed_under {
        return format!("sealed under the key `{key}`, which is not set up here");
    }
    match &record.state {
        State::Started | State::Retrying if lease_is_over(listed) => {
            "its lease is over: the next call finds it in doubt".to_owned()
        }
        State::InDoubt { reason } | State::Held { reason, .. } | State::Probing { reason, .. } => {
            reason.clone()
        }
        State::Released {
            by: ReleaseSource::Person(person),
        }
        | State::Refused {
            by: ReleaseSource::Person(person),
            ..
        }
        | State::Landed {
            via: LandingSource::Person(person),
            ..
        } => format!("{}: {}", person.who, person.why),
        State::Landed {
            via: LandingSource::Probe,
            ..
        } => "found by a probe".to_owned(),
        State::Waiting { continuation, .. } => format!("continues as {continuation}"),
        State::Undone { by } => by
            .map_or("undone by a person's word", |_| "undone by a later call")
            .to_owned(),
        _ => record
            .last_attempt()
            .and_then(|last| last.reason.clone())
            .unwrap_or_default(),
    }
}

/// Whether nobody renewed it in time.
fn lease_is_over(listed: &RecordView) -> bool {
    let leased = listed.record.leased.at(listed.written);
    let lease_ms = listed
        .record
        .lease_seconds()
        .map(|seconds| u64::from(seconds) * 1_000);
    lease_ms.is_some_and(|lease_ms| listed.now.shortest_since(&leased) > lease_ms)
}

/// What is kept of an outcome.
pub(super) fn outcome(kept: Option<&KeptOutcome>) -> Value {
    match kept {
        None => Value::Null,
        Some(KeptOutcome::Whole(outcome)) => serde_json::to_value(outcome).unwrap_or_default(),
        Some(KeptOutcome::Digest { digest, bytes }) => {
            json!({ "not_kept": { "sha256": digest.to_hex(), "bytes": bytes } })
        }
    }
}

/// An outcome on one line.
pub(super) fn short(kept: Option<&KeptOutcome>) -> String {
    match kept {
        None => "no answer is known".to_owned(),
        Some(KeptOutcome::Digest { bytes, .. }) => {
            format!("an answer of {bytes} bytes, which is not kept")
        }
        Some(KeptOutcome::Whole(Outcome::Returned(value))) => format!("returned {value}"),
        Some(KeptOutcome::Whole(Outcome::Failed(failure))) => {
            let code = failure
                .code
                .as_ref()
                .map_or_else(String::new, |code| format!(" `{code}`"));
            format!("failed{code}: {}", failure.message)
        }
        Some(KeptOutcome::Whole(Outcome::Unanswered(silence))) => {
            let sent = if silence.sent {
                ""
            } else {
                ", and nothing was sent"
            };
            format!("unanswered: {}{sent}", silence.reason)
        }
    }
}

/// The record as JSON: all that is of use to people, and nothing that would let them pass for an attempt.
pub(super) fn in_json(listed: &RecordView) -> Value {
    let record = &listed.record;
    let attempts: Vec<Value> = record
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "number": attempt.fence.number, "generation": attempt.generation, "series": attempt.series,
                "started": attempt.started.at(listed.written).to_string(), "known": attempt.known,
                "outcome": outcome(attempt.outcome.as_ref()), "reason": attempt.reason, "facts": attempt.facts,
            })
        })
        .collect();
    json!({
        "key": listed.downstream, "operation": record.terms.operation, "tenant": record.tenant,
        "name_space": record.name_space, "state": record.state.label().word(), "why": why(listed),
        "since": since(listed).to_string(), "created": listed.created.to_string(),
        "generation": record.generation, "series": record.series, "attempts": attempts,
        "outcome": outcome(record.standing_outcome()), "handles": record.handles, "identity": record.terms.identity,
        "sealed_under": listed.sealed_under, "policy": record.terms.policy.name, "window_seconds": record.terms.window_seconds,
    })
}
