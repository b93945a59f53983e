//! Secrets: their texts, and the two keys by which a section names one.

use crate::{
    environment::Environment,
    error::{ConfigErrorKind, Origin, Problem},
    file::read_at_most,
    reference::{ConfigKey, table},
    section::{MistakeList, Section, parse_path, shorten},
};
use semel::key::{SECRET_BYTES_MAX, Secret};
use std::{fmt, path::Path};
use zeroize::Zeroizing;

/// A secret text: a token, a password, or the value of a header.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

/// The keys by which a section names a secret: as a file, or as a variable of the environment.
pub(crate) struct SecretKeys {
    pub(crate) file: &'static ConfigKey,
    pub(crate) variable: &'static ConfigKey,
    /// The word for the secret in messages.
    pub(crate) noun: &'static str,
    /// The longest file, in bytes.
    pub(crate) file_bytes_max: usize,
}

/// `secret_file` and `secret_env`. A file may end with a line end that does not count.
static SECRET: SecretKeys = SecretKeys {
    file: &table::SECRET_FILE,
    variable: &table::SECRET_ENV,
    noun: "secret",
    file_bytes_max: SECRET_BYTES_MAX + 2,
};

/// Reads the secret that keys are made with. The variable goes before the file.
pub(crate) fn read_key_secret(
    section: Option<&Section<'_>>,
    folder: &Path,
    environment: &Environment,
    mistakes: &MistakeList<'_>,
) -> Option<Secret> {
    let from_file =
        section.and_then(|section| read_secret(section, folder, environment, parse_key_secret));
    read_key_variable(environment, mistakes).or(from_file)
}

/// Builds a value from the secret that a section names by `secret_file` or `secret_env`.
pub(crate) fn read_secret<T>(
    section: &Section<'_>,
    folder: &Path,
    environment: &Environment,
    parse: impl FnOnce(&[u8]) -> Result<T, Problem>,
) -> Option<T> {
    SECRET.read(section, folder, environment, parse)
}

impl SecretKeys {
    /// Builds a value from the secret that a section names by one of these keys.
    pub(crate) fn read<T>(
        &self,
        section: &Section<'_>,
        folder: &Path,
        environment: &Environment,
        parse: impl FnOnce(&[u8]) -> Result<T, Problem>,
    ) -> Option<T> {
        let file = section.text(self.file);
        let variable = section.text(self.variable);
        let (bytes, span) = match (file, variable) {
            (Some(_), Some(variable)) => (Err(self.named_twice()), variable.span),
            (Some(file), None) => (self.read_file(file.value, folder), file.span),
            (None, Some(variable)) => (read_variable(variable.value, environment), variable.span),
            (None, None) => return None,
        };
        let value = bytes.and_then(|bytes| parse(&bytes));
        section.mistakes.value_or_note(value, span)
    }

    fn named_twice(&self) -> Problem {
        let message = format!("the {} is named twice: name it once", self.noun);
        Problem::contradiction(message)
    }

    fn read_file(&self, written: &str, folder: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let path = folder.join(parse_path(written)?);
        let noun = self.noun;
        let bytes = read_at_most(&path, self.file_bytes_max).map_err(|error| {
            let message = format!(
                "the {noun} in `{}` cannot be read ({error}): correct its path, or make one with \
                 `openssl rand -hex 32`",
                path.display()
            );
            Problem::unreadable(message, error)
        })?;
        let bytes = bytes.ok_or_else(|| {
            let message = format!(
                "the {noun} in `{}` is longer than {} bytes: make one with `openssl rand -hex 32`",
                path.display(),
                self.file_bytes_max
            );
            Problem::too_many(message)
        })?;
        Ok(Zeroizing::new(bytes))
    }
}

/// Reads the variable that the file names for a secret.
pub(crate) fn read_variable(
    name: &str,
    environment: &Environment,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let value = environment.variable(name).ok_or_else(|| {
        let message = format!(
            "the variable `{}` is not set: set it to the secret",
            shorten(name)
        );
        Problem::new(ConfigErrorKind::UnsetVariable, message)
    })?;
    Ok(Zeroizing::new(value.as_encoded_bytes().to_vec()))
}

fn read_key_variable(environment: &Environment, mistakes: &MistakeList<'_>) -> Option<Secret> {
    const NAME: &str = "SEMEL_SECRET_FILE";
    let secret = match environment.variable(NAME)?.to_str() {
        Some(path) => SECRET
            .read_file(path, &environment.folder)
            .and_then(|bytes| parse_key_secret(&bytes)),
        None => Err("the path is not UTF-8 text: correct it".into()),
    };
    mistakes.value_or_note_at(secret, Origin::Variable(NAME))
}

fn parse_key_secret(bytes: &[u8]) -> Result<Secret, Problem> {
    Secret::new(bytes).map_err(Problem::from_error)
}
