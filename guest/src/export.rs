//! How a [`Policy`] becomes the exports of a component.
//!
//! The macro holds the one instance, because a static cannot be generic; all else is here, as plain functions.
//!
//! An extension point: policies outside this repository use it.

use std::cell::OnceCell;

use crate::bindings::semel::policy::types;
use crate::{Call, Policy, settings};

/// Makes a type that implements [`Policy`](crate::Policy) the policy of this component.
///
/// Call it once per crate, with `crate-type` `["cdylib"]` (or `["cdylib", "rlib"]`, for tests). On
/// other targets than wasm32 it costs nothing, so that a policy is tested natively.
#[macro_export]
macro_rules! export {
    ($policy:ty) => {
        #[doc(hidden)]
        pub struct SemelComponent;

        const _: () = {
            use $crate::bindings::exports::semel::policy::{about, key, retry};
            use $crate::bindings::semel::policy::types;

            ::std::thread_local! {
                static POLICY: ::std::cell::OnceCell<$policy> = const { ::std::cell::OnceCell::new() };
            }

            impl about::Guest for SemelComponent {
                fn describe() -> types::Description {
                    <$policy as $crate::Policy>::describe()
                }

                fn configure(
                    settings: ::std::string::String,
                ) -> ::std::result::Result<::std::vec::Vec<::std::string::String>, ::std::string::String> {
                    POLICY.with(|seat| $crate::run::configure(seat, &settings))
                }
            }

            impl key::Guest for SemelComponent {
                fn derive(call: types::Call) -> ::std::result::Result<types::Derivation, ::std::string::String> {
                    POLICY.with(|seat| $crate::run::derive(seat, call))
                }
            }

            impl retry::Guest for SemelComponent {
                fn judge(
                    call: types::Call,
                    attempts: ::std::vec::Vec<types::Attempt>,
                ) -> ::std::result::Result<types::Verdict, ::std::string::String> {
                    POLICY.with(|seat| $crate::run::judge(seat, call, &attempts))
                }

                fn recover(
                    call: types::Call,
                    attempts: ::std::vec::Vec<types::Attempt>,
                ) -> ::std::result::Result<types::Recovery, ::std::string::String> {
                    POLICY.with(|seat| $crate::run::recover(seat, call, &attempts))
                }

                fn weigh(
                    call: types::Call,
                    attempts: ::std::vec::Vec<types::Attempt>,
                    probe: types::Probe,
                    answer: types::Outcome,
                ) -> ::std::result::Result<types::Finding, ::std::string::String> {
                    POLICY.with(|seat| $crate::run::weigh(seat, call, &attempts, &probe, &answer))
                }
            }
        };

        // On other targets a linker rejects the names of these exports.
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export_policy!(SemelComponent with_types_in $crate::bindings);
    };
}

/// The slot of the configured policy.
type Seat<P> = OnceCell<P>;

/// Takes the settings in, once, and returns the warnings about them.
pub fn configure<P: Policy>(seat: &Seat<P>, settings: &str) -> Result<Vec<String>, String> {
    let policy = P::configure(settings::read(settings)?)?;
    let warnings = policy.warnings();
    seat.set(policy).map_err(|_| {
        "`configure` was called a second time: a fresh instance takes its settings in once"
            .to_owned()
    })?;
    Ok(warnings)
}

/// See [`Policy::derive`].
pub fn derive<P: Policy>(seat: &Seat<P>, call: types::Call) -> Result<types::Derivation, String> {
    configured_policy(seat)?.derive(&Call::try_from(call)?)
}

/// See [`Policy::judge`].
pub fn judge<P: Policy>(
    seat: &Seat<P>,
    call: types::Call,
    attempts: &[types::Attempt],
) -> Result<types::Verdict, String> {
    configured_policy(seat)?.judge(&Call::try_from(call)?, attempts)
}

/// See [`Policy::recover`].
pub fn recover<P: Policy>(
    seat: &Seat<P>,
    call: types::Call,
    attempts: &[types::Attempt],
) -> Result<types::Recovery, String> {
    configured_policy(seat)?.recover(&Call::try_from(call)?, attempts)
}

/// See [`Policy::weigh`].
pub fn weigh<P: Policy>(
    seat: &Seat<P>,
    call: types::Call,
    attempts: &[types::Attempt],
    probe: &types::Probe,
    answer: &types::Outcome,
) -> Result<types::Finding, String> {
    configured_policy(seat)?.weigh(&Call::try_from(call)?, attempts, probe, answer)
}

fn configured_policy<P>(seat: &Seat<P>) -> Result<&P, String> {
    seat.get()
        .ok_or_else(|| "the policy has no settings yet: `configure` must be called first".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Derivation, Description, Effect, NoSettings, Operation, Outcome, Probe};

    struct Careful;

    impl Policy for Careful {
        type Settings = NoSettings;

        fn describe() -> Description {
            Description::new("careful", "0.1.0")
        }

        fn configure(_: NoSettings) -> Result<Self, String> {
            Ok(Self)
        }

        fn derive(&self, call: &Call) -> Result<Derivation, String> {
            Ok(Operation::new("refund")
                .identity("id", call.text("/id")?)
                .once())
        }
    }

    fn call() -> types::Call {
        types::Call {
            tool: "refund".into(),
            arguments: r#"{"id":"A1"}"#.into(),
            facts: Vec::new(),
        }
    }

    #[test]
    fn nothing_is_decided_before_the_settings_are_known() {
        let seat = Seat::<Careful>::new();
        assert!(
            derive(&seat, call())
                .is_err_and(|mistake| mistake.contains("`configure` must be called first"))
        );
        assert!(configure(&seat, r#"{"typo":1}"#).is_err());
        assert!(
            derive(&seat, call()).is_err(),
            "wrong settings are no settings"
        );
        assert_eq!(configure(&seat, "{}"), Ok(Vec::new()));
        assert!(derive(&seat, call()).is_ok());
        assert!(
            configure(&seat, "{}").is_err(),
            "settings are taken in once"
        );
    }

    #[test]
    fn what_a_policy_leaves_out_has_careful_defaults() {
        let seat = Seat::<Careful>::new();
        configure(&seat, "{}").unwrap();
        let attempts = [types::Attempt::new("k", Outcome::unanswered("timed out"))];
        assert_eq!(
            judge(&seat, call(), &attempts).unwrap().effect,
            Effect::Unknown
        );
        assert!(matches!(
            recover(&seat, call(), &attempts),
            Ok(types::Recovery::Hold(_))
        ));
        let probe = Probe::new("get_refund", crate::json!({}));
        let weighed = weigh(
            &seat,
            call(),
            &attempts,
            &probe,
            &Outcome::returned("found"),
        );
        assert!(matches!(weighed, Ok(types::Finding::Conflicting(_))));
    }
}
