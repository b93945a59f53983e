//! A policy for a tool whose service knows no idempotency keys: `post_message`.
//!
//! The key goes into the message as a mark. Where no answer came, the channel is read, and a message with the mark is
//! the proof that it was posted.
//!
//! `cargo test --example messages` tests it; built for wasm32 it is the module of a component.

use semel_guest::{
    Attempt, Call, Derivation, Description, Finding, NoSettings, Operation, Outcome, Policy, Probe,
    Recovery, Scope, Target, Value, json,
};

/// How long a message may take to show in its channel.
const SETTLED_SECONDS: u32 = 30;

struct Messages;

impl Policy for Messages {
    type Settings = NoSettings;

    fn describe() -> Description {
        Description::new("messages", env!("CARGO_PKG_VERSION"))
            .summary("posts a message once a run")
            .tool("post_message")
    }

    fn configure(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }

    fn derive(&self, call: &Call) -> Result<Derivation, String> {
        let post = Operation::new("message.post")
            .identity("channel", call.text("/channel")?)
            .identity("text", call.text("/text")?.trim())
            .scope(Scope::Run)
            .target(Target::mark("/text"));
        Ok(post.once())
    }

    fn recover(&self, call: &Call, _: &[Attempt]) -> Result<Recovery, String> {
        let channel = call.text("/channel")?;
        Ok(Recovery::Probe(Probe::new(
            "read_channel",
            json!({ "channel": channel, "last": 100 }),
        )))
    }

    fn weigh(
        &self,
        _: &Call,
        attempts: &[Attempt],
        _: &Probe,
        answer: &Outcome,
    ) -> Result<Finding, String> {
        let attempt = attempts.last().ok_or("there is no attempt to look for")?;
        let Some(Value::Array(messages)) = answer.answer() else {
            return Ok(Finding::Unsettled(5_000));
        };
        let marked = |message: &&Value| {
            message["text"]
                .as_str()
                .is_some_and(|text| text.contains(&attempt.key))
        };
        Ok(match messages.iter().find(marked) {
            Some(message) => Finding::Landed(message.to_string()),
            None if attempt.age_seconds < SETTLED_SECONDS => Finding::Unsettled(5_000),
            None => Finding::Absent,
        })
    }
}

semel_guest::export!(Messages);

#[cfg(test)]
mod tests {
    use super::*;

    fn weigh(answer: Outcome, age_seconds: u32) -> Result<Finding, String> {
        let call = Call::new(
            "post_message",
            json!({ "channel": "ops", "text": "disk full" }),
        );
        let attempt = Attempt {
            age_seconds,
            ..Attempt::new("6f1c", Outcome::unanswered("timed out"))
        };
        Messages.weigh(
            &call,
            &[attempt],
            &Probe::new("read_channel", json!({})),
            &answer,
        )
    }

    #[test]
    fn a_message_with_the_mark_is_the_proof() {
        let mine = json!({ "id": 2, "text": "disk full\n6f1c" });
        let answer = Outcome::returned(json!([{ "id": 1, "text": "disk full" }, mine]));
        assert_eq!(weigh(answer, 0), Ok(Finding::Landed(mine.to_string())));
    }

    #[test]
    fn a_message_that_may_still_come_is_not_absent() {
        let nothing = || Outcome::returned(json!([{ "id": 1, "text": "disk full" }]));
        assert_eq!(
            weigh(nothing(), SETTLED_SECONDS - 1),
            Ok(Finding::Unsettled(5_000))
        );
        assert_eq!(weigh(nothing(), SETTLED_SECONDS), Ok(Finding::Absent));
        assert_eq!(
            weigh(Outcome::unanswered("timed out"), SETTLED_SECONDS),
            Ok(Finding::Unsettled(5_000))
        );
    }
}
