//! Wrong in what it lists.

use super::*;
use semel_store::PAGE_MAX;

/// The page that is right.
async fn page(store: &Wrong, query: EntryQuery) -> KeyPage {
    match store.right(Ask::List(query)).await {
        Ok(Answer::Listed(page)) => page,
        other => panic!("a list is answered by a page: {other:?}"),
    }
}

/// The page that is right, of those whose write is so.
async fn of_those(
    store: &Wrong,
    query: EntryQuery,
    is_so: impl Fn(&Wrong, StoreKey) -> bool,
) -> Told {
    let mut page = page(store, query).await;
    page.keys.retain(|key| is_so(store, *key));
    Ok(Answer::Listed(page))
}

/// What is due by these clocks, of which the second is the steady one.
async fn due_by(
    store: &Wrong,
    query: EntryQuery,
    is_past: fn(&StoredEntry, semel_core::model::Stamp, u64) -> bool,
) -> Told {
    let now = store.place.now().await;
    of_those(
        store,
        EntryQuery {
            due: false,
            ..query
        },
        |store, key| {
            let history = store.place.history();
            let Some((write, stored)) = history.last(key) else {
                return false;
            };
            let due = write.entry.labels().due_in_seconds;
            due.is_some_and(|seconds| is_past(stored, now, u64::from(seconds) * 1000))
        },
    )
    .await
}

/// All keys, whatever a page may hold.
async fn all(store: &Wrong) -> Vec<StoreKey> {
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let page = page(
            store,
            EntryQuery {
                limit: PAGE_MAX,
                after,
                ..EntryQuery::default()
            },
        )
        .await;
        after = page.keys.last().copied();
        keys.extend(page.keys);
        if !page.more {
            return keys;
        }
    }
}

pub(super) const MUTANTS: &[Mutant] = &[
    (
        "lists by the first of several states",
        "listing::every_match_is_listed_in_the_order_of_keys",
        wrong!(|store| {
            Ask::List(mut query) => {
                query.states.truncate(1);
                store.right(Ask::List(query)).await
            },
        }),
    ),
    (
        "lists by what was created",
        "listing::a_replaced_entry_is_listed_by_its_new_state",
        wrong!(|store| {
            Ask::List(query) => {
                let every = EntryQuery { tenant: None, states: vec![], ..query.clone() };
                of_those(store, every, |store, key| {
                    let history = store.place.history();
                    history.first(key).is_some_and(|(write, _)| {
                        let labels = write.entry.labels();
                        (query.states.is_empty() || query.states.contains(&labels.state))
                            && (query.tenant.is_none() || query.tenant == labels.tenant)
                    })
                })
                .await
            },
        }),
    ),
    (
        "leaves one out between two pages",
        "listing::pages_follow_each_other_without_gap",
        wrong!(|store| {
            Ask::List(query) if query.after.is_some() => {
                let mut page = page(store, query).await;
                page.keys.drain(..1.min(page.keys.len()));
                Ok(Answer::Listed(page))
            },
        }),
    ),
    (
        "begins a page with the end of the one before",
        "listing::pages_follow_each_other_without_gap",
        wrong!(|store| {
            Ask::List(query) if query.after.is_some() => {
                let before = query.after;
                let limit = query.limit;
                let mut page = page(store, query).await;
                page.keys.splice(..0, before);
                page.keys.truncate(limit);
                Ok(Answer::Listed(page))
            },
        }),
    ),
    (
        "takes the longest page for the last",
        "listing::no_page_exceeds_the_maximum",
        wrong!(|store| {
            Ask::List(query) => {
                let mut page = page(store, query).await;
                page.more &= page.keys.len() < PAGE_MAX;
                Ok(Answer::Listed(page))
            },
        }),
    ),
    (
        "counts what was on the pages before",
        "listing::pages_are_complete_while_others_write",
        wrong!(|store| {
            Ask::List(query) if query.tenant.is_none() && query.states.is_empty() && !query.due => {
                let keys = all(store).await;
                let mut history = store.place.history();
                let before = match query.after {
                    None => 0,
                    Some(after) => match history.offsets.get(&after) {
                        Some(offset) => *offset,
                        None => keys.iter().filter(|key| **key <= after).count(),
                    },
                };
                let limit = query.limit.min(PAGE_MAX);
                let listed: Vec<StoreKey> = keys.iter().skip(before).take(limit).copied().collect();
                let more = before + listed.len() < keys.len();
                if let Some(last) = listed.last() {
                    history.offsets.insert(*last, before + listed.len());
                }
                Ok(Answer::Listed(KeyPage { keys: listed, more }))
            },
        }),
    ),
    (
        "lists nothing as due within a minute",
        "listing::due_entries_are_listed",
        wrong!(|store| {
            Ask::List(query) if query.due => {
                due_by(store, query, |stored, now, _| stored.written.wall_ms + 60_000 <= now.wall_ms).await
            },
        }),
    ),
    (
        "does not tell boots apart",
        "listing::after_a_reboot_every_lease_is_due",
        wrong!(|store| {
            Ask::List(query) if query.due => {
                due_by(store, query, |stored, now, due_ms| {
                    stored.written.wall_ms + due_ms <= now.wall_ms || stored.written.steady_ms + due_ms <= now.steady_ms
                })
                .await
            },
        }),
    ),
    (
        "goes by the wall clock alone",
        "listing::a_wall_clock_set_back_hides_no_due_entry",
        wrong!(|store| {
            Ask::List(query) if query.due => {
                due_by(store, query, |stored, now, due_ms| {
                    stored.written.boot != now.boot || stored.written.wall_ms + due_ms <= now.wall_ms
                })
                .await
            },
        }),
    ),
];
