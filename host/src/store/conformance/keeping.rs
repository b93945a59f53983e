//! How long entries are kept, and what shows when they are not.

use super::{Fixture, entry, fresh_version, key};
use crate::store::{Keep, Query, Removed, Replaced};

/// What is past its end is absent to every question, and may be created anew.
pub async fn what_is_past_its_end_is_absent(on: &Fixture) {
    let version = on.put_for(key(1), &entry(1), Keep::Seconds(10)).await;
    on.pass(9);
    assert!(on.at(key(1)).await.is_some(), "it is kept to its end");
    on.pass(1);
    assert_eq!(on.at(key(1)).await, None);
    let replaced = on.store.replace(key(1), version, &entry(2), fresh_version(), Keep::UntilRemoved).await;
    assert!(matches!(replaced, Ok(Replaced::Changed(None, _))), "{replaced:?}");
    let removed = on.store.remove(key(1), version).await;
    assert!(matches!(removed, Ok(Removed::Changed(None, _))), "{removed:?}");
    let anew = on.put(key(1), &entry(3)).await;
    let stored = on.at(key(1)).await.expect("it was created anew");
    assert_eq!((stored.version, stored.created), (anew, on.stamp().await));
}

/// Each write counts its own time from itself, and clears what was stated before.
pub async fn each_write_states_anew_how_long(on: &Fixture) {
    let mut version = on.put_for(key(1), &entry(1), Keep::Seconds(10)).await;
    for keep in [Keep::Seconds(10), Keep::UntilRemoved, Keep::Seconds(10)] {
        on.pass(9);
        let next = fresh_version();
        let replaced = on.store.replace(key(1), version, &entry(2), next, keep).await;
        assert!(matches!(replaced, Ok(Replaced::Replaced(_))), "{replaced:?}");
        version = next;
        if keep == Keep::UntilRemoved {
            on.pass(1_000_000_000);
        }
    }
    on.pass(9);
    assert!(on.at(key(1)).await.is_some());
    on.pass(1);
    assert_eq!(on.at(key(1)).await, None);
}

/// No end is too far, and none too near.
pub async fn no_end_is_too_far(on: &Fixture) {
    on.put_for(key(1), &entry(1), Keep::Seconds(u64::MAX)).await;
    on.put_for(key(2), &entry(1), Keep::Seconds(0)).await;
    on.pass(1_000_000_000);
    assert!(on.at(key(1)).await.is_some());
    assert_eq!(on.at(key(2)).await, None);
}

/// A purge drops what is past its end, no more than asked, and nothing else.
pub async fn a_purge_drops_only_what_is_past_its_end(on: &Fixture) {
    for number in 0..5 {
        on.put_for(key(number), &entry(number), Keep::Seconds(10)).await;
    }
    on.put_for(key(5), &entry(5), Keep::Seconds(11)).await;
    on.put(key(6), &entry(6)).await;
    let purge = async |at_most| on.store.purge(at_most).await.expect("a store at work purges");
    assert_eq!(purge(100).await, 0, "nothing is past its end yet");
    on.pass(10);
    assert_eq!(purge(0).await, 0);
    let counts = [purge(3).await, purge(3).await, purge(3).await];
    // A store that drops such entries by itself has none left to drop.
    assert!(counts == [3, 2, 0] || counts == [0, 0, 0], "{counts:?}");
    let left = on.store.list(&Query { limit: 10, ..Query::default() }).await.expect("a store at work lists");
    assert_eq!(left.keys, [key(5), key(6)]);
    on.put(key(0), &entry(0)).await;
}

/// The incarnation stays as long as nothing was lost, and only so long.
pub async fn a_loss_shows_as_another_incarnation(on: &Fixture) {
    let before = on.now().await.incarnation;
    on.put(key(1), &entry(1)).await;
    let written = on.at(key(1)).await.expect("it was written").written;
    assert_eq!((written.incarnation, on.now().await.incarnation), (before, before));
    if let Some(lose) = &on.lose {
        lose();
        assert_ne!(on.now().await.incarnation, before);
    }
}
