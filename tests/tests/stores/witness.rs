//! Writers, and what was acknowledged to them.

use semel::store::{CreateResult, Retention, Store, StoreError, Version};
use semel_conformance::{entry, fresh_version, key};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// The number of concurrent writers.
const WRITERS: usize = 16;

/// The answer to each write.
#[derive(Default)]
pub struct Witness {
    acknowledged: Mutex<HashMap<u32, Version>>,
    denied: Mutex<Vec<u32>>,
    next: AtomicU32,
    is_over: AtomicBool,
}

impl Witness {
    /// Writes to the store while something else goes on.
    pub async fn watch(store: &Arc<dyn Store>, meanwhile: impl AsyncFnOnce(&Self)) -> Self {
        let witness = Arc::new(Self::default());
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(write(Arc::clone(store), Arc::clone(&witness)));
        }
        meanwhile(&witness).await;
        witness.is_over.store(true, Ordering::Relaxed);
        writers.join_all().await;
        Arc::into_inner(witness).unwrap()
    }

    pub fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until so many more writes are acknowledged.
    pub async fn more(&self, count: usize) {
        let (enough, begun) = (self.count() + count, Instant::now());
        while self.count() < enough {
            assert!(begun.elapsed().as_secs() < 60, "nothing is written");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The number of acknowledged writes that are missing. A write that was reported as not written
    /// must be missing.
    pub async fn missing(&self, store: &Arc<dyn Store>) -> usize {
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        let denied = self.denied.lock().unwrap().clone();
        let mut missing = 0;
        for (number, version) in acknowledged {
            let stored = store.get(key(number)).await.unwrap().0;
            missing += usize::from(stored.is_none_or(|stored| stored.version != version));
        }
        for number in denied {
            assert_eq!(
                store.get(key(number)).await.unwrap().0,
                None,
                "{number} was said not to be written"
            );
        }
        missing
    }
}

async fn write(store: Arc<dyn Store>, witness: Arc<Witness>) {
    while !witness.is_over.load(Ordering::Relaxed) {
        let (number, version) = (
            witness.next.fetch_add(1, Ordering::Relaxed),
            fresh_version(),
        );
        match store
            .create(key(number), &entry(1), version, Retention::UntilRemoved)
            .await
        {
            Ok(CreateResult::Created(_)) => {
                witness.acknowledged.lock().unwrap().insert(number, version);
            }
            Err(StoreError::Unknown(_)) => {}
            Err(StoreError::NotExecuted(_)) => {
                witness.denied.lock().unwrap().push(number);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other => panic!("{number}: {other:?}"),
        }
    }
}
