//! What ledgers on servers have in common: how the server is reached, and why it is not used.

use std::{fmt, time::Duration};
use zeroize::Zeroizing;

/// A server that keeps a ledger, and how it is reached.
#[derive(Clone)]
pub struct ServerAddress {
    /// The server's URL, which may hold a password.
    pub url: Zeroizing<String>,
    /// The password, which goes before one in the URL.
    pub password: Option<Zeroizing<String>>,
    /// Whether a service is used that hides how durable its writes are.
    pub accepts_unverified: bool,
}

impl ServerAddress {
    /// The server at this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Zeroizing::new(url.into()),
            password: None,
            accepts_unverified: false,
        }
    }

    /// With this password, which goes before one in the URL.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Zeroizing::new(password.into()));
        self
    }

    /// Also if the service hides how it keeps what it acknowledged.
    #[must_use]
    pub fn allow_unverified(mut self) -> Self {
        self.accepts_unverified = true;
        self
    }
}

impl fmt::Debug for ServerAddress {
    /// Without the URL: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("accepts_unverified", &self.accepts_unverified)
            .finish_non_exhaustive()
    }
}

/// How a server stands that keeps a ledger, for whoever looks after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReport {
    /// The settings that the level rests on, as they hold for this ledger.
    pub settings: Vec<(&'static str, String)>,
    /// How long a small question takes.
    pub latency: Duration,
    /// How far the server's clock is ahead of this machine's, in milliseconds; behind it, where it is negative.
    pub clock_ahead_ms: i64,
}

/// Why a ledger on a server is not used. Each tells the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The URL is none.
    #[error("the ledger's URL cannot be used: {0}")]
    Url(String),
    /// Nobody answers there, or the connection was refused or lost.
    #[error(
        "the ledger's server {place} is not reached ({problem}): check its address, and whether it runs{hint}"
    )]
    Unreachable {
        /// Its host and port.
        place: String,
        /// What was seen.
        problem: String,
        /// What else may be the reason.
        hint: &'static str,
    },
    /// It is not who it says, as far as this machine can tell.
    #[error(
        "the ledger's server {place} is not trusted ({problem}): have this machine trust who issued its certificate, of which a file may be named in `SSL_CERT_FILE`, and name the server as the certificate does"
    )]
    Untrusted {
        /// Its host and port.
        place: String,
        /// What is wrong with its certificate.
        problem: String,
    },
    /// The server does not let this user in, or do what a ledger needs.
    #[error("the ledger's server does not allow it ({problem}): {cure}")]
    Denied {
        /// What the server said.
        problem: String,
        /// What to do.
        cure: &'static str,
    },
    /// There is no ledger.
    #[error("there is no ledger in {place}: make one with `semel ledger init`{hint}")]
    NotSetUp {
        /// Where it was looked for.
        place: String,
        /// What else may be the reason.
        hint: &'static str,
    },
    /// The ledger was made by a newer release.
    #[error(
        "the ledger has schema {found}, and this release knows up to {known}: use the release that made it, or a newer one"
    )]
    Newer {
        /// Its schema.
        found: i64,
        /// The newest that this release knows.
        known: i64,
    },
    /// The ledger was made by an older release, and not brought up to date.
    #[error(
        "the ledger has schema {found}, and this release needs {known}: run `semel ledger init` once, which brings it up to date"
    )]
    Older {
        /// Its schema.
        found: i64,
        /// What this release needs.
        known: i64,
    },
    /// The server is set up so that it would lose what it acknowledged, or cannot say whether.
    #[error("the ledger's server would not keep what it acknowledged: {problem}: {cure}")]
    Unsafe {
        /// What was found.
        problem: String,
        /// What to do.
        cure: String,
    },
    /// It cannot be written there.
    #[error("the ledger cannot be written at {place} ({problem}): name the primary server")]
    ReadOnly {
        /// Its host and port.
        place: String,
        /// Why.
        problem: String,
    },
    /// Anything else that the server said.
    #[error("the ledger's server failed: {0}")]
    Other(String),
}
