//! The ledger's server failed, and a replica took over that lacks the last second; or an operator
//! emptied it. The agent calls again, and there is no record. A guard that takes this for "never
//! sent" charges the customer twice. So a ledger that may have lost something sends nothing, until
//! earlier calls can no longer matter or a person decides so.

use crate::world::{Bank, ask, charge, charging, host, intent};
use semel::{
    key::KeyScheme,
    ledger::Person,
    model::Answer,
    runtime::{CallError, Ledger, LedgerError, Semel},
    store::{Clock, MemoryStore, SettableClock, Store},
};
use std::{sync::Arc, time::Duration};

/// The longest that a charge of [`charging`] matters: its window and an attempt.
const HORIZON: Duration = Duration::from_secs(30 * 86_400 + 120);

struct World {
    clock: Arc<SettableClock>,
    store: Arc<MemoryStore>,
    bank: Arc<Bank>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(SettableClock::default());
        let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
        Self {
            clock,
            store,
            bank: Bank::plain(),
        }
    }

    async fn host(&self) -> Semel {
        host(
            Arc::clone(&self.store) as Arc<dyn Store>,
            intent(charging()).await,
        )
        .await
    }

    /// A host that charged once, and then the ledger was lost.
    async fn charged_and_lost(&self) -> Semel {
        let semel = self.host().await;
        assert!(matches!(
            ask(&semel, charge(), &self.bank).await,
            Answer::Executed { .. }
        ));
        self.store.forget();
        semel
    }

    async fn is_withheld(&self, semel: &Semel) -> bool {
        let charges = self.bank.charges();
        let bank = Arc::clone(&self.bank);
        let run = move |ticket| {
            let outcome = bank.serve(&ticket);
            async move { outcome }
        };
        match semel.call(charge(), run).await {
            Err(CallError::Ledger(why @ LedgerError::Quarantined { .. })) => {
                assert!(why.to_string().contains("semel ledger trust"), "{why}");
                assert_eq!(self.bank.charges(), charges);
                true
            }
            Ok(Answer::Executed { .. }) => false,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_repeat_after_a_loss_is_withheld_for_as_long_as_it_may_matter() {
    let world = World::new();
    let semel = world.charged_and_lost().await;
    assert!(world.is_withheld(&semel).await);
    // Other hosts observe the same quarantine, and do not restart it.
    world.clock.advance(HORIZON / 2);
    let other = world.host().await;
    assert!(world.is_withheld(&other).await);
    world.clock.advance(HORIZON / 2 - Duration::from_secs(1));
    assert!(world.is_withheld(&semel).await && world.is_withheld(&other).await);
    world.clock.advance(Duration::from_secs(1));
    assert!(!world.is_withheld(&semel).await);
    assert_eq!(world.bank.charges(), 2);
    // It is on record again, and all is as ever.
    assert!(matches!(
        ask(&other, charge(), &world.bank).await,
        Answer::Replayed { .. }
    ));
}

#[tokio::test]
async fn a_person_may_end_that() {
    let world = World::new();
    let semel = world.charged_and_lost().await;
    assert!(world.is_withheld(&semel).await);
    let ledger = Ledger::open(
        Arc::clone(&world.store) as Arc<dyn Store>,
        KeyScheme::default(),
    )
    .await
    .unwrap();
    let person = Person {
        who: "ada".to_owned(),
        why: "the agents were off all day".to_owned(),
    };
    assert!(ledger.trust(&person).await.unwrap());
    assert!(
        !ledger.trust(&person).await.unwrap(),
        "there is nothing left to end"
    );
    assert!(!world.is_withheld(&semel).await);
}

/// An attempt in progress when the ledger was lost is settled: its outcome is true.
#[tokio::test]
async fn what_was_under_way_is_recorded_anew() {
    let world = World::new();
    let semel = world.host().await;
    let lost = Arc::clone(&world.store);
    let bank = Arc::clone(&world.bank);
    let answer = semel.call(charge(), move |ticket| {
        let outcome = bank.serve(&ticket);
        lost.forget();
        async move { outcome }
    });
    assert!(matches!(answer.await, Ok(Answer::Executed { .. })));
    assert!(matches!(
        ask(&semel, charge(), &world.bank).await,
        Answer::Replayed { .. }
    ));
    assert_eq!(world.bank.charges(), 1);
}

/// The control: a host that does not know of the loss charges twice.
#[tokio::test]
async fn control_a_host_that_knows_of_no_loss_sends_again() {
    let world = World::new();
    drop(world.charged_and_lost().await);
    assert!(!world.is_withheld(&world.host().await).await);
    assert_eq!(world.bank.charges(), 2);
}
