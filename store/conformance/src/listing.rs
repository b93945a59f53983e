//! Lists: perhaps too much, never too little.

use super::*;
use super::{expecting::expect_eq, samples::LEASE_SECONDS};
use semel_core::{
    ledger::{Entry, ProbeOrigin, ReleaseSource, SchemeRecord, State, StateLabel},
    model::{Nonce, StoreKey},
};
use semel_store::{CreateResult, EntryQuery, PAGE_MAX, ReplaceResult, Retention, Store};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::task::JoinSet;

/// An entry of each state, and of two tenants.
fn one_of_each() -> Vec<Arc<Entry>> {
    let reason = || "a sample".to_owned();
    let states = [
        State::Started,
        State::Waiting {
            continuation: reason(),
            limit_seconds: LEASE_SECONDS,
        },
        State::InDoubt { reason: reason() },
        State::Retrying,
        State::Probing {
            look: Nonce::from_bytes([1; 16]),
            from: ProbeOrigin::Held,
            reason: reason(),
        },
        State::Held {
            reason: reason(),
            two_effects: false,
        },
        State::Released {
            by: ReleaseSource::TimedRerun,
        },
        State::Refused {
            by: ReleaseSource::Owner,
            replay_ms: 0,
        },
        State::Undone { by: None },
        State::Alias { to: key(0) },
    ];
    let operations = ["acme", "zenith"].into_iter().flat_map(|of| {
        states
            .iter()
            .map(move |state| operation(of, state.clone()))
            .chain([handle(of, 1)])
    });
    let scheme = SchemeRecord {
        key_format: 1,
        secret_id: None,
        key_epochs: Default::default(),
        horizon_seconds: 0,
        quarantine_seconds: None,
        trusted_by: None,
    };
    operations
        .chain([Arc::new(Entry::Scheme(scheme))])
        .collect()
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

async fn listed(on: &Fixture, query: &EntryQuery) -> Vec<StoreKey> {
    let page = on.store.list(query).await.expect("a store at work lists");
    expect_eq(
        "whether keys are listed in their order",
        &page.keys.is_sorted(),
        &true,
    );
    expect_eq("whether there is more than all", &page.more, &false);
    page.keys
}

/// A list may hold too much.
fn expect_within(
    listed: &[StoreKey],
    wanted: impl IntoIterator<Item = StoreKey>,
    query: &EntryQuery,
) {
    let missing: Vec<StoreKey> = wanted
        .into_iter()
        .filter(|key| !listed.contains(key))
        .collect();
    expect_eq(
        &format!("what is missing from the list of {query:?}"),
        &missing,
        &vec![],
    );
}

/// All keys, page by page.
async fn paged(on: &Fixture, limit: usize) -> Vec<StoreKey> {
    let mut query = EntryQuery {
        limit,
        ..EntryQuery::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = on.store.list(&query).await.expect("a store at work lists");
        let most = limit.min(PAGE_MAX);
        expect_eq(
            "whether a page is no longer than it may be",
            &(page.keys.len() <= most),
            &true,
        );
        let first = page.keys.first().copied();
        expect_eq(
            "whether a page begins after the one before",
            &(first.is_none() || first > query.after),
            &true,
        );
        seen.extend(&page.keys);
        query.after = page.keys.last().copied();
        if !page.more {
            return seen;
        }
        expect_eq(
            "whether a page before the last has something",
            &page.keys.is_empty(),
            &false,
        );
        // So that others write between two pages.
        tokio::task::yield_now().await;
    }
}

/// A list holds whatever matches tenant and states, in the order of keys: perhaps too much, never too little.
pub async fn every_match_is_listed_in_the_order_of_keys(on: Fixture) {
    let lying = put_down(&on, one_of_each()).await;
    let mut state_sets: Vec<Vec<StateLabel>> =
        StateLabel::ALL.iter().map(|state| vec![*state]).collect();
    state_sets.extend([
        vec![],
        vec![StateLabel::Held, StateLabel::Running],
        vec![StateLabel::Held, StateLabel::Refused],
    ]);
    for states in state_sets {
        for of in [None, Some("acme"), Some("zenith"), Some("nobody")] {
            let query = EntryQuery {
                tenant: of.map(tenant),
                states: states.clone(),
                limit: 100,
                ..EntryQuery::default()
            };
            let matching = lying.iter().filter(|(_, entry)| {
                let labels = entry.labels();
                (states.is_empty() || states.contains(&labels.state))
                    && (of.is_none() || of == labels.tenant.as_ref().map(|tenant| tenant.as_str()))
            });
            expect_within(
                &listed(&on, &query).await,
                matching.map(|(key, _)| *key),
                &query,
            );
        }
    }
}

/// What was replaced, be it put off, is listed as what it is now.
pub async fn what_was_replaced_is_listed_as_what_it_is_now(on: Fixture) {
    let held = operation(
        "zenith",
        State::Held {
            reason: "a sample".to_owned(),
            two_effects: false,
        },
    );
    let first = on.put(key(1), &operation("acme", State::Started)).await;
    let second = on.put(key(2), &operation("acme", State::Started)).await;
    let replaced = on
        .store
        .replace(
            key(1),
            first,
            &held,
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of what lies there"
    );
    on.store
        .replace_deferred(
            key(2),
            second,
            &held,
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
        .expect("it may be put off");
    let query = EntryQuery {
        tenant: Some(tenant("zenith")),
        states: vec![StateLabel::Held],
        limit: 10,
        ..EntryQuery::default()
    };
    expect_within(&listed(&on, &query).await, [key(1), key(2)], &query);
}

/// Pages follow each other without gap or repetition, however small they are.
pub async fn pages_follow_each_other_without_gap(on: Fixture) {
    let lying: Vec<StoreKey> = put_down(&on, one_of_each())
        .await
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    for limit in [1, 2, 7, lying.len(), usize::MAX] {
        expect_eq(
            "all that lies there, page by page",
            &paged(&on, limit).await,
            &lying,
        );
    }
    let beyond = EntryQuery {
        after: Some(any_key()),
        limit: 10,
        ..EntryQuery::default()
    };
    expect_eq(
        "what is listed after the last",
        &listed(&on, &beyond).await,
        &vec![],
    );
}

/// No page is longer than [`PAGE_MAX`], however much was asked for, and what is left is on the next.
pub async fn no_page_is_longer_than_the_longest(on: Fixture) {
    let numbers = 0..PAGE_MAX as u32 + 1;
    let creations: JoinSet<bool> = numbers
        .clone()
        .map(|number| {
            let store = Arc::clone(&on.store);
            async move {
                let created = store
                    .create(
                        key(number),
                        &entry(number),
                        fresh_version(),
                        Retention::UntilRemoved,
                    )
                    .await;
                matches!(created, Ok(CreateResult::Created(_)))
            }
        })
        .collect();
    let created = creations.join_all().await;
    expect_eq(
        "whether all are created",
        &created.into_iter().all(|is_created| is_created),
        &true,
    );
    let listed = paged(&on, usize::MAX).await;
    expect_eq(
        "how many there are, page by page",
        &listed.len(),
        &(PAGE_MAX + 1),
    );
    expect_eq(
        "whether they are all",
        &(listed == numbers.map(key).collect::<Vec<_>>()),
        &true,
    );
}

/// What lies there all the while is on one page, while others create, replace and remove.
pub async fn pages_are_complete_while_others_write(on: Fixture) {
    const KEYS: u32 = 60;
    let steady: Vec<StoreKey> = (0..KEYS)
        .filter(|number| number % 3 == 0)
        .map(key)
        .collect();
    for key in &steady {
        on.put(*key, &entry(1)).await;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: JoinSet<()> = [1, 2]
        .into_iter()
        .map(|first| {
            let keys = (first..KEYS).step_by(3).map(key).collect();
            come_and_go(Arc::clone(&on.store), keys, Arc::clone(&is_over))
        })
        .collect();
    let mut pagings = Vec::new();
    for limit in [1, 3, 4, 7, 11, 30] {
        let mut seen = paged(&on, limit).await;
        seen.retain(|key| steady.contains(key));
        pagings.push(seen);
    }
    is_over.store(true, Ordering::Relaxed);
    writers.join_all().await;
    for seen in pagings {
        expect_eq(
            "what is on the pages of what lies there all the while",
            &seen,
            &steady,
        );
    }
}

/// Creates, replaces and removes at these keys, until it is over.
async fn come_and_go(store: Arc<dyn Store>, keys: Vec<StoreKey>, is_over: Arc<AtomicBool>) {
    for key in keys.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let first = fresh_version();
        let second = fresh_version();
        let _ = store
            .create(*key, &entry(1), first, Retention::UntilRemoved)
            .await;
        tokio::task::yield_now().await;
        let _ = store
            .replace(*key, first, &entry(2), second, Retention::UntilRemoved)
            .await;
        tokio::task::yield_now().await;
        let _ = store.remove(*key, second).await;
        tokio::task::yield_now().await;
    }
}

async fn due(on: &Fixture) -> Vec<StoreKey> {
    listed(on, &every_due()).await
}

fn every_due() -> EntryQuery {
    EntryQuery {
        due: true,
        limit: 100,
        ..EntryQuery::default()
    }
}

/// Whatever is due is listed as soon as it is.
pub async fn what_is_due_is_listed(on: Fixture) {
    let lying = put_down(&on, one_of_each()).await;
    let leased = || {
        lying
            .iter()
            .filter(|(_, entry)| entry.labels().due_in_seconds.is_some())
            .map(|(key, _)| *key)
    };
    on.pass(u64::from(LEASE_SECONDS));
    expect_within(&due(&on).await, leased(), &every_due());
    let started = EntryQuery {
        states: vec![StateLabel::Running],
        tenant: Some(tenant("acme")),
        ..every_due()
    };
    let running = lying.iter().filter(|(_, entry)| {
        let labels = entry.labels();
        labels.state == StateLabel::Running && labels.tenant == Some(tenant("acme"))
    });
    expect_within(
        &listed(&on, &started).await,
        running.map(|(key, _)| *key),
        &started,
    );
}

/// After a reboot every lease is due, whatever the clocks say. A store that knows of no boots goes by the wall clock.
pub async fn after_a_reboot_every_lease_is_due(on: Fixture) {
    on.put(key(1), &operation("acme", State::Started)).await;
    on.put(key(2), &entry(2)).await;
    on.clock.reboot();
    if !on.is_steady {
        on.pass(u64::from(LEASE_SECONDS));
    }
    expect_within(&due(&on).await, [key(1)], &every_due());
}

/// A lease that is past by the steady clock is due, though the wall clock was set back.
pub async fn a_wall_clock_set_back_hides_nothing_due(on: Fixture) {
    on.put(key(1), &operation("acme", State::Started)).await;
    on.pass(u64::from(LEASE_SECONDS));
    if on.is_steady {
        on.clock.set_wall_ms(0);
    }
    expect_within(&due(&on).await, [key(1)], &every_due());
}
