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
}

/// A store whose calls of these numbers fail, once it is told to count.
#[derive(Debug)]
pub struct Failing {
    inner: Arc<dyn Store>,
    counts: AtomicBool,
    calls: AtomicUsize,
    failing: Range<usize>,
    failure: Failure,
}

impl Failing {
    pub fn new(failing: Range<usize>, failure: Failure) -> Arc<Self> {
        let (counts, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        Arc::new(Self { inner: memory(), counts, calls, failing, failure })
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
    fn next(&self) -> (bool, Option<StoreError>) {
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
        }
    }
}

macro_rules! through {
    ($self:ident, $call:expr) => {{
        let (reaches, error) = $self.next();
        let done = if reaches { Some($call.await) } else { None };
        match (error, done) {
            (None, Some(done)) => done,
            (error, _) => Err(error.unwrap()),
        }
    }};
}

#[async_trait]
impl Store for Failing {
    async fn create(&self, key: StoreKey, entry: &Entry, version: Version, keep: Keep) -> Result<Created, StoreError> {
        through!(self, self.inner.create(key, entry, version, keep))
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Entry,
        version: Version,
        keep: Keep,
    ) -> Result<Replaced, StoreError> {
        through!(self, self.inner.replace(key, expected, entry, version, keep))
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
        self.inner.purge(at_most).await
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

/// Every way to fail.
pub const FAILURES: [Failure; 3] = [Failure::NotExecuted, Failure::UnknownAndLost, Failure::UnknownButWritten];
