//! Mistakes in a configuration, each with its place.

use std::{
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
    /// None: something is missing.
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
    /// The file cannot be read.
    Unreadable,
    /// The file is not valid TOML.
    Syntax,
    /// There is no such key in this section.
    UnknownKey,
    /// The key belongs to another section.
    MisplacedKey,
    /// A section is written as a plain value.
    WrongType,
    /// A value is missing, not allowed, or contradicts another one.
    InvalidValue,
}

/// One mistake in a configuration, with its place and its cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The place.
    pub at: Origin,
    /// The kind.
    pub kind: ConfigErrorKind,
    /// The problem and its cure.
    pub problem: String,
}

impl ConfigError {
    pub(super) fn in_file(file: &Path, problem: impl Into<String>) -> Self {
        Self {
            at: Origin::File(file.to_owned()),
            kind: ConfigErrorKind::Unreadable,
            problem: problem.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.write_prefix(f)?;
        f.write_str(&self.problem)
    }
}

/// All mistakes of a configuration, in the order of the file. At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// The mistakes.
    #[must_use]
    pub fn all(&self) -> &[ConfigError] {
        &self.0
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    /// One line each.
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

impl std::error::Error for ConfigError {}

impl std::error::Error for ConfigErrors {}
