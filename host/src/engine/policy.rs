//! A loaded policy, and how it is asked.

use super::{
    EngineState,
    budget::ResourceBudget,
    error::{PolicyError, PolicyErrorKind, PolicyFunction},
    exports::{
        Configure, ContractExports, ContractFunction, Derive, Describe, Judge, Recover, Weigh,
    },
    inspection::PolicyInspection,
    lift::{AnswerMistake, AnswerReader},
    lower::MeteredInput,
    slots::InstanceSlot,
};
use crate::model::{
    Attempt, Call, Derivation, Outcome, PolicyDescription, PolicyDigest, Probe, ProbeVerdict,
    Recovery, Verdict,
};
use std::{fmt, sync::Arc, time::Instant};
use wasmtime::{
    Store,
    component::{Instance, InstancePre},
};

/// A policy, ready to be asked. Cheap to clone, and to share between threads.
///
/// Every decision is made by a fresh instance that knows the settings and nothing else, so the same question has the
/// same answer. Decisions take microseconds and are bounded by [`DecisionLimits`](super::DecisionLimits): ask from
/// wherever you are. A decision may wait for others where more are made at once than `at-once` allows.
#[derive(Clone)]
pub struct Policy(pub(super) Arc<LoadedPolicy>);

/// The parts of a loaded policy.
pub(super) struct LoadedPolicy {
    pub(super) runner: PolicyRunner,
    /// The settings that each instance reads; `None` if instances start from a snapshot.
    pub(super) settings: Option<String>,
    pub(super) description: PolicyDescription,
    pub(super) digest: PolicyDigest,
    pub(super) inspection: PolicyInspection,
    pub(super) warnings: Vec<String>,
}

impl Policy {
    /// The policy's description of itself.
    #[must_use]
    pub fn description(&self) -> &PolicyDescription {
        &self.0.description
    }

    /// Which policy with which settings this is: a digest of the component's bytes and of the settings.
    #[must_use]
    pub fn digest(&self) -> PolicyDigest {
        self.0.digest
    }

    /// The policy's warnings about its settings, for the operator: what they allow that they hardly mean, each with its
    /// cure.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// The contents of the component, and the resources that running it takes.
    #[must_use]
    pub fn inspection(&self) -> &PolicyInspection {
        &self.0.inspection
    }

    /// Derives the operation that a call means.
    ///
    /// # Errors
    /// If the policy made no decision, by cause.
    pub fn derive(&self, call: &Call) -> Result<Derivation, PolicyError> {
        let mut given = self.new_input();
        let call = given.call(call);
        self.decide::<Derive, _, _>(
            PolicyFunction::Derive,
            &given,
            (&call,),
            AnswerReader::derivation,
        )
    }

    /// Judges the effect of the last of `attempts`, which are oldest first.
    ///
    /// # Errors
    /// If the policy made no decision, by cause.
    pub fn judge(&self, call: &Call, attempts: &[Attempt]) -> Result<Verdict, PolicyError> {
        let mut given = self.new_input();
        let call = given.call(call);
        let attempts = given.attempts(attempts);
        self.decide::<Judge, _, _>(
            PolicyFunction::Judge,
            &given,
            (&call, &attempts),
            AnswerReader::verdict,
        )
    }

    /// Decides the recovery of an operation with an unknown effect.
    ///
    /// # Errors
    ///
    /// If the policy made no decision, by cause.
    pub fn recover(&self, call: &Call, attempts: &[Attempt]) -> Result<Recovery, PolicyError> {
        let mut given = self.new_input();
        let call = given.call(call);
        let attempts = given.attempts(attempts);
        self.decide::<Recover, _, _>(
            PolicyFunction::Recover,
            &given,
            (&call, &attempts),
            AnswerReader::recovery,
        )
    }

    /// Weighs the answer to a probe about the last of `attempts`.
    ///
    /// # Errors
    /// If the policy made no decision, by cause.
    pub fn weigh(
        &self,
        call: &Call,
        attempts: &[Attempt],
        probe: &Probe,
        answer: &Outcome,
    ) -> Result<ProbeVerdict, PolicyError> {
        let mut given = self.new_input();
        let call = given.call(call);
        let attempts = given.attempts(attempts);
        let probe = given.probe(probe);
        let answer = given.outcome(answer);
        self.decide::<Weigh, _, _>(
            PolicyFunction::Weigh,
            &given,
            (&call, &attempts, &probe, &answer),
            AnswerReader::finding,
        )
    }

    fn new_input(&self) -> MeteredInput {
        MeteredInput::within(self.0.runner.shared.limits.decision.input_bytes)
    }

    /// Makes a decision, and reports its duration to the observer, if there is one.
    fn decide<E, Raw, Word>(
        &self,
        function: PolicyFunction,
        given: &MeteredInput,
        question: E::Parameters<'_>,
        read: impl FnOnce(AnswerReader, Raw) -> Result<Word, AnswerMistake>,
    ) -> Result<Word, PolicyError>
    where
        E: ContractFunction<Results = (Result<Raw, String>,)>,
    {
        let Some(observer) = &self.0.runner.shared.decided else {
            return self.ask_instance::<E, _, _>(function, given, question, read);
        };
        let began = Instant::now();
        let decided = self.ask_instance::<E, _, _>(function, given, question, read);
        observer(began.elapsed());
        decided
    }

    /// Asks a fresh instance that took the settings in, and reads what it answers.
    fn ask_instance<E, Raw, Word>(
        &self,
        function: PolicyFunction,
        given: &MeteredInput,
        question: E::Parameters<'_>,
        read: impl FnOnce(AnswerReader, Raw) -> Result<Word, AnswerMistake>,
    ) -> Result<Word, PolicyError>
    where
        E: ContractFunction<Results = (Result<Raw, String>,)>,
    {
        let runner = &self.0.runner;
        // Checked before an instance is started, which costs more than the check.
        given
            .check()
            .map_err(|cause| runner.error(function, cause))?;
        // A fresh instance for each decision, so that none depends on the decisions before.
        let mut running = runner.start()?;
        if let Some(settings) = &self.0.settings {
            runner.configure(&mut running, settings)?;
        }
        let (answer,) = runner.ask_instance::<E>(function, &mut running, question)?;
        let answer = answer.map_err(|message| runner.refusal_error(function, &message))?;
        read(runner.answer_reader(), answer).map_err(|AnswerMistake(what)| {
            runner.error(function, PolicyErrorKind::BadAnswer { what })
        })
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PolicyDescription { name, version, .. } = self.description();
        f.debug_struct("Policy")
            .field("name", name)
            .field("version", version)
            .field("digest", &self.0.digest)
            .finish()
    }
}

/// Starts instances of one component, and asks them.
pub(super) struct PolicyRunner {
    pub(super) shared: Arc<EngineState>,
    pub(super) pre: InstancePre<ResourceBudget>,
    pub(super) exports: ContractExports,
    /// The policy's name in errors.
    pub(super) name: String,
}

/// An instance, in the place that it takes up. The store goes first, and with it the instance.
pub(super) struct PolicyInstance<'a> {
    pub(super) store: Store<ResourceBudget>,
    pub(super) instance: Instance,
    _slot: InstanceSlot<'a>,
}

impl PolicyRunner {
    /// Starts a fresh instance, when there is a place for it.
    pub(super) fn start(&self) -> Result<PolicyInstance<'_>, PolicyError> {
        let slot = self.shared.slots.acquire();
        let mut store = self
            .shared
            .store()
            .map_err(|cause| self.error(PolicyFunction::Start, cause))?;
        let instance = self
            .pre
            .instantiate(&mut store)
            .map_err(|error| self.instance_error(PolicyFunction::Start, &store, &error))?;
        Ok(PolicyInstance {
            store,
            instance,
            _slot: slot,
        })
    }

    /// Asks the policy for its description.
    pub(super) fn describe(
        &self,
        running: &mut PolicyInstance<'_>,
    ) -> Result<Result<PolicyDescription, AnswerMistake>, PolicyError> {
        let (description,) =
            self.ask_instance::<Describe>(PolicyFunction::Describe, running, ())?;
        Ok(self.answer_reader().description(description))
    }

    /// Gives an instance its settings, and returns its warnings about them.
    pub(super) fn configure(
        &self,
        running: &mut PolicyInstance<'_>,
        settings: &str,
    ) -> Result<Vec<String>, PolicyError> {
        let (configured,) =
            self.ask_instance::<Configure>(PolicyFunction::Configure, running, (settings,))?;
        let warnings = configured
            .map_err(|message| self.refusal_error(PolicyFunction::Configure, &message))?;
        self.answer_reader()
            .warnings(warnings)
            .map_err(|AnswerMistake(what)| {
                self.error(
                    PolicyFunction::Configure,
                    PolicyErrorKind::BadAnswer { what },
                )
            })
    }

    fn ask_instance<E: ContractFunction>(
        &self,
        function: PolicyFunction,
        running: &mut PolicyInstance<'_>,
        question: E::Parameters<'_>,
    ) -> Result<E::Results, PolicyError> {
        let PolicyInstance {
            store, instance, ..
        } = running;
        let answer = E::of(&self.exports, instance, &mut *store)
            .and_then(|asked| asked.call(&mut *store, question));
        answer.map_err(|error| self.instance_error(function, store, &error))
    }

    fn answer_reader(&self) -> AnswerReader {
        AnswerReader(self.shared.limits.decision)
    }

    fn instance_error(
        &self,
        function: PolicyFunction,
        store: &Store<ResourceBudget>,
        error: &wasmtime::Error,
    ) -> PolicyError {
        let kind = store
            .data()
            .error_kind(function, error, &self.shared.limits.decision);
        self.error(function, kind)
    }

    fn refusal_error(&self, function: PolicyFunction, message: &str) -> PolicyError {
        self.error(
            function,
            PolicyErrorKind::Refused {
                message: self.answer_reader().for_people(message),
            },
        )
    }

    fn error(&self, function: PolicyFunction, kind: PolicyErrorKind) -> PolicyError {
        PolicyError {
            policy: self.name.clone(),
            function,
            kind,
        }
    }
}
