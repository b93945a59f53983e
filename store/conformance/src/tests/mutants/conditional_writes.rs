//! Wrong in what is written, and under which version.

use super::*;

/// The entry, its longest text cut to so many bytes.
fn cut(entry: &Arc<Entry>, bytes: usize) -> Arc<Entry> {
    let mut entry = (**entry).clone();
    if let Entry::Operation(record) = &mut entry
        && let semel_core::ledger::State::Held { reason, .. } = &mut record.state
    {
        reason.truncate(bytes);
    }
    Arc::new(entry)
}

/// What was asked, with its texts cut.
async fn with_texts_cut(store: &Wrong, mut ask: Ask, bytes: usize) -> Told {
    if let Some(write) = ask.write() {
        write.entry = cut(&write.entry, bytes);
    }
    store.right(ask).await
}

/// What lies there, where anything does.
async fn lying(store: &Wrong, key: StoreKey, otherwise: Version) -> Version {
    store
        .place
        .at(key)
        .await
        .map_or(otherwise, |stored| stored.version)
}

pub(super) const MUTANTS: &[Mutant] = &[
    (
        "creates nothing",
        "conditional_writes::a_creation_writes_an_absent_entry",
        wrong!(|store| {
            Ask::Create(_) => Ok(Answer::Created(CreateResult::Created(store.place.now().await))),
        }),
    ),
    (
        "tells the host's time",
        "conditional_writes::a_creation_writes_an_absent_entry",
        wrong!(|store| {
            ask => Ok(store.right(ask).await?.timed(|stamp| {
                let since_1970 = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
                stamp.wall_ms = u64::try_from(since_1970.as_millis()).unwrap();
            })),
        }),
    ),
    (
        "creates over what lies there",
        "conditional_writes::a_creation_leaves_an_existing_entry",
        wrong!(|store| {
            Ask::Create(write) => {
                let told = store.right(Ask::Create(write.clone())).await;
                store.place.force(write).await;
                told
            },
        }),
    ),
    (
        "says that it created what lay there already",
        "conditional_writes::a_creation_leaves_an_existing_entry",
        wrong!(|store| {
            Ask::Create(write) => match store.right(Ask::Create(write)).await? {
                Answer::Created(CreateResult::Exists(_, now)) => Ok(Answer::Created(CreateResult::Created(now))),
                told => Ok(told),
            },
        }),
    ),
    (
        "replaces nothing",
        "conditional_writes::a_replacement_replaces_the_expected_version",
        wrong!(|store| {
            Ask::Replace(..) => Ok(Answer::Replaced(ReplaceResult::Replaced(store.place.now().await))),
        }),
    ),
    (
        "lets what it replaces begin anew",
        "conditional_writes::a_replacement_replaces_the_expected_version",
        wrong!(|store| {
            Ask::Replace(expected, write) => {
                let told = store.right(Ask::Replace(expected, write.clone())).await?;
                if matches!(told, Answer::Replaced(ReplaceResult::Replaced(_))) {
                    store.right(Ask::Remove(write.key, write.version)).await?;
                    store.right(Ask::Create(write)).await?;
                }
                Ok(told)
            },
        }),
    ),
    (
        "replaces whatever lies there",
        "conditional_writes::a_replacement_of_another_version_writes_nothing",
        wrong!(|store| {
            Ask::Replace(expected, write) => {
                store.right(Ask::Replace(lying(store, write.key, expected).await, write)).await
            },
        }),
    ),
    (
        "does not tell what lies there instead",
        "conditional_writes::a_replacement_of_another_version_writes_nothing",
        wrong!(|store| {
            Ask::Replace(expected, write) => match store.right(Ask::Replace(expected, write)).await? {
                Answer::Replaced(ReplaceResult::Changed(_, now)) => Ok(Answer::Replaced(ReplaceResult::Changed(None, now))),
                told => Ok(told),
            },
        }),
    ),
    (
        "replaces nothing by something",
        "conditional_writes::a_replacement_of_an_absent_entry_writes_nothing",
        wrong!(|store| {
            Ask::Replace(_, write) if store.place.at(write.key).await.is_none() => {
                store.place.force(write).await;
                Ok(Answer::Replaced(ReplaceResult::Replaced(store.place.now().await)))
            },
        }),
    ),
    (
        "forgets what was put off",
        "conditional_writes::a_deferred_replacement_is_visible_at_once",
        wrong!(|store| {
            Ask::ReplaceSoon(..) => Ok(Answer::Done),
        }),
    ),
    (
        "answers without what it put off",
        "conditional_writes::a_deferred_replacement_is_visible_at_once",
        wrong!(|store| {
            Ask::ReplaceSoon(expected, write) => {
                let place = Arc::clone(&store.place);
                tokio::spawn(async move {
                    sleep(Duration::from_millis(50)).await;
                    place.carry_out(Ask::ReplaceSoon(expected, write)).await
                });
                Ok(Answer::Done)
            },
        }),
    ),
    (
        "puts off replacing whatever lies there",
        "conditional_writes::a_deferred_replacement_leaves_another_version",
        wrong!(|store| {
            Ask::ReplaceSoon(expected, write) => {
                store.right(Ask::ReplaceSoon(lying(store, write.key, expected).await, write)).await
            },
        }),
    ),
    (
        "removes nothing",
        "conditional_writes::a_removal_removes_the_expected_version",
        wrong!(|store| {
            Ask::Remove(key, version) if lying(store, key, version).await == version => {
                Ok(Answer::Removed(RemoveResult::Removed))
            },
        }),
    ),
    (
        "remembers when what was removed began",
        "conditional_writes::a_removal_removes_the_expected_version",
        wrong!(|store| {
            Ask::Get(key) => {
                let mut told = store.right(Ask::Get(key)).await?;
                let first = store.place.history().first(key).map(|(_, stored)| stored.created);
                if let (Some(stored), Some(first)) = (told.parts().0, first) {
                    stored.created = first;
                }
                Ok(told)
            },
        }),
    ),
    (
        "removes whatever lies there",
        "conditional_writes::a_removal_of_another_version_removes_nothing",
        wrong!(|store| {
            Ask::Remove(key, version) => store.right(Ask::Remove(key, lying(store, key, version).await)).await,
        }),
    ),
    (
        "takes the machine for the same after a reboot",
        "conditional_writes::the_store_stamps_each_write",
        wrong!(|store| {
            ask => Ok(store.right(ask).await?.timed(|stamp| stamp.boot = semel_core::model::Boot(1))),
        }),
    ),
    (
        "smooths its time",
        "conditional_writes::a_clock_set_back_is_visible",
        wrong!(|store| {
            ask => {
                let mut told = store.right(ask).await?;
                if let Some(now) = told.parts().1 {
                    let latest_ms = &mut store.place.history().latest_ms;
                    *latest_ms = now.wall_ms.max(*latest_ms);
                    now.wall_ms = *latest_ms;
                }
                Ok(told)
            },
        }),
    ),
    (
        "cuts texts to 64 KiB",
        "conditional_writes::entries_are_returned_as_written",
        wrong!(|store| {
            ask => with_texts_cut(store, ask, 65_535).await,
        }),
    ),
    (
        "looks at half of a key",
        "conditional_writes::keys_that_differ_in_a_byte_are_different",
        wrong!(|store| {
            mut ask => {
                if let Some(key) = ask.key() {
                    let mut bytes = *key.as_bytes();
                    bytes[16..].fill(0);
                    *key = StoreKey::from_bytes(bytes);
                }
                store.right(ask).await
            },
        }),
    ),
    (
        "cuts texts to 1 MiB",
        "conditional_writes::an_entry_up_to_the_limit_is_returned_as_written",
        wrong!(|store| {
            ask => with_texts_cut(store, ask, 1 << 20).await,
        }),
    ),
    (
        "writes what it refuses as too large",
        "conditional_writes::an_entry_over_the_limit_is_refused_or_stored_whole",
        wrong!(|store| {
            Ask::Replace(expected, write) if write.entry.to_bytes().is_err() => {
                store.right(Ask::Replace(expected, write)).await?;
                refused()
            },
        }),
    ),
    (
        "takes a version that was removed for the one that lies there",
        "versions::a_version_never_recurs",
        wrong!(|store| {
            Ask::Replace(expected, write) if store.place.history().removed.contains(expected.as_bytes()) => {
                store.right(Ask::Replace(lying(store, write.key, expected).await, write)).await
            },
        }),
    ),
    (
        "takes a version of zeros for none",
        "versions::any_value_is_a_version",
        wrong!(|store| {
            Ask::Get(key) if lying(store, key, fresh_version()).await == Version::from_bytes([0; 16]) => {
                Ok(Answer::Got(None, store.place.now().await))
            },
        }),
    ),
    (
        "says again that it created",
        "versions::a_repeated_write_finds_its_own_version",
        wrong!(|store| {
            Ask::Create(write) if lying(store, write.key, fresh_version()).await == write.version => {
                Ok(Answer::Created(CreateResult::Created(store.place.now().await)))
            },
        }),
    ),
    (
        "says again that it replaced",
        "versions::a_repeated_write_finds_its_own_version",
        wrong!(|store| {
            Ask::Replace(_, write) if lying(store, write.key, fresh_version()).await == write.version => {
                Ok(Answer::Replaced(ReplaceResult::Replaced(store.place.now().await)))
            },
        }),
    ),
];
