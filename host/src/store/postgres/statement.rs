//! The statements: each carries out any number of commands at once, every one with its own condition and its own answer,
//! and is a transaction of its own.
//!
//! The keys of one statement are distinct and sorted, so that two that meet wait for each other rather than lock each
//! other out; where they do all the same, the server ends one of them, which then certainly wrote nothing. The time is
//! taken once, at the server. A row that was not written is read by a second statement where it matters what lies there
//! *now*: the first one sees what lay there when it began, which is good enough for what a creation finds.

/// The moment of the statement: the server's, unless a test gives one.
macro_rules! moment {
    () => {
        "WITH moment AS MATERIALIZED (
             SELECT coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS ms
         )"
    };
}

/// What is asked of each key.
macro_rules! asked {
    ($arrays:literal, $names:literal) => {
        concat!(", asked AS (SELECT * FROM unnest(", $arrays, ") AS asked(", $names, "))")
    };
}

/// What lies at a key, in the order of [`super::row::Row::read`].
macro_rules! row {
    () => {
        "entry.version, entry.entry, entry.created_ms, entry.created_life, entry.written_ms, entry.written_life, entry.keep_until_ms"
    };
}

/// Answers: key, whether it was written, the time, and what lay there when the statement began.
pub(super) const CREATE: &str = concat!(
    moment!(),
    asked!(
        "$3::bytea[], $4::bytea[], $5::bytea[], $6::bigint[], $7::text[], $8::text[], $9::bigint[]",
        "key, version, entry, keep_ms, tenant, state, due_in_ms"
    ),
    ", written AS (
         INSERT INTO semel.entry (
             key, version, created_ms, created_life, written_ms, written_life,
             keep_until_ms, tenant, state, due_in_ms, entry
         )
         SELECT asked.key, asked.version, moment.ms, $2::bigint, moment.ms, $2::bigint,
             moment.ms + asked.keep_ms, asked.tenant, asked.state, asked.due_in_ms, asked.entry
         FROM asked, moment ORDER BY asked.key
         ON CONFLICT (key) DO NOTHING
         RETURNING key
     )
     SELECT asked.key, written.key IS NOT NULL, moment.ms, ",
    row!(),
    " FROM moment, asked
         LEFT JOIN written ON written.key = asked.key
         LEFT JOIN semel.entry ON written.key IS NULL AND entry.key = asked.key"
);

/// Creates anew in place of this version if that is past its end. Answers: key, whether it was written, the time.
pub(super) const CREATE_IN_PLACE: &str = concat!(
    moment!(),
    asked!(
        "$3::bytea[], $4::bytea[], $5::bytea[], $6::bigint[], $7::text[], $8::text[], $9::bigint[], $10::bytea[]",
        "key, version, entry, keep_ms, tenant, state, due_in_ms, expected"
    ),
    ", written AS (
         UPDATE semel.entry SET
             version = asked.version, created_ms = moment.ms, created_life = $2::bigint,
             written_ms = moment.ms, written_life = $2::bigint, keep_until_ms = moment.ms + asked.keep_ms,
             tenant = asked.tenant, state = asked.state, due_in_ms = asked.due_in_ms, entry = asked.entry
         FROM asked, moment
         WHERE entry.key = asked.key AND entry.version = asked.expected AND entry.keep_until_ms <= moment.ms
         RETURNING entry.key
     )
     SELECT asked.key, written.key IS NOT NULL, moment.ms
     FROM moment, asked LEFT JOIN written ON written.key = asked.key"
);

/// Answers: key, whether it was written, the time.
pub(super) const REPLACE: &str = concat!(
    moment!(),
    asked!(
        "$3::bytea[], $4::bytea[], $5::bytea[], $6::bigint[], $7::text[], $8::text[], $9::bigint[], $10::bytea[]",
        "key, version, entry, keep_ms, tenant, state, due_in_ms, expected"
    ),
    ", written AS (
         UPDATE semel.entry SET
             version = asked.version, written_ms = moment.ms, written_life = $2::bigint,
             keep_until_ms = moment.ms + asked.keep_ms,
             tenant = asked.tenant, state = asked.state, due_in_ms = asked.due_in_ms, entry = asked.entry
         FROM asked, moment
         WHERE entry.key = asked.key AND entry.version = asked.expected
             AND (entry.keep_until_ms IS NULL OR entry.keep_until_ms > moment.ms)
         RETURNING entry.key
     )
     SELECT asked.key, written.key IS NOT NULL, moment.ms
     FROM moment, asked LEFT JOIN written ON written.key = asked.key"
);

/// Answers: key, whether it was removed, the time.
pub(super) const REMOVE: &str = concat!(
    moment!(),
    asked!("$2::bytea[], $3::bytea[]", "key, expected"),
    ", removed AS (
         DELETE FROM semel.entry USING asked, moment
         WHERE entry.key = asked.key AND entry.version = asked.expected
             AND (entry.keep_until_ms IS NULL OR entry.keep_until_ms > moment.ms)
         RETURNING entry.key
     )
     SELECT asked.key, removed.key IS NOT NULL, moment.ms
     FROM moment, asked LEFT JOIN removed ON removed.key = asked.key"
);

/// Answers: key, false, the time, and what lies there.
pub(super) const GET: &str = concat!(
    moment!(),
    asked!("$2::bytea[]", "key"),
    " SELECT asked.key, false, moment.ms, ",
    row!(),
    " FROM moment, asked LEFT JOIN semel.entry ON entry.key = asked.key"
);

/// What an index finds: see `entry_open` in the schema, whose words these are.
pub(super) const OPEN: &str =
    "(due_in_ms IS NOT NULL OR state IN ('running', 'waiting', 'in-doubt', 'probing', 'held'))";

/// A page of keys: after this one, of this tenant, in these states, due or not, so many.
pub(super) fn list(only_open: bool) -> String {
    let open = if only_open { OPEN } else { "true" };
    format!(
        "{} SELECT key FROM semel.entry, moment
         WHERE key > $2 AND {open}
             AND ($3::text IS NULL OR tenant = $3)
             AND ($4::text[] IS NULL OR state = ANY ($4))
             AND (keep_until_ms IS NULL OR keep_until_ms > moment.ms)
             AND (NOT $5 OR (due_in_ms IS NOT NULL AND written_ms + due_in_ms <= moment.ms))
         ORDER BY key LIMIT $6",
        moment!()
    )
}

/// Drops what is past its end, so many at the most; what others drop at the same time is left to them.
pub(super) const PURGE: &str = concat!(
    moment!(),
    " DELETE FROM semel.entry USING moment
      WHERE key IN (
          SELECT ending.key FROM semel.entry AS ending, moment
          WHERE ending.keep_until_ms <= moment.ms
          ORDER BY ending.keep_until_ms LIMIT $2 FOR UPDATE OF ending SKIP LOCKED
      ) AND keep_until_ms <= moment.ms
      RETURNING 1"
);
