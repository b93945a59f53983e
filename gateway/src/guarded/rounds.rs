//! A server that asks back before it is done (`input_required`, since 2026-07-28): all rounds are one operation. The first
//! is suspended; the call that brings the answers goes on with it, in the same attempt and under the same key.
//!
//! The state that a server hands out is its own, and may be a secret, so the ledger holds a digest of it only. What was asked
//! is kept in memory for whoever makes the call anew meanwhile: until it is answered, that is what it gets.

use crate::wire::{Kind, Members, Message};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long a client may take to answer what its server asked. Then the operation is in doubt.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_hours(1);

/// The most questions that are kept.
const QUESTIONS_MAX: usize = 1_000;

/// Under which continuation a call goes on; none: it begins.
pub(super) fn continues(params: &Members) -> Option<String> {
    let names = || {
        Some(
            Members::read(params.get("inputResponses")?)
                .ok()?
                .names()
                .map(ToOwned::to_owned)
                .collect(),
        )
    };
    continuation(params.get("requestState"), names())
}

/// Under which continuation a call goes on whose server asks back with this response; none: it does not.
pub(super) fn asks(response: &Message) -> Option<String> {
    // Most results do not even have the word.
    let body = response
        .body()
        .filter(|body| response.kind() == Kind::Result && body.contains("input_required"))?;
    let result = Members::read(body).ok()?;
    if result.text("resultType").as_deref() != Some("input_required") {
        return None;
    }
    let names = || {
        Some(
            Members::read(result.get("inputRequests")?)
                .ok()?
                .names()
                .map(ToOwned::to_owned)
                .collect(),
        )
    };
    // One with neither is none that a client could answer, and no result either.
    continuation(result.get("requestState"), names())
        .or_else(|| continuation(None, Some(Vec::new())))
}

/// By the state, where there is one: it is the server's name for what waits. Else by the names of what it asks.
fn continuation(state: Option<&str>, names: Option<Vec<String>>) -> Option<String> {
    let mut told = Sha256::new();
    match (
        state.and_then(|json| serde_json::from_str::<String>(json).ok()),
        names,
    ) {
        (Some(state), _) => {
            told.update(b"state\0");
            told.update(state);
        }
        (None, Some(mut names)) => {
            names.sort_unstable();
            told.update(b"names\0");
            told.update(names.join("\0"));
        }
        (None, None) => return None,
    }
    let hex = told
        .finalize()
        .iter()
        .fold(String::from("input:"), |mut hex, byte| {
            // Writing to a text does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    Some(hex)
}

/// What servers asked, by the operation's key and the continuation.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    by: HashMap<(String, String), Message>,
    in_order: VecDeque<(String, String)>,
}

impl Questions {
    pub(super) fn keep(&self, key: String, continuation: String, response: Message) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (key, continuation);
        if asked.by.insert(at.clone(), response).is_none() {
            asked.in_order.push_back(at);
        }
        if asked.in_order.len() > QUESTIONS_MAX
            && let Some(oldest) = asked.in_order.pop_front()
        {
            asked.by.remove(&oldest);
        }
    }

    pub(super) fn get(&self, key: &str, continuation: &str) -> Option<Message> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked
            .by
            .get(&(key.to_owned(), continuation.to_owned()))
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::wire::Id;

    fn asked(result: &str) -> Option<String> {
        asks(&Message::response(Some(&Id::Number(1)), "result", result))
    }

    fn answered(params: &str) -> Option<String> {
        continues(&Members::read(params).unwrap())
    }

    #[test]
    fn an_answer_goes_on_with_what_was_asked_and_with_nothing_else() {
        let by_state = asked(
            r#"{"resultType":"input_required","inputRequests":{"a":{}},"requestState":"s\u0031"}"#,
        );
        assert_eq!(
            by_state,
            answered(r#"{"name":"pay","inputResponses":{"a":{}},"requestState":"s1"}"#)
        );
        assert_ne!(by_state, answered(r#"{"name":"pay","requestState":"s2"}"#));
        let by_names = asked(r#"{"resultType":"input_required","inputRequests":{"b":{},"a":{}}}"#);
        assert_eq!(
            by_names,
            answered(r#"{"name":"pay","inputResponses":{"a":1,"b":2}}"#)
        );
        assert!(by_state.is_some() && by_names.is_some());
        assert!(
            !by_state.unwrap_or_default().contains("s1"),
            "a state may be a secret"
        );
    }

    #[test]
    fn a_result_that_only_speaks_of_it_is_a_result() {
        assert_eq!(
            asked(r#"{"content":[{"type":"text","text":"input_required"}]}"#),
            None
        );
        assert_eq!(asked(r#"{"resultType":"complete"}"#), None);
        assert_eq!(answered(r#"{"name":"pay"}"#), None);
    }
}
