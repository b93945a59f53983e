//! A session: one connection that was checked, with its prepared statements.
//!
//! The statements of a connection are pipelined. Each is executed once it is sent, even if its caller no
//! longer waits for the answer.

use super::{
    checks::{self, LedgerState},
    endpoint::{Endpoint, describe_error},
    statement::{self, StatementForm},
};
use semel_core::model::Incarnation;
use semel_store::{ServerError, SharedError, StoreError};
use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio_postgres::{
    AsyncMessage, Client, Connection, Statement,
    error::{Error, Severity},
    types::ToSql,
};

/// The time limit of a statement, after which the server cancels it without effect.
const STATEMENT_MS: u32 = 8_000;

/// The time limit of a wait for a row lock.
const LOCK_MS: u32 = 5_000;

/// The time limit of an answer. It is longer than the server's own limit, so that the server's report of a
/// cancelled statement, which had no effect, still arrives.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the settings of each session.
///
/// Plans are generic and use indexes only. The planner cannot know the length of an array, and a plan for
/// ten million rows is never wrong for ten.
fn session_settings() -> String {
    format!(
        "SET statement_timeout = {STATEMENT_MS}; SET lock_timeout = {LOCK_MS}; SET plan_cache_mode = force_generic_plan;
         SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
         SET client_min_messages = warning; SET idle_in_transaction_session_timeout = {STATEMENT_MS}"
    )
}

/// The handler of a connection's notifications.
pub(super) type NotificationHandler = Arc<dyn Fn(&str) + Send + Sync>;

/// A checked connection to a ledger.
pub(super) struct Session {
    client: Client,
    pub(super) statements: PreparedStatements,
    /// The incarnation of the ledger. It holds as long as the connection, because a promoted server takes no
    /// connection over.
    pub(super) incarnation: Incarnation,
    pub(super) state: LedgerState,
    endpoint: Arc<Endpoint>,
    warnings: Arc<AtomicU64>,
}

/// The prepared statements of a session.
pub(super) struct PreparedStatements {
    pub(super) create: StatementForms,
    pub(super) create_in_place: Statement,
    pub(super) replace: StatementForms,
    pub(super) remove: StatementForms,
    pub(super) get: StatementForms,
    pub(super) list: Statement,
    pub(super) list_open: Statement,
    pub(super) purge: Statement,
}

/// A prepared statement in both of its forms.
pub(super) struct StatementForms {
    one: Statement,
    many: Statement,
}

impl Session {
    /// Connects, and checks that the ledger keeps acknowledged writes.
    pub(super) async fn open(
        endpoint: &Arc<Endpoint>,
        handler: NotificationHandler,
    ) -> Result<Self, ServerError> {
        let (client, warnings) = connect(endpoint, handler).await?;
        let server_error = |error| endpoint.server_error(error);
        client
            .batch_execute(&session_settings())
            .await
            .map_err(server_error)?;
        let state = checks::check_session(&client, endpoint).await?;
        let statements = PreparedStatements::prepare(&client)
            .await
            .map_err(server_error)?;
        Ok(Self {
            client,
            statements,
            incarnation: state.incarnation,
            state,
            endpoint: Arc::clone(endpoint),
            warnings,
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Executes a statement. It is sent at the first poll.
    pub(super) async fn query(
        &self,
        statement: &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let warnings = self.warnings.load(Ordering::Acquire);
        let answer =
            tokio::time::timeout(ANSWER_TIMEOUT, self.client.query(statement, parameters)).await;
        let rows = answer
            .map_err(|_| StoreError::unknown(format!("no answer within {ANSWER_TIMEOUT:?}")))?;
        let rows = rows.map_err(|error| statement_error(error, &self.endpoint))?;
        if self.warnings.load(Ordering::Acquire) != warnings {
            // For example, the server gave up its wait for a standby: the write may exist on this machine only.
            return Err(StoreError::unknown(
                "the server warned during the write: see its log",
            ));
        }
        Ok(rows)
    }
}

impl PreparedStatements {
    async fn prepare(client: &Client) -> Result<Self, Error> {
        let list = statement::list(false);
        let list_open = statement::list(true);
        let create_in_place = statement::create_in_place();
        let purge = statement::purge();
        let (create, create_in_place, replace, remove, get, list, list_open, purge) = tokio::try_join!(
            StatementForms::prepare(client, statement::create),
            client.prepare(&create_in_place),
            StatementForms::prepare(client, statement::replace),
            StatementForms::prepare(client, statement::remove),
            StatementForms::prepare(client, statement::get),
            client.prepare(&list),
            client.prepare(&list_open),
            client.prepare(&purge),
        )?;
        Ok(Self {
            create,
            create_in_place,
            replace,
            remove,
            get,
            list,
            list_open,
            purge,
        })
    }
}

impl StatementForms {
    async fn prepare(
        client: &Client,
        text: impl Fn(StatementForm) -> String,
    ) -> Result<Self, Error> {
        let one = text(StatementForm::One);
        let many = text(StatementForm::Many);
        let (one, many) = tokio::try_join!(client.prepare(&one), client.prepare(&many))?;
        Ok(Self { one, many })
    }

    pub(super) fn select(&self, form: StatementForm) -> &Statement {
        match form {
            StatementForm::One => &self.one,
            StatementForm::Many => &self.many,
        }
    }
}

/// Classifies a failed statement. The server has rolled back an error of its own; a lost connection may
/// follow the commit.
fn statement_error(error: Error, endpoint: &Endpoint) -> StoreError {
    match error.as_db_error().map(|error| error.parsed_severity()) {
        Some(Some(Severity::Error)) => StoreError::not_executed(endpoint.server_error(error)),
        _ => {
            let message = describe_error(&error);
            StoreError::Unknown(SharedError::with_message(message, error))
        }
    }
}

/// Opens a connection. The counter is the number of the server's warnings on it.
pub(super) async fn connect(
    endpoint: &Endpoint,
    handler: NotificationHandler,
) -> Result<(Client, Arc<AtomicU64>), ServerError> {
    let warnings = Arc::new(AtomicU64::new(0));
    let client = match endpoint.tls_connector()? {
        Some(tls) => {
            let (client, connection) = endpoint
                .config()
                .connect(tls)
                .await
                .map_err(|error| endpoint.server_error(error))?;
            tokio::spawn(drive_connection(connection, handler, Arc::clone(&warnings)));
            client
        }
        None => {
            let plain = endpoint.config().connect(tokio_postgres::NoTls).await;
            let (client, connection) = plain.map_err(|error| endpoint.server_error(error))?;
            tokio::spawn(drive_connection(connection, handler, Arc::clone(&warnings)));
            client
        }
    };
    Ok((client, warnings))
}

/// Drives a connection until its client is dropped, or the connection ends.
async fn drive_connection<S, T>(
    mut connection: Connection<S, T>,
    handler: NotificationHandler,
    warnings: Arc<AtomicU64>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => handler(notification.payload()),
            Ok(AsyncMessage::Notice(notice)) => {
                tracing::warn!(
                    code = notice.code().code(),
                    "the ledger's server warns: {}",
                    notice.message()
                );
                warnings.fetch_add(1, Ordering::Release);
            }
            Ok(_) => {}
            // The waiting callers get the error through the client.
            Err(_) => return,
        }
    }
}
