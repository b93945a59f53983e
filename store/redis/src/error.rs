//! The meaning of errors of a server or a connection.
//!
//! INVARIANT: codes and types decide, never the text of a message.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use semel_store::{ServerError, SharedError, StoreError};
use std::{error::Error, io, sync::Arc};

/// The codes of errors by which a server rejects a script before it begins.
const REJECTIONS: &[&str] = &[
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOREPLICAS",
    "NOSCRIPT",
    "OOM",
    "READONLY",
    "TRYAGAIN",
];

/// Returns true if the connection is unusable, or its next answer might belong to another request.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed
    ) || error.is_unrecoverable_error()
}

/// Classifies the error of a write.
pub(super) fn write_error(error: RedisError) -> StoreError {
    if !has_code(&error, REJECTIONS) {
        return StoreError::unknown(error);
    }
    let cure = match error.code() {
        Some("MISCONF") => ": see whether its disk is full",
        Some("OOM") => ": raise its `maxmemory`, or run `semel ledger purge`",
        Some("READONLY") => ": name the primary server",
        _ => return StoreError::not_executed(error),
    };
    let message = format!("{error}{cure}");
    StoreError::NotExecuted(SharedError::with_message(message, error))
}

/// Returns true for a rejection because the keys belong to another node of the cluster, or are moving.
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    has_code(error, &["ASK", "MOVED", "TRYAGAIN"])
}

/// Returns true if the server's role differs from that of the last check.
pub(super) fn is_another_role(error: &RedisError) -> bool {
    has_code(error, &["LOADING", "MASTERDOWN", "READONLY"])
}

/// Returns true if the server rejected the command before it began, with one of these codes.
///
/// INVARIANT: none of these codes comes from within a script. Its errors have the code
/// `SCRIPTFAILED` (`script`).
fn has_code(error: &RedisError, codes: &[&str]) -> bool {
    error.code().is_some_and(|code| codes.contains(&code))
}

/// Classifies an error by which a server cannot be used, with a remedy.
pub(super) fn server_error(error: &RedisError, shown: &str) -> ServerError {
    let problem = SharedError::from(error.clone());
    let shown = shown.to_owned();
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
            ServerError::Denied {
                problem,
                cure: "check the user and the password of the ledger's URL",
            }
        }
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) | (_, Some("NOPERM")) => {
            ServerError::Denied {
                problem,
                cure: NEEDED_PERMISSIONS,
            }
        }
        (ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown), _) => {
            ServerError::ReadOnly {
                place: shown,
                problem,
            }
        }
        (ErrorKind::Io, _) if is_certificate_error(error) => ServerError::Untrusted {
            place: shown,
            problem,
        },
        (ErrorKind::Io, _) => ServerError::Unreachable {
            place: shown,
            problem,
            hint: "",
        },
        (ErrorKind::InvalidClientConfig, _) => ServerError::Url(problem),
        (_, Some("CLUSTERDOWN")) => incomplete_cluster(),
        (_, Some("MISCONF")) => ServerError::Unsafe {
            problem,
            cure: "see in the server's log why it cannot save, and whether its disk is full"
                .to_owned(),
        },
        _ => ServerError::Other(problem),
    }
}

/// Returns true if TLS rejected the server's certificate.
fn is_certificate_error(error: &RedisError) -> bool {
    let mut cause = error.source();
    while let Some(current) = cause {
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return matches!(tls, rustls::Error::InvalidCertificate(_));
        }
        cause = inner_error(current);
    }
    false
}

/// Returns the error within another one. `source` of a shared or an I/O error skips the error that it
/// contains.
fn inner_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(shared.as_ref());
    }
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The permissions that a user of the server needs.
pub(super) const NEEDED_PERMISSIONS: &str = "let its user run `+@read +@write +@scripting +@pubsub +@connection +info +time +config|get` (and in a cluster `+cluster|slots`) on `~semel:*` and `&semel:*`";

/// Returns the error of a cluster without a node for some slots.
pub(super) fn incomplete_cluster() -> ServerError {
    ServerError::other(
        "the cluster does not serve all slots: start what is down, or see `redis-cli --cluster check` for what is missing",
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that fails panics")]

    use super::{super::script::SCRIPT_FAILED, *};

    fn error_reply(line: &str) -> RedisError {
        let answer = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        answer.extract_error().unwrap_err()
    }

    #[test]
    fn a_rejected_script_was_not_executed() {
        for code in REJECTIONS {
            let error = write_error(error_reply(&format!("{code} of the server")));
            assert!(matches!(error, StoreError::NotExecuted(_)), "{error:?}");
        }
    }

    /// Codes decide: words that another release of Redis changes may not allow a repeat.
    #[test]
    fn an_error_within_a_script_is_unknown_whatever_its_cause() {
        for code in REJECTIONS {
            let error = error_reply(&format!("{SCRIPT_FAILED} {code} of a command"));
            let meaning = write_error(error.clone());
            assert!(matches!(meaning, StoreError::Unknown(_)), "{meaning:?}");
            assert!(!is_elsewhere(&error));
            assert!(!is_another_role(&error));
        }
    }

    #[test]
    fn a_certificate_is_not_trusted_by_the_type_of_its_error() {
        let certificate =
            rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = RedisError::from(io::Error::other(certificate));
        let meaning = server_error(&error, "there");
        assert!(
            matches!(meaning, ServerError::Untrusted { .. }),
            "{meaning:?}"
        );
        let error = RedisError::from(io::Error::other("invalid peer certificate"));
        let meaning = server_error(&error, "there");
        assert!(
            matches!(meaning, ServerError::Unreachable { .. }),
            "{meaning:?}"
        );
    }
}
