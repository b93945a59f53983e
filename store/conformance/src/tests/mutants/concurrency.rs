//! Wrong where several ask at once, of one store or of several.

use super::*;

/// Notes which version lies at a key, as this store believes.
fn believe(store: &Wrong, key: StoreKey, version: Version) {
    store.seen.lock().unwrap().insert(key, version);
}

/// Whether this store believes that this version lies there.
fn believes(store: &Wrong, key: StoreKey, version: Version) -> bool {
    store.seen.lock().unwrap().get(&key) == Some(&version)
}

pub(super) const MUTANTS: &[Mutant] = &[
    (
        "looks, and creates later",
        "concurrency::of_many_creations_one_wins",
        wrong!(|store| {
            Ask::Create(write) if store.place.at(write.key).await.is_none() => {
                yield_now().await;
                store.place.force(write).await;
                Ok(Answer::Created(CreateResult::Created(store.place.now().await)))
            },
        }),
    ),
    (
        "looks, and removes later",
        "concurrency::of_many_removals_one_wins",
        wrong!(|store| {
            Ask::Remove(key, expected) if store.place.at(key).await.is_some_and(|lies| lies.version == expected) => {
                yield_now().await;
                store.right(Ask::Remove(key, expected)).await?;
                Ok(Answer::Removed(RemoveResult::Removed))
            },
        }),
    ),
    (
        "looks, and replaces later",
        "concurrency::no_replacement_is_lost",
        wrong!(|store| {
            Ask::Replace(expected, write)
                if store.place.at(write.key).await.is_some_and(|lies| lies.version == expected) =>
            {
                yield_now().await;
                store.place.force(write).await;
                Ok(Answer::Replaced(ReplaceResult::Replaced(store.place.now().await)))
            },
        }),
    ),
    (
        "reads what was there before others began to create",
        "concurrency::a_read_after_a_write_finds_it",
        wrong!(|store| {
            Ask::Create(write) => {
                let key = write.key;
                store.place.history().creating.push(key);
                let told = store.right(Ask::Create(write)).await;
                yield_now().await;
                store.place.history().creating.retain(|other| *other != key);
                told
            },
            Ask::Get(_) if !store.place.history().creating.is_empty() => {
                Ok(Answer::Got(None, store.place.now().await))
            },
        }),
    ),
    (
        "drops what nobody waits for",
        "concurrency::a_dropped_request_is_carried_out",
        wrong!(|store| {
            Ask::Create(write) => {
                yield_now().await;
                store.right(Ask::Create(write)).await
            },
        }),
    ),
    (
        "has a place of its own",
        "sharing::a_write_is_visible_to_other_stores",
        wrong!(|store| {
            Ask::Create(Write { key, entry, version, keep }) if store.beside > 0 => {
                Ok(Answer::Created(store.own.create(key, &entry, version, keep).await?))
            },
        }),
    ),
    (
        "rests on what it saw last",
        "sharing::of_several_stores_that_write_one_wins",
        wrong!(|store| {
            Ask::Get(key) => {
                let mut told = store.right(Ask::Get(key)).await?;
                if let Some(stored) = told.parts().0 {
                    believe(store, key, stored.version);
                }
                Ok(told)
            },
            Ask::Replace(expected, write) => {
                yield_now().await;
                let key = write.key;
                let version = write.version;
                if believes(store, key, expected) && store.place.at(key).await.is_some() {
                    store.place.force(write).await;
                    believe(store, key, version);
                    return Ok(Answer::Replaced(ReplaceResult::Replaced(store.place.now().await)));
                }
                store.right(Ask::Replace(expected, write)).await
            },
        }),
    ),
    (
        "hears of its own changes only",
        "sharing::a_change_wakes_waiters_of_other_stores",
        wrong!(|store| {
            Ask::Changed(key, since, at_most) if store.beside > 0 => {
                let lies = store.place.at(key).await.map(|stored| stored.version);
                sleep(if lies == Some(since) { at_most } else { Duration::ZERO }).await;
                Ok(Answer::Done)
            },
        }),
    ),
];
