//! Properties of changes: the record before against the record after.

use semel_core::ledger::{Command, ProbeOrigin, ProbeReport, Record, ReleaseSource, State};

use super::LedgerTransition;
use crate::{
    model::LedgerModel,
    plan::{PersonKnowledge, TICK_MS, content_number},
    property::SafetyProperty,
    state::{ModelState, StoredRecord, TargetRefusal},
};

impl LedgerModel {
    /// Checks the changes that no command may make.
    pub(super) fn check_change(
        &self,
        state: &mut ModelState,
        transition: &LedgerTransition<'_>,
        before: &StoredRecord,
        after: &Record,
    ) {
        let command = transition.command;
        check_landed_is_final(state, command, &before.record, after);
        check_two_effects(state, command, &before.record, after);
        let lease_ms = before
            .record
            .lease_seconds()
            .map_or(0, |seconds| u64::from(seconds) * 1_000);
        let lease_age_ms = transition
            .now
            .steady_since(&before.record.leased.at(before.written));
        // A lease of unknown age, after a reboot, protects its owner no longer.
        if lease_age_ms.is_some_and(|age_ms| age_ms < lease_ms) {
            self.check_owner(state, transition, &before.record, after);
        }
        check_probe_of_held(state, command, &before.record, after);
        let undone = match command {
            Command::Undo { generation, .. } => Some(*generation),
            Command::MarkUndoing { of, .. } => Some(of.of.generation),
            _ => None,
        };
        if let Some(generation) = undone {
            state.require(
                SafetyProperty::UndoNamesGeneration,
                before.record.generation == generation,
            );
        }
    }

    /// Checks that within a lease only its owner ends the attempt or the probe, unless the effect
    /// becomes known.
    fn check_owner(
        &self,
        state: &mut ModelState,
        transition: &LedgerTransition<'_>,
        before: &Record,
        after: &Record,
    ) {
        let command = transition.command;
        // A reported effect is a fact, and overrides any lease.
        let is_effect_known = matches!(
            after.state,
            State::Landed { .. }
                | State::Held {
                    two_effects: true,
                    ..
                }
        );
        match &before.state {
            State::Started | State::Retrying => {
                let owner = before.last_attempt().map(|last| last.fence);
                let is_owner = match command {
                    Command::Settle(settlement) => Some(settlement.fence) == owner,
                    Command::Hold { fence, .. }
                    | Command::Suspend { fence, .. }
                    | Command::Renew { fence } => Some(*fence) == owner,
                    _ => false,
                };
                let is_renewed =
                    before.leased != after.leased && matches!(command, Command::Renew { .. });
                let is_changed = before.state != after.state || is_renewed;
                let is_over = self.is_attempt_over(transition, before);
                state.require(
                    SafetyProperty::OwnerEndsAttempt,
                    is_owner || is_effect_known || is_over || !is_changed,
                );
            }
            State::Probing { look, .. } if before.state != after.state => {
                let is_owner = matches!(command, Command::Saw { nonce, .. } if nonce == look);
                state.require(SafetyProperty::OwnerEndsProbe, is_owner || is_effect_known);
            }
            _ => {}
        }
    }

    fn is_attempt_over(&self, transition: &LedgerTransition<'_>, before: &Record) -> bool {
        let written = transition
            .before
            .map_or(transition.now, |stored| stored.written);
        let started = before.last_attempt().map(|last| last.started.at(written));
        let age_ms = started.and_then(|started| transition.now.steady_since(&started));
        age_ms.is_none_or(|age_ms| age_ms >= self.attempt_ms())
    }

    /// Checks a new state that says that the operation had no effect.
    pub(super) fn check_release(
        &self,
        state: &mut ModelState,
        transition: &LedgerTransition<'_>,
        after: &Record,
    ) {
        let (State::Released { by, .. } | State::Refused { by, .. }) = &after.state else {
            return;
        };
        let has_evidence = after.landed_evidence().next().is_some();
        state.require(SafetyProperty::EvidenceHeeded, !has_evidence);
        let claims_knowledge = match by {
            ReleaseSource::Owner => true,
            ReleaseSource::Person(_) => self.person_is_informed(),
            // The operator accepts the risk of a second effect with the timer.
            ReleaseSource::TimedRerun => false,
        };
        let operation = transition.operation;
        let may_have_effect = state.effect_count(operation, after.generation) > 0
            || state.is_in_flight(operation, after.generation);
        let is_excused = state.history.ledger_was_misled();
        state.require(
            SafetyProperty::NoFalseRelease,
            is_excused || !claims_knowledge || !may_have_effect,
        );
    }

    /// Checks a new state of operation 0, and updates the history.
    pub(super) fn check_new_state(
        &self,
        state: &mut ModelState,
        transition: &LedgerTransition<'_>,
        after: &Record,
    ) {
        match &after.state {
            State::Released {
                by: ReleaseSource::TimedRerun,
                ..
            } => {
                state.history.allowed_effects += 1;
                let is_due = self.is_rerun_due(transition, after);
                state.require(SafetyProperty::TimedReleaseWaits, is_due);
            }
            State::Released {
                by: ReleaseSource::Person(_),
                ..
            } => {
                // Such a person may be wrong, and so permits a second effect.
                if !self.person_is_informed() {
                    state.history.allowed_effects += 1;
                }
                state.history.is_refused_by_person = false;
                state.history.last_refusal = None;
            }
            State::Refused {
                by: ReleaseSource::Person(_),
                ..
            } => state.history.is_refused_by_person = true,
            State::Refused {
                by: ReleaseSource::Owner,
                ..
            } => {
                state.history.last_refusal = Some(TargetRefusal {
                    content: content_number(&after.terms),
                    at: state.tick,
                });
            }
            State::Landed { delivered, .. } => {
                // Knowledge of the effect supersedes every refusal.
                state.history.is_refused_by_person = false;
                state.history.last_refusal = None;
                let was_received = state.history.delivered.contains(after.generation);
                state.require(
                    SafetyProperty::DeliveredOrUndone,
                    !delivered || was_received,
                );
            }
            State::Undone { by: None, .. } => state.history.undone.insert(after.generation),
            _ => {}
        }
    }

    fn person_is_informed(&self) -> bool {
        self.plan
            .person
            .is_some_and(|person| person.knowledge == PersonKnowledge::Complete)
    }

    /// Returns true if the plan has a timer for re-runs, and its delay has passed since the last
    /// attempt.
    fn is_rerun_due(&self, transition: &LedgerTransition<'_>, after: &Record) -> bool {
        let age_ms = after.last_attempt().map_or(0, |last| {
            let started = last.started.at(transition.now);
            transition.now.shortest_since(&started)
        });
        self.plan
            .rerun_ticks
            .is_some_and(|ticks| age_ms >= u64::from(ticks) * TICK_MS)
    }
}

/// Checks that no late report changes an operation that landed, or its outcome.
fn check_landed_is_final(
    state: &mut ModelState,
    command: &Command,
    before: &Record,
    after: &Record,
) {
    let is_report = matches!(
        command,
        Command::Settle(_)
            | Command::Saw { .. }
            | Command::Hold { .. }
            | Command::Expire
            | Command::Renew { .. }
    );
    let is_final = matches!(
        before.state,
        State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. }
    );
    if !is_report || !is_final {
        return;
    }
    let is_same = before.state == after.state
        && (before.standing.is_none() || before.standing == after.standing)
        && (before.standing_outcome().is_none()
            || before.standing_outcome() == after.standing_outcome());
    state.require(SafetyProperty::LandedIsFinal, is_same);
}

/// Checks that only a decision changes a record that is held for two effects.
fn check_two_effects(state: &mut ModelState, command: &Command, before: &Record, after: &Record) {
    let is_held_for_two = matches!(
        before.state,
        State::Held {
            two_effects: true,
            ..
        }
    );
    if is_held_for_two && before.state != after.state {
        let is_decision = matches!(command, Command::Decide { .. });
        state.require(SafetyProperty::TwoEffectsHeld, is_decision);
    }
}

/// Checks that the probe of a held operation leaves it held, unless it found the effect.
fn check_probe_of_held(state: &mut ModelState, command: &Command, before: &Record, after: &Record) {
    let is_probe_of_held = matches!(
        before.state,
        State::Probing {
            from: ProbeOrigin::Held,
            ..
        }
    );
    if let Command::Saw { sight, .. } = command
        && is_probe_of_held
    {
        // A settlement of its owner may have released it during the probe.
        let is_held_or_released = matches!(
            after.state,
            State::Held { .. }
                | State::Released {
                    by: ReleaseSource::Owner,
                    ..
                }
        );
        let has_found = matches!(sight, ProbeReport::Found { .. });
        state.require(SafetyProperty::HeldProbes, is_held_or_released || has_found);
    }
}
