//! The statements: each carries out any number of commands at once, every one with its own
//! condition and its own answer, in a transaction of its own. Each is written here once, and is
//! prepared twice: for one command, with its values as parameters, and for many, with its values as
//! arrays ([`StatementForm`]). One command costs the server a sixth less in its own form.
//!
//! The keys of one statement are distinct and sorted, so that two that meet wait for each other rather than lock each
//! other out; where they do all the same, the server ends one of them, which then certainly wrote nothing. The time is
//! taken once, at the server.
//!
//! **Answers** report the writes and, for a creation, also the entry that it found when the
//! statement began. Where a statement is silent about a key, nothing was written there, and a
//! second statement must read the *present* entry.
//!
//! No join here grows faster than its commands: with plans by index alone ([`super::session`]), two lists that are joined by
//! key would be gone through once for each command.

/// The number of commands of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatementForm {
    One,
    Many,
}

impl StatementForm {
    pub(super) fn of(commands: usize) -> Self {
        if commands == 1 { Self::One } else { Self::Many }
    }
}

/// The moment of the statement: the server's, unless a test gives one.
const MOMENT: &str = "WITH moment AS MATERIALIZED (
    SELECT coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS ms
)";

/// The columns of an entry, in the order of [`super::row::Row::read`].
const ROW: &str = "entry.version, entry.entry, entry.created_ms, entry.created_life, entry.written_ms, entry.written_life, entry.keep_until_ms";

/// Returns the input of each key, by names and types, the first of them in this parameter.
fn asked(form: StatementForm, first: usize, columns: &[(&str, &str)]) -> String {
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

/// The columns to write, in the parameters from the third on: the second is the incarnation of the
/// ledger.
const WRITTEN: [(&str, &str); 7] = [
    ("key", "bytea"),
    ("version", "bytea"),
    ("entry", "bytea"),
    ("keep_ms", "bigint"),
    ("tenant", "text"),
    ("state", "text"),
    ("due_in_ms", "bigint"),
];

/// The same, in place of this version.
fn written_in_place(form: StatementForm) -> String {
    let columns: Vec<_> = WRITTEN.into_iter().chain([("expected", "bytea")]).collect();
    asked(form, 3, &columns)
}

/// Answers where it wrote: key, true, the time; where it found something, so nothing was written: key, false, the time, and
/// that. The second half sees what lay there before the first, and is left out where that wrote everything.
pub(super) fn create(form: StatementForm) -> String {
    let new = asked(form, 3, &WRITTEN);
    let keys = asked(form, 3, &WRITTEN[..1]);
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
         SELECT asked.key, false, moment.ms, {ROW}
         FROM moment, {keys} JOIN semel.entry ON entry.key = asked.key
         WHERE (SELECT count(*) FROM written) < {count}"
    )
}

/// Creates again in place of this version if that is expired. Answers where it wrote: key, true,
/// the time.
pub(super) fn create_in_place() -> String {
    let new = written_in_place(StatementForm::One);
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

/// Answers where it wrote: key, true, the time.
pub(super) fn replace(form: StatementForm) -> String {
    let new = written_in_place(form);
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

/// Answers where it removed something: key, true, the time.
pub(super) fn remove(form: StatementForm) -> String {
    let old = asked(form, 2, &[("key", "bytea"), ("expected", "bytea")]);
    format!(
        "{MOMENT} DELETE FROM semel.entry USING moment, {old}
         WHERE entry.key = asked.key AND entry.version = asked.expected
             AND (entry.keep_until_ms IS NULL OR entry.keep_until_ms > moment.ms)
         RETURNING entry.key, true, moment.ms"
    )
}

/// Answers for each key: key, false, the time, and what lies there.
pub(super) fn get(form: StatementForm) -> String {
    let keys = asked(form, 2, &[("key", "bytea")]);
    format!(
        "{MOMENT} SELECT asked.key, false, moment.ms, {ROW}
         FROM moment CROSS JOIN {keys} LEFT JOIN semel.entry ON entry.key = asked.key"
    )
}

/// The condition of the index `entry_open` in the schema, word by word.
pub(super) const OPEN: &str =
    "(due_in_ms IS NOT NULL OR state IN ('running', 'waiting', 'in-doubt', 'probing', 'held'))";

/// A page of keys: after this one, of this tenant, in these states, due or not, so many.
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

/// Drops expired entries, at most so many; those that other hosts drop at the same time are left to
/// them.
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
