//! The SQL statements. Each executes any number of commands at once, each command with its own condition
//! and its own result row, and is a transaction of its own.
//!
//! A statement is written here once, and prepared twice ([`StatementForm`]): for one command, with its
//! values as parameters, and for many, with its values as arrays. A single command costs the server a
//! sixth less in its own form.
//!
//! The keys of one statement are distinct and sorted, so that two statements with common keys wait for
//! each other in place of a deadlock. If they deadlock anyway, the server rolls one of them back, which
//! then certainly wrote nothing. The time is read once, at the server.
//!
//! **Result rows** report the writes and, for a creation, the entry that existed when the statement began.
//! A key without a row was not written, and a second statement must read its *present* entry: the first
//! statement's snapshot may be older than the row that defeated it.
//!
//! No join here grows faster than its commands. Plans use indexes only ([`super::session`]), so a join of
//! two lists by key would scan one of them for each command.

/// The form of a statement, by the number of its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatementForm {
    One,
    Many,
}

impl StatementForm {
    pub(super) fn for_count(commands: usize) -> Self {
        if commands == 1 { Self::One } else { Self::Many }
    }
}

/// The time of the statement: the server's, unless a test supplies one. Materialized, so that all rows get
/// the same time.
const MOMENT: &str = "WITH moment AS MATERIALIZED (
    SELECT coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS ms
)";

/// The columns of an entry, in the order of [`super::row::EntryRow::read`].
const ENTRY_COLUMNS: &str = "entry.version, entry.entry, entry.created_ms, entry.created_life, entry.written_ms, entry.written_life, entry.keep_until_ms";

/// Returns the table of a statement's input. Its columns have these names and types, and are the
/// parameters from `first` on.
fn input_table(form: StatementForm, first: usize, columns: &[(&str, &str)]) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let values = columns
        .iter()
        .enumerate()
        .map(|(at, (_, kind))| match form {
            StatementForm::One => format!("${}::{kind}", first + at),
            StatementForm::Many => format!("${}::{kind}[]", first + at),
        });
    let values = values.collect::<Vec<_>>().join(", ");
    let source = match form {
        StatementForm::One => format!("(SELECT {values})"),
        StatementForm::Many => format!("unnest({values})"),
    };
    format!("{source} AS asked({})", names.join(", "))
}

/// The columns of a row to write. They are the parameters from the third on; the first two are the time
/// and the incarnation of the ledger.
const NEW_COLUMNS: [(&str, &str); 7] = [
    ("key", "bytea"),
    ("version", "bytea"),
    ("entry", "bytea"),
    ("keep_ms", "bigint"),
    ("tenant", "text"),
    ("state", "text"),
    ("due_in_ms", "bigint"),
];

/// The input of a write in place of an expected version.
fn replacement_table(form: StatementForm) -> String {
    let columns: Vec<_> = NEW_COLUMNS
        .into_iter()
        .chain([("expected", "bytea")])
        .collect();
    input_table(form, 3, &columns)
}

/// Creates entries. Result rows: (key, true, time) for a write, and (key, false, time, entry) for an
/// existing entry.
///
/// Both halves share one snapshot, so the second one reads the entries from before the first. It is
/// skipped if the first wrote every key.
pub(super) fn create(form: StatementForm) -> String {
    let new = input_table(form, 3, &NEW_COLUMNS);
    let keys = input_table(form, 3, &NEW_COLUMNS[..1]);
    let count = match form {
        StatementForm::One => "1",
        StatementForm::Many => "cardinality($3::bytea[])",
    };
    format!(
        "{MOMENT}, written AS (
             INSERT INTO semel.entry (
                 key, version, created_ms, created_life, written_ms, written_life,
                 keep_until_ms, tenant, state, due_in_ms, entry
             )
             SELECT asked.key, asked.version, moment.ms, $2::bigint, moment.ms, $2::bigint,
                 moment.ms + asked.keep_ms, asked.tenant, asked.state, asked.due_in_ms, asked.entry
             FROM moment, {new}
             ON CONFLICT (key) DO NOTHING
             RETURNING key
         )
         SELECT written.key, true, moment.ms, NULL::bytea, NULL::bytea, NULL::bigint, NULL::bigint, NULL::bigint,
             NULL::bigint, NULL::bigint
         FROM moment, written
         UNION ALL
         SELECT asked.key, false, moment.ms, {ENTRY_COLUMNS}
         FROM moment, {keys} JOIN semel.entry ON entry.key = asked.key
         WHERE (SELECT count(*) FROM written) < {count}"
    )
}

/// Creates an entry in place of an expired version. Result rows: (key, true, time) for a write.
pub(super) fn create_in_place() -> String {
    let new = replacement_table(StatementForm::One);
    format!(
        "{MOMENT} UPDATE semel.entry SET
             version = asked.version, created_ms = moment.ms, created_life = $2::bigint,
             written_ms = moment.ms, written_life = $2::bigint, keep_until_ms = moment.ms + asked.keep_ms,
             tenant = asked.tenant, state = asked.state, due_in_ms = asked.due_in_ms, entry = asked.entry
         FROM moment, {new}
         WHERE entry.key = asked.key AND entry.version = asked.expected AND entry.keep_until_ms <= moment.ms
         RETURNING entry.key, true, moment.ms"
    )
}

/// Replaces expected versions. Result rows: (key, true, time) for each write.
pub(super) fn replace(form: StatementForm) -> String {
    let new = replacement_table(form);
    format!(
        "{MOMENT} UPDATE semel.entry SET
             version = asked.version, written_ms = moment.ms, written_life = $2::bigint,
             keep_until_ms = moment.ms + asked.keep_ms,
             tenant = asked.tenant, state = asked.state, due_in_ms = asked.due_in_ms, entry = asked.entry
         FROM moment, {new}
         WHERE entry.key = asked.key AND entry.version = asked.expected
             AND (entry.keep_until_ms IS NULL OR entry.keep_until_ms > moment.ms)
         RETURNING entry.key, true, moment.ms"
    )
}

/// Removes expected versions. Result rows: (key, true, time) for each removal.
pub(super) fn remove(form: StatementForm) -> String {
    let old = input_table(form, 2, &[("key", "bytea"), ("expected", "bytea")]);
    format!(
        "{MOMENT} DELETE FROM semel.entry USING moment, {old}
         WHERE entry.key = asked.key AND entry.version = asked.expected
             AND (entry.keep_until_ms IS NULL OR entry.keep_until_ms > moment.ms)
         RETURNING entry.key, true, moment.ms"
    )
}

/// Reads entries. Result rows: (key, false, time, entry or nulls), one for each key.
pub(super) fn get(form: StatementForm) -> String {
    let keys = input_table(form, 2, &[("key", "bytea")]);
    format!(
        "{MOMENT} SELECT asked.key, false, moment.ms, {ENTRY_COLUMNS}
         FROM moment CROSS JOIN {keys} LEFT JOIN semel.entry ON entry.key = asked.key"
    )
}

/// The condition of the index `entry_open`. It repeats the schema literally, because the planner uses a
/// partial index only then.
pub(super) const OPEN: &str =
    "(due_in_ms IS NOT NULL OR state IN ('running', 'waiting', 'in-doubt', 'probing', 'held'))";

/// Lists a page of keys. Parameters: time, previous key, tenant, states, only due, limit.
pub(super) fn list(only_open: bool) -> String {
    let open = if only_open { OPEN } else { "true" };
    format!(
        "{MOMENT} SELECT key FROM semel.entry, moment
         WHERE key > $2 AND {open}
             AND ($3::text IS NULL OR tenant = $3)
             AND ($4::text[] IS NULL OR state = ANY ($4))
             AND (keep_until_ms IS NULL OR keep_until_ms > moment.ms)
             AND (NOT $5 OR (due_in_ms IS NOT NULL AND written_ms + due_in_ms <= moment.ms))
         ORDER BY key LIMIT $6"
    )
}

/// Deletes expired entries. Parameters: time, limit.
///
/// Locked rows are skipped: another host deletes them at the same time.
pub(super) fn purge() -> String {
    format!(
        "{MOMENT} DELETE FROM semel.entry USING moment
         WHERE key IN (
             SELECT ending.key FROM semel.entry AS ending, moment
             WHERE ending.keep_until_ms <= moment.ms
             ORDER BY ending.keep_until_ms LIMIT $2 FOR UPDATE OF ending SKIP LOCKED
         ) AND keep_until_ms <= moment.ms
         RETURNING 1"
    )
}
