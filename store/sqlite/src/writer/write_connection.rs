//! The connection that writes a ledger, one transaction at a time.

use super::super::{
    connection::{self, BusyPolicy},
    error::SqliteOpenError,
    file::LedgerFile,
    row::LedgerClock,
};
use super::{WriteJob, queue_full};
use rusqlite::{Connection, TransactionBehavior};
use semel_store::{
    StoreError,
    failpoints::{self, Failpoint},
};

/// The jobs of one transaction.
pub(super) type WriteGroup = Vec<Box<dyn WriteJob>>;

/// The reason a group is not known to be written.
pub(super) enum CommitError {
    /// Another process holds the lock, and this thread may not wait for it. Nothing was tried.
    WouldBlock,
    /// It failed before its commit, so nothing is written.
    NotExecuted(SqliteOpenError),
    /// The commit failed. A recovery may find what it wrote.
    Unknown(SqliteOpenError),
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::WouldBlock => queue_full(),
            CommitError::NotExecuted(source) => Self::not_executed(source),
            CommitError::Unknown(source) => Self::unknown(source),
        }
    }
}

/// The connection that writes a ledger.
pub(super) struct WriteConnection {
    file: LedgerFile,
    connection: Connection,
    /// True if the last transaction failed. The next one opens another connection first.
    ///
    /// INVARIANT: the failed connection stays open until then. A process that opened the file alone would
    /// recover the WAL, with the frames that this connection failed to sync.
    has_failed: bool,
    clock: LedgerClock,
}

impl WriteConnection {
    pub(super) fn new(file: LedgerFile, connection: Connection, clock: LedgerClock) -> Self {
        Self {
            file,
            connection,
            has_failed: false,
            clock,
        }
    }

    /// Runs all jobs of the group in one transaction, or none of them.
    pub(super) fn commit(
        &mut self,
        group: &mut WriteGroup,
        policy: BusyPolicy,
    ) -> Result<(), CommitError> {
        if self.has_failed && policy == BusyPolicy::FailAtOnce {
            // To open a connection takes locks and syncs.
            return Err(CommitError::WouldBlock);
        }
        self.file
            .ensure_in_place()
            .map_err(CommitError::NotExecuted)?;
        if self.has_failed {
            self.connection =
                connection::open_writer(&self.file).map_err(CommitError::NotExecuted)?;
        }
        // Set before the transaction, so that it holds after a panic too.
        self.has_failed = true;
        let result = self.run_transaction(group, policy);
        self.has_failed = !matches!(result, Ok(()) | Err(CommitError::WouldBlock));
        result
    }

    fn run_transaction(
        &mut self,
        group: &mut WriteGroup,
        policy: BusyPolicy,
    ) -> Result<(), CommitError> {
        let not_executed = |error| CommitError::NotExecuted(self.file.sqlite_error(&error));
        connection::set_busy_policy(&mut self.connection, policy).map_err(not_executed)?;
        // Immediate: the write lock is taken before the first read. A deferred transaction would read a
        // snapshot first, and fail where another process has written since.
        let begun = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| match not_executed(error) {
            CommitError::NotExecuted(SqliteOpenError::Locked(_))
                if policy == BusyPolicy::FailAtOnce =>
            {
                CommitError::WouldBlock
            }
            other => other,
        })?;
        for job in group {
            // Dropping the transaction rolls it back.
            job.run(&transaction, &self.clock).map_err(not_executed)?;
        }
        failpoints::before(Failpoint::Commit);
        let committed = transaction.commit();
        failpoints::after(Failpoint::Commit);
        committed.map_err(|error| CommitError::Unknown(self.file.sqlite_error(&error)))
    }
}
