-- The first schema of a ledger. Run in one transaction, in a schema `semel` that exists.

-- What the ledger is: one row.
CREATE TABLE semel.ledger (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- The schema it has.
    schema integer NOT NULL,
    -- A random value, made with the ledger: another one, another ledger.
    life bigint NOT NULL
);

-- What lies at each key. Times are of this server, in milliseconds since 1970 in UTC.
CREATE TABLE semel.entry (
    key bytea NOT NULL PRIMARY KEY,
    version bytea NOT NULL,
    created_ms bigint NOT NULL,
    created_life bigint NOT NULL,
    written_ms bigint NOT NULL,
    written_life bigint NOT NULL,
    -- Past it, the row is answered as absent. Null: kept until it is removed.
    keep_until_ms bigint,
    -- Labels, to list by. They decide nothing.
    tenant text,
    state text NOT NULL,
    due_in_ms bigint,
    entry bytea NOT NULL
) /* PARTITION BY HASH (key) */;

-- What is still open, of which there is little: held operations are found among ten million settled ones.
CREATE INDEX entry_open ON semel.entry (state, key)
    WHERE due_in_ms IS NOT NULL OR state IN ('running', 'waiting', 'in-doubt', 'probing', 'held');

-- What has an end, by its end: for purging.
CREATE INDEX entry_ending ON semel.entry (keep_until_ms) WHERE keep_until_ms IS NOT NULL;
