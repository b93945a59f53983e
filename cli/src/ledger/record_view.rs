//! A record as people and scripts read it.

use semel::{
    json::JsonValue,
    ledger::{KeptOutcome, LandingSource, ReleaseSource, State},
    model::{Outcome, Stamp},
    runtime::RecordView,
};
use serde::Serialize;
use serde_json::{Value, json};

/// The time at which the current state began.
pub(super) fn state_since(listed: &RecordView) -> Stamp {
    listed.record.since.at(listed.written)
}

/// The reason for the current state, or an empty text if none is recorded.
pub(super) fn state_reason(listed: &RecordView) -> String {
    let record = &listed.record;
    if let Some(key) = &listed.sealed_under {
        return format!("sealed under the key `{key}`, which is not configured here");
    }
    match &record.state {
        State::Started | State::Retrying if has_expired_lease(listed) => {
            "its lease has ended: the next call finds it in doubt".to_owned()
        }
        State::InDoubt { reason } | State::Held { reason, .. } | State::Probing { reason, .. } => {
            reason.clone()
        }
        State::Released {
            by: ReleaseSource::Person(person),
            new_key: true,
            ..
        } => format!("{}, under a new key: {}", person.who, person.why),
        State::Released {
            by: ReleaseSource::Person(person),
            ..
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
        State::Undone { by, .. } => by
            .map_or("undone, as a person decided", |_| "undone by a later call")
            .to_owned(),
        _ => record
            .last_attempt()
            .and_then(|last| last.reason.clone())
            .unwrap_or_default(),
    }
}

/// Returns true if the lease was not renewed in time.
fn has_expired_lease(listed: &RecordView) -> bool {
    let leased = listed.record.leased.at(listed.written);
    let lease_ms = listed
        .record
        .lease_seconds()
        .map(|seconds| u64::from(seconds) * 1_000);
    lease_ms.is_some_and(|lease_ms| listed.now.shortest_since(&leased) > lease_ms)
}

/// The recorded part of an outcome.
fn outcome_to_json(kept: Option<&KeptOutcome>) -> JsonValue {
    match kept {
        None => JsonValue::Null,
        Some(KeptOutcome::Whole(outcome)) => exact_json(outcome),
        Some(KeptOutcome::Digest { digest, bytes }) => {
            json!({ "not_kept": { "sha256": digest.to_hex(), "bytes": bytes } }).into()
        }
    }
}

/// A part of a record as JSON. `json!` would round its numbers.
fn exact_json(part: &impl Serialize) -> JsonValue {
    JsonValue::from_serialized(part).unwrap_or_default()
}

/// An object with these members besides.
fn with_members<const N: usize>(object: Value, members: [(&str, JsonValue); N]) -> JsonValue {
    let mut object = JsonValue::from(object);
    if let Some(own) = object.as_object_mut() {
        own.extend(members.map(|(name, value)| (name.to_owned(), value)));
    }
    object
}

/// An outcome on one line.
pub(super) fn describe_outcome(kept: Option<&KeptOutcome>) -> String {
    match kept {
        None => "no outcome is recorded".to_owned(),
        Some(KeptOutcome::Digest { bytes, .. }) => {
            format!("an outcome of {bytes} bytes, of which only the digest is recorded")
        }
        Some(KeptOutcome::Whole(Outcome::Returned(value))) => format!("returned {value}"),
        Some(KeptOutcome::Whole(Outcome::Failed(failure))) => {
            let code = failure
                .code
                .as_ref()
                .map_or_else(String::new, |code| format!(" `{code}`"));
            format!("failed{code}: {}", failure.message)
        }
        Some(KeptOutcome::Whole(Outcome::Unanswered(unanswered))) => {
            let sent = if unanswered.sent {
                ""
            } else {
                ", and nothing was sent"
            };
            format!("unanswered: {}{sent}", unanswered.reason)
        }
    }
}

/// The record as JSON. Absent: nonces, with which a reader could settle an attempt as its owner.
pub(super) fn to_json(listed: &RecordView) -> JsonValue {
    let record = &listed.record;
    let attempts: Vec<_> = record
        .attempts
        .iter()
        .map(|attempt| {
            let members = json!({
                "number": attempt.fence.number, "generation": attempt.generation, "series": attempt.series,
                "started": attempt.started.at(listed.written).to_string(), "known": attempt.known,
                "reason": attempt.reason,
            });
            let exact = [
                ("outcome", outcome_to_json(attempt.outcome.as_ref())),
                ("facts", exact_json(&attempt.facts)),
            ];
            with_members(members, exact)
        })
        .collect();
    let members = json!({
        "key": listed.downstream, "operation": record.terms.operation, "tenant": record.tenant,
        "name_space": record.name_space, "state": record.state.label().word(), "why": state_reason(listed),
        "since": state_since(listed).to_string(), "created": listed.created.to_string(),
        "generation": record.generation, "series": record.series, "handles": record.handles,
        "sealed_under": listed.sealed_under, "policy": record.terms.policy.name, "window_seconds": record.terms.window_seconds,
    });
    let exact = [
        ("attempts", attempts.into()),
        ("outcome", outcome_to_json(record.standing_outcome())),
        ("identity", exact_json(&record.terms.identity)),
    ];
    with_members(members, exact)
}
