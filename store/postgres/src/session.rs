//! One connection: made, checked, and asked.
//!
//! Statements of one connection are sent behind one another without waiting, and each is carried out once it is sent,
//! whether or not anybody awaits its answer.

use super::{
    checks::{self, LedgerState},
    endpoint::Endpoint,
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

/// The time limit of a statement at the server, which then ends it without effect.
const STATEMENT_MS: u32 = 8_000;

/// The time limit of a wait for a row lock.
const LOCK_MS: u32 = 5_000;

/// The time limit for a response: longer than the server works on it, so that a statement ended by
/// the server is known to have had no effect.
const ANSWER: Duration = Duration::from_secs(10);

/// Returns the settings of each session. Plans are made once, and by index: arrays have no length
/// that a planner could know, and the plan for ten million rows is never wrong for ten.
fn settings() -> String {
    format!(
        "SET statement_timeout = {STATEMENT_MS}; SET lock_timeout = {LOCK_MS}; SET plan_cache_mode = force_generic_plan;
         SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
         SET client_min_messages = warning; SET idle_in_transaction_session_timeout = {STATEMENT_MS}"
    )
}

/// A receiver of a connection's notifications.
pub(super) type NotificationHandler = Arc<dyn Fn(&str) + Send + Sync>;

/// A connection to a ledger that was checked.
pub(super) struct Session {
    client: Client,
    pub(super) statements: Statements,
    /// Which life of the ledger it serves: a server that was promoted does not take over a connection.
    pub(super) life: Incarnation,
    pub(super) finding: LedgerState,
    place: Arc<Endpoint>,
    warnings: Arc<AtomicU64>,
}

/// The statements, as the server knows them.
pub(super) struct Statements {
    pub(super) create: StatementForms,
    pub(super) create_in_place: Statement,
    pub(super) replace: StatementForms,
    pub(super) remove: StatementForms,
    pub(super) get: StatementForms,
    pub(super) list: Statement,
    pub(super) list_open: Statement,
    pub(super) purge: Statement,
}

/// A statement for one command, and for many.
pub(super) struct StatementForms {
    one: Statement,
    many: Statement,
}

impl Session {
    /// Connects, and checks that there is a ledger that keeps what it acknowledges.
    pub(super) async fn open(
        place: &Arc<Endpoint>,
        hear: NotificationHandler,
    ) -> Result<Self, ServerError> {
        let (client, warnings) = connect(place, hear).await?;
        let fault = |error| place.fault(&error);
        client.batch_execute(&settings()).await.map_err(fault)?;
        let finding = checks::check(&client, place).await?;
        let statements = Statements::prepare(&client).await.map_err(fault)?;
        Ok(Self {
            client,
            statements,
            life: finding.life,
            finding,
            place: Arc::clone(place),
            warnings,
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Asks the server. From the first poll on the statement is on its way.
    pub(super) async fn ask(
        &self,
        statement: &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let warnings = self.warnings.load(Ordering::Acquire);
        let asked = tokio::time::timeout(ANSWER, self.client.query(statement, parameters)).await;
        let rows =
            asked.map_err(|_| StoreError::unknown(format!("no answer within {ANSWER:?}")))?;
        let rows = rows.map_err(|error| not_done(error, &self.place))?;
        if self.warnings.load(Ordering::Acquire) != warnings {
            // Such as that the wait for a standby was given up: it is written here, and perhaps nowhere else.
            return Err(StoreError::unknown(
                "the server warned while it wrote: see its log",
            ));
        }
        Ok(rows)
    }
}

impl Statements {
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

    pub(super) fn of(&self, form: StatementForm) -> &Statement {
        match form {
            StatementForm::One => &self.one,
            StatementForm::Many => &self.many,
        }
    }
}

/// Maps a failed statement to the state of its commands. An error from the server is rolled back; a
/// lost connection may follow the commit.
fn not_done(error: Error, place: &Endpoint) -> StoreError {
    match error.as_db_error().map(|error| error.parsed_severity()) {
        Some(Some(Severity::Error)) => StoreError::not_executed(place.fault(&error)),
        _ => {
            let message = super::endpoint::describe_error(&error);
            StoreError::Unknown(SharedError::with_message(message, error))
        }
    }
}

/// A connection, and how often its server warned.
pub(super) async fn connect(
    place: &Endpoint,
    hear: NotificationHandler,
) -> Result<(Client, Arc<AtomicU64>), ServerError> {
    let warnings = Arc::new(AtomicU64::new(0));
    let client = match place.tls()? {
        Some(tls) => {
            let (client, connection) = place
                .config()
                .connect(tls)
                .await
                .map_err(|error| place.fault(&error))?;
            tokio::spawn(serve(connection, hear, Arc::clone(&warnings)));
            client
        }
        None => {
            let plain = place.config().connect(tokio_postgres::NoTls).await;
            let (client, connection) = plain.map_err(|error| place.fault(&error))?;
            tokio::spawn(serve(connection, hear, Arc::clone(&warnings)));
            client
        }
    };
    Ok((client, warnings))
}

/// Moves what is asked and answered, until the client is dropped or the connection ends.
async fn serve<S, T>(
    mut connection: Connection<S, T>,
    hear: NotificationHandler,
    warnings: Arc<AtomicU64>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => hear(notification.payload()),
            Ok(AsyncMessage::Notice(notice)) => {
                tracing::warn!(
                    code = notice.code().code(),
                    "the ledger's server warns: {}",
                    notice.message()
                );
                warnings.fetch_add(1, Ordering::Release);
            }
            Ok(_) => {}
            // The callers that wait for an answer get the error.
            Err(_) => return,
        }
    }
}
