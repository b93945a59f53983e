//! Elicitation: a server asks for input before it finishes a call (`input_required`, since
//! 2026-07-28). All rounds are one operation. The first round suspends it; the call that brings the
//! answers resumes it, in the same attempt and under the same key.
//!
//! The state that a server hands out may be a secret, so the ledger holds only its digest. The
//! question itself is kept in memory: until it is answered, a repeat of the call gets it again.

use crate::{
    bounded_map::BoundedMap,
    wire::{JsonMembers, Message, MessageKind},
};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::{fmt::Write as _, time::Duration};

/// The time in which a client may answer a question. Then the operation is in doubt.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_hours(1);

/// The most questions that are kept.
const QUESTIONS_MAX: usize = 1_000;

/// Returns the continuation that a call resumes, if it answers a question.
pub(super) fn continuation_of_request(params: &JsonMembers) -> Option<String> {
    let names = params.get("inputResponses").and_then(member_names);
    continuation(params.get("requestState"), names)
}

/// Returns the continuation of a call if the server responds with a question.
pub(super) fn continuation_of_response(response: &Message) -> Option<String> {
    let body = response.body()?;
    // Most results do not even contain the word, so they need no parsing.
    if response.kind() != MessageKind::Result || !body.contains("input_required") {
        return None;
    }
    let result = JsonMembers::read(body).ok()?;
    if result.text("resultType").as_deref() != Some("input_required") {
        return None;
    }
    let names = result.get("inputRequests").and_then(member_names);
    // A question with neither state nor requests cannot be answered, and is no result either: it
    // needs a continuation, too.
    continuation(result.get("requestState"), names).or_else(|| continuation(None, Some(Vec::new())))
}

fn member_names(json: &str) -> Option<Vec<String>> {
    let members = JsonMembers::read(json).ok()?;
    Some(members.names().map(ToOwned::to_owned).collect())
}

/// Returns a digest of the state, which is the server's own name for a suspended call. Without one,
/// the names of the requested inputs stand in for it.
fn continuation(state: Option<&str>, names: Option<Vec<String>>) -> Option<String> {
    let state: Option<String> = state.and_then(|json| serde_json::from_str(json).ok());
    let mut digest = Sha256::new();
    match (state, names) {
        (Some(state), _) => {
            digest.update(b"state\0");
            digest.update(state);
        }
        (None, Some(mut names)) => {
            // The client may answer in another order.
            names.sort_unstable();
            digest.update(b"names\0");
            digest.update(names.join("\0"));
        }
        (None, None) => return None,
    }
    let mut continuation = String::from("input:");
    for byte in digest.finalize() {
        // Writing to a `String` does not fail.
        let _ = write!(continuation, "{byte:02x}");
    }
    Some(continuation)
}

/// The open questions of servers, by the operation's key and the continuation.
#[derive(Debug)]
pub(super) struct ElicitationStore(Mutex<BoundedMap<(String, String), Message>>);

impl Default for ElicitationStore {
    fn default() -> Self {
        Self(Mutex::new(BoundedMap::new(QUESTIONS_MAX)))
    }
}

impl ElicitationStore {
    pub(super) fn insert(&self, key: String, continuation: String, response: Message) {
        self.0.lock().insert((key, continuation), response);
    }

    pub(super) fn get(&self, key: &str, continuation: &str) -> Option<Message> {
        let key = (key.to_owned(), continuation.to_owned());
        self.0.lock().get(&key).cloned()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::wire::RequestId;

    fn asked(result: &str) -> Option<String> {
        continuation_of_response(&Message::response(
            Some(&RequestId::Number(1)),
            "result",
            result,
        ))
    }

    fn answered(params: &str) -> Option<String> {
        continuation_of_request(&JsonMembers::read(params).unwrap())
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
