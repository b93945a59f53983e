//! The state of the model: the ledger, the calls, the requests in flight, and the target.

use semel_core::{
    guard::{Guard, GuardAction},
    ledger::{Decision, Fence, Grant, LivingOwners, OperationGeneration, Record, Retention},
    model::{Nonce, Outcome, Stamp},
};
use std::{collections::BTreeMap, sync::Arc};

use crate::{plan::TICK_MS, property::SafetyProperty};

/// The index of an operation: 0 is the one under test, the others undo it.
pub type OperationIndex = u8;

/// A point in time, in ticks since the initial state.
pub type Tick = u8;

/// A state of the model. States that compare equal are explored once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelState {
    /// The true time.
    pub tick: Tick,
    /// The number of reboots of the store's machine.
    pub boot: u8,
    /// True if a reboot set the wall clock of the store's machine far back.
    pub is_clock_set_back: bool,
    /// The records of the ledger.
    pub ledger: BTreeMap<OperationIndex, StoredRecord>,
    /// The plan's calls, each in its phase.
    pub calls: Vec<CallPhase>,
    /// The requests on their way to the target.
    pub requests: Vec<TargetRequest>,
    /// Requests that took effect after their calls had ended, and that hosts have yet to report.
    pub late_reports: Vec<TargetRequest>,
    /// The target, by the keys that it received.
    pub target: BTreeMap<TargetKey, TargetEntry>,
    /// The record as a person sees it, before a decision.
    pub person: Option<PersonView>,
    /// The number of the sweep's probe in progress.
    pub sweep_probe: Option<u8>,
    /// The past, as far as properties depend on it.
    pub history: HistoryVariables,
    /// The first property that was violated. Such a state has no successors.
    pub violated: Option<SafetyProperty>,
}

/// The key under which the target receives a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetKey {
    /// The operation.
    pub operation: OperationIndex,
    /// Its generation.
    pub generation: u32,
    /// Its series.
    pub series: u32,
}

impl TargetKey {
    pub(crate) fn from_grant(operation: OperationIndex, grant: &Grant) -> Self {
        Self {
            operation,
            generation: grant.generation,
            series: grant.series,
        }
    }
}

/// A record in the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoredRecord {
    /// The record.
    pub record: Arc<Record>,
    /// The store's clocks at its last write.
    pub written: Stamp,
    /// The time for which it is kept.
    pub retention: Retention,
    /// The number of writes, where the plan has calls that undo; else 0, which keeps equal states
    /// equal.
    pub version: u8,
}

/// A right to send, as its holder knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SendRight {
    /// The key to send under.
    pub key: TargetKey,
    /// The attempt.
    pub fence: Fence,
    /// The first tick at which it is void.
    pub valid_until: Tick,
    /// True once it is used.
    pub is_used: bool,
}

impl SendRight {
    pub(crate) fn from_grant(operation: OperationIndex, grant: &Grant, now: Tick) -> Self {
        let valid_ticks = u8::try_from(grant.valid_ms / TICK_MS).unwrap_or(u8::MAX);
        Self {
            key: TargetKey::from_grant(operation, grant),
            fence: grant.fence,
            valid_until: now.saturating_add(valid_ticks),
            is_used: false,
        }
    }

    /// Returns true if its holder may still send.
    pub(crate) fn is_usable(&self, now: Tick) -> bool {
        !self.is_used && now < self.valid_until
    }
}

/// A running call: the library's guard and the environment's view of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunningCall {
    /// The guard.
    pub guard: Guard,
    /// The action that the guard asks for.
    pub action: GuardAction,
    /// The latest right to send.
    pub right: Option<SendRight>,
    /// The number of rights that it was granted; each takes a fresh nonce.
    pub grant_count: u8,
    /// The number of probes that it finished; each takes a fresh nonce.
    pub probe_count: u8,
    /// The first generation that it read before the delivery of that generation.
    pub first_read: Option<u32>,
    /// The mark that it found to be void.
    pub void_mark: Option<VoidMark>,
    /// The owners of the handle that it undoes, as it read them for its next claim.
    pub named: Option<Vec<LivingOwners>>,
}

/// A mark of an undo that will not happen: the undoing operation was released or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VoidMark {
    /// The generation of the undoing operation.
    pub by: OperationGeneration,
    /// The version of the record with the mark. A newer version may have a new mark.
    pub version: u8,
}

/// The phase of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallPhase {
    /// The guard is at work.
    Running(Box<RunningCall>),
    /// The call has its outcome, which its program has not received yet.
    Answered {
        /// The generation.
        generation: u32,
        /// The attempt that landed.
        attempt: u32,
    },
    /// The program received the outcome, and the ledger has no acknowledgement yet.
    Delivered {
        /// The generation.
        generation: u32,
        /// The attempt that landed.
        attempt: u32,
    },
    /// The call ended or crashed.
    Ended,
}

/// A request on its way to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TargetRequest {
    /// The key.
    pub key: TargetKey,
    /// The attempt.
    pub fence: Fence,
    /// The content that it asks for.
    pub content: u8,
    /// The time at which it left.
    pub sent_at: Tick,
    /// True if the target claimed falsely to have turned it away.
    pub is_disowned: bool,
}

/// The target's knowledge of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TargetEntry {
    /// The number of effects.
    pub effects: u8,
    /// The content that was first sent under the key.
    pub content: u8,
    /// The time of the latest effect.
    pub effect_at: Tick,
    /// True if a request was refused.
    pub is_refused: bool,
}

/// The record as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PersonView {
    /// The last attempt.
    pub attempt: u32,
    /// The decisions that the person may make.
    pub decisions: Vec<Decision>,
}

/// The past, as far as properties depend on it. Neither the ledger nor the guard reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct HistoryVariables {
    /// The number of further effects that a person or a timer allowed.
    pub allowed_effects: u8,
    /// The number of decisions by a person.
    pub decisions: u8,
    /// The number of times that the ledger lost the record.
    pub record_losses: u8,
    /// The number of times that the target refused falsely.
    pub false_refusals: u8,
    /// The number of mistakes by hosts.
    pub mistakes: u8,
    /// The number of probes by the sweep.
    pub sweep_probes: u8,
    /// The generations with an outcome that a program received.
    pub delivered: GenerationSet,
    /// The generations that were undone.
    pub undone: GenerationSet,
    /// True if a person refused the operation and has not released it since.
    pub is_refused_by_person: bool,
    /// The latest refusal by the target.
    pub last_refusal: Option<TargetRefusal>,
    /// The generation of operation 0 that each generation of an undoing operation took to undo.
    pub taken: BTreeMap<(OperationIndex, u32), u32>,
    /// The landed generations of operation 1, which undoes.
    pub undo_landed: GenerationSet,
    /// The generations of operation 1 with an outcome that a program received.
    pub undo_delivered: GenerationSet,
    /// The generations of operation 1 after which operation 0 was granted anew.
    pub granted_since: GenerationSet,
    /// The undo that only an outcome reported: the undoing operation, and the generation that it
    /// undid.
    pub undo_by_outcome: Option<(OperationIndex, u32)>,
}

impl HistoryVariables {
    /// Returns true if the target lied or the ledger lost its record: then the ledger cannot know
    /// of every effect.
    pub(crate) fn ledger_was_misled(&self) -> bool {
        self.false_refusals > 0 || self.record_losses > 0
    }
}

/// A refusal by the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TargetRefusal {
    /// The content that was refused.
    pub content: u8,
    /// The time of the refusal.
    pub at: Tick,
}

/// A set of generations below 8; plans are too small for later ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct GenerationSet(u8);

impl GenerationSet {
    pub(crate) fn insert(&mut self, generation: u32) {
        self.0 |= Self::bit(generation);
    }

    pub(crate) fn contains(self, generation: u32) -> bool {
        self.0 & Self::bit(generation) != 0
    }

    fn bit(generation: u32) -> u8 {
        1_u8.checked_shl(generation).unwrap_or(0)
    }
}

impl ModelState {
    /// The record of an operation.
    #[must_use]
    pub fn record(&self, operation: OperationIndex) -> Option<&Record> {
        self.ledger.get(&operation).map(|stored| &*stored.record)
    }

    /// The number of effects of one generation.
    #[must_use]
    pub fn effect_count(&self, operation: OperationIndex, generation: u32) -> u8 {
        self.target
            .iter()
            .filter(|(key, _)| key.operation == operation && key.generation == generation)
            .map(|(_, entry)| entry.effects)
            .sum()
    }

    /// Returns true if a request of one generation is in flight, other than those that the target
    /// disowned.
    #[must_use]
    pub fn is_in_flight(&self, operation: OperationIndex, generation: u32) -> bool {
        self.requests.iter().any(|request| {
            request.key.operation == operation
                && request.key.generation == generation
                && !request.is_disowned
        })
    }

    /// The running calls, each with its index.
    pub fn running_calls(&self) -> impl Iterator<Item = (usize, &RunningCall)> {
        self.calls
            .iter()
            .enumerate()
            .filter_map(|(index, phase)| match phase {
                CallPhase::Running(running) => Some((index, &**running)),
                _ => None,
            })
    }

    /// The call of this index, if it is running.
    pub(crate) fn running_call(&self, call: usize) -> Option<&RunningCall> {
        match self.calls.get(call) {
            Some(CallPhase::Running(running)) => Some(running),
            _ => None,
        }
    }

    pub(crate) fn running_call_mut(&mut self, call: usize) -> Option<&mut RunningCall> {
        match self.calls.get_mut(call) {
            Some(CallPhase::Running(running)) => Some(running),
            _ => None,
        }
    }

    pub(crate) fn set_phase(&mut self, call: usize, phase: CallPhase) {
        if let Some(slot) = self.calls.get_mut(call) {
            *slot = phase;
        }
    }

    /// The rights to send of all running calls.
    pub(crate) fn rights(&self) -> impl Iterator<Item = SendRight> {
        self.running_calls().filter_map(|(_, call)| call.right)
    }

    /// Records a violation unless the property holds. The first one counts.
    pub fn require(&mut self, property: SafetyProperty, holds: bool) {
        if !holds && self.violated.is_none() {
            self.violated = Some(property);
        }
    }
}

/// The participant that draws a nonce. Participants never draw equal nonces.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NonceSource {
    /// An attempt of a call.
    Attempt(u8),
    /// An attempt by a host that continues an operation.
    Continuation(u8),
    /// A host that makes a mistake.
    Mistake,
    /// The attempt before the initial state.
    Setup,
    /// A probe of a call.
    Probe(u8),
    /// A probe of the sweep.
    Sweep,
}

impl NonceSource {
    /// The source's nonce of this number.
    pub(crate) fn nonce(self, number: u8) -> Nonce {
        let source = match self {
            Self::Attempt(call) => call,
            Self::Continuation(host) => 50 + host,
            Self::Mistake => 90,
            Self::Setup => 99,
            Self::Probe(call) => 100 + call,
            Self::Sweep => 200,
        };
        let mut bytes = [0; 16];
        let [first, .., last] = &mut bytes;
        *first = source;
        *last = number;
        Nonce::from_bytes(bytes)
    }
}

/// The target's answer to a request that took effect.
#[must_use]
pub fn success_outcome(generation: u32, content: u8) -> Outcome {
    Outcome::Returned(format!("content {content} in generation {generation}").into())
}
