-- The first schema of a ledger. Run in one transaction, in an existing schema `semel`.

-- The identity of the ledger: one row.
CREATE TABLE semel.ledger (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- The version of its schema.
    schema integer NOT NULL,
    -- A random value from the creation of the ledger: a different value is a different ledger.
    life bigint NOT NULL
);

-- The entry at each key. Times are this server's, in milliseconds since 1970 in UTC.
CREATE TABLE semel.entry (
    key bytea NOT NULL PRIMARY KEY,
    version bytea NOT NULL,
    created_ms bigint NOT NULL,
    created_life bigint NOT NULL,
    written_ms bigint NOT NULL,
    written_life bigint NOT NULL,
    -- From this time on the row counts as absent. Null: it is kept until it is removed.
    keep_until_ms bigint,
    -- Labels for lists. No decision depends on them.
    tenant text,
    state text NOT NULL,
    due_in_ms bigint,
    entry bytea NOT NULL
) /* PARTITION BY HASH (key) */;

-- The open entries. They are few: a list finds them among ten million settled ones.
CREATE INDEX entry_open ON semel.entry (state, key)
    WHERE due_in_ms IS NOT NULL OR state IN ('running', 'waiting', 'in-doubt', 'probing', 'held');

-- The entries with an end, for purging.
CREATE INDEX entry_ending ON semel.entry (keep_until_ms) WHERE keep_until_ms IS NOT NULL;
