//! Wrong in how long it keeps, and in what it drops.

use super::*;
use std::{fs, io::Write as _};

/// What was asked, to be kept otherwise.
async fn kept(store: &Wrong, mut ask: Ask, keep: impl FnOnce(Retention) -> Retention) -> Told {
    if let Some(write) = ask.write() {
        write.keep = keep(write.keep);
    }
    store.right(ask).await
}

/// How long what was written at the key last was to be kept.
fn keep_before(store: &Wrong, key: StoreKey) -> Option<Retention> {
    store.place.history().last(key).map(|(write, _)| write.keep)
}

pub(super) const MUTANTS: &[Mutant] = &[
    (
        "keeps for ever",
        "retention::an_expired_entry_is_absent",
        wrong!(|store| {
            ask => kept(store, ask, |_| Retention::UntilRemoved).await,
        }),
    ),
    (
        "replaces what is past its end",
        "retention::an_expired_entry_is_absent",
        wrong!(|store| {
            Ask::Replace(expected, write) if {
                let last = store.place.history().last(write.key).map(|(write, _)| write.version);
                last == Some(expected) && store.place.at(write.key).await.is_none()
            } => {
                store.place.force(write).await;
                Ok(Answer::Replaced(ReplaceResult::Replaced(store.place.now().await)))
            },
        }),
    ),
    (
        "lists what is past its end",
        "retention::an_expired_entry_is_not_listed",
        wrong!(|store| {
            Ask::List(query) => {
                let listed = store.right(Ask::List(query)).await?;
                let history = store.place.history();
                let all = history.writes.keys().filter(|key| history.last(**key).is_some()).copied().collect();
                Ok(match listed {
                    Answer::Listed(page) if page.more => Answer::Listed(page),
                    _ => Answer::Listed(KeyPage { keys: all, more: false }),
                })
            },
        }),
    ),
    (
        "never clears an end",
        "retention::each_write_sets_the_retention",
        wrong!(|store| {
            Ask::Replace(expected, write) if write.keep == Retention::UntilRemoved => {
                let before = keep_before(store, write.key).unwrap_or(Retention::UntilRemoved);
                kept(store, Ask::Replace(expected, write), |_| before).await
            },
        }),
    ),
    (
        "counts how long from the creation",
        "retention::each_write_sets_the_retention",
        wrong!(|store| {
            Ask::Replace(expected, write) => {
                let now = store.place.now().await;
                let lying = store.place.at(write.key).await;
                let age_ms = lying.map_or(0, |stored| now.wall_ms.saturating_sub(stored.created.wall_ms));
                kept(store, Ask::Replace(expected, write), |keep| match keep {
                    Retention::Seconds(seconds) => Retention::Seconds(seconds.saturating_sub(age_ms / 1000)),
                    Retention::UntilRemoved => keep,
                })
                .await
            },
        }),
    ),
    (
        "keeps what is created anew as long as what lay there before",
        "retention::a_recreated_entry_has_its_own_retention",
        wrong!(|store| {
            Ask::Create(write) => {
                let before = keep_before(store, write.key);
                kept(store, Ask::Create(write), |keep| before.unwrap_or(keep)).await
            },
        }),
    ),
    (
        "puts off without an end",
        "retention::a_deferred_replacement_sets_the_retention",
        wrong!(|store| {
            ask @ Ask::ReplaceSoon(..) => kept(store, ask, |_| Retention::UntilRemoved).await,
        }),
    ),
    (
        "counts milliseconds in 32 bits",
        "retention::any_retention_is_accepted",
        wrong!(|store| {
            ask => kept(store, ask, |keep| match keep {
                Retention::Seconds(seconds) => Retention::Seconds((seconds.wrapping_mul(1000) & 0xffff_ffff) / 1000),
                Retention::UntilRemoved => keep,
            })
            .await,
        }),
    ),
    (
        "does not tell that it lost something",
        "retention::a_loss_changes_the_incarnation",
        wrong!(|store| {
            ask => Ok(store.right(ask).await?.timed(|stamp| stamp.incarnation = semel_core::model::Incarnation(7))),
        }),
    ),
    (
        "drops more than it was asked to",
        "cleanup::a_purge_drops_only_expired_entries",
        wrong!(|store| {
            Ask::Purge(_) => store.right(Ask::Purge(usize::MAX)).await,
        }),
    ),
    (
        "drops what is not past its end",
        "cleanup::a_purge_drops_only_expired_entries",
        wrong!(|store| {
            Ask::Purge(at_most) => {
                if let Some(lying) = store.place.at(key(6)).await {
                    store.right(Ask::Remove(key(6), lying.version)).await?;
                }
                store.right(Ask::Purge(at_most)).await
            },
        }),
    ),
    (
        "scrubs away what lies there",
        "cleanup::a_scrub_changes_no_answer",
        wrong!(|store| {
            Ask::Scrub => {
                if let Some(lying) = store.place.at(key(2)).await {
                    store.right(Ask::Remove(key(2), lying.version)).await?;
                }
                Ok(Answer::Done)
            },
        }),
    ),
    (
        "leaves a journal of all that it wrote",
        "cleanup::a_scrub_leaves_no_trace_of_removed_entries",
        wrong!(|store| {
            mut ask => {
                if let Some(write) = ask.write()
                    && let Ok(bytes) = write.entry.to_bytes()
                {
                    let journal = store.place.folder.path().join("journal");
                    let mut file = fs::OpenOptions::new().create(true).append(true).open(journal).unwrap();
                    file.write_all(&bytes).unwrap();
                }
                store.right(ask).await
            },
        }),
    ),
];
