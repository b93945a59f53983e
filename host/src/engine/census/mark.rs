//! What a plain module says of the contract it was built for.
//!
//! That is a component's type, and the library that reads it trusts it: packages that need each other in a circle make
//! it call itself until the stack ends, and with it the process. So what it says must be of one package, which is all
//! that a policy's contract is of.

use super::malformed;
use crate::engine::error::LoadError;
use wasmparser::{
    ComponentExternName, ComponentType, ComponentTypeDeclaration, InstanceTypeDeclaration, Parser,
    Payload,
};

/// # Errors
/// If it speaks of more than one package, or cannot be read.
pub(super) fn check(said: &[u8]) -> Result<(), LoadError> {
    let mut names = PackageNames::default();
    for payload in Parser::new(0).parse_all(said) {
        match payload.map_err(malformed)? {
            Payload::ComponentTypeSection(section) => {
                section
                    .into_iter()
                    .try_for_each(|found| names.of_type(&found.map_err(malformed)?))?;
            }
            Payload::ComponentImportSection(section) => {
                section
                    .into_iter()
                    .try_for_each(|found| names.add(&found.map_err(malformed)?.name))?;
            }
            Payload::ComponentExportSection(section) => {
                section
                    .into_iter()
                    .try_for_each(|found| names.add(&found.map_err(malformed)?.name))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The package that all names are of.
#[derive(Default)]
struct PackageNames {
    package: Option<String>,
}

impl PackageNames {
    // How deep types lie within each other, and so how deep these two go, is bounded before.
    fn of_type(&mut self, found: &ComponentType<'_>) -> Result<(), LoadError> {
        match found {
            ComponentType::Component(parts) => parts.iter().try_for_each(|part| match part {
                ComponentTypeDeclaration::Type(inner) => self.of_type(inner),
                ComponentTypeDeclaration::Import(import) => self.add(&import.name),
                ComponentTypeDeclaration::Export { name, .. } => self.add(name),
                _ => Ok(()),
            }),
            ComponentType::Instance(parts) => parts.iter().try_for_each(|part| match part {
                InstanceTypeDeclaration::Type(inner) => self.of_type(inner),
                InstanceTypeDeclaration::Export { name, .. } => self.add(name),
                _ => Ok(()),
            }),
            _ => Ok(()),
        }
    }

    fn add(&mut self, name: &ComponentExternName<'_>) -> Result<(), LoadError> {
        [Some(name.name), name.implements]
            .into_iter()
            .flatten()
            .try_for_each(|name| self.add_name(name))
    }

    /// `semel:policy/key@0.1.0` is of the package `semel:policy@0.1.0`; a name without a colon is of none.
    fn add_name(&mut self, name: &str) -> Result<(), LoadError> {
        if !name.contains(':') {
            return Ok(());
        }
        let (path, version) = name.split_once('@').unwrap_or((name, ""));
        let package = format!("{}@{version}", path.split('/').next().unwrap_or_default());
        match &self.package {
            Some(first) if *first != package => {
                let reason = format!(
                    "it speaks of two packages, `{first}` and `{package}`, and a contract is one"
                );
                Err(LoadError::Module {
                    reason: reason.chars().map(plain).take(400).collect(),
                })
            }
            Some(_) => Ok(()),
            None => {
                self.package = Some(package);
                Ok(())
            }
        }
    }
}

fn plain(char: char) -> char {
    if char.is_control() { ' ' } else { char }
}
