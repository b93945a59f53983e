//! A loaded policy, and how it is asked.

use super::{
    Shared,
    bindings::{self, PolicyPre},
    fault::{Cause, Function, PolicyFault},
    inspection::Inspection,
    lift::{Answers, Bad},
    lower::Given,
    room::Room,
};
use crate::words::{Attempt, Call, Derivation, Description, Finding, Outcome, PolicyDigest, Probe, Recovery, Verdict};
use std::{fmt, sync::Arc};
use wasmtime::Store;

/// A policy, ready to be asked. Cheap to clone, and to share between threads.
///
/// Every decision is made by a fresh instance that knows the settings and nothing else, so the same question has the
/// same answer. Decisions take microseconds and are bounded by [`DecisionLimits`](super::DecisionLimits): ask from
/// wherever you are. A decision may wait for others where more are made at once than `at-once` allows.
#[derive(Clone)]
pub struct Policy(pub(super) Arc<Loaded>);

/// What a policy is made of.
pub(super) struct Loaded {
    pub(super) runner: Runner,
    pub(super) settings: String,
    pub(super) description: Description,
    pub(super) digest: PolicyDigest,
    pub(super) inspection: Inspection,
}

/// Starts instances of one component.
pub(super) struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) pre: PolicyPre<Room>,
    /// How faults call it.
    pub(super) name: String,
}

impl Policy {
    /// What the policy says it is.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// Which policy with which settings this is: a digest of the component's bytes and of the settings.
    #[must_use]
    pub fn digest(&self) -> PolicyDigest {
        self.0.digest
    }

    /// What is in the component, and what it takes to run it.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.0.inspection
    }

    /// Which operation a call means.
    ///
    /// # Errors
    /// If the policy made no decision, by cause.
    pub fn derive(&self, call: &Call) -> Result<Derivation, PolicyFault> {
        let mut given = self.given();
        let call = given.call(call);
        let ask = |policy: &bindings::Policy, store: &mut Store<Room>| policy.semel_policy_key().call_derive(store, &call);
        self.decide(Function::Derive, &given, ask, Answers::derivation)
    }

    /// What became of the effect of the last of `attempts`, which are oldest first.
    ///
    /// # Errors
    /// If the policy made no decision, by cause.
    pub fn judge(&self, call: &Call, attempts: &[Attempt]) -> Result<Verdict, PolicyFault> {
        let mut given = self.given();
        let (call, attempts) = (given.call(call), given.attempts(attempts));
        let ask = |policy: &bindings::Policy, store: &mut Store<Room>| {
            policy.semel_policy_retry().call_judge(store, &call, &attempts)
        };
        self.decide(Function::Judge, &given, ask, Answers::verdict)
    }

    /// What to do about an operation whose effect is unknown.
    ///
    /// # Errors
    /// If the policy made no decision, by cause.
    pub fn recover(&self, call: &Call, attempts: &[Attempt]) -> Result<Recovery, PolicyFault> {
        let mut given = self.given();
        let (call, attempts) = (given.call(call), given.attempts(attempts));
        let ask = |policy: &bindings::Policy, store: &mut Store<Room>| {
            policy.semel_policy_retry().call_recover(store, &call, &attempts)
        };
        self.decide(Function::Recover, &given, ask, Answers::recovery)
    }

    /// What the answer to a probe tells of the last of `attempts`.
    ///
    /// # Errors
    /// If the policy made no decision, by cause.
    pub fn weigh(
        &self,
        call: &Call,
        attempts: &[Attempt],
        probe: &Probe,
        answer: &Outcome,
    ) -> Result<Finding, PolicyFault> {
        let mut given = self.given();
        let (call, attempts) = (given.call(call), given.attempts(attempts));
        let (probe, answer) = (given.probe(probe), given.outcome(answer));
        let ask = |policy: &bindings::Policy, store: &mut Store<Room>| {
            policy.semel_policy_retry().call_weigh(store, &call, &attempts, &probe, &answer)
        };
        self.decide(Function::Weigh, &given, ask, Answers::finding)
    }

    fn given(&self) -> Given {
        Given::within(self.0.runner.shared.limits.decision.input_bytes)
    }

    /// Asks a fresh instance that took in the settings, and reads what it answers.
    fn decide<Raw, Word>(
        &self,
        function: Function,
        given: &Given,
        ask: impl FnOnce(&bindings::Policy, &mut Store<Room>) -> wasmtime::Result<Result<Raw, String>>,
        read: impl FnOnce(Answers, Raw) -> Result<Word, Bad>,
    ) -> Result<Word, PolicyFault> {
        let runner = &self.0.runner;
        given.check().map_err(|cause| runner.fault(function, cause))?;
        let answer = runner.with_instance(|policy, store| {
            runner.configure(policy, store, &self.0.settings)?;
            ask(policy, store).map_err(|error| runner.failed(function, store, &error))
        })?;
        let answer = answer.map_err(|message| runner.refused(function, &message))?;
        read(runner.answers(), answer).map_err(|what| runner.fault(function, Cause::BadAnswer { what }))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Description { name, version, .. } = self.description();
        f.debug_struct("Policy").field("name", name).field("version", version).field("digest", &self.0.digest).finish()
    }
}

impl Runner {
    /// Does `work` with a fresh instance, when there is a place for it.
    pub(super) fn with_instance<T>(
        &self,
        work: impl FnOnce(&bindings::Policy, &mut Store<Room>) -> Result<T, PolicyFault>,
    ) -> Result<T, PolicyFault> {
        let _place = self.shared.places.take();
        let mut store = self.shared.store().map_err(|cause| self.fault(Function::Start, cause))?;
        let policy = self.pre.instantiate(&mut store).map_err(|error| self.failed(Function::Start, &store, &error))?;
        work(&policy, &mut store)
    }

    /// What the policy says of itself.
    pub(super) fn describe(&self) -> Result<Result<Description, Bad>, PolicyFault> {
        let raw = self.with_instance(|policy, store| {
            let describe = policy.semel_policy_about().call_describe(&mut *store);
            describe.map_err(|error| self.failed(Function::Describe, store, &error))
        })?;
        Ok(self.answers().description(raw))
    }

    /// Gives an instance its settings.
    pub(super) fn configure(
        &self,
        policy: &bindings::Policy,
        store: &mut Store<Room>,
        settings: &String,
    ) -> Result<(), PolicyFault> {
        let configured = policy.semel_policy_about().call_configure(&mut *store, settings);
        configured
            .map_err(|error| self.failed(Function::Configure, store, &error))?
            .map_err(|message| self.refused(Function::Configure, &message))
    }

    fn answers(&self) -> Answers {
        Answers(self.shared.limits.decision)
    }

    fn failed(&self, function: Function, store: &Store<Room>, error: &wasmtime::Error) -> PolicyFault {
        let cause = store.data().cause(function, error, &self.shared.limits.decision);
        self.fault(function, cause)
    }

    fn refused(&self, function: Function, message: &str) -> PolicyFault {
        self.fault(function, Cause::Refused { message: self.answers().for_people(message) })
    }

    fn fault(&self, function: Function, cause: Cause) -> PolicyFault {
        PolicyFault { policy: self.name.clone(), function, cause }
    }
}
