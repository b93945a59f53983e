//! What is asked of one key, and how many of them are asked in one statement.

use super::{
    row::{self, NewRow, Row, number},
    session::Session,
    statement::StatementForm,
};
use semel_core::model::{Stamp, StoreKey};
use semel_store::{Clock, SharedError, StoreError, Version};
use std::{collections::HashMap, sync::Arc};
use tokio_postgres::types::ToSql;

/// The tries of a creation where another host's row came and went in between.
const CREATE_AGAIN_MAX: u32 = 8;

/// Something asked of one key.
#[derive(Debug)]
pub(super) enum Command {
    Create(StoreKey, Arc<NewRow>),
    Replace(StoreKey, Version, Arc<NewRow>),
    Remove(StoreKey, Version),
    Get(StoreKey),
}

/// Which statement carries a command out.
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
    /// It is written, at this time.
    Done(Stamp),
    /// This lies there, or nothing, and the time is now.
    Found(Option<Arc<Row>>, Stamp),
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

    /// Returns the bytes that it sends.
    pub(super) fn bytes(&self) -> usize {
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
pub(super) type Answers = HashMap<StoreKey, Result<CommandResult, StoreError>>;

/// Carries out commands of one kind, on distinct keys where they write, and returns the result of
/// each, by key.
///
/// # Errors
///
/// If the statement failed, for all of them.
pub(super) async fn carry_out(
    session: &Session,
    clock: Option<&dyn Clock>,
    commands: &[&Command],
) -> Result<Answers, StoreError> {
    let Some(kind) = commands.first().map(|command| command.kind()) else {
        return Ok(HashMap::new());
    };
    let at = CommandBatch {
        session,
        now: clock.map(|clock| number(clock.now().wall_ms)),
    };
    match kind {
        CommandKind::Create => at.create(commands).await,
        CommandKind::Replace => at.change(commands, true).await,
        CommandKind::Remove => at.change(commands, false).await,
        CommandKind::Get => {
            let mut keys: Vec<_> = commands.iter().map(|command| command.key()).collect();
            keys.sort_unstable();
            keys.dedup();
            at.get(&keys).await
        }
    }
}

impl CommandResult {
    /// Treats an expired entry as absent.
    pub(super) fn without_what_ended(self) -> Self {
        match self {
            Self::Found(row, now) => Self::Found(row.filter(|row| !row.is_past_end(now)), now),
            done @ Self::Done(_) => done,
        }
    }
}

/// One answer of a statement: of which key, whether it was written, and when that is.
struct AnswerRow {
    key: StoreKey,
    is_written: bool,
    now: Stamp,
}

/// A session, and the time by which it is asked.
struct CommandBatch<'a> {
    session: &'a Session,
    /// None: the server's own.
    now: Option<i64>,
}

impl CommandBatch<'_> {
    async fn create(&self, commands: &[&Command]) -> Result<Answers, StoreError> {
        let columns = CommandColumns::of(commands);
        let life = self.life();
        let statement = self.session.statements.create.of(columns.form());
        let answers = self
            .session
            .ask(statement, &columns.written(&self.now, &life))
            .await?;
        let mut told = HashMap::with_capacity(commands.len());
        let mut ended = HashMap::new();
        for answer in &answers {
            let AnswerRow {
                key,
                is_written,
                now,
            } = self.line(answer)?;
            if is_written {
                told.insert(key, Ok(CommandResult::Done(now)));
                continue;
            }
            if told.contains_key(&key) {
                // It was removed while the statement ran, and is written again.
                continue;
            }
            match Row::read(answer, 3).map_err(unreadable)? {
                Some(row) if !row.is_past_end(now) => {
                    told.insert(key, Ok(CommandResult::Found(Some(Arc::new(row)), now)))
                }
                Some(row) => ended.insert(key, Arc::new(row)).and(None),
                None => None,
            };
        }
        // An expired entry is in the way, or another host wrote it since the statement began.
        let silent: Vec<_> = commands
            .iter()
            .filter(|command| !told.contains_key(&command.key()))
            .collect();
        for command in silent {
            let key = command.key();
            told.insert(key, self.create_again(command, ended.remove(&key)).await);
        }
        Ok(told)
    }

    /// Creates at a key where something lies that is past its end, or where something came up meanwhile.
    async fn create_again(
        &self,
        command: &Command,
        mut lying: Option<Arc<Row>>,
    ) -> Result<CommandResult, StoreError> {
        let columns = CommandColumns::of(&[command]);
        let key = command.key();
        let life = self.life();
        for _ in 0..CREATE_AGAIN_MAX {
            let answers = match &lying {
                Some(row) => {
                    let expected = row.version()?;
                    let expected: &[u8] = expected.as_bytes();
                    let mut parameters = columns.written(&self.now, &life);
                    parameters.push(&expected);
                    self.session
                        .ask(&self.session.statements.create_in_place, &parameters)
                        .await?
                }
                None => {
                    let statement = self.session.statements.create.of(StatementForm::One);
                    self.session
                        .ask(statement, &columns.written(&self.now, &life))
                        .await?
                }
            };
            let line = answers
                .first()
                .map(|answer| self.line(answer))
                .transpose()?;
            if let Some(AnswerRow {
                is_written: true,
                now,
                ..
            }) = line
            {
                return Ok(CommandResult::Done(now));
            }
            match self.get(&[key]).await?.remove(&key) {
                Some(Ok(CommandResult::Found(Some(row), now))) if !row.is_past_end(now) => {
                    return Ok(CommandResult::Found(Some(row), now));
                }
                Some(Ok(CommandResult::Found(row, _))) => lying = row,
                _ => lying = None,
            }
        }
        Err(StoreError::not_executed(
            "others create and remove the same entry all the time: try again later",
        ))
    }

    async fn change(&self, commands: &[&Command], replaces: bool) -> Result<Answers, StoreError> {
        let columns = CommandColumns::of(commands);
        let life = self.life();
        let form = columns.form();
        let statements = &self.session.statements;
        let answers = if replaces {
            self.session
                .ask(
                    statements.replace.of(form),
                    &columns.written_in_place(&self.now, &life),
                )
                .await?
        } else {
            self.session
                .ask(statements.remove.of(form), &columns.removed(&self.now))
                .await?
        };
        let mut told = HashMap::with_capacity(commands.len());
        for answer in &answers {
            let AnswerRow { key, now, .. } = self.line(answer)?;
            told.insert(key, Ok(CommandResult::Done(now)));
        }
        let others: Vec<_> = commands
            .iter()
            .map(|command| command.key())
            .filter(|key| !told.contains_key(key))
            .collect();
        told.extend(self.what_lies_instead(&others).await);
        Ok(told)
    }

    /// Reads the entries at keys where a change found another version than it expected, and so
    /// wrote nothing.
    async fn what_lies_instead(&self, keys: &[StoreKey]) -> Answers {
        if keys.is_empty() {
            return Answers::new();
        }
        match self.get(keys).await {
            Ok(found) => found,
            Err(error) => {
                let error = error.into_read_error();
                keys.iter().map(|key| (*key, Err(error.clone()))).collect()
            }
        }
    }

    async fn get(&self, keys: &[StoreKey]) -> Result<Answers, StoreError> {
        let asked: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes().as_slice()).collect();
        let form = StatementForm::of(keys.len());
        let statement = self.session.statements.get.of(form);
        let answers = self
            .session
            .ask(statement, &[&self.now, parameter(form, &asked)])
            .await?;
        let read = |answer| {
            let AnswerRow { key, now, .. } = self.line(answer)?;
            let row = Row::read(answer, 3).map_err(unreadable)?;
            Ok((key, Ok(CommandResult::Found(row.map(Arc::new), now))))
        };
        answers.iter().map(read).collect()
    }

    fn life(&self) -> i64 {
        self.session.life.0.cast_signed()
    }

    fn line(&self, answer: &tokio_postgres::Row) -> Result<AnswerRow, StoreError> {
        let read = || {
            Ok(AnswerRow {
                key: row::key(answer, 0)?,
                is_written: answer.try_get(1)?,
                now: row::moment(answer.try_get(2)?).stamp(self.session.life),
            })
        };
        read().map_err(unreadable)
    }
}

/// An answer came, and is not what this release asks for: what was asked is done, or not.
fn unreadable(error: tokio_postgres::Error) -> StoreError {
    let message = format!(
        "the answer cannot be read: {}",
        super::endpoint::describe_error(&error)
    );
    StoreError::Unknown(SharedError::with_message(message, error))
}

/// The parameters, column by column.
#[derive(Default)]
struct CommandColumns<'a> {
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

impl<'a> CommandColumns<'a> {
    /// In the order of keys.
    fn of(commands: &[&'a Command]) -> Self {
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
        StatementForm::of(self.keys.len())
    }

    /// For a statement that writes rows.
    fn written<'p>(&'p self, now: &'p Option<i64>, life: &'p i64) -> Parameters<'p> {
        let form = self.form();
        vec![
            now,
            life,
            parameter(form, &self.keys),
            parameter(form, &self.versions),
            parameter(form, &self.entries),
            parameter(form, &self.keep_ms),
            parameter(form, &self.tenants),
            parameter(form, &self.states),
            parameter(form, &self.due_in_ms),
        ]
    }

    /// For a statement that writes rows in place of others.
    fn written_in_place<'p>(&'p self, now: &'p Option<i64>, life: &'p i64) -> Parameters<'p> {
        let mut parameters = self.written(now, life);
        parameters.push(parameter(self.form(), &self.expected));
        parameters
    }

    fn removed<'p>(&'p self, now: &'p Option<i64>) -> Parameters<'p> {
        let form = self.form();
        vec![
            now,
            parameter(form, &self.keys),
            parameter(form, &self.expected),
        ]
    }
}

/// The values of a column: an array, or the only one.
fn parameter<T: ToSql + Sync>(form: StatementForm, values: &Vec<T>) -> &(dyn ToSql + Sync) {
    match (form, values.as_slice()) {
        (StatementForm::One, [value]) => value,
        _ => values,
    }
}
