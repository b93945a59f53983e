//! Lists: perhaps too much, never too little.

use super::{Fixture, any_key, entry, handle, key, operation, samples::LEASE_SECONDS, tenant};
use crate::{
    ledger::{By, Entry, LookFrom, Scheme, State, StateLabel},
    store::Query,
    words::{Nonce, StoreKey},
};
use std::sync::Arc;

/// An entry of each state, and of two tenants.
fn one_of_each() -> Vec<Arc<Entry>> {
    let reason = || "a sample".to_owned();
    let states = [
        State::Started,
        State::Waiting { continuation: reason(), limit_seconds: LEASE_SECONDS },
        State::InDoubt { reason: reason() },
        State::Retrying,
        State::Probing { look: Nonce::from_bytes([1; 16]), from: LookFrom::Held, reason: reason() },
        State::Held { reason: reason(), two_effects: false },
        State::Released { by: By::TimedRerun },
        State::Refused { by: By::Owner, replay_ms: 0 },
        State::Undone { by: None },
        State::Alias { to: key(0) },
    ];
    let operations = ["acme", "zenith"]
        .into_iter()
        .flat_map(|of| states.iter().map(move |state| operation(of, state.clone())).chain([handle(of, 1)]));
    let scheme = Scheme {
        key_format: 1,
        secret_id: None,
        key_epochs: Default::default(),
        horizon_seconds: 0,
        quarantine_seconds: None,
        trusted_by: None,
    };
    operations.chain([Arc::new(Entry::Scheme(scheme))]).collect()
}

/// Puts them down, neither in the order of their keys nor against it.
async fn put_down(on: &Fixture, entries: Vec<Arc<Entry>>) -> Vec<(StoreKey, Arc<Entry>)> {
    let mut lying = Vec::new();
    for (number, entry) in (0_u32..).zip(entries) {
        let key = key(number.wrapping_mul(2_654_435_769));
        on.put(key, &entry).await;
        lying.push((key, entry));
    }
    lying.sort_by_key(|(key, _)| *key);
    lying
}

async fn listed(on: &Fixture, query: &Query) -> Vec<StoreKey> {
    let page = on.store.list(query).await.expect("a store at work lists");
    assert!(page.keys.is_sorted(), "keys are listed in their order");
    assert!(!page.more, "there is no more than was asked for");
    page.keys
}

fn assert_holds(listed: &[StoreKey], wanted: impl IntoIterator<Item = StoreKey>, query: &Query) {
    for key in wanted {
        assert!(listed.contains(&key), "{key:?} is missing from the list of {query:?}");
    }
}

/// Whatever matches tenant and states is listed, in the order of keys.
pub async fn every_match_is_listed_in_the_order_of_keys(on: &Fixture) {
    let lying = put_down(on, one_of_each()).await;
    let mut state_sets: Vec<Vec<StateLabel>> = StateLabel::ALL.iter().map(|state| vec![*state]).collect();
    state_sets.extend([
        vec![],
        vec![StateLabel::Held, StateLabel::Running],
        vec![StateLabel::Held, StateLabel::Refused],
    ]);
    for states in state_sets {
        for of in [None, Some("acme"), Some("zenith"), Some("nobody")] {
            let query = Query { tenant: of.map(tenant), states: states.clone(), limit: 100, ..Query::default() };
            let matching = lying.iter().filter(|(_, entry)| {
                let labels = entry.labels();
                (states.is_empty() || states.contains(&labels.state))
                    && (of.is_none() || of == labels.tenant.as_ref().map(|tenant| tenant.as_str()))
            });
            assert_holds(&listed(on, &query).await, matching.map(|(key, _)| *key), &query);
        }
    }
}

/// Pages follow each other without gap or repetition, however small they are.
pub async fn pages_follow_each_other_without_gap(on: &Fixture) {
    let lying = put_down(on, one_of_each()).await;
    for limit in [1, 2, 7, lying.len(), usize::MAX] {
        let (mut query, mut seen) = (Query { limit, ..Query::default() }, Vec::<StoreKey>::new());
        loop {
            let page = on.store.list(&query).await.expect("a store at work lists");
            assert!(page.keys.len() <= limit);
            seen.extend(&page.keys);
            query.after = page.keys.last().copied();
            if !page.more {
                break;
            }
            assert!(!page.keys.is_empty(), "where there is more, a page has something");
        }
        assert_eq!(seen, lying.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    }
    let beyond = Query { after: Some(any_key()), limit: 10, ..Query::default() };
    assert_eq!(listed(on, &beyond).await, []);
}

async fn due(on: &Fixture) -> Vec<StoreKey> {
    listed(on, &Query { due: true, limit: 100, ..Query::default() }).await
}

/// Whatever is due is listed as soon as it is.
pub async fn what_is_due_is_listed(on: &Fixture) {
    let lying = put_down(on, one_of_each()).await;
    let leased = || lying.iter().filter(|(_, entry)| entry.labels().due_in_seconds.is_some()).map(|(key, _)| *key);
    on.pass(u64::from(LEASE_SECONDS));
    let query = Query { due: true, limit: 100, ..Query::default() };
    assert_holds(&due(on).await, leased(), &query);
    let started = Query { states: vec![StateLabel::Running], tenant: Some(tenant("acme")), ..query };
    let running = lying.iter().filter(|(_, entry)| {
        let labels = entry.labels();
        labels.state == StateLabel::Running && labels.tenant == Some(tenant("acme"))
    });
    assert_holds(&listed(on, &started).await, running.map(|(key, _)| *key), &started);
}

/// After a reboot every lease is due, whatever the clocks say. A store that knows of no boots goes by the wall clock.
pub async fn after_a_reboot_every_lease_is_due(on: &Fixture) {
    on.put(key(1), &operation("acme", State::Started)).await;
    on.put(key(2), &entry(2)).await;
    on.clock.reboot();
    if !on.is_steady {
        on.pass(u64::from(LEASE_SECONDS));
    }
    assert_holds(&due(on).await, [key(1)], &Query { due: true, ..Query::default() });
}

/// A lease that is past by the steady clock is due, though the wall clock was set back.
pub async fn a_wall_clock_set_back_hides_nothing_due(on: &Fixture) {
    on.put(key(1), &operation("acme", State::Started)).await;
    on.pass(u64::from(LEASE_SECONDS));
    if on.is_steady {
        on.clock.set_wall_ms(0);
    }
    assert_holds(&due(on).await, [key(1)], &Query { due: true, ..Query::default() });
}
