//! The commands on one key, and their execution in groups.

use super::{
    endpoint::describe_error,
    row::{self, EntryRow, NewRow, to_column},
    session::Session,
    statement::StatementForm,
};
use semel_core::model::{Stamp, StoreKey};
use semel_store::{Clock, SharedError, StoreError, Version};
use std::{collections::HashMap, sync::Arc};
use tokio_postgres::types::ToSql;

/// The attempts of a creation while other hosts create and remove the same entry.
const CREATE_ATTEMPTS_MAX: u32 = 8;

/// A command on one key.
#[derive(Debug)]
pub(super) enum Command {
    Create(StoreKey, Arc<NewRow>),
    Replace(StoreKey, Version, Arc<NewRow>),
    Remove(StoreKey, Version),
    Get(StoreKey),
}

/// The kind of a command, which selects its statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommandKind {
    Create,
    Replace,
    Remove,
    Get,
}

/// The result of a command.
#[derive(Debug, Clone)]
pub(super) enum CommandResult {
    /// The entry is written or removed, at this time.
    Written(Stamp),
    /// Nothing is written: the current entry of the key, if any, and the present time.
    Current(Option<Arc<EntryRow>>, Stamp),
}

impl Command {
    pub(super) fn key(&self) -> StoreKey {
        match self {
            Self::Create(key, _)
            | Self::Replace(key, _, _)
            | Self::Remove(key, _)
            | Self::Get(key) => *key,
        }
    }

    pub(super) fn kind(&self) -> CommandKind {
        match self {
            Self::Create(..) => CommandKind::Create,
            Self::Replace(..) => CommandKind::Replace,
            Self::Remove(..) => CommandKind::Remove,
            Self::Get(_) => CommandKind::Get,
        }
    }

    /// Returns the number of bytes to send, nearly.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Create(_, new) | Self::Replace(_, _, new) => new.entry.len(),
            Self::Remove(..) | Self::Get(_) => 0,
        }
    }

    fn new_row(&self) -> Option<&NewRow> {
        match self {
            Self::Create(_, new) | Self::Replace(_, _, new) => Some(new),
            Self::Remove(..) | Self::Get(_) => None,
        }
    }

    fn expected(&self) -> Option<&Version> {
        match self {
            Self::Replace(_, expected, _) | Self::Remove(_, expected) => Some(expected),
            Self::Create(..) | Self::Get(_) => None,
        }
    }
}

/// The result of each command of a statement.
pub(super) type CommandResults = HashMap<StoreKey, Result<CommandResult, StoreError>>;

/// Executes commands of one kind, and returns the result of each by its key. The keys of writes must be
/// distinct.
///
/// # Errors
///
/// If the statement failed, one error for all of them.
pub(super) async fn execute(
    session: &Session,
    clock: Option<&dyn Clock>,
    commands: &[&Command],
) -> Result<CommandResults, StoreError> {
    let Some(kind) = commands.first().map(|command| command.kind()) else {
        return Ok(HashMap::new());
    };
    let batch = CommandBatch {
        session,
        now: clock.map(|clock| to_column(clock.now().wall_ms)),
    };
    match kind {
        CommandKind::Create => batch.create(commands).await,
        CommandKind::Replace => batch.replace(commands).await,
        CommandKind::Remove => batch.remove(commands).await,
        CommandKind::Get => {
            let mut keys: Vec<_> = commands.iter().map(|command| command.key()).collect();
            keys.sort_unstable();
            keys.dedup();
            batch.get(&keys).await
        }
    }
}

impl CommandResult {
    /// Treats an expired entry as absent.
    pub(super) fn without_expired(self) -> Self {
        match self {
            Self::Current(row, now) => Self::Current(row.filter(|row| !row.is_expired(now)), now),
            written @ Self::Written(_) => written,
        }
    }
}

/// The first three columns of every result row: the key, if it was written, and the time.
struct ResultRow {
    key: StoreKey,
    is_written: bool,
    now: Stamp,
}

/// The execution of commands on a session, at one time.
struct CommandBatch<'a> {
    session: &'a Session,
    /// `None` for the server's own time.
    now: Option<i64>,
}

impl CommandBatch<'_> {
    async fn create(&self, commands: &[&Command]) -> Result<CommandResults, StoreError> {
        let columns = ParameterColumns::new(commands);
        let incarnation = self.incarnation();
        let statement = self.session.statements.create.select(columns.form());
        let rows = self
            .session
            .query(statement, &columns.row_parameters(&self.now, &incarnation))
            .await?;
        let mut results = HashMap::with_capacity(commands.len());
        let mut expired = HashMap::new();
        for answer in &rows {
            let ResultRow {
                key,
                is_written,
                now,
            } = self.parse_row(answer)?;
            if is_written {
                results.insert(key, Ok(CommandResult::Written(now)));
                continue;
            }
            if results.contains_key(&key) {
                // The snapshot had an entry, which another host removed before this statement inserted.
                continue;
            }
            match EntryRow::read(answer, 3).map_err(unreadable_answer)? {
                Some(row) if !row.is_expired(now) => {
                    results.insert(key, Ok(CommandResult::Current(Some(Arc::new(row)), now)));
                }
                Some(row) => {
                    expired.insert(key, Arc::new(row));
                }
                None => {}
            }
        }
        // Without a result: an expired entry is in the way, or one that is newer than the snapshot.
        let unanswered: Vec<_> = commands
            .iter()
            .filter(|command| !results.contains_key(&command.key()))
            .collect();
        for command in unanswered {
            let key = command.key();
            results.insert(key, self.create_alone(command, expired.remove(&key)).await);
        }
        Ok(results)
    }

    /// Creates one entry in place of an expired one, or after a conflict with another host.
    async fn create_alone(
        &self,
        command: &Command,
        mut expired: Option<Arc<EntryRow>>,
    ) -> Result<CommandResult, StoreError> {
        let columns = ParameterColumns::new(&[command]);
        let key = command.key();
        let incarnation = self.incarnation();
        for _ in 0..CREATE_ATTEMPTS_MAX {
            let rows = match &expired {
                Some(row) => {
                    let expected = row.version()?;
                    let expected: &[u8] = expected.as_bytes();
                    let mut parameters = columns.row_parameters(&self.now, &incarnation);
                    parameters.push(&expected);
                    self.session
                        .query(&self.session.statements.create_in_place, &parameters)
                        .await?
                }
                None => {
                    let statement = self.session.statements.create.select(StatementForm::One);
                    self.session
                        .query(statement, &columns.row_parameters(&self.now, &incarnation))
                        .await?
                }
            };
            let written = rows
                .first()
                .map(|answer| self.parse_row(answer))
                .transpose()?;
            if let Some(ResultRow {
                is_written: true,
                now,
                ..
            }) = written
            {
                return Ok(CommandResult::Written(now));
            }
            match self.get(&[key]).await?.remove(&key) {
                Some(Ok(CommandResult::Current(Some(row), now))) if !row.is_expired(now) => {
                    return Ok(CommandResult::Current(Some(row), now));
                }
                Some(Ok(CommandResult::Current(row, _))) => expired = row,
                _ => expired = None,
            }
        }
        Err(StoreError::not_executed(
            "other hosts keep creating and removing the same entry: try again later",
        ))
    }

    async fn replace(&self, commands: &[&Command]) -> Result<CommandResults, StoreError> {
        let columns = ParameterColumns::new(commands);
        let incarnation = self.incarnation();
        let statement = self.session.statements.replace.select(columns.form());
        let parameters = columns.replace_parameters(&self.now, &incarnation);
        let rows = self.session.query(statement, &parameters).await?;
        self.collect_results(commands, &rows).await
    }

    async fn remove(&self, commands: &[&Command]) -> Result<CommandResults, StoreError> {
        let columns = ParameterColumns::new(commands);
        let statement = self.session.statements.remove.select(columns.form());
        let parameters = columns.remove_parameters(&self.now);
        let rows = self.session.query(statement, &parameters).await?;
        self.collect_results(commands, &rows).await
    }

    /// Returns the results of writes with an expected version: those that the statement reports, and the
    /// current entries of all other keys.
    async fn collect_results(
        &self,
        commands: &[&Command],
        rows: &[tokio_postgres::Row],
    ) -> Result<CommandResults, StoreError> {
        let mut results = HashMap::with_capacity(commands.len());
        for row in rows {
            let ResultRow { key, now, .. } = self.parse_row(row)?;
            results.insert(key, Ok(CommandResult::Written(now)));
        }
        let others: Vec<_> = commands
            .iter()
            .map(|command| command.key())
            .filter(|key| !results.contains_key(key))
            .collect();
        results.extend(self.read_current_entries(&others).await);
        Ok(results)
    }

    /// Reads the current entries of the keys of failed writes.
    async fn read_current_entries(&self, keys: &[StoreKey]) -> CommandResults {
        if keys.is_empty() {
            return CommandResults::new();
        }
        match self.get(keys).await {
            Ok(found) => found,
            Err(error) => {
                let error = error.into_read_error();
                keys.iter().map(|key| (*key, Err(error.clone()))).collect()
            }
        }
    }

    async fn get(&self, keys: &[StoreKey]) -> Result<CommandResults, StoreError> {
        let columns: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes().as_slice()).collect();
        let form = StatementForm::for_count(keys.len());
        let statement = self.session.statements.get.select(form);
        let rows = self
            .session
            .query(statement, &[&self.now, column_parameter(form, &columns)])
            .await?;
        let read = |answer| {
            let ResultRow { key, now, .. } = self.parse_row(answer)?;
            let row = EntryRow::read(answer, 3).map_err(unreadable_answer)?;
            Ok((key, Ok(CommandResult::Current(row.map(Arc::new), now))))
        };
        rows.iter().map(read).collect()
    }

    fn incarnation(&self) -> i64 {
        self.session.incarnation.0.cast_signed()
    }

    fn parse_row(&self, answer: &tokio_postgres::Row) -> Result<ResultRow, StoreError> {
        let read = || {
            Ok(ResultRow {
                key: row::read_key(answer, 0)?,
                is_written: answer.try_get(1)?,
                now: row::clock_reading(answer.try_get(2)?).stamp(self.session.incarnation),
            })
        };
        read().map_err(unreadable_answer)
    }
}

/// Returns the error for an answer in an unknown form: the statement may have been executed.
fn unreadable_answer(error: tokio_postgres::Error) -> StoreError {
    let message = format!("the answer cannot be read: {}", describe_error(&error));
    StoreError::Unknown(SharedError::with_message(message, error))
}

/// The parameters of commands, by column.
#[derive(Default)]
struct ParameterColumns<'a> {
    keys: Vec<&'a [u8]>,
    versions: Vec<&'a [u8]>,
    entries: Vec<&'a [u8]>,
    keep_ms: Vec<Option<i64>>,
    tenants: Vec<Option<&'a str>>,
    states: Vec<&'static str>,
    due_in_ms: Vec<Option<i64>>,
    expected: Vec<&'a [u8]>,
}

/// The parameters of a statement.
type Parameters<'p> = Vec<&'p (dyn ToSql + Sync)>;

impl<'a> ParameterColumns<'a> {
    /// Collects the parameters in the order of the keys, which prevents deadlocks.
    fn new(commands: &[&'a Command]) -> Self {
        let mut sorted = commands.to_vec();
        sorted.sort_by_key(|command| command.key());
        let mut columns = Self::default();
        for command in sorted {
            columns.add(command);
        }
        columns
    }

    fn add(&mut self, command: &'a Command) {
        match command {
            Command::Create(key, _)
            | Command::Replace(key, _, _)
            | Command::Remove(key, _)
            | Command::Get(key) => {
                self.keys.push(key.as_bytes());
            }
        }
        if let Some(new) = command.new_row() {
            self.versions.push(new.version.as_bytes());
            self.entries.push(&new.entry);
            self.keep_ms.push(new.keep_ms);
            self.tenants
                .push(new.labels.tenant.as_ref().map(|tenant| tenant.as_str()));
            self.states.push(new.labels.state.word());
            self.due_in_ms.push(new.due_in_ms());
        }
        if let Some(expected) = command.expected() {
            self.expected.push(expected.as_bytes());
        }
    }

    fn form(&self) -> StatementForm {
        StatementForm::for_count(self.keys.len())
    }

    /// Returns the parameters of a statement that writes rows.
    fn row_parameters<'p>(&'p self, now: &'p Option<i64>, incarnation: &'p i64) -> Parameters<'p> {
        let form = self.form();
        vec![
            now,
            incarnation,
            column_parameter(form, &self.keys),
            column_parameter(form, &self.versions),
            column_parameter(form, &self.entries),
            column_parameter(form, &self.keep_ms),
            column_parameter(form, &self.tenants),
            column_parameter(form, &self.states),
            column_parameter(form, &self.due_in_ms),
        ]
    }

    /// Returns the parameters of a statement that replaces versions.
    fn replace_parameters<'p>(
        &'p self,
        now: &'p Option<i64>,
        incarnation: &'p i64,
    ) -> Parameters<'p> {
        let mut parameters = self.row_parameters(now, incarnation);
        parameters.push(column_parameter(self.form(), &self.expected));
        parameters
    }

    fn remove_parameters<'p>(&'p self, now: &'p Option<i64>) -> Parameters<'p> {
        let form = self.form();
        vec![
            now,
            column_parameter(form, &self.keys),
            column_parameter(form, &self.expected),
        ]
    }
}

/// Returns the values of a column: an array, or the single value.
fn column_parameter<T: ToSql + Sync>(form: StatementForm, values: &Vec<T>) -> &(dyn ToSql + Sync) {
    match (form, values.as_slice()) {
        (StatementForm::One, [value]) => value,
        _ => values,
    }
}
