//! The one trait a policy implements.

use serde::de::DeserializeOwned;

use crate::{
    Attempt, Call, Derivation, Description, Finding, Outcome, Probe, Recovery, Verdict, careful,
};

/// A policy: derives the operation that a call means, and judges attempts at it.
///
/// Only [`describe`](Policy::describe), [`configure`](Policy::configure) and [`derive`](Policy::derive) are required.
/// The rest has careful defaults: what is not certain is *unknown*, and what cannot be repeated safely is held for a
/// person.
///
/// Every decision is made by a fresh instance, so no state outlives a decision.
pub trait Policy: Sized {
    /// The settings that an operator writes. Put `#[serde(deny_unknown_fields)]` on it, so that a
    /// misspelt key is an error and not a setting that silently stays at its default. Use
    /// [`NoSettings`](crate::NoSettings) for none.
    type Settings: DeserializeOwned + 'static;

    /// Describes the policy: name, version, tools, settings.
    fn describe() -> Description;

    /// Creates the policy from its settings.
    ///
    /// # Errors
    ///
    /// A message to the operator about the mistake in the settings.
    fn configure(settings: Self::Settings) -> Result<Self, String>;

    /// Warns the operator of what the settings allow that they hardly mean, with the cure. By default of nothing.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Derives the operation that the call means. The same call must always derive the same operation.
    ///
    /// # Errors
    ///
    /// The reason why nothing can be derived. The call is then refused.
    fn derive(&self, call: &Call) -> Result<Derivation, String>;

    /// Judges the effect of the last attempt; `attempts` are oldest first.
    ///
    /// By default a returned answer has landed, and a failure has only where its HTTP status leaves no doubt (see
    /// [`careful::judge`]).
    ///
    /// # Errors
    ///
    /// The reason why nothing can be decided. The operation is then held for a person.
    fn judge(&self, _call: &Call, attempts: &[Attempt]) -> Result<Verdict, String> {
        careful::judge(attempts)
    }

    /// Decides how to recover an operation with an unknown effect; `attempts` are oldest first.
    ///
    /// By default the call is sent again where the derived operation's target says that repeats have no effect and
    /// that it still remembers the key, and held otherwise (see [`careful::recover`]).
    ///
    /// # Errors
    ///
    /// The reason why nothing can be decided. The operation is then held for a person.
    fn recover(&self, call: &Call, attempts: &[Attempt]) -> Result<Recovery, String> {
        careful::recover(&self.derive(call)?, attempts)
    }

    /// Weighs the answer to a probe; `attempts` are oldest first.
    ///
    /// By default the operation is held. Implement it if [`recover`](Policy::recover) returns a probe.
    ///
    /// # Errors
    ///
    /// The reason why nothing can be decided. The operation is then held for a person.
    fn weigh(
        &self,
        _call: &Call,
        _attempts: &[Attempt],
        _probe: &Probe,
        _answer: &Outcome,
    ) -> Result<Finding, String> {
        Ok(Finding::Conflicting(
            "this policy does not weigh probes".into(),
        ))
    }
}
