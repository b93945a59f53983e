//! A loaded policy, and how it is asked.

use super::{
    Shared,
    exports::{Configure, Derive, Describe, Export, Exports, Judge, Recover, Weigh},
    fault::{Cause, Function, PolicyFault},
    inspection::Inspection,
    lift::{Answers, Bad},
    lower::Given,
    places::Place,
    room::Room,
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
pub struct Policy(pub(super) Arc<Loaded>);

/// What a policy is made of.
pub(super) struct Loaded {
    pub(super) runner: Runner,
    /// What each instance has to take in; none: instances begin with it.
    pub(super) settings: Option<String>,
    pub(super) description: PolicyDescription,
    pub(super) digest: PolicyDigest,
    pub(super) inspection: Inspection,
}

impl Policy {
    /// What the policy says it is.
    #[must_use]
    pub fn description(&self) -> &PolicyDescription {
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
        self.decide::<Derive, _, _>(Function::Derive, &given, (&call,), Answers::derivation)
    }

    /// What became of the effect of the last of `attempts`, which are oldest first.
    ///
    /// # Errors
    /// If the policy made no decision, by cause.
    pub fn judge(&self, call: &Call, attempts: &[Attempt]) -> Result<Verdict, PolicyFault> {
        let mut given = self.given();
        let (call, attempts) = (given.call(call), given.attempts(attempts));
        self.decide::<Judge, _, _>(
            Function::Judge,
            &given,
            (&call, &attempts),
            Answers::verdict,
        )
    }

    /// What to do about an operation whose effect is unknown.
    ///
    /// # Errors
    /// If the policy made no decision, by cause.
    pub fn recover(&self, call: &Call, attempts: &[Attempt]) -> Result<Recovery, PolicyFault> {
        let mut given = self.given();
        let (call, attempts) = (given.call(call), given.attempts(attempts));
        self.decide::<Recover, _, _>(
            Function::Recover,
            &given,
            (&call, &attempts),
            Answers::recovery,
        )
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
    ) -> Result<ProbeVerdict, PolicyFault> {
        let mut given = self.given();
        let (call, attempts) = (given.call(call), given.attempts(attempts));
        let (probe, answer) = (given.probe(probe), given.outcome(answer));
        self.decide::<Weigh, _, _>(
            Function::Weigh,
            &given,
            (&call, &attempts, &probe, &answer),
            Answers::finding,
        )
    }

    fn given(&self) -> Given {
        Given::within(self.0.runner.shared.limits.decision.input_bytes)
    }

    /// Has a decision made, and tells how long it took whoever wants to know.
    fn decide<E, Raw, Word>(
        &self,
        function: Function,
        given: &Given,
        question: E::Given<'_>,
        read: impl FnOnce(Answers, Raw) -> Result<Word, Bad>,
    ) -> Result<Word, PolicyFault>
    where
        E: Export<Returned = (Result<Raw, String>,)>,
    {
        let Some(told) = &self.0.runner.shared.decided else {
            return self.ask::<E, _, _>(function, given, question, read);
        };
        let began = Instant::now();
        let decided = self.ask::<E, _, _>(function, given, question, read);
        told(began.elapsed());
        decided
    }

    /// Asks a fresh instance that took the settings in, and reads what it answers.
    fn ask<E, Raw, Word>(
        &self,
        function: Function,
        given: &Given,
        question: E::Given<'_>,
        read: impl FnOnce(Answers, Raw) -> Result<Word, Bad>,
    ) -> Result<Word, PolicyFault>
    where
        E: Export<Returned = (Result<Raw, String>,)>,
    {
        let runner = &self.0.runner;
        given
            .check()
            .map_err(|cause| runner.fault(function, cause))?;
        let mut running = runner.start()?;
        if let Some(settings) = &self.0.settings {
            runner.configure(&mut running, settings)?;
        }
        let (answer,) = runner.ask::<E>(function, &mut running, question)?;
        let answer = answer.map_err(|message| runner.refused(function, &message))?;
        read(runner.answers(), answer)
            .map_err(|what| runner.fault(function, Cause::BadAnswer { what }))
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
pub(super) struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) pre: InstancePre<Room>,
    pub(super) exports: Exports,
    /// How faults call it.
    pub(super) name: String,
}

/// An instance, in the place that it takes up. The store goes first, and with it the instance.
pub(super) struct Running<'a> {
    pub(super) store: Store<Room>,
    pub(super) instance: Instance,
    _place: Place<'a>,
}

impl Runner {
    /// Starts a fresh instance, when there is a place for it.
    pub(super) fn start(&self) -> Result<Running<'_>, PolicyFault> {
        let place = self.shared.places.take();
        let mut store = self
            .shared
            .store()
            .map_err(|cause| self.fault(Function::Start, cause))?;
        let instance = self
            .pre
            .instantiate(&mut store)
            .map_err(|error| self.failed(Function::Start, &store, &error))?;
        Ok(Running {
            store,
            instance,
            _place: place,
        })
    }

    /// What the policy says of itself.
    pub(super) fn describe(
        &self,
        running: &mut Running<'_>,
    ) -> Result<Result<PolicyDescription, Bad>, PolicyFault> {
        let (description,) = self.ask::<Describe>(Function::Describe, running, ())?;
        Ok(self.answers().description(description))
    }

    /// Gives an instance its settings.
    pub(super) fn configure(
        &self,
        running: &mut Running<'_>,
        settings: &str,
    ) -> Result<(), PolicyFault> {
        let (configured,) = self.ask::<Configure>(Function::Configure, running, (settings,))?;
        configured.map_err(|message| self.refused(Function::Configure, &message))
    }

    fn ask<E: Export>(
        &self,
        function: Function,
        running: &mut Running<'_>,
        question: E::Given<'_>,
    ) -> Result<E::Returned, PolicyFault> {
        let Running {
            store, instance, ..
        } = running;
        let answer = E::of(&self.exports, instance, &mut *store)
            .and_then(|asked| asked.call(&mut *store, question));
        answer.map_err(|error| self.failed(function, store, &error))
    }

    fn answers(&self) -> Answers {
        Answers(self.shared.limits.decision)
    }

    fn failed(
        &self,
        function: Function,
        store: &Store<Room>,
        error: &wasmtime::Error,
    ) -> PolicyFault {
        let cause = store
            .data()
            .cause(function, error, &self.shared.limits.decision);
        self.fault(function, cause)
    }

    fn refused(&self, function: Function, message: &str) -> PolicyFault {
        self.fault(
            function,
            Cause::Refused {
                message: self.answers().for_people(message),
            },
        )
    }

    fn fault(&self, function: Function, cause: Cause) -> PolicyFault {
        PolicyFault {
            policy: self.name.clone(),
            function,
            cause,
        }
    }
}
