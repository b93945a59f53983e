//! Mistakes in a configuration, each with its place.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Where something was set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a line of a file.
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In a file as a whole.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(&'static str),
    /// Nowhere: something is missing.
    Nowhere,
}

impl Origin {
    /// Where a message begins: with the place and a colon, or with nothing.
    fn prefix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// One mistake: where, what, and the cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// Where.
    pub at: Origin,
    /// What, and the cure.
    pub problem: String,
}

impl ConfigFault {
    pub(super) fn file(file: &Path, problem: impl Into<String>) -> Self {
        Self {
            at: Origin::File(file.to_owned()),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.prefix(f)?;
        f.write_str(&self.problem)
    }
}

/// All mistakes of a configuration, in the order of the file. At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFaults(pub(super) Vec<ConfigFault>);

impl ConfigFaults {
    /// The mistakes.
    #[must_use]
    pub fn all(&self) -> &[ConfigFault] {
        &self.0
    }
}

impl From<ConfigFault> for ConfigFaults {
    fn from(fault: ConfigFault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for ConfigFaults {
    /// One line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigFaults {}
