//! What a watched tool's calls would have come to: counts by the day, and examples of what would not have been sent.
//!
//! Its size is bounded, whatever is watched: of more examples than fit, those are kept that came most often.

use crate::model::{Answer, Tenant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most examples of a tool and day.
const EXAMPLES_MAX: usize = 32;

/// The outcome that a guard would have given a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShadowOutcome {
    /// The policy saw no side effect worth guarding.
    Pass,
    /// It would have been sent.
    Execute,
    /// It would have been answered with the recorded outcome.
    Replay,
    /// A conflict: the operation is recorded with other content.
    Conflict,
    /// A wait for another caller's attempt.
    Wait,
    /// In doubt: the effect of an earlier attempt is unknown.
    BeInDoubt,
    /// Held: a person must decide.
    BeHeld,
    /// Expired: the operation landed, and its outcome is no longer kept.
    Expire,
    /// It would have been refused: by its policy, or because something about it cannot be used.
    BeRefused,
    /// It would have been refused because its policy trapped, ran out of fuel, or answered nonsense.
    FailByPolicy,
    /// It would have been refused because the ledger was away, too slow, or could not be read.
    FailByLedger,
    /// Unknown: too many calls were being watched at the same time.
    Unobserved,
}

impl ShadowOutcome {
    /// Every one, in the order of a report.
    pub const ALL: [Self; 12] = [
        Self::Pass,
        Self::Execute,
        Self::Replay,
        Self::Conflict,
        Self::Wait,
        Self::BeInDoubt,
        Self::BeHeld,
        Self::Expire,
        Self::BeRefused,
        Self::FailByPolicy,
        Self::FailByLedger,
        Self::Unobserved,
    ];

    /// The word for it, in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "passed",
            Self::Execute => "executed",
            Self::Replay => "replayed",
            Self::Conflict => "conflict",
            Self::Wait => "running",
            Self::BeInDoubt => "in doubt",
            Self::BeHeld => "held",
            Self::Expire => "expired",
            Self::BeRefused => "refused",
            Self::FailByPolicy => "policy fault",
            Self::FailByLedger => "ledger away",
            Self::Unobserved => "unobserved",
        }
    }

    /// Returns true if the call would not have been sent.
    #[must_use]
    pub fn suppresses(self) -> bool {
        !matches!(self, Self::Pass | Self::Execute | Self::Unobserved)
    }
}

/// Calls of one operation that would not have been sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TallyExample {
    /// The tenant.
    pub tenant: Tenant,
    /// The operation's name.
    pub operation: String,
    /// Its downstream key, by which its shadow record is found.
    pub key: String,
    /// The outcome that a guard would have given.
    pub would: ShadowOutcome,
    /// The count.
    pub times: u64,
    /// When the first was made, in milliseconds since 1970 in UTC by the store's clock.
    pub first_ms: u64,
    /// When the last was made.
    pub last_ms: u64,
}

/// The calls of one watched tool on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The tool.
    pub tool: String,
    /// When the day began (in UTC, by the store's clock), in milliseconds since 1970.
    pub day_ms: u64,
    /// The number of calls by outcome.
    pub counts: BTreeMap<ShadowOutcome, u64>,
    /// Examples of what would not have been sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<TallyExample>,
}

impl Tally {
    /// Nothing yet.
    #[must_use]
    pub fn new(tool: String, day_ms: u64) -> Self {
        Self {
            tool,
            day_ms,
            counts: BTreeMap::new(),
            examples: Vec::new(),
        }
    }

    /// Adds counts from elsewhere.
    pub fn add(&mut self, counts: &BTreeMap<ShadowOutcome, u64>, examples: &[TallyExample]) {
        for (would, count) in counts {
            *self.counts.entry(*would).or_default() += count;
        }
        for example in examples {
            add_example(&mut self.examples, example);
        }
    }
}

/// Adds an example to those that are kept. Where there is no room, the one that came least often goes.
fn add_example(examples: &mut Vec<TallyExample>, example: &TallyExample) {
    let same = |other: &&mut TallyExample| {
        (&other.tenant, &other.operation, &other.key, other.would)
            == (
                &example.tenant,
                &example.operation,
                &example.key,
                example.would,
            )
    };
    if let Some(known) = examples.iter_mut().find(same) {
        known.times += example.times;
        known.first_ms = known.first_ms.min(example.first_ms);
        known.last_ms = known.last_ms.max(example.last_ms);
        return;
    }
    // Added before the choice, because the new example may be the one that goes.
    examples.push(example.clone());
    if examples.len() > EXAMPLES_MAX {
        let least = examples
            .iter()
            .enumerate()
            .min_by_key(|(_, example)| (example.times, example.last_ms));
        if let Some((least, _)) = least {
            examples.remove(least);
        }
    }
}

impl From<&Answer> for ShadowOutcome {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Passed { .. } => Self::Pass,
            Answer::Executed { .. } => Self::Execute,
            Answer::Replayed { .. } => Self::Replay,
            Answer::Running { .. } => Self::Wait,
            Answer::InDoubt { .. } => Self::BeInDoubt,
            Answer::Held { .. } => Self::BeHeld,
            Answer::Conflict { .. } => Self::Conflict,
            Answer::Expired { .. } => Self::Expire,
            Answer::Refused { .. } => Self::BeRefused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(number: u64, times: u64) -> TallyExample {
        TallyExample {
            tenant: Tenant::default(),
            operation: "refund".to_owned(),
            key: number.to_string(),
            would: ShadowOutcome::Replay,
            times,
            first_ms: number,
            last_ms: number,
        }
    }

    #[test]
    fn however_much_is_watched_a_tally_stays_small_and_keeps_what_came_most_often() {
        let mut tally = Tally::new("refund".to_owned(), 0);
        tally.add(&BTreeMap::new(), &[example(0, 3)]);
        for number in 1..1_000 {
            tally.add(
                &BTreeMap::from([(ShadowOutcome::Replay, 1)]),
                &[example(number, 1)],
            );
        }
        assert_eq!(
            (
                tally.examples.len(),
                tally.counts.get(&ShadowOutcome::Replay)
            ),
            (EXAMPLES_MAX, Some(&999))
        );
        assert!(tally.examples.contains(&example(0, 3)));
        tally.add(
            &BTreeMap::new(),
            &[TallyExample {
                last_ms: 9,
                ..example(0, 2)
            }],
        );
        let known = tally
            .examples
            .iter()
            .find(|example| example.key == "0")
            .map(|known| (known.times, known.last_ms));
        assert_eq!(known, Some((5, 9)));
    }
}
