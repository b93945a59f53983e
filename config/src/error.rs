//! Mistakes in a configuration, each with its place.

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
};

/// The place of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A file as a whole.
    File(PathBuf),
    /// A variable of the environment.
    Variable(&'static str),
    /// No place: something is missing.
    Nowhere,
}

impl Origin {
    /// Writes the place and a colon, or nothing.
    fn write_prefix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => Ok(()),
            place => write!(f, "{place}: "),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{}:{line}", file.display()),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Nowhere => f.write_str("no configuration"),
        }
    }
}

/// The kind of a mistake in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// A file cannot be read: the configuration, a secret or a policy.
    Unreadable,
    /// The file is not valid TOML.
    Syntax,
    /// There is no such key in this section.
    UnknownKey,
    /// The key belongs to another section.
    MisplacedKey,
    /// A section is written as a plain value.
    WrongType,
    /// A required key is missing.
    MissingKey,
    /// Two settings contradict each other.
    Contradiction,
    /// There are more bytes or entries than allowed.
    TooMany,
    /// The environment variable that a key names is not set.
    UnsetVariable,
    /// A value is not allowed.
    InvalidValue,
}

/// One mistake in a configuration, with its place and its cure.
#[derive(Debug)]
pub struct ConfigError {
    /// The place.
    pub at: Origin,
    /// The kind.
    pub kind: ConfigErrorKind,
    /// The mistake and its cure, in words.
    pub message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConfigError {
    pub(crate) fn new(at: Origin, problem: Problem) -> Self {
        Self {
            at,
            kind: problem.kind,
            message: problem.message,
            source: problem.source,
        }
    }

    pub(crate) fn in_file(file: &Path, problem: Problem) -> Self {
        Self::new(Origin::File(file.to_owned()), problem)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.write_prefix(f)?;
        f.write_str(&self.message)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

/// A mistake without a place.
pub(crate) struct Problem {
    kind: ConfigErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    pub(crate) fn new(kind: ConfigErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Something is missing that must be there.
    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(ConfigErrorKind::MissingKey, message)
    }

    pub(crate) fn contradiction(message: impl Into<String>) -> Self {
        Self::new(ConfigErrorKind::Contradiction, message)
    }

    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self::new(ConfigErrorKind::TooMany, message)
    }

    /// A file cannot be read.
    pub(crate) fn unreadable(
        message: impl Into<String>,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self::new(ConfigErrorKind::Unreadable, message).with_source(source)
    }

    /// An invalid value whose error names the cure.
    pub(crate) fn from_error(source: impl Error + Send + Sync + 'static) -> Self {
        Self::from(source.to_string()).with_source(source)
    }

    pub(crate) fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self::new(ConfigErrorKind::InvalidValue, message)
    }
}

impl From<&str> for Problem {
    fn from(message: &str) -> Self {
        Self::from(message.to_owned())
    }
}

/// All mistakes of a configuration, in the order of the file. At least one.
#[derive(Debug)]
pub struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl ConfigErrors {
    /// The mistakes.
    #[must_use]
    pub fn as_slice(&self) -> &[ConfigError] {
        &self.0
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    /// Writes one line for each mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl Error for ConfigErrors {}
