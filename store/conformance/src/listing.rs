//! Lists and their pages: a list may contain too much, never too little.

use super::*;
use super::{expectation::expect_eq, samples::LEASE_SECONDS};
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

/// Returns an entry of each state, for each of two tenants.
fn one_entry_of_each_state() -> Vec<Arc<Entry>> {
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
            new_key: false,
            wait_ms: 0,
        },
        State::Refused {
            by: ReleaseSource::Owner,
            replay_ms: 0,
        },
        State::Undone {
            by: None,
            delivered: true,
        },
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

/// Creates the entries, neither in the order of their keys nor in reverse.
async fn create_all(on: &Fixture, entries: Vec<Arc<Entry>>) -> Vec<(StoreKey, Arc<Entry>)> {
    let mut created = Vec::new();
    for (number, entry) in (0_u32..).zip(entries) {
        let key = key(number.wrapping_mul(2_654_435_769));
        on.create(key, &entry).await;
        created.push((key, entry));
    }
    created.sort_by_key(|(key, _)| *key);
    created
}

async fn listed(on: &Fixture, query: &EntryQuery) -> Vec<StoreKey> {
    let page = on.store.list(query).await.expect("a working store lists");
    expect_eq("whether keys are in order", &page.keys.is_sorted(), &true);
    expect_eq("whether the last page reports more", &page.more, &false);
    page.keys
}

/// Expects a list to contain these keys. It may contain more.
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
        &format!("the keys missing from the list of {query:?}"),
        &missing,
        &vec![],
    );
}

/// Lists all keys, page by page.
async fn list_all_pages(on: &Fixture, limit: usize) -> Vec<StoreKey> {
    let mut query = EntryQuery {
        limit,
        ..EntryQuery::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = on.store.list(&query).await.expect("a working store lists");
        let most = limit.min(PAGE_MAX);
        expect_eq(
            "whether a page respects its limit",
            &(page.keys.len() <= most),
            &true,
        );
        let first = page.keys.first().copied();
        expect_eq(
            "whether a page begins after the last key of the page before",
            &(first.is_none() || first > query.after),
            &true,
        );
        seen.extend(&page.keys);
        query.after = page.keys.last().copied();
        if !page.more {
            return seen;
        }
        expect_eq(
            "whether a page before the last is empty",
            &page.keys.is_empty(),
            &false,
        );
        // Other tasks write between two pages.
        tokio::task::yield_now().await;
    }
}

/// A list contains every entry that matches tenant and states, in the order of keys; it may contain
/// more, never less.
pub(crate) async fn every_match_is_listed_in_the_order_of_keys(on: Fixture) {
    let entries = create_all(&on, one_entry_of_each_state()).await;
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
            let matching = entries.iter().filter(|(_, entry)| {
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

/// A replaced entry is listed by its new tenant and state, a deferred replacement included.
pub(crate) async fn a_replaced_entry_is_listed_by_its_new_state(on: Fixture) {
    let held = operation(
        "zenith",
        State::Held {
            reason: "a sample".to_owned(),
            two_effects: false,
        },
    );
    let first = on.create(key(1), &operation("acme", State::Started)).await;
    let second = on.create(key(2), &operation("acme", State::Started)).await;
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
        "a replacement of the expected version"
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
        .expect("the store accepts a deferred replacement");
    let query = EntryQuery {
        tenant: Some(tenant("zenith")),
        states: vec![StateLabel::Held],
        limit: 10,
        ..EntryQuery::default()
    };
    expect_within(&listed(&on, &query).await, [key(1), key(2)], &query);
}

/// Pages follow one another without gap or repetition, at any page size.
pub(crate) async fn pages_follow_each_other_without_gap(on: Fixture) {
    let entries: Vec<StoreKey> = create_all(&on, one_entry_of_each_state())
        .await
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    for limit in [1, 2, 7, entries.len(), usize::MAX] {
        expect_eq(
            "all keys, page by page",
            &list_all_pages(&on, limit).await,
            &entries,
        );
    }
    let beyond = EntryQuery {
        after: Some(any_key()),
        limit: 10,
        ..EntryQuery::default()
    };
    expect_eq(
        "the list after the last key",
        &listed(&on, &beyond).await,
        &vec![],
    );
}

/// No page is longer than [`PAGE_MAX`], whatever limit is asked for, and the rest is on the next
/// page.
pub(crate) async fn no_page_exceeds_the_maximum(on: Fixture) {
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
    let listed = list_all_pages(&on, usize::MAX).await;
    expect_eq(
        "the number of keys on all pages",
        &listed.len(),
        &(PAGE_MAX + 1),
    );
    expect_eq(
        "whether all keys are listed",
        &(listed == numbers.map(key).collect::<Vec<_>>()),
        &true,
    );
}

/// An entry that exists during the whole listing is on one page, while other entries are created,
/// replaced and removed.
pub(crate) async fn pages_are_complete_while_others_write(on: Fixture) {
    const KEYS: u32 = 60;
    let steady: Vec<StoreKey> = (0..KEYS)
        .filter(|number| number % 3 == 0)
        .map(key)
        .collect();
    for key in &steady {
        on.create(*key, &entry(1)).await;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: JoinSet<()> = [1, 2]
        .into_iter()
        .map(|first| {
            let keys = (first..KEYS).step_by(3).map(key).collect();
            create_replace_remove(Arc::clone(&on.store), keys, Arc::clone(&is_over))
        })
        .collect();
    let mut pagings = Vec::new();
    for limit in [1, 3, 4, 7, 11, 30] {
        let mut seen = list_all_pages(&on, limit).await;
        seen.retain(|key| steady.contains(key));
        pagings.push(seen);
    }
    is_over.store(true, Ordering::Relaxed);
    writers.join_all().await;
    for seen in pagings {
        expect_eq("the lasting entries on all pages", &seen, &steady);
    }
}

/// Creates, replaces and removes entries at these keys until `is_over`.
async fn create_replace_remove(
    store: Arc<dyn Store>,
    keys: Vec<StoreKey>,
    is_over: Arc<AtomicBool>,
) {
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
    listed(on, &due_query()).await
}

fn due_query() -> EntryQuery {
    EntryQuery {
        due: true,
        limit: 100,
        ..EntryQuery::default()
    }
}

/// An entry is listed as due as soon as it is due.
pub(crate) async fn due_entries_are_listed(on: Fixture) {
    let entries = create_all(&on, one_entry_of_each_state()).await;
    let leased = || {
        entries
            .iter()
            .filter(|(_, entry)| entry.labels().due_in_seconds.is_some())
            .map(|(key, _)| *key)
    };
    on.advance_seconds(u64::from(LEASE_SECONDS));
    expect_within(&due(&on).await, leased(), &due_query());
    let started = EntryQuery {
        states: vec![StateLabel::Running],
        tenant: Some(tenant("acme")),
        ..due_query()
    };
    let running = entries.iter().filter(|(_, entry)| {
        let labels = entry.labels();
        labels.state == StateLabel::Running && labels.tenant == Some(tenant("acme"))
    });
    expect_within(
        &listed(&on, &started).await,
        running.map(|(key, _)| *key),
        &started,
    );
}

/// After a reboot every lease is due, at any clock reading. A store that does not recognise reboots
/// uses the wall clock.
pub(crate) async fn after_a_reboot_every_lease_is_due(on: Fixture) {
    on.create(key(1), &operation("acme", State::Started)).await;
    on.create(key(2), &entry(2)).await;
    on.clock.reboot();
    if !on.is_steady {
        on.advance_seconds(u64::from(LEASE_SECONDS));
    }
    expect_within(&due(&on).await, [key(1)], &due_query());
}

/// A lease that has ended by the steady clock is due, even if the wall clock was set back.
pub(crate) async fn a_wall_clock_set_back_hides_no_due_entry(on: Fixture) {
    on.create(key(1), &operation("acme", State::Started)).await;
    on.advance_seconds(u64::from(LEASE_SECONDS));
    if on.is_steady {
        on.clock.set_wall_ms(0);
    }
    expect_within(&due(&on).await, [key(1)], &due_query());
}
