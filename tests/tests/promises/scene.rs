//! A shop, and a host in this process with a clock that a story sets.

use crate::{
    shop::{Fault, Shop},
    stories::{Customers, Line, Reply, Story, Tools, asked_in, host},
};
use semel::{
    model::Answer,
    store::{Clock, MemoryStore, SettableClock, Store},
};
use std::{sync::Arc, time::Duration};

/// Longer than any attempt, shorter than the shop remembers keys.
const LATER: Duration = Duration::from_secs(3_600);

/// A shop, and a ledger with a fixed clock.
pub struct Scene {
    pub clock: Arc<SettableClock>,
    pub store: Arc<dyn Store>,
    pub shop: Arc<Shop>,
    tools: Tools,
}

impl Scene {
    pub fn new(tools: &Tools, store: impl FnOnce(Arc<dyn Clock>) -> Arc<dyn Store>) -> Self {
        let clock = Arc::new(SettableClock::default());
        let store = store(Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            clock,
            store,
            shop: Arc::default(),
            tools: tools.clone(),
        }
    }

    pub fn in_memory(tools: &Tools) -> Self {
        Self::new(tools, |clock| Arc::new(MemoryStore::with_clock(clock)))
    }

    fn line(&self) -> Arc<dyn Line> {
        Arc::clone(&self.shop) as Arc<dyn Line>
    }

    /// Customers of a host on `store`, if that opens.
    pub async fn customers(&self, store: &Arc<dyn Store>) -> Option<Customers> {
        self.customers_with(store, &self.tools).await
    }

    /// The same with other tools.
    pub async fn customers_with(&self, store: &Arc<dyn Store>, tools: &Tools) -> Option<Customers> {
        let semel = host(Arc::clone(store), tools, &self.line()).await.ok()?;
        let (clock, store) = (Arc::clone(&self.clock), Arc::clone(store));
        let later = move || {
            clock.advance(LATER);
            std::future::ready(Arc::clone(&store))
        };
        Some(Customers::new(semel, &self.line(), "x-", later))
    }

    /// The faults at the end: after a long time without failures, another host repeats every call.
    pub async fn look_after(&self, story: &Story) -> Vec<Fault> {
        self.clock.advance(LATER);
        let mut customers = self.customers(&self.store).await.unwrap();
        for what in asked_in(story, "x-", &self.shop) {
            for _ in 0..2 {
                let answer = customers.ask(&what, Reply::Heard).await.unwrap();
                assert!(
                    !matches!(answer, Answer::Running { .. }),
                    "{what} is stuck: {answer:?}"
                );
            }
        }
        self.shop.faults()
    }
}
