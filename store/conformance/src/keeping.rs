//! How long entries are kept, and what shows when they are not.

use super::expecting::expect_eq;
use super::*;
use semel_store::{CreateResult, EntryQuery, RemoveResult, ReplaceResult, Retention};

/// Past its end an entry is answered as absent to every question, and may be created anew.
pub async fn what_is_past_its_end_is_absent(on: Fixture) {
    let version = on.put_for(key(1), &entry(1), Retention::Seconds(10)).await;
    on.pass(9);
    expect_eq(
        "what lies there before its end",
        &on.version_at(key(1)).await,
        &Some(version),
    );
    on.pass(1);
    expect_eq("what lies there at its end", &on.at(key(1)).await, &None);
    let replaced = on
        .store
        .replace(
            key(1),
            version,
            &entry(2),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Changed(None, _)),
        "a replacement of what is past its end"
    );
    let removed = on.store.remove(key(1), version).await;
    expect!(
        removed,
        Ok(RemoveResult::Changed(None, _)),
        "a removal of what is past its end"
    );
    let anew = on.put(key(1), &entry(3)).await;
    let lying = on
        .at(key(1))
        .await
        .map(|stored| (stored.version, stored.created));
    expect_eq(
        "what was created anew, and when",
        &lying,
        &Some((anew, on.stamp().await)),
    );
}

/// What is past its end is not listed.
pub async fn what_is_past_its_end_is_not_listed(on: Fixture) {
    on.put_for(key(1), &entry(1), Retention::Seconds(10)).await;
    on.put(key(2), &entry(2)).await;
    on.pass(10);
    let page = on
        .store
        .list(&EntryQuery {
            limit: 10,
            ..EntryQuery::default()
        })
        .await
        .expect("a store at work lists");
    expect_eq("what is listed", &page.keys, &vec![key(2)]);
}

/// Each write states anew how long its entry is kept, counted from itself, and clears what was stated before.
pub async fn each_write_states_anew_how_long(on: Fixture) {
    let mut version = on.put_for(key(1), &entry(1), Retention::Seconds(10)).await;
    for keep in [
        Retention::Seconds(10),
        Retention::UntilRemoved,
        Retention::Seconds(10),
    ] {
        on.pass(9);
        let next = fresh_version();
        let replaced = on
            .store
            .replace(key(1), version, &entry(2), next, keep)
            .await;
        expect!(
            replaced,
            Ok(ReplaceResult::Replaced(_)),
            "a replacement before the end that the last write stated"
        );
        version = next;
        if keep == Retention::UntilRemoved {
            on.pass(1_000_000_000);
        }
    }
    on.pass(9);
    expect_eq(
        "what lies there before its end",
        &on.version_at(key(1)).await,
        &Some(version),
    );
    on.pass(1);
    expect_eq("what lies there at its end", &on.at(key(1)).await, &None);
}

/// What is created where something is past its end has an end of its own, or none.
pub async fn what_is_created_anew_has_an_end_of_its_own(on: Fixture) {
    on.put_for(key(1), &entry(1), Retention::Seconds(10)).await;
    on.pass(10);
    on.put_for(key(1), &entry(2), Retention::Seconds(20)).await;
    on.pass(19);
    expect_eq(
        "whether it is kept to its end",
        &on.at(key(1)).await.is_some(),
        &true,
    );
    on.pass(1);
    let kept = on.put(key(1), &entry(3)).await;
    on.pass(1_000_000_000);
    expect_eq(
        "what lies there without an end",
        &on.version_at(key(1)).await,
        &Some(kept),
    );
}

/// A replacement that was put off states how long its entry is kept, as any write does.
pub async fn a_replacement_put_off_states_how_long(on: Fixture) {
    let first = on.put_for(key(1), &entry(1), Retention::Seconds(10)).await;
    let second = on.put(key(2), &entry(1)).await;
    let kept = fresh_version();
    let ended = fresh_version();
    let ending = Retention::Seconds(10);
    on.store
        .replace_deferred(key(1), first, &entry(2), kept, Retention::UntilRemoved)
        .await
        .expect("it may be put off");
    on.store
        .replace_deferred(key(2), second, &entry(2), ended, ending)
        .await
        .expect("it may be put off");
    let both = (on.version_at(key(1)).await, on.version_at(key(2)).await);
    expect_eq(
        "what lies there before the end",
        &both,
        &(Some(kept), Some(ended)),
    );
    on.pass(10);
    let both = (on.version_at(key(1)).await, on.version_at(key(2)).await);
    expect_eq("what lies there at the end", &both, &(Some(kept), None));
}

/// No end is too far, and none too near.
pub async fn no_end_is_too_far(on: Fixture) {
    for (number, seconds) in [
        (1, u64::MAX),
        (2, u64::MAX / 1000),
        (3, 2_000_000_000),
        (4, 0),
    ] {
        let created = on
            .store
            .create(
                key(number),
                &entry(number),
                fresh_version(),
                Retention::Seconds(seconds),
            )
            .await;
        expect!(
            created,
            Ok(CreateResult::Created(_)),
            "a creation where nothing lies"
        );
    }
    on.pass(1_000_000_000);
    let mut kept = Vec::new();
    for number in 1..5 {
        kept.push(on.at(key(number)).await.is_some());
    }
    expect_eq("which are kept", &kept, &vec![true, true, true, false]);
}

/// The incarnation in stamps stays as long as nothing acknowledged was lost, and changes when something may have been.
pub async fn a_loss_shows_as_another_incarnation(on: Fixture) {
    let before = on.now().await.incarnation;
    on.put(key(1), &entry(1)).await;
    let written = on.at(key(1)).await.expect("it was written").written;
    let told = (written.incarnation, on.now().await.incarnation);
    expect_eq(
        "the incarnation that wrote, and that of now",
        &told,
        &(before, before),
    );
    if let Some(lose) = &on.lose {
        lose();
        let after = on.now().await.incarnation;
        assert_ne!(after, before, "what was lost shows as another incarnation");
    }
}
