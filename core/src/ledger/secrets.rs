//! The confidential parts of a record: the words of calls, answers and people. They can be taken
//! out of a record and put back; state, times and digests stay.
//!
//! Every field is named here, so that a new one does not compile until it is put on one side. This
//! module does not know how secrets are kept.
//!
//! An extension point: a store can seal these parts in its own way, with [`RecordSecrets::take`] and [`RecordSecrets::put`].

use super::record::{
    AttemptRecord, Evidence, KeptOutcome, LandingSource, OperationTerms, Person, Record,
    ReleaseSource, State,
};
use super::shared::SharedValue;
use crate::model::{Call, Field};
use serde::{Deserialize, Serialize};

/// The confidential parts of a record.
#[derive(Default, Serialize, Deserialize)]
pub struct RecordSecrets {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identity: Vec<Field>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<SharedValue<Call>>,
    /// The words in the state, in the order in which [`words`] finds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    state: Vec<String>,
    /// One for each attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptSecrets>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Evidence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<KeptOutcome>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    handles: Vec<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct AttemptSecrets {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<KeptOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    facts: Vec<Field>,
}

/// The secrets do not fit the record that they are to be put back into.
#[derive(Debug, PartialEq, Eq)]
pub struct SecretsMismatchError;

impl RecordSecrets {
    /// Takes the confidential parts out of the record.
    pub fn take(record: &mut Record) -> Self {
        let parts = ConfidentialParts::of(record);
        Self {
            identity: std::mem::take(parts.identity),
            call: parts.call.take(),
            state: parts.state.into_iter().map(std::mem::take).collect(),
            attempts: parts
                .attempts
                .iter_mut()
                .map(AttemptSecrets::take)
                .collect(),
            evidence: std::mem::take(parts.evidence),
            found: parts.found.take(),
            handles: std::mem::take(parts.handles),
        }
    }

    /// Puts it back into the record that it was taken out of.
    pub fn put(self, record: &mut Record) -> Result<(), SecretsMismatchError> {
        let parts = ConfidentialParts::of(record);
        if self.state.len() != parts.state.len() || self.attempts.len() != parts.attempts.len() {
            return Err(SecretsMismatchError);
        }
        *parts.identity = self.identity;
        *parts.call = self.call;
        parts
            .state
            .into_iter()
            .zip(self.state)
            .for_each(|(place, word)| *place = word);
        parts
            .attempts
            .iter_mut()
            .zip(self.attempts)
            .for_each(|(attempt, secrets)| secrets.put(attempt));
        *parts.evidence = self.evidence;
        *parts.found = self.found;
        *parts.handles = self.handles;
        Ok(())
    }

    /// Erases the confidential parts, but not the knowledge of attempts, which keeps operations
    /// from being sent again.
    pub fn erase(record: &mut Record) {
        let Self { evidence, .. } = Self::take(record);
        let knowledge = |evidence| Evidence {
            outcome: None,
            reason: ERASED.to_owned(),
            ..evidence
        };
        record.evidence = evidence.into_iter().map(knowledge).collect();
        for word in words(&mut record.state) {
            ERASED.clone_into(word);
        }
    }
}

/// The replacement for erased text.
const ERASED: &str = "erased";

impl AttemptSecrets {
    fn take(attempt: &mut AttemptRecord) -> Self {
        let AttemptRecord {
            fence: _,
            generation: _,
            series: _,
            started: _,
            known: _,
            outcome,
            reason,
            facts,
            suspended: _,
        } = attempt;
        Self {
            outcome: outcome.take(),
            reason: reason.take(),
            facts: std::mem::take(facts),
        }
    }

    fn put(self, attempt: &mut AttemptRecord) {
        attempt.outcome = self.outcome;
        attempt.reason = self.reason;
        attempt.facts = self.facts;
    }
}

/// The places of a record's confidential parts.
struct ConfidentialParts<'a> {
    identity: &'a mut Vec<Field>,
    call: &'a mut Option<SharedValue<Call>>,
    state: Vec<&'a mut String>,
    attempts: &'a mut [AttemptRecord],
    evidence: &'a mut Vec<Evidence>,
    found: &'a mut Option<KeptOutcome>,
    handles: &'a mut Vec<String>,
}

impl<'a> ConfidentialParts<'a> {
    fn of(record: &'a mut Record) -> Self {
        let Record {
            tenant: _,
            name_space: _,
            terms,
            generation: _,
            series: _,
            state,
            since: _,
            leased: _,
            first_started: _,
            attempts,
            evidence,
            looks: _,
            standing: _,
            found,
            handles,
            undoes: _,
            left_marks: _,
            undid: _,
            rewritten: _,
        } = record;
        let OperationTerms {
            operation: _,
            identity,
            content: _,
            call_digest: _,
            call,
            until: _,
            window_seconds: _,
            attempt_seconds: _,
            lease_seconds: _,
            refusal_seconds: _,
            target: _,
            policy: _,
            undoing: _,
            shadow: _,
        } = &mut **terms;
        Self {
            identity,
            call,
            state: words(state),
            attempts,
            evidence,
            found,
            handles,
        }
    }
}

/// The text in a state.
fn words(state: &mut State) -> Vec<&mut String> {
    match state {
        State::Waiting {
            continuation,
            limit_seconds: _,
        } => vec![continuation],
        State::InDoubt { reason }
        | State::Held {
            reason,
            two_effects: _,
        }
        | State::Probing {
            reason,
            look: _,
            from: _,
        } => vec![reason],
        State::Released {
            by,
            new_key: _,
            wait_ms: _,
        }
        | State::Refused { by, replay_ms: _ } => match by {
            ReleaseSource::Person(person) => of_person(person),
            ReleaseSource::Owner | ReleaseSource::TimedRerun => Vec::new(),
        },
        State::Landed {
            via,
            delivered: _,
            undone_by: _,
        } => match via {
            LandingSource::Person(person) => of_person(person),
            LandingSource::Answer | LandingSource::Probe => Vec::new(),
        },
        State::Started
        | State::Retrying
        | State::Undone {
            by: _,
            delivered: _,
        }
        | State::Tombstone {
            landed: _,
            delivered: _,
        }
        | State::Alias { to: _ } => Vec::new(),
    }
}

fn of_person(Person { who, why }: &mut Person) -> Vec<&mut String> {
    vec![who, why]
}
