//! The ready-made policies of Semel, as the components that a host loads.
//!
//! They run like any other policy: no part of them is linked into a host. In the workspace `cargo
//! xtask policies` builds them; without that everything compiles, and [`get`] reports what is
//! missing. The README beside a policy's sources describes it and its settings.
//!
//! ```
//! match semel_policies::get("intent") {
//!     Ok(component) => assert!(component.starts_with(b"\0asm")),
//!     Err(missing) => println!("{missing}"),
//! }
//! ```

mod names;

use names::NAMES;

/// Made by the build script: every name, with its component where that was built.
const TABLE: &[(&str, Option<&[u8]>)] = include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The boolean setting by which a policy believes the hints of a tool's server.
pub const TRUST_SETTING: &str = "trusted";

/// True for a ready-made policy that has the setting [`TRUST_SETTING`].
#[must_use]
pub fn takes_trust(name: &str) -> bool {
    name == HINTS
}

/// The ready-made policy that goes by the hints of a tool's server.
pub const HINTS: &str = "hints";

/// Why there is no component for a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MissingPolicyError {
    /// No ready-made policy is called that.
    #[error("there is no ready-made policy `{name}`; there are {}", listed_names())]
    Unknown {
        /// The requested name.
        name: String,
    },
    /// There is one, but it was not built before this program was.
    #[error(
        "the ready-made policy `{name}` is not built into this program; run `cargo xtask policies`, then build it again"
    )]
    NotBuilt {
        /// The requested name.
        name: String,
    },
}

/// The names of the ready-made policies, in order, whether they are built or not.
#[must_use]
pub fn names() -> &'static [&'static str] {
    NAMES
}

/// The component of a ready-made policy.
///
/// # Errors
///
/// [`MissingPolicyError`] where there is no such policy, or where it was not built.
pub fn get(name: &str) -> Result<&'static [u8], MissingPolicyError> {
    match TABLE.iter().find(|(known, _)| *known == name) {
        Some((_, Some(component))) => Ok(component),
        Some((_, None)) => Err(MissingPolicyError::NotBuilt {
            name: name.to_owned(),
        }),
        None => Err(MissingPolicyError::Unknown {
            name: name.to_owned(),
        }),
    }
}

fn listed_names() -> String {
    NAMES
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_lists_those_that_are() {
        let missing = get("strype").err().map(|missing| missing.to_string());
        let expected =
            "there is no ready-made policy `strype`; there are `hints`, `intent`, `stripe`";
        assert_eq!(missing.as_deref(), Some(expected));
    }

    #[test]
    fn what_is_embedded_is_a_component_and_what_is_not_names_the_command() {
        const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
        for name in names() {
            match get(name) {
                Ok(bytes) => assert!(bytes.starts_with(COMPONENT), "{name}"),
                Err(missing) => assert!(
                    missing.to_string().contains("cargo xtask policies"),
                    "{missing}"
                ),
            }
        }
    }

    #[test]
    fn every_folder_with_a_policy_has_a_name() {
        let folders = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))
            .into_iter()
            .flatten()
            .flatten();
        let packages = folders.filter(|entry| entry.path().join("Cargo.toml").is_file());
        let mut found: Vec<_> = packages
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        found.sort();
        assert_eq!(found, names());
    }
}
