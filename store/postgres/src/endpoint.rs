//! The server's address, its connection settings, and the meaning of its errors.

use rustls::{ClientConfig, RootCertStore};
use semel_store::{ServerAddress, ServerError, SharedError};
use std::{io, net::IpAddr, time::Duration};
use tokio_postgres::{
    Config, Error,
    config::{Host, SslMode, TargetSessionAttrs},
    error::SqlState,
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The time limits of a connection attempt, and of an unacknowledged packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// A database on a server, with its connection settings.
pub(super) struct Endpoint {
    config: Config,
    display_name: String,
}

impl Endpoint {
    pub(super) fn new(server: &ServerAddress) -> Result<Self, ServerError> {
        let parsed: Result<Config, _> = server.url.parse();
        // The message omits the URL, which may hold a password.
        let mut config = parsed.map_err(|error| {
            ServerError::Url(SharedError::with_message(describe_error(&error), error))
        })?;
        if config.get_hosts().is_empty() {
            return Err(ServerError::invalid_url(
                "it names no host: write `postgres://HOST/DATABASE`",
            ));
        }
        if let Some(password) = &server.password {
            config.password(password.as_bytes());
        }
        if config.get_ssl_mode() == SslMode::Prefer {
            // `prefer` lets a man in the middle downgrade the connection to plain text. On this machine there
            // is no such attacker.
            let is_local = config.get_hosts().iter().all(is_local_host);
            config.ssl_mode(if is_local {
                SslMode::Disable
            } else {
                SslMode::Require
            });
        }
        config
            .application_name("semel")
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(TCP_USER_TIMEOUT);
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self {
            display_name: display_name(&config),
            config,
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the TLS settings, or `None` for plain text. Certificates and their names are verified
    /// against the system's roots.
    pub(super) fn tls_connector(&self) -> Result<Option<MakeRustlsConnect>, ServerError> {
        if self.config.get_ssl_mode() == SslMode::Disable {
            return Ok(None);
        }
        let provider = rustls::crypto::ring::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions();
        let config = config.map_err(ServerError::other)?;
        let config = config
            .with_root_certificates(trusted_roots()?)
            .with_no_client_auth();
        Ok(Some(MakeRustlsConnect::new(config)))
    }

    /// Classifies an error of a connection or a statement, with a remedy for the operator.
    pub(super) fn server_error(&self, error: Error) -> ServerError {
        let place = self.display_name.clone();
        let message = describe_error(&error);
        match error.code() {
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => ServerError::Denied {
                problem: SharedError::with_message(message, error),
                cure: "create the database, or correct its name in the ledger's URL",
            },
            Some(_) if is_rejected_by_host_rules(&error) => ServerError::Denied {
                problem: SharedError::with_message(message, error),
                cure: "let this user in from this host by an entry in the server's `pg_hba.conf`, or, where it lets only encrypted connections in, write `sslmode=require` into the ledger's URL",
            },
            Some(code) if is_login_error(code) => ServerError::Denied {
                problem: SharedError::with_message(message, error),
                cure: "correct user and password of the ledger",
            },
            Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => ServerError::Denied {
                problem: SharedError::with_message(message, error),
                cure: "let the ledger's user in, as `semel ledger init --grant-to USER` does for an owner",
            },
            Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => ServerError::ReadOnly {
                place,
                problem: SharedError::with_message(message, error),
            },
            Some(code) if *code == SqlState::DISK_FULL => ServerError::Denied {
                problem: SharedError::with_message(message, error),
                cure: "make room on the server's disk",
            },
            Some(code) if is_connection_error(code) => {
                unreachable_at(place, SharedError::with_message(message, error))
            }
            Some(_) => ServerError::Other(SharedError::with_message(message, error)),
            None if find_cause::<rustls::Error>(&error).is_some_and(is_certificate_error) => {
                ServerError::Untrusted {
                    place,
                    problem: SharedError::with_message(message, error),
                }
            }
            None if find_cause::<io::Error>(&error).is_some_and(is_read_only_server) => {
                ServerError::ReadOnly {
                    place,
                    problem: SharedError::with_message(message, error),
                }
            }
            // The client has no types for these two, so their text decides. It changes only the remedy, not
            // the kind of any other error.
            None if message.contains("password missing") => ServerError::Denied {
                problem: SharedError::with_message(message, error),
                cure: "say by `secret_env` or `secret_file`, in the section `[ledger]`, where its password is",
            },
            None if message.contains("does not support TLS") => ServerError::Denied {
                problem: SharedError::with_message(message, error),
                cure: "let the server offer TLS, or write `sslmode=disable` into the ledger's URL",
            },
            None => unreachable_at(place, SharedError::with_message(message, error)),
        }
    }

    /// Returns host, port and database, for messages.
    pub(super) fn display_name(&self) -> &str {
        &self.display_name
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.display_name)
    }
}

/// Returns the operating system's roots, which include a company's own certificates.
fn trusted_roots() -> Result<RootCertStore, ServerError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let problem = "this machine trusts no certificates: install `ca-certificates`, or name a file in `SSL_CERT_FILE`";
        return Err(ServerError::other(problem));
    }
    Ok(roots)
}

fn unreachable_at(place: String, problem: SharedError) -> ServerError {
    ServerError::Unreachable {
        place,
        problem,
        hint: "",
    }
}

/// Returns true if no entry of the server's `pg_hba.conf` admits this user.
///
/// Other refusals have the same SQLSTATE. They differ by the name of the server's routine, in any
/// language of its messages.
fn is_rejected_by_host_rules(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            && error.routine() == Some("ClientAuthentication")
    })
}

/// Returns the first error of this type among the causes of an error.
fn find_cause<T: std::error::Error + 'static>(error: &dyn std::error::Error) -> Option<&T> {
    let mut next = error.source();
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref() {
            return Some(found);
        }
        // `source` of an I/O error skips the error that it contains.
        next = match current
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}

fn is_certificate_error(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_))
}

/// Returns true if the client left a read-only server. The client itself creates this kind of error, without
/// a code of the operating system.
fn is_read_only_server(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

fn is_login_error(code: &SqlState) -> bool {
    *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
}

fn is_connection_error(code: &SqlState) -> bool {
    // 57P: the server starts, stops, or ends the session. 53: it lacks resources. 08: the connection failed.
    ["57P", "53", "08"]
        .iter()
        .any(|class| code.code().starts_with(class))
}

fn is_local_host(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

fn display_name(config: &Config) -> String {
    let mut ports = config.get_ports().iter();
    let mut last = 5432;
    let hosts = config.get_hosts().iter().map(|host| {
        last = ports.next().copied().unwrap_or(last);
        match host {
            Host::Tcp(name) => format!("{name}:{last}"),
            Host::Unix(folder) => format!("{}:{last}", folder.display()),
        }
    });
    let hosts = hosts.collect::<Vec<_>>().join(",");
    format!(
        "{hosts}/{}",
        config
            .get_dbname()
            .or(config.get_user())
            .unwrap_or_default()
    )
}

/// Returns the message of an error: the server's, with its hint, or the client's, with its cause. The client's
/// own message names only the stage.
pub(super) fn describe_error(error: &Error) -> String {
    match error.as_db_error() {
        Some(error) => {
            let hint = error
                .hint()
                .map(|hint| format!("; {}", hint.trim_end_matches('.')));
            format!(
                "{} ({}){}",
                error.message(),
                error.code().code(),
                hint.unwrap_or_default()
            )
        }
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_certificate_is_not_trusted_by_the_type_of_its_error() {
        let certificate =
            rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let typed = Outer(io::Error::other(certificate));
        assert!(find_cause::<rustls::Error>(&typed).is_some_and(is_certificate_error));
        let text = Outer(io::Error::other("invalid peer certificate"));
        assert!(find_cause::<rustls::Error>(&text).is_none());
    }

    #[test]
    fn a_file_without_permission_is_no_server_that_cannot_be_written() {
        let of_client = io::Error::new(io::ErrorKind::PermissionDenied, "any words");
        assert!(is_read_only_server(&of_client));
        let of_system = io::Error::from_raw_os_error(13);
        assert!(!is_read_only_server(&of_system));
    }
}
