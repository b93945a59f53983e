//! Where the secret of keys is, and those of sealing keys.

use super::{
    error::Origin,
    places::{Surroundings, read_at_most},
    reference::table,
    section::{self, MistakeList, Section},
};
use semel::key::{SECRET_BYTES_MAX, Secret};
use std::path::Path;
use zeroize::Zeroizing;

pub(super) fn read(
    section: Option<&Section<'_>>,
    folder: &Path,
    around: &Surroundings,
    mistakes: &MistakeList<'_>,
) -> Option<Secret> {
    let from_file = section.and_then(|section| in_section(section, folder, around, secret));
    from_variable(around, mistakes).or(from_file)
}

/// Builds a value from the secret that a section names, by a file or by a variable.
pub(super) fn in_section<T>(
    section: &Section<'_>,
    folder: &Path,
    around: &Surroundings,
    make: impl Fn(&[u8]) -> Result<T, String>,
) -> Option<T> {
    let file = section.text(&table::SECRET_FILE);
    let variable = section.text(&table::SECRET_ENV);
    let (made, span) = match (file, variable) {
        (Some(_), Some(variable)) => (
            Err("the secret is named twice: name it once".to_owned()),
            variable.span,
        ),
        (Some(file), None) => (
            of_file(file.value, folder).and_then(|bytes| make(&bytes)),
            file.span,
        ),
        (None, Some(variable)) => (
            of_variable(variable.value, around).and_then(|bytes| make(&bytes)),
            variable.span,
        ),
        (None, None) => return None,
    };
    made.map_err(|problem| section.mistakes.note(span, problem))
        .ok()
}

fn from_variable(around: &Surroundings, mistakes: &MistakeList<'_>) -> Option<Secret> {
    const NAME: &str = "SEMEL_SECRET_FILE";
    let file = around
        .variable(NAME)?
        .to_str()
        .ok_or_else(|| "the path is no UTF-8 text".to_owned());
    let secret = file
        .and_then(|file| of_file(file, &around.folder))
        .and_then(|bytes| secret(&bytes));
    secret
        .map_err(|problem| mistakes.note_elsewhere(Origin::Variable(NAME), problem))
        .ok()
}

fn secret(bytes: &[u8]) -> Result<Secret, String> {
    Secret::new(bytes).map_err(|fault| fault.to_string())
}

fn of_file(written: &str, folder: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let path = folder.join(section::path(written)?);
    read_at_most(&path, SECRET_BYTES_MAX + 2)
        .map_err(|error| format!("the secret in `{}` cannot be read ({error}): correct its path, or make one with `openssl rand -hex 32`", path.display()))?
        .map(Zeroizing::new)
        .ok_or_else(|| format!("the secret in `{}` is longer than {SECRET_BYTES_MAX} bytes: make one with `openssl rand -hex 32`", path.display()))
}

fn of_variable(name: &str, around: &Surroundings) -> Result<Zeroizing<Vec<u8>>, String> {
    let value = around.variable(name).ok_or_else(|| {
        format!(
            "the variable `{}` is not set: set it to the secret",
            section::shown(name)
        )
    })?;
    Ok(Zeroizing::new(value.as_encoded_bytes().to_vec()))
}
