//! A store around another store that fails on request, for tests of code that uses a store.

use async_trait::async_trait;
use semel_core::{
    ledger::Entry,
    model::{Durability, Stamp, StoreKey},
};
use semel_store::{
    CreateResult, EntryQuery, KeyPage, RemoveResult, ReplaceResult, Retention, Store, StoreError,
    StoredEntry, Version,
};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// A way for a request to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectedFailure {
    /// It is not executed, and the error says so.
    NotExecuted,
    /// It is not executed, and its caller gets an unknown result.
    UnknownAndLost,
    /// It is executed, and its caller gets an unknown result.
    UnknownButWritten,
    /// It is executed after this delay.
    Late(Duration),
}

/// Every failure that is an error.
pub const INJECTED_FAILURES: [InjectedFailure; 3] = [
    InjectedFailure::NotExecuted,
    InjectedFailure::UnknownAndLost,
    InjectedFailure::UnknownButWritten,
];

/// A store whose requests with these numbers fail, once [`count`](Self::count) was called.
///
/// Requests are counted from 0, in the order of their arrival; `wait_for_change`, `durability` and
/// `reads_cheaply` do not count.
///
/// ```
/// # use semel_conformance::{FailingStore, InjectedFailure, entry, fresh_version, key};
/// # use semel_store::{MemoryStore, Retention, Store, StoreError};
/// # use std::sync::Arc;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = FailingStore::new(Arc::new(MemoryStore::new()), 1..2, InjectedFailure::UnknownButWritten);
/// store.count();
/// assert!(store.get(key(1)).await.is_ok());
/// let created = store.create(key(1), &entry(1), fresh_version(), Retention::UntilRemoved).await;
/// assert!(matches!(created, Err(StoreError::Unknown(_))));
/// assert!(store.get(key(1)).await.unwrap().0.is_some());
/// # }
/// ```
#[derive(Debug)]
pub struct FailingStore {
    inner: Arc<dyn Store>,
    counts: AtomicBool,
    calls: AtomicUsize,
    failing: Range<usize>,
    failure: InjectedFailure,
    yields: bool,
}

impl FailingStore {
    /// Wraps a store. No request fails before [`count`](Self::count) is called.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, failing: Range<usize>, failure: InjectedFailure) -> Self {
        let counts = AtomicBool::new(false);
        let calls = AtomicUsize::new(0);
        Self {
            inner,
            counts,
            calls,
            failing,
            failure,
            yields: false,
        }
    }

    /// Wraps a store without failures. Each request yields to other tasks, before and after.
    #[must_use]
    pub fn with_yields(inner: Arc<dyn Store>) -> Self {
        Self {
            yields: true,
            ..Self::new(inner, 0..0, InjectedFailure::NotExecuted)
        }
    }

    /// Returns the number of counted requests.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Starts to count requests, and to fail those in the range.
    pub fn count(&self) {
        self.counts.store(true, Ordering::SeqCst);
    }

    /// Stops all failures.
    pub fn heal(&self) {
        self.counts.store(false, Ordering::SeqCst);
    }

    /// Answers a request by `answer`, or by the failure that is its turn.
    async fn through<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.let_others_go().await;
        let unknown = || Err(StoreError::unknown("the connection broke"));
        let answered = match self.next() {
            None => answer.await,
            Some(InjectedFailure::NotExecuted) => Err(StoreError::not_executed("the disk is full")),
            Some(InjectedFailure::UnknownAndLost) => unknown(),
            Some(InjectedFailure::UnknownButWritten) => {
                let _ = answer.await;
                unknown()
            }
            Some(InjectedFailure::Late(by)) => {
                tokio::time::sleep(by).await;
                answer.await
            }
        };
        self.let_others_go().await;
        answered
    }

    /// Returns the failure of the next request, if it fails.
    fn next(&self) -> Option<InjectedFailure> {
        let counts = self.counts.load(Ordering::SeqCst);
        let call = counts.then(|| self.calls.fetch_add(1, Ordering::SeqCst))?;
        self.failing.contains(&call).then_some(self.failure)
    }

    async fn let_others_go(&self) {
        if self.yields {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for FailingStore {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        self.through(self.inner.create(key, entry, version, keep))
            .await
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<ReplaceResult, StoreError> {
        self.through(self.inner.replace(key, expected, entry, version, keep))
            .await
    }

    async fn replace_deferred(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<(), StoreError> {
        self.through(
            self.inner
                .replace_deferred(key, expected, entry, version, keep),
        )
        .await
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        self.through(self.inner.remove(key, expected)).await
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        self.through(self.inner.get(key)).await
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        self.through(self.inner.list(query)).await
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        self.through(self.inner.purge(at_most)).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.through(self.inner.scrub()).await
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        self.inner.wait_for_change(key, since, at_most).await;
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn reads_cheaply(&self) -> bool {
        self.inner.reads_cheaply()
    }
}
