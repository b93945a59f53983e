//! How long a record is kept, and how much of its past.

use crate::ledger::{Record, RecordTime, Retention, Rule, Rules, State};
use crate::model::{Stamp, Target};

/// The most attempts that a record keeps. Beyond it those go that are resolved, or of an earlier generation, oldest
/// first. What is unresolved stays, however much it is.
const ATTEMPTS_MAX: usize = 64;

/// The most pieces of evidence that a record keeps. Beyond it those of earlier generations go, oldest first.
const EVIDENCE_MAX: usize = 64;

/// Returns the retention of an unsettled record: it stays, unless its host only watched.
pub(super) fn unsettled_retention(record: &Record) -> Retention {
    let terms = &record.terms;
    if terms.shadow {
        return Retention::Seconds(
            terms
                .window_seconds
                .max(terms.attempt_seconds)
                .max(1)
                .into(),
        );
    }
    Retention::UntilRemoved
}

/// Returns the retention of a record that entered its state `elapsed_seconds` ago: its window once
/// settled, but no shorter than its target remembers the key, because generation and series start
/// again without the record.
pub(super) fn settled_retention(record: &Record, elapsed_seconds: u64, rules: Rules) -> Retention {
    let settled = match &record.state {
        State::Landed { undone_by, .. } => undone_by.is_none(),
        State::Released { .. }
        | State::Refused { .. }
        | State::Undone { .. }
        | State::Tombstone { .. } => true,
        State::Started
        | State::Waiting { .. }
        | State::InDoubt { .. }
        | State::Retrying
        | State::Probing { .. }
        | State::Held { .. }
        | State::Alias { .. } => false,
    };
    if !settled || rules.forbids(Rule::OpenMarksDoNotAge, has_open_marks(record)) {
        return unsettled_retention(record);
    }
    // A target that remembers for ever would take a restarted generation for a repeat, so the record
    // stays for ever as well.
    let Some(memory) = target_memory_seconds(record.terms.target.as_ref()) else {
        return unsettled_retention(record);
    };
    let whole = u64::from(record.terms.window_seconds.max(memory));
    // At least a second, so that the record outlives the write that makes it.
    Retention::Seconds(whole.saturating_sub(elapsed_seconds).max(1))
}

/// Returns the time since a record entered its state, in seconds, for a write at `stamp`.
pub(super) fn elapsed_seconds(record: &Record, stamp: Stamp) -> u64 {
    match record.since {
        RecordTime::ThisWrite => 0,
        // By the wall clock: a window outlives a reboot, which a steady clock does not.
        RecordTime::Earlier(since) => stamp.wall_ms.saturating_sub(since.wall_ms) / 1_000,
    }
}

/// Returns the time for which a target may remember a key, in seconds, or `None` for ever or
/// undocumented.
fn target_memory_seconds(target: Option<&Target>) -> Option<u32> {
    match target {
        None => Some(0),
        // Without a place for the key, only what is documented says that the target knows it all the same.
        Some(target) if target.places.is_empty() => Some(
            target
                .remembers_seconds
                .filter(|seconds| *seconds != Target::FOR_EVER)
                .unwrap_or(0),
        ),
        Some(target) => target
            .remembers_seconds
            .filter(|seconds| *seconds != Target::FOR_EVER),
    }
}

/// Returns true if another record may bear a mark that leads here. A mark that leads nowhere would
/// hold that record for good, so this holds in every state.
pub(super) fn has_open_marks(record: &Record) -> bool {
    record.left_marks
        || !record.undid.is_empty()
        || record.undoes.iter().any(|undoing| !undoing.settled)
}

/// Drops what no longer matters of a long past.
pub(super) fn trim_history(record: &mut Record) {
    while record.attempts.len() > ATTEMPTS_MAX {
        let generation = record.generation;
        let standing = record.standing;
        let last = record.attempts.len() - 1;
        // The last attempt stays in every case: the next number follows from it.
        let droppable = record.attempts.iter().take(last).position(|attempt| {
            attempt.generation < generation
                || (!attempt.known.is_unresolved() && Some(attempt.fence.number) != standing)
        });
        let Some(droppable) = droppable else { break };
        record.attempts.remove(droppable);
    }
    while record.evidence.len() > EVIDENCE_MAX {
        let generation = record.generation;
        let past = record
            .evidence
            .iter()
            .position(|evidence| evidence.generation < generation);
        let Some(past) = past else { break };
        record.evidence.remove(past);
    }
}
