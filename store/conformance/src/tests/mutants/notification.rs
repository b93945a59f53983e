//! Wrong in when it wakes.

use super::*;

/// The version that lies there.
async fn version_at(store: &Wrong, key: StoreKey) -> Option<Version> {
    store.place.at(key).await.map(|stored| stored.version)
}

/// Nothing wakes before the time is up.
async fn sleeping(at_most: Duration) -> Told {
    sleep(at_most).await;
    Ok(Answer::Done)
}

pub(super) const MUTANTS: &[Mutant] = &[
    (
        "wakes nobody",
        "notification::a_replacement_wakes_waiters",
        wrong!(|store| {
            Ask::Changed(key, since, at_most) if version_at(store, key).await == Some(since) => sleeping(at_most).await,
        }),
    ),
    (
        "wakes nobody for what was put off",
        "notification::a_deferred_replacement_wakes_waiters",
        wrong!(|store| {
            Ask::Changed(key, since, at_most) => {
                store.right(Ask::Changed(key, since, at_most)).await?;
                let is_put_off = |version: &Version| store.place.history().put_off.contains(version.as_bytes());
                match version_at(store, key).await {
                    Some(version) if is_put_off(&version) => sleeping(at_most).await,
                    _ => Ok(Answer::Done),
                }
            },
        }),
    ),
    (
        "wakes nobody for a removal",
        "notification::a_removal_wakes_waiters",
        wrong!(|store| {
            Ask::Changed(key, since, at_most) if version_at(store, key).await == Some(since) => {
                store.right(Ask::Changed(key, since, at_most)).await?;
                match version_at(store, key).await {
                    None => sleeping(at_most).await,
                    Some(_) => Ok(Answer::Done),
                }
            },
        }),
    ),
    (
        "waits for the next change",
        "notification::no_waiter_waits_for_a_past_change",
        wrong!(|store| {
            Ask::Changed(key, since, at_most) if version_at(store, key).await.is_some_and(|lies| lies != since) => {
                sleeping(at_most).await
            },
        }),
    ),
    (
        "waits for what is past its end",
        "notification::no_waiter_waits_for_an_expired_entry",
        wrong!(|store| {
            Ask::Changed(key, since, at_most) if {
                let last = store.place.history().last(key).map(|(write, _)| write.version);
                last == Some(since) && version_at(store, key).await.is_none()
            } => sleeping(at_most).await,
        }),
    ),
    (
        "waits until something changes",
        "notification::no_waiter_waits_past_its_limit",
        wrong!(|store| {
            Ask::Changed(key, since, _) => {
                store.right(Ask::Changed(key, since, Duration::from_secs(86_400))).await
            },
        }),
    ),
];
