//! Test plans: the bounds of one check.
//!
//! The number of states grows with each fault that may happen. So each plan allows a few, and all
//! plans together allow all of them.

use semel_core::{
    guard::ToolAllowance,
    ledger::{Claim, OperationGeneration, OperationTerms, PolicyName, Rule},
    model::{
        CallDigest, Fingerprint, KeyForm, KeyPlace, Nonce, OperationLifetime, PolicyDigest,
        RepeatEffect, StoreKey, Target, Tenant,
    },
};

use crate::state::OperationIndex;

/// The length of a tick in seconds.
pub const TICK_SECONDS: u32 = 10;

/// The length of a tick in milliseconds.
pub(crate) const TICK_MS: u64 = TICK_SECONDS as u64 * 1_000;

/// A policy's advice for an operation in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryAdvice {
    /// Send it again.
    Retry,
    /// Probe the target.
    Probe,
    /// Hold it for a person.
    Hold,
}

/// A person's knowledge of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonKnowledge {
    /// The person examines the target before each decision, and so decides truly.
    Complete,
    /// The person decides without any knowledge.
    None,
}

/// A person of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedPerson {
    /// The person's knowledge.
    pub knowledge: PersonKnowledge,
    /// The limit of decisions.
    pub decisions_max: u8,
}

/// The handle of operation 0, where calls undo it.
const HANDLE: &str = "handle";

/// The state of operation 0 before a plan with undos begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoSetup {
    /// It was never called.
    Absent,
    /// It landed, and no program received its outcome.
    Landed,
    /// It landed, and a program received its outcome.
    Delivered,
}

/// A call of a plan.
#[derive(Debug, Clone, Copy)]
pub struct PlannedCall {
    /// The operation.
    pub operation: OperationIndex,
    /// The content that it asks for.
    pub content: u8,
    /// The digest of the whole call. Calls of equal content may differ in what a policy ignores.
    pub digest: u8,
}

impl PlannedCall {
    /// A call of operation 0 with nothing besides its content.
    pub(crate) fn with_content(content: u8) -> Self {
        Self {
            operation: 0,
            content,
            digest: content,
        }
    }
}

/// The target's treatment of repeated keys.
#[derive(Debug, Clone, Copy)]
pub struct TargetBehavior {
    /// The effect of a repeat within the target's memory.
    pub repeats: RepeatEffect,
    /// The number of ticks for which the target remembers a key; none: for ever.
    pub memory_ticks: Option<u8>,
}

/// The calls and the faults of one check.
#[derive(Debug, Clone)]
pub struct TestPlan {
    /// Its name.
    pub name: &'static str,
    /// The rules without which a property breaks in this plan.
    pub needed_rules: &'static [Rule],
    /// The calls, which run concurrently.
    pub calls: Vec<PlannedCall>,
    /// The number of ticks that pass.
    pub ticks: u8,
    /// The target's behavior; none: the ledger knows nothing of it, and repeats have effects.
    pub target: Option<TargetBehavior>,
    /// The duration of a lease.
    pub lease_ticks: u8,
    /// The time limit of an attempt.
    pub attempt_ticks: u8,
    /// The advice that the policy may give, any of these at a time.
    pub advice: &'static [RecoveryAdvice],
    /// The time for which a refusal is replayed.
    pub refusal_ticks: u8,
    /// The lifetime of an operation: the time for which equal calls are the same operation.
    pub lifetime: OperationLifetime,
    /// The delay after which a probe that found nothing releases the operation; none: it never
    /// does.
    pub rerun_ticks: Option<u8>,
    /// Calls may crash.
    pub calls_crash: bool,
    /// Requests and answers may be lost or late.
    pub messages_get_lost: bool,
    /// Calls may fail with proof that nothing was sent.
    pub sending_fails: bool,
    /// The target may turn requests away.
    pub target_refuses: bool,
    /// The limit of requests that the target claims falsely to have turned away.
    pub false_refusals_max: u8,
    /// Hosts may learn the outcomes of attempts after their calls ended.
    pub outcomes_come_late: bool,
    /// Hosts may renew leases.
    pub leases_renew: bool,
    /// The person that may decide.
    pub person: Option<PlannedPerson>,
    /// The limit of mistakes by hosts.
    pub mistakes_max: u8,
    /// The limit of probes by the sweep.
    pub sweep_probes_max: u8,
    /// The limit of reboots of the store's machine.
    pub reboots_max: u8,
    /// A reboot sets the wall clock far back.
    pub reboot_sets_clock_back: bool,
    /// The limit of losses of the record.
    pub record_losses_max: u8,
    /// Attempts may be suspended and continued.
    pub attempts_suspend: bool,
    /// The first round of a suspended attempt takes effect, and its continuation sends nothing.
    pub first_round_takes_effect: bool,
    /// An undoing call declares its undo before it is sent; else only its outcome reports it.
    pub undo_is_declared: bool,
    /// The state of operation 0 before the plan begins, where calls undo it.
    pub setup: UndoSetup,
    /// A landing of another operation has the same handle as operation 0, and is what calls undo.
    pub has_other_owner: bool,
    /// Records may age.
    pub records_age: bool,
}

impl TestPlan {
    /// A plan without faults: calls of operation 0 with these contents.
    #[must_use]
    pub fn without_faults(name: &'static str, contents: &[u8]) -> Self {
        Self {
            name,
            needed_rules: &[],
            calls: contents
                .iter()
                .map(|content| PlannedCall::with_content(*content))
                .collect(),
            ticks: 1,
            target: None,
            lease_ticks: 1,
            attempt_ticks: 1,
            advice: &[RecoveryAdvice::Hold],
            refusal_ticks: 1,
            lifetime: OperationLifetime::Window,
            rerun_ticks: None,
            calls_crash: false,
            messages_get_lost: false,
            sending_fails: false,
            target_refuses: false,
            false_refusals_max: 0,
            outcomes_come_late: false,
            leases_renew: false,
            person: None,
            mistakes_max: 0,
            sweep_probes_max: 0,
            reboots_max: 0,
            reboot_sets_clock_back: false,
            record_losses_max: 0,
            attempts_suspend: false,
            first_round_takes_effect: false,
            undo_is_declared: true,
            setup: UndoSetup::Delivered,
            has_other_owner: false,
            records_age: false,
        }
    }

    /// The call of this index.
    pub(crate) fn call(&self, index: usize) -> PlannedCall {
        self.calls
            .get(index)
            .copied()
            .unwrap_or(PlannedCall::with_content(1))
    }

    /// Returns true if calls of the plan undo operation 0.
    pub(crate) fn has_undo(&self) -> bool {
        self.calls.iter().any(|call| call.operation > 0)
    }

    /// Returns true if calls of the operation declare that they undo operation 0.
    pub(crate) fn declares_undo(&self, operation: OperationIndex) -> bool {
        operation > 0 && self.undo_is_declared
    }

    /// Returns true if the ledger has to know whether a program received the operation's outcome.
    pub(crate) fn delivery_matters(&self, operation: OperationIndex) -> bool {
        let has_handle = operation == 0 && self.has_undo();
        let lasts = operation == 0 && self.lifetime == OperationLifetime::Delivery;
        has_handle || lasts || self.declares_undo(operation)
    }

    /// The handles of what an operation landed.
    pub(crate) fn handles(&self, operation: OperationIndex) -> Vec<String> {
        if operation == 0 && self.has_undo() {
            vec![HANDLE.to_owned()]
        } else {
            Vec::new()
        }
    }

    /// The limits that the operator sets for the tool.
    #[must_use]
    pub fn allowance(&self) -> ToolAllowance {
        ToolAllowance {
            wait_ms: 1,
            reruns: 0,
            retries: 1,
            probes: 1,
            can_probe: true,
            timed_rerun_ms: self.rerun_ticks.map(|ticks| u64::from(ticks) * TICK_MS),
            ..ToolAllowance::default()
        }
    }

    /// Returns true if the target recognises a key so many ticks after its effect: the repeat has
    /// no effect.
    #[must_use]
    pub fn target_recognises(&self, elapsed: u8) -> bool {
        self.target.is_some_and(|target| {
            target.repeats.have_no_effect()
                && target.memory_ticks.is_none_or(|memory| elapsed < memory)
        })
    }

    /// The target's behavior as an operation declares it.
    fn declared_target(&self) -> Option<Target> {
        let behavior = self.target?;
        let remembers_seconds = behavior
            .memory_ticks
            .map_or(Target::FOR_EVER, |ticks| u32::from(ticks) * TICK_SECONDS);
        Some(Target {
            places: vec![KeyPlace::Header("key".to_owned())],
            form: KeyForm::default(),
            repeats: behavior.repeats,
            remembers_seconds: Some(remembers_seconds),
        })
    }

    /// The claim of a call.
    #[must_use]
    pub fn claim(&self, call: PlannedCall, nonce: Nonce) -> Claim {
        Claim {
            nonce,
            tenant: Tenant::default(),
            name_space: String::new(),
            terms: OperationTerms {
                shadow: false,
                operation: String::new(),
                identity: Vec::new(),
                content: Fingerprint::from_bytes([call.content; 32]),
                call_digest: CallDigest::from_bytes([call.digest; 32]),
                call: None,
                until: self.lifetime,
                window_seconds: 1,
                attempt_seconds: u32::from(self.attempt_ticks) * TICK_SECONDS,
                lease_seconds: u32::from(self.lease_ticks) * TICK_SECONDS,
                refusal_seconds: u32::from(self.refusal_ticks) * TICK_SECONDS,
                target: self.declared_target(),
                policy: PolicyName {
                    name: String::new(),
                    digest: PolicyDigest::from_bytes([0; 32]),
                    key_epoch: 1,
                },
                undoing: self.declares_undo(call.operation),
            }
            .into(),
            facts: Vec::new(),
            read_undelivered: None,
            void_mark: None,
            named: Vec::new(),
        }
    }
}

/// The content of a record or claim, as plans number it.
pub(crate) fn content_number(terms: &OperationTerms) -> u8 {
    terms.content.as_bytes().first().copied().unwrap_or(0)
}

/// A generation of operation 0, as the subject of an undo.
pub(crate) fn generation_to_undo(generation: u32) -> OperationGeneration {
    generation_of(0, generation)
}

/// A generation of an operation.
pub(crate) fn generation_of(operation: OperationIndex, generation: u32) -> OperationGeneration {
    OperationGeneration {
        key: store_key(operation),
        generation,
    }
}

/// The store key of an operation.
#[must_use]
pub fn store_key(operation: OperationIndex) -> StoreKey {
    StoreKey::from_bytes([operation; 32])
}

/// The operation of a store key.
#[must_use]
pub fn operation_of_key(key: StoreKey) -> OperationIndex {
    key.as_bytes().first().copied().unwrap_or(0)
}
