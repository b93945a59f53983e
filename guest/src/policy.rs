//! The one trait a policy implements.

use serde::de::DeserializeOwned;

use crate::{
    Attempt, Call, Derivation, Description, Finding, Outcome, Probe, Recovery, Verdict, careful,
};

/// Which operation a call means, and what may be done about an attempt at it.
///
/// Only [`describe`](Policy::describe), [`configure`](Policy::configure) and [`derive`](Policy::derive) are required.
/// The rest has careful defaults: what is not certain is *unknown*, and what cannot be repeated safely is held for a
/// person.
///
/// A policy is asked in a fresh instance each time, so nothing it keeps outlives a decision.
pub trait Policy: Sized {
    /// What an operator may set. Put `#[serde(deny_unknown_fields)]` on it, so that a misspelt key is an error and not
    /// a setting that silently stays at its default. [`NoSettings`](crate::NoSettings) where there is nothing to set.
    type Settings: DeserializeOwned + 'static;

    /// What the policy is.
    fn describe() -> Description;

    /// Takes the settings in.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings, for the operator to read.
    fn configure(settings: Self::Settings) -> Result<Self, String>;

    /// Which operation the call means. The same call must always mean the same one.
    ///
    /// # Errors
    ///
    /// Why that cannot be told. The call is not run then.
    fn derive(&self, call: &Call) -> Result<Derivation, String>;

    /// What became of the effect of the last attempt; `attempts` are oldest first.
    ///
    /// By default a returned answer has landed, and a failure has only where its HTTP status leaves no doubt (see
    /// [`careful::judge`]).
    ///
    /// # Errors
    ///
    /// Why that cannot be told. The operation is held for a person then.
    fn judge(&self, _call: &Call, attempts: &[Attempt]) -> Result<Verdict, String> {
        careful::judge(attempts)
    }

    /// What to do about an operation whose effect is unknown; `attempts` are oldest first.
    ///
    /// By default the call is sent again where the derived operation's target says that repeats have no effect and
    /// that it still remembers the key, and held otherwise (see [`careful::recover`]).
    ///
    /// # Errors
    ///
    /// Why that cannot be told. The operation is held for a person then.
    fn recover(&self, call: &Call, attempts: &[Attempt]) -> Result<Recovery, String> {
        careful::recover(&self.derive(call)?, attempts)
    }

    /// What the answer to a probe tells; `attempts` are oldest first.
    ///
    /// By default nothing: the operation is held. A policy whose [`recover`](Policy::recover) probes weighs, too.
    ///
    /// # Errors
    ///
    /// Why that cannot be told. The operation is held for a person then.
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
