//! Faults: each error says if a write was certainly not executed, and the ledger goes on.

use super::*;
use semel_conformance::{entry, fresh_version, key, operation};
use semel_core::ledger::State;
use semel_store::ClockReading;
use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::Instant,
};

fn open_store(folder: &TempDir) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(ledger_in(folder)).unwrap())
}

fn creation(
    store: &Arc<SqliteStore>,
    number: u32,
) -> impl Future<Output = Result<CreateResult, StoreError>> + use<> {
    let store = Arc::clone(store);
    async move {
        store
            .create(
                key(number),
                &entry(number),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await
    }
}

/// Polls a call once.
async fn poll_once<T>(call: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    poll_fn(|context| {
        Poll::Ready(match std::pin::Pin::new(&mut *call).poll(context) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        })
    })
    .await
}

/// Another writer, which holds the lock until it is dropped.
fn hold_the_lock(folder: &TempDir) -> rusqlite::Connection {
    let other = raw(&ledger_in(folder));
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

/// The results of creations that are committed together.
async fn create_in_one_group(
    store: &Arc<SqliteStore>,
    folder: &TempDir,
    numbers: &[u32],
) -> Vec<Result<CreateResult, StoreError>> {
    let lock = hold_the_lock(folder);
    // The writer waits for the lock with this one, so that the others gather behind it.
    let first = tokio::spawn(creation(store, 1_000));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let calls: Vec<_> = numbers
        .iter()
        .map(|number| tokio::spawn(creation(store, *number)))
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(lock);
    assert!(first.await.unwrap().is_ok());
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

async fn count_entries(store: &SqliteStore) -> usize {
    store
        .list(&EntryQuery {
            limit: 100,
            ..EntryQuery::default()
        })
        .await
        .unwrap()
        .keys
        .len()
}

/// Runs this statement, by a trigger, each time the entry of this number is written.
fn sabotage(folder: &TempDir, number: u32, statement: &str) {
    let when = format!("NEW.key = x'{}'", key(number).to_hex());
    let tables = "CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;
        CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED) STRICT;";
    let trigger = format!(
        "CREATE TRIGGER sabotage AFTER INSERT ON entry WHEN {when} BEGIN {statement}; END;"
    );
    raw(&ledger_in(folder))
        .execute_batch(&format!("{tables}{trigger}"))
        .unwrap();
}

#[tokio::test]
async fn a_failed_commit_is_unknown_to_all_its_members() {
    let folder = folder();
    let numbers = [1, 2, 3, 4];
    let store = open_store(&folder);
    sabotage(&folder, 2, "INSERT INTO child VALUES (7)");
    let answers = create_in_one_group(&store, &folder, &numbers).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(StoreError::Unknown(_)))),
        "{answers:?}"
    );
    raw(&ledger_in(&folder))
        .execute_batch("DROP TRIGGER sabotage")
        .unwrap();
    let answers = create_in_one_group(&store, &folder, &numbers).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(CreateResult::Created(_)))),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_statement_that_fails_leaves_nothing_of_its_group() {
    let folder = folder();
    let numbers = [1, 2, 3, 4];
    let store = open_store(&folder);
    sabotage(&folder, 3, "SELECT RAISE(ABORT, 'sabotage')");
    let answers = create_in_one_group(&store, &folder, &numbers).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(StoreError::NotExecuted(_)))),
        "{answers:?}"
    );
    assert_eq!(
        count_entries(&store).await,
        1,
        "only what was committed before"
    );
    raw(&ledger_in(&folder))
        .execute_batch("DROP TRIGGER sabotage")
        .unwrap();
    assert!(matches!(
        creation(&store, 3).await,
        Ok(CreateResult::Created(_))
    ));
}

#[test]
fn a_full_disk_is_reported_with_its_remedy() {
    let folder = folder();
    let other = raw(&ledger_in(&folder));
    other
        .pragma_update_and_check(None, "max_page_count", 2, |_| Ok(()))
        .unwrap();
    let full = other
        .execute_batch("CREATE TABLE a (b); INSERT INTO a VALUES (zeroblob(100000))")
        .unwrap_err();
    let error = SqliteOpenError::from_sqlite(&ledger_in(&folder), &full);
    assert!(matches!(error, SqliteOpenError::DiskFull(_)), "{error}");
    assert!(error.to_string().contains("free some"));
}

#[derive(Debug, Default)]
struct BrokenClock(AtomicBool);

impl Clock for BrokenClock {
    fn now(&self) -> ClockReading {
        assert!(
            !self.0.load(Ordering::SeqCst),
            "the clock is broken, as the test wants it"
        );
        SystemClock::new().now()
    }
}

#[tokio::test]
async fn a_dead_writer_is_reported_to_every_caller() {
    let folder = folder();
    let clock = Arc::new(BrokenClock::default());
    let opened =
        SqliteStore::open_with_clock(ledger_in(&folder), Arc::clone(&clock) as Arc<dyn Clock>)
            .unwrap();
    let store = Arc::new(opened);
    creation(&store, 1).await.unwrap();
    let lock = hold_the_lock(&folder);
    let calls: Vec<_> = (2..20)
        .map(|number| tokio::spawn(creation(&store, number)))
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    clock.0.store(true, Ordering::SeqCst);
    drop(lock);
    for call in calls {
        let answer = call.await.unwrap();
        assert!(matches!(answer, Err(StoreError::Unknown(_))), "{answer:?}");
    }
    clock.0.store(false, Ordering::SeqCst);
    assert!(
        creation(&store, 1).await.is_err(),
        "no caller waits for ever"
    );
    assert!(
        store.get(key(1)).await.unwrap().0.is_some(),
        "reading goes on"
    );
}

#[tokio::test]
async fn what_was_begun_is_carried_out_before_the_store_is_gone() {
    let folder = folder();
    let store = open_store(&folder);
    let lock = hold_the_lock(&folder);
    for number in 0..20 {
        assert!(
            poll_once(&mut Box::pin(creation(&store, number)))
                .await
                .is_none()
        );
    }
    let closing = std::thread::spawn(move || drop(store));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!closing.is_finished());
    drop(lock);
    closing.join().unwrap();
    assert_eq!(count_entries(&open_store(&folder)).await, 20);
}

#[tokio::test]
async fn more_than_may_wait_is_turned_away_at_once() {
    let folder = folder();
    let store = open_store(&folder);
    let lock = hold_the_lock(&folder);
    let mut waiting = Vec::new();
    let refused = loop {
        let mut call = Box::pin(creation(&store, 1));
        match poll_once(&mut call).await {
            None => waiting.push(call),
            Some(answer) => break answer,
        }
        assert!(waiting.len() < 10_000, "there is a limit");
    };
    assert!(
        matches!(&refused, Err(StoreError::NotExecuted(_))),
        "{refused:?}"
    );
    drop(lock);
    let mut created = 0;
    for call in waiting {
        created += usize::from(matches!(call.await, Ok(CreateResult::Created(_))));
    }
    assert_eq!(created, 1);
}

#[tokio::test]
async fn readers_do_not_wait_for_writers() {
    let folder = folder();
    let store = open_store(&folder);
    creation(&store, 1).await.unwrap();
    let lock = hold_the_lock(&folder);
    lock.execute_batch("DELETE FROM entry").unwrap();
    let begun = Instant::now();
    assert!(
        store.get(key(1)).await.unwrap().0.is_some(),
        "what is not committed is not seen"
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_ledger_that_was_moved_away_is_not_written_to() {
    let folder = folder();
    let store = open_store(&folder);
    creation(&store, 1).await.unwrap();
    std::fs::rename(ledger_in(&folder), folder.path().join("elsewhere")).unwrap();
    let refused = creation(&store, 2).await;
    assert!(
        matches!(&refused, Err(StoreError::NotExecuted(error)) if matches!(error.downcast_ref(), Some(SqliteOpenError::Gone(_)))),
        "{refused:?}"
    );
    let _other = SqliteStore::open(folder.path().join("ledger.db")).unwrap();
    assert!(
        matches!(creation(&store, 2).await, Err(StoreError::NotExecuted(_))),
        "another ledger is in its place"
    );
}

#[tokio::test]
async fn a_forked_process_does_not_use_the_ledger_of_its_parent() {
    let folder = folder();
    let mut forked = SqliteStore::open(ledger_in(&folder)).unwrap();
    forked.opened_by += 1;
    let forked = Arc::new(forked);
    assert!(matches!(
        creation(&forked, 1).await,
        Err(StoreError::NotExecuted(_))
    ));
    assert!(matches!(
        forked.get(key(1)).await,
        Err(StoreError::NotExecuted(_))
    ));
    drop(forked);
    assert_eq!(count_entries(&open_store(&folder)).await, 0);
}

/// A clock that holds every transaction up while it is paused. A lock would time out.
#[derive(Debug, Default)]
struct PausedClock(AtomicBool);

impl Clock for PausedClock {
    fn now(&self) -> ClockReading {
        while self.0.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        SystemClock::new().now()
    }
}

#[tokio::test]
async fn large_entries_may_not_fill_the_memory_while_they_wait() {
    let folder = folder();
    let clock = Arc::new(PausedClock::default());
    let shared_clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let store = Arc::new(SqliteStore::open_with_clock(ledger_in(&folder), shared_clock).unwrap());
    clock.0.store(true, Ordering::SeqCst);
    let large = operation(
        "acme",
        State::Held {
            reason: "x".repeat(8 << 20),
            two_effects: false,
        },
    );
    let mut waiting = Vec::new();
    let refused = loop {
        let mut call = store.create(key(1), &large, fresh_version(), Retention::UntilRemoved);
        match poll_once(&mut call).await {
            None => waiting.push(call),
            Some(answer) => break answer,
        }
        assert!(waiting.len() < 100, "there is a limit");
    };
    assert!(
        matches!(refused, Err(StoreError::NotExecuted(_))),
        "{refused:?}"
    );
    clock.0.store(false, Ordering::SeqCst);
    for call in waiting {
        call.await.unwrap();
    }
    assert!(
        matches!(creation(&store, 1).await, Ok(CreateResult::Exists(..))),
        "there is room again"
    );
}
