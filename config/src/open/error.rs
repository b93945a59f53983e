//! Errors of opening what a configuration describes.

use crate::{Origin, PolicySource};
use semel::{
    engine::LoadError,
    runtime::{LedgerError, OpenError, SchemeError},
};
use std::{error::Error, fmt, io, path::PathBuf};

/// A store, policy or host of a valid configuration that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The folder of the default ledger cannot be created.
    #[error("the ledger's folder `{}` cannot be created: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The store cannot be opened, or its file is damaged.
    #[error(transparent)]
    Store(Box<dyn Error + Send + Sync>),
    /// The driver for the ledger's URL is not compiled in.
    #[error(
        "this program was built without a driver for `{scheme}:` ledgers: build `semel-config` with its feature `{feature}`, or use another ledger"
    )]
    MissingDriver {
        /// The scheme of the URL.
        scheme: &'static str,
        /// The feature that compiles the driver in.
        feature: &'static str,
    },
    /// The ledger does not answer, or refuses.
    #[error(transparent)]
    Ledger(LedgerError),
    /// The ledger holds keys of another scheme.
    #[error(transparent)]
    Scheme(SchemeError),
    /// The host cannot be built.
    #[error(transparent)]
    Host(OpenError),
    /// There is no ready-made policy of this name in this program.
    #[error(transparent)]
    ReadyMadePolicy(#[from] semel_policies::MissingPolicyError),
    /// The file of a policy cannot be read.
    #[error("the policy `{}` cannot be read: {source}", path.display())]
    PolicyFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A policy, or its settings, cannot be used.
    #[error("{}", UnusablePolicy { defined_at, policy, source })]
    Policy {
        /// The place that configures it; `None`: the default policy, or one of a command line.
        defined_at: Option<Origin>,
        /// The policy.
        policy: PolicySource,
        /// The reason.
        source: Box<LoadError>,
    },
}

impl SetupError {
    pub(super) fn from_store(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<SchemeError> for SetupError {
    fn from(error: SchemeError) -> Self {
        match error {
            SchemeError::Ledger(error) => Self::Ledger(error),
            other => Self::Scheme(other),
        }
    }
}

impl From<OpenError> for SetupError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Scheme(error) => error.into(),
            other => Self::Host(other),
        }
    }
}

/// The message about a policy that cannot be used.
struct UnusablePolicy<'a> {
    defined_at: &'a Option<Origin>,
    policy: &'a PolicySource,
    source: &'a LoadError,
}

impl fmt::Display for UnusablePolicy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.defined_at {
            write!(f, "{place}: ")?;
        }
        match self.source {
            // Their messages name the policy already.
            LoadError::Settings { .. } | LoadError::Policy(_) => write!(f, "{}", self.source),
            other => write!(f, "the policy `{}` cannot be used: {other}", self.policy),
        }
    }
}

impl fmt::Display for PolicySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}
