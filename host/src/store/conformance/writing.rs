//! Conditional writes, versions and times.

use super::{Fixture, any_key, entry, fresh_version, key, odd_entries};
use crate::store::{Created, Keep, Removed, Replaced, Stored};

/// A creation writes where nothing lies, at the time of the store.
pub async fn a_creation_writes_where_nothing_lies(on: &Fixture) {
    let (entry, version, now) = (entry(1), fresh_version(), on.stamp().await);
    let created = on.store.create(key(1), &entry, version, Keep::UntilRemoved).await;
    assert!(matches!(created, Ok(Created::Created(at)) if at == now), "{created:?}");
    assert_eq!(on.at(key(1)).await, Some(Stored { entry, version, created: now, written: now }));
}

/// A creation finds what lies, and leaves it as it is.
pub async fn a_creation_finds_what_lies_and_leaves_it(on: &Fixture) {
    on.put(key(1), &entry(1)).await;
    let first = on.at(key(1)).await;
    on.pass(1);
    let (second, now) = (entry(2), on.stamp().await);
    match on.store.create(key(1), &second, fresh_version(), Keep::Seconds(0)).await {
        Ok(Created::Exists(stored, at)) => assert_eq!((Some(stored), at), (first.clone(), now)),
        other => panic!("something lies there: {other:?}"),
    }
    assert_eq!(on.at(key(1)).await, first);
}

/// A replacement writes at the time of the store, and leaves the time of the creation.
pub async fn a_replacement_takes_the_place_of_the_version_it_expects(on: &Fixture) {
    let (first, begun) = (on.put(key(1), &entry(1)).await, on.stamp().await);
    on.pass(1);
    let (second, version, now) = (entry(2), fresh_version(), on.stamp().await);
    let replaced = on.store.replace(key(1), first, &second, version, Keep::UntilRemoved).await;
    assert!(matches!(replaced, Ok(Replaced::Replaced(at)) if at == now), "{replaced:?}");
    assert_eq!(on.at(key(1)).await, Some(Stored { entry: second, version, created: begun, written: now }));
}

/// A replacement of another version tells what lies there, and the time.
pub async fn a_replacement_of_another_version_writes_nothing(on: &Fixture) {
    on.put(key(1), &entry(1)).await;
    let (lying, now) = (on.at(key(1)).await, on.stamp().await);
    match on.store.replace(key(1), fresh_version(), &entry(2), fresh_version(), Keep::Seconds(0)).await {
        Ok(Replaced::Changed(found, at)) => assert_eq!((found, at), (lying.clone(), now)),
        other => panic!("another version lies there: {other:?}"),
    }
    assert_eq!(on.at(key(1)).await, lying);
}

/// A replacement of nothing creates nothing.
pub async fn a_replacement_of_nothing_creates_nothing(on: &Fixture) {
    let now = on.stamp().await;
    let replaced = on.store.replace(key(1), fresh_version(), &entry(1), fresh_version(), Keep::UntilRemoved).await;
    assert!(matches!(&replaced, Ok(Replaced::Changed(None, at)) if *at == now), "{replaced:?}");
    assert_eq!(on.at(key(1)).await, None);
}

/// What is asked after a replacement was put off is answered as if that had been carried out.
pub async fn a_replacement_put_off_is_there_for_whoever_asks(on: &Fixture) {
    let (mut version, begun) = (on.put(key(1), &entry(1)).await, on.stamp().await);
    for number in 2..5 {
        let (entry, next) = (entry(number), fresh_version());
        on.store.replace_soon(key(1), version, &entry, next, Keep::UntilRemoved).await.expect("it may be put off");
        assert_eq!(on.at(key(1)).await, Some(Stored { entry, version: next, created: begun, written: begun }));
        version = next;
    }
    let next = fresh_version();
    on.store.replace_soon(key(1), version, &entry(5), next, Keep::UntilRemoved).await.expect("it may be put off");
    let replaced = on.store.replace(key(1), next, &entry(6), fresh_version(), Keep::UntilRemoved).await;
    assert!(matches!(replaced, Ok(Replaced::Replaced(_))), "{replaced:?}");
}

/// A replacement that was put off writes nothing where another version lies.
pub async fn a_replacement_put_off_leaves_another_version(on: &Fixture) {
    on.put(key(1), &entry(1)).await;
    let lying = on.at(key(1)).await;
    for at in [key(1), key(2)] {
        let put_off = on.store.replace_soon(at, fresh_version(), &entry(2), fresh_version(), Keep::UntilRemoved).await;
        put_off.expect("it may be put off");
    }
    assert_eq!((on.at(key(1)).await, on.at(key(2)).await), (lying, None));
}

/// A removal leaves nothing, and the next creation begins anew.
pub async fn a_removal_takes_the_version_it_expects(on: &Fixture) {
    let version = on.put(key(1), &entry(1)).await;
    assert!(matches!(on.store.remove(key(1), version).await, Ok(Removed::Removed)));
    assert_eq!(on.at(key(1)).await, None);
    on.pass(1);
    on.put(key(1), &entry(2)).await;
    assert_eq!(on.at(key(1)).await.map(|stored| stored.created), Some(on.stamp().await));
}

/// A removal of another version, or of nothing, tells what lies there.
pub async fn a_removal_of_another_version_removes_nothing(on: &Fixture) {
    on.put(key(1), &entry(1)).await;
    let (lying, now) = (on.at(key(1)).await, on.stamp().await);
    match on.store.remove(key(1), fresh_version()).await {
        Ok(Removed::Changed(found, at)) => assert_eq!((found, at), (lying.clone(), now)),
        other => panic!("another version lies there: {other:?}"),
    }
    assert_eq!(on.at(key(1)).await, lying);
    assert!(matches!(on.store.remove(key(2), fresh_version()).await, Ok(Removed::Changed(None, _))));
}

/// Whoever holds on to a version from before a removal has nothing to say about what was created since.
pub async fn a_version_of_a_removed_entry_is_not_taken_for_the_new_one(on: &Fixture) {
    let old = on.put(key(1), &entry(1)).await;
    assert!(matches!(on.store.remove(key(1), old).await, Ok(Removed::Removed)));
    let new = on.put(key(1), &entry(1)).await;
    let replaced = on.store.replace(key(1), old, &entry(2), fresh_version(), Keep::UntilRemoved).await;
    assert!(matches!(replaced, Ok(Replaced::Changed(Some(_), _))), "{replaced:?}");
    assert!(matches!(on.store.remove(key(1), old).await, Ok(Removed::Changed(Some(_), _))));
    assert_eq!(on.at(key(1)).await.map(|stored| stored.version), Some(new));
}

/// The times in answers are those of the store's clock, on a miss, too.
pub async fn the_store_writes_the_times(on: &Fixture) {
    let before = on.now().await;
    assert_eq!(before, on.stamp().await);
    on.pass(5);
    let after = on.now().await;
    assert_eq!(
        after,
        crate::words::Stamp { wall_ms: before.wall_ms + 5_000, steady_ms: before.steady_ms + 5_000, ..before }
    );
    on.clock.reboot();
    let rebooted = on.now().await;
    if on.is_steady {
        assert_ne!(rebooted.boot, after.boot);
        assert_eq!((rebooted.wall_ms, rebooted.steady_ms), (after.wall_ms, 0));
    } else {
        assert_eq!(rebooted, after, "the boots of the machine that asks are nothing to this store");
    }
}

/// A store does not smooth its time: that a clock went back is for others to see and judge.
pub async fn a_clock_set_back_shows(on: &Fixture) {
    on.put(key(1), &entry(1)).await;
    let now = on.now().await;
    on.clock.set_wall_ms(now.wall_ms - 60_000);
    let (stored, earlier) = on.store.get(key(1)).await.expect("a store at work reads");
    let written = stored.expect("it was written").written;
    assert_eq!((earlier.wall_ms, written.wall_ms), (now.wall_ms - 60_000, now.wall_ms));
    assert!(earlier.runs_behind(&written));
}

/// Whatever an entry holds, it comes back as it went in.
pub async fn entries_come_back_as_they_went_in(on: &Fixture) {
    for (number, entry) in (0..).zip(odd_entries()) {
        on.put(key(number), &entry).await;
        assert_eq!(on.at(key(number)).await.as_ref().map(|stored| &stored.entry), Some(&entry));
    }
}

/// Keys that differ in any byte are different keys.
pub async fn one_key_is_not_another(on: &Fixture) {
    on.put(any_key(), &entry(0)).await;
    for at in 0..32 {
        let mut bytes = *any_key().as_bytes();
        bytes[at] = 0;
        assert_eq!(on.at(crate::words::StoreKey::from_bytes(bytes)).await, None, "byte {at} of a key counts");
    }
}
