//! What an error of a server or a connection means.

use super::nodes;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use semel_store::{ServerFault, StoreError};

/// The errors with which a server turns a script away before it begins.
const TURNED_AWAY: &[&str] = &[
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

/// Maps the error of a write to the state of the write.
pub(super) fn of_write(error: &RedisError) -> StoreError {
    if !is_turned_away(error, TURNED_AWAY) {
        return StoreError::Unknown(error.to_string());
    }
    let cure = match error.code() {
        Some("MISCONF") => ": see whether its disk is full",
        Some("OOM") => ": raise its `maxmemory`, or run `semel ledger purge`",
        Some("READONLY") => ": name the primary server",
        _ => "",
    };
    StoreError::NotExecuted(format!("{error}{cure}"))
}

/// Returns true if the server turned it away because the keys belong to another node of the
/// cluster, or are moving.
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    is_turned_away(error, &["ASK", "MOVED", "TRYAGAIN"])
}

/// Returns true if the server's role differs from that of the last check.
pub(super) fn is_another_role(error: &RedisError) -> bool {
    is_turned_away(error, &["LOADING", "MASTERDOWN", "READONLY"])
}

/// An error from within a script names it: something of it may have been carried out.
fn is_turned_away(error: &RedisError, codes: &[&str]) -> bool {
    error.code().is_some_and(|code| codes.contains(&code)) && !error.to_string().contains("script:")
}

/// A look that failed has written nothing.
pub(super) fn of_read(error: &RedisError) -> StoreError {
    StoreError::NotExecuted(error.to_string())
}

/// Why the server cannot be used.
pub(super) fn of_server(error: &RedisError, shown: &str) -> ServerFault {
    let problem = error.to_string();
    let shown = shown.to_owned();
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
            ServerFault::Denied {
                problem,
                cure: "check the user and the password of the ledger's URL",
            }
        }
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) | (_, Some("NOPERM")) => {
            ServerFault::Denied {
                problem,
                cure: NEEDED,
            }
        }
        (ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown), _) => {
            ServerFault::ReadOnly {
                place: shown,
                problem,
            }
        }
        (ErrorKind::Io, _) => ServerFault::of_connection(shown, problem),
        (ErrorKind::InvalidClientConfig, _) => ServerFault::Url(problem),
        (_, Some("CLUSTERDOWN")) => nodes::incomplete(),
        (_, Some("MISCONF")) => ServerFault::Unsafe {
            problem,
            cure: "see in the server's log why it cannot save, and whether its disk is full"
                .to_owned(),
        },
        _ => ServerFault::Other(problem),
    }
}

/// The permissions that a user of the server needs.
pub(super) const NEEDED: &str = "let its user run `+@read +@write +@scripting +@pubsub +@connection +info +time +config|get` (and in a cluster `+cluster|slots`) on `~semel:*` and `&semel:*`";
