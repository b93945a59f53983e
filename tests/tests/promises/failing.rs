//! A store whose calls fail when a story needs it.

use crate::world::memory;
use async_trait::async_trait;
use semel::{
    ledger::{Entry, Keep},
    store::{Created, Page, Query, Removed, Replaced, Store, StoreError, Stored, Version},
    words::{Durability, Stamp, StoreKey},
};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How a call of the store fails.
#[derive(Debug, Clone, Copy)]
pub enum Failure {
    NotExecuted,
    UnknownAndLost,
    UnknownButWritten,
    /// It is carried out after so much time.
    Late(Duration),
}

/// A store whose calls of these numbers fail, once it is told to count.
#[derive(Debug)]
pub struct Failing {
    inner: Arc<dyn Store>,
    counts: AtomicBool,
    calls: AtomicUsize,
    failing: Range<usize>,
    failure: Failure,
    yields: bool,
}

impl Failing {
    pub fn new(failing: Range<usize>, failure: Failure) -> Arc<Self> {
        Arc::new(Self::over(memory(), failing, failure))
    }

    pub fn over(inner: Arc<dyn Store>, failing: Range<usize>, failure: Failure) -> Self {
        let (counts, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { inner, counts, calls, failing, failure, yields: false }
    }

    /// One that never fails, and lets others go first before and after each call.
    pub fn yielding(inner: Arc<dyn Store>) -> Self {
        Self { yields: true, ..Self::over(inner, 0..0, Failure::NotExecuted) }
    }

    /// How many calls were counted.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// From now on calls are counted, and fail as they are meant to.
    pub fn count(&self) {
        self.counts.store(true, Ordering::SeqCst);
    }

    /// From now on no call fails any more.
    pub fn heal(&self) {
        self.counts.store(false, Ordering::SeqCst);
    }

    /// What becomes of the next call: whether it reaches the store, and what its caller is told.
    async fn next(&self) -> (bool, Option<StoreError>) {
        self.let_others_go().await;
        if !self.counts.load(Ordering::SeqCst) {
            return (true, None);
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if !self.failing.contains(&call) {
            return (true, None);
        }
        let unknown = || Some(StoreError::Unknown("the connection broke".to_owned()));
        match self.failure {
            Failure::NotExecuted => (false, Some(StoreError::NotExecuted("the disk is full".to_owned()))),
            Failure::UnknownAndLost => (false, unknown()),
            Failure::UnknownButWritten => (true, unknown()),
            Failure::Late(by) => {
                tokio::time::sleep(by).await;
                (true, None)
            }
        }
    }
}

impl Failing {
    async fn let_others_go(&self) {
        if self.yields {
            tokio::task::yield_now().await;
        }
    }
}

macro_rules! through {
    ($self:ident, $call:expr) => {{
        let (reaches, error) = $self.next().await;
        let done = if reaches { Some($call.await) } else { None };
        $self.let_others_go().await;
        match (error, done) {
            (None, Some(done)) => done,
            (error, _) => Err(error.unwrap()),
        }
    }};
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Store for Failing {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Keep,
    ) -> Result<Created, StoreError> {
        through!(self, self.inner.create(key, entry, version, keep))
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Keep,
    ) -> Result<Replaced, StoreError> {
        through!(self, self.inner.replace(key, expected, entry, version, keep))
    }

    async fn replace_soon(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Keep,
    ) -> Result<(), StoreError> {
        through!(self, self.inner.replace_soon(key, expected, entry, version, keep))
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<Removed, StoreError> {
        through!(self, self.inner.remove(key, expected))
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<Stored>, Stamp), StoreError> {
        through!(self, self.inner.get(key))
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        through!(self, self.inner.list(query))
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        through!(self, self.inner.purge(at_most))
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.inner.scrub().await
    }

    async fn changed(&self, key: StoreKey, since: Version, at_most: Duration) {
        self.inner.changed(key, since, at_most).await;
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn reads_cheaply(&self) -> bool {
        self.inner.reads_cheaply()
    }
}

/// Every way to fail with an error.
pub const FAILURES: [Failure; 3] = [Failure::NotExecuted, Failure::UnknownAndLost, Failure::UnknownButWritten];
