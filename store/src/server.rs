//! Stores on servers: the server's address, its report, and the reasons to refuse it.

use crate::SharedError;
use std::{fmt, time::Duration};
use zeroize::Zeroizing;

/// The address of a server that holds a ledger, and its credentials.
#[derive(Clone)]
pub struct ServerAddress {
    /// The server's URL, which may hold a password.
    pub url: Zeroizing<String>,
    /// The password. It overrides one in the URL.
    pub password: Option<Zeroizing<String>>,
    /// True to accept a service that does not reveal how durable its writes are.
    pub accepts_unverified: bool,
}

impl ServerAddress {
    /// Creates the address of the server at this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Zeroizing::new(url.into()),
            password: None,
            accepts_unverified: false,
        }
    }

    /// Sets the password. It overrides one in the URL.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Zeroizing::new(password.into()));
        self
    }

    /// Accepts a service that does not reveal how durable its writes are.
    #[must_use]
    pub fn allow_unverified(mut self) -> Self {
        self.accepts_unverified = true;
        self
    }
}

impl fmt::Debug for ServerAddress {
    /// Omits the URL, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAddress")
            .field("accepts_unverified", &self.accepts_unverified)
            .finish_non_exhaustive()
    }
}

/// The state of a ledger's server, for its operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReport {
    /// The settings that the durability rests on, with their values for this ledger.
    pub settings: Vec<(&'static str, String)>,
    /// The round trip of a small request.
    pub latency: Duration,
    /// The milliseconds by which the server's clock is ahead of this machine's; negative if it is
    /// behind.
    pub clock_ahead_ms: i64,
}

/// The reason to refuse a ledger on a server. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The URL cannot be used.
    #[error("the ledger's URL cannot be used: {0}")]
    Url(#[source] SharedError),
    /// The server does not answer, or the connection was refused or lost.
    #[error(
        "the ledger's server {place} is unreachable ({problem}): check its address, and whether it runs{hint}"
    )]
    Unreachable {
        /// The server's host and port.
        place: String,
        /// The failure.
        #[source]
        problem: SharedError,
        /// Another possible reason, or empty.
        hint: &'static str,
    },
    /// This machine does not trust the server's certificate.
    #[error(
        "the ledger's server {place} is not trusted ({problem}): have this machine trust who issued its certificate, of which a file may be named in `SSL_CERT_FILE`, and name the server as the certificate does"
    )]
    Untrusted {
        /// The server's host and port.
        place: String,
        /// The failure of its certificate.
        #[source]
        problem: SharedError,
    },
    /// The server rejects the user, or an action that a ledger needs.
    #[error("the ledger's server does not allow it ({problem}): {cure}")]
    Denied {
        /// The server's error.
        #[source]
        problem: SharedError,
        /// The advice for the operator.
        cure: &'static str,
    },
    /// The server has no ledger.
    #[error("there is no ledger in {place}: make one with `semel ledger init`{hint}")]
    NotSetUp {
        /// The host, port and database that were searched.
        place: String,
        /// Another possible reason, or empty.
        hint: &'static str,
    },
    /// A newer release created the ledger.
    #[error(
        "the ledger has schema {found}, and this release knows up to {known}: use the release that made it, or a newer one"
    )]
    Newer {
        /// The ledger's schema.
        found: i64,
        /// The newest schema that this release knows.
        known: i64,
    },
    /// An older release created the ledger, and it was not upgraded.
    #[error(
        "the ledger has schema {found}, and this release needs {known}: run `semel ledger init` once, which brings it up to date"
    )]
    Older {
        /// Its schema.
        found: i64,
        /// The schema that this release needs.
        known: i64,
    },
    /// The server's settings would lose acknowledged writes, or it does not reveal them.
    #[error("the ledger's server would not keep what it acknowledged: {problem}: {cure}")]
    Unsafe {
        /// The setting, and its value.
        #[source]
        problem: SharedError,
        /// The advice for the operator.
        cure: String,
    },
    /// The server is read-only, such as a standby.
    #[error("the ledger cannot be written at {place} ({problem}): name the primary server")]
    ReadOnly {
        /// The server's host and port.
        place: String,
        /// The server's error.
        #[source]
        problem: SharedError,
    },
    /// Another failure of the server.
    #[error("the ledger's server failed: {0}")]
    Other(#[source] SharedError),
}

impl ServerError {
    /// Creates the error of a URL that cannot be used, from its source or a message.
    pub fn invalid_url(source: impl Into<SharedError>) -> Self {
        Self::Url(source.into())
    }

    /// Creates the error of another failure, from its source or a message.
    pub fn other(source: impl Into<SharedError>) -> Self {
        Self::Other(source.into())
    }
}
