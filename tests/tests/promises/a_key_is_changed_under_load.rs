//! A sealing key must be replaced: an employee left, or a backup was lost. The hosts cannot all
//! stop at once, so the new key arrives while several processes write. A host that cannot decrypt a
//! record must refuse the call. Above all, it must not treat the record as missing, and charge
//! again.
//!
//! The steps: first every host can *decrypt* with the new key; then it becomes the current key;
//! then older records are resealed; then the old key is removed.

use crate::{
    what_is_sealed_tells_nothing::key,
    world::{charging, host, intent},
};
use semel::{
    model::{Call, Outcome},
    store::{SealCounts, SealingKeys, SealingStore, SqliteStore, Store},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

const FOLDER: &str = "SEMEL_TEST_ROTATION_FOLDER";
const NAME: &str = "SEMEL_TEST_ROTATION_NAME";
const WORKERS: [&str; 3] = ["one", "two", "three"];
const ORDERS: u32 = 60;

/// The keys that stand in a line, the current one first.
fn keys(line: &str) -> SealingKeys {
    let mut ids = line.split_whitespace();
    let current = SealingKeys::new(key(ids.next().unwrap()));
    ids.fold(current, |keys, older| {
        keys.with_older_key(key(older)).unwrap()
    })
}

fn charge(bank: &Path, order: u32) -> Outcome {
    let mut book = OpenOptions::new()
        .create(true)
        .append(true)
        .open(bank)
        .unwrap();
    writeln!(book, "{order}").unwrap();
    Outcome::returned(json!({ "id": format!("ch_{order}") }))
}

fn order(order: u32) -> Call {
    Call::new(
        "charge",
        json!({ "order_id": format!("order-{order}"), "amount": 10 }),
    )
    .unwrap()
}

#[tokio::test]
async fn another_process() {
    // A part of another test, which starts it as a process of its own: alone there is nothing to do.
    let Ok(folder) = env::var(FOLDER) else { return };
    let (folder, name) = (PathBuf::from(folder), env::var(NAME).unwrap());
    let inner: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.join("ledger.db")).unwrap());
    let (tool, bank) = (intent(charging()).await, folder.join("bank"));
    let (mut line, mut semel, mut calls) = (String::new(), None, 0);
    while !folder.join("stop").exists() {
        let now = fs::read_to_string(folder.join("keys")).unwrap();
        if now != line || semel.is_none() {
            let store = SealingStore::new(Arc::clone(&inner), keys(&now));
            semel = Some(host(Arc::new(store), tool.clone()).await);
            line = now;
            fs::write(folder.join(format!("{name} has {line}")), []).unwrap();
        }
        // Each takes the orders in another order, so that they meet again and again.
        let next = (calls * (7 + name.len() as u32)) % ORDERS;
        let answer = semel
            .as_ref()
            .unwrap()
            .call(order(next), |_| async { charge(&bank, next) })
            .await;
        // A host that could not decrypt a record, or lost one, fails here.
        let word = answer.unwrap_or_else(|error| panic!("{error}")).word();
        assert!(["executed", "replayed"].contains(&word), "{word}");
        calls += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("calls: {calls}");
}

struct Scene(tempfile::TempDir);

impl Scene {
    fn start(&self, name: &str) -> Child {
        Command::new(env::current_exe().unwrap())
            .args([
                "a_key_is_changed_under_load::another_process",
                "--exact",
                "--nocapture",
            ])
            .envs([(FOLDER, self.0.path().as_os_str()), (NAME, name.as_ref())])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }

    /// Gives every worker these keys, and waits until all of them use them.
    async fn give(&self, line: &str) {
        fs::write(self.0.path().join("new"), line).unwrap();
        fs::rename(self.0.path().join("new"), self.0.path().join("keys")).unwrap();
        let begun = Instant::now();
        while !WORKERS
            .iter()
            .all(|name| self.0.path().join(format!("{name} has {line}")).exists())
        {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "a worker is gone, or never took `{line}`"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    fn store(&self, line: &str) -> SealingStore {
        SealingStore::new(
            Arc::new(SqliteStore::open(self.0.path().join("ledger.db")).unwrap()),
            keys(line),
        )
    }

    fn charges(&self) -> Vec<u32> {
        let book = fs::read_to_string(self.0.path().join("bank")).unwrap_or_default();
        book.lines().map(|line| line.parse().unwrap()).collect()
    }
}

async fn reseal_all(store: &SealingStore) {
    let mut after = None;
    loop {
        let page = store.reseal(after).await.unwrap();
        assert_eq!((page.no_key.len(), page.damaged), (0, 0));
        after = page.next;
        if after.is_none() {
            return;
        }
    }
}

#[tokio::test]
async fn no_call_is_lost_nothing_is_sent_twice_and_the_old_key_can_be_dropped() {
    let scene = Scene(tempfile::tempdir().unwrap());
    fs::write(scene.0.path().join("keys"), "a").unwrap();
    drop(scene.store("a"));
    let workers: Vec<Child> = WORKERS.iter().map(|name| scene.start(name)).collect();
    scene.give("a").await;
    scene.give("a b").await;
    scene.give("b a").await;
    let store = scene.store("b a");
    let before = store.count().await.unwrap();
    assert!(before.sealed.contains_key("a"), "the control: {before:?}");
    while store.count().await.unwrap().sealed.contains_key("a") {
        reseal_all(&store).await;
    }
    scene.give("b").await;
    fs::write(scene.0.path().join("stop"), []).unwrap();
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    let charges = scene.charges();
    assert_eq!(
        charges.len(),
        charges.iter().collect::<BTreeSet<_>>().len(),
        "something was sent twice: {charges:?}"
    );
    let under_b = BTreeMap::from([("b".to_owned(), charges.len() as u64)]);
    assert_eq!(
        store.count().await.unwrap(),
        SealCounts {
            open: 0,
            sealed: under_b
        }
    );
    // Every outcome of the time of the old key is there under the new one alone.
    let semel = host(Arc::new(scene.store("b")), intent(charging()).await).await;
    for charged in charges {
        assert_eq!(
            semel
                .call(order(charged), |_| async { panic!("it ran") })
                .await
                .unwrap()
                .word(),
            "replayed"
        );
    }
}

/// The control: a host that never had the new key finds records that it cannot open. It refuses, and charges nothing.
#[tokio::test]
async fn control_a_host_that_was_forgotten_refuses_what_it_cannot_open() {
    let scene = Scene(tempfile::tempdir().unwrap());
    let bank = scene.0.path().join("bank");
    let with_new = host(Arc::new(scene.store("b a")), intent(charging()).await).await;
    with_new
        .call(order(1), |_| async { charge(&bank, 1) })
        .await
        .unwrap();
    let forgotten = host(Arc::new(scene.store("a")), intent(charging()).await).await;
    let refused = forgotten
        .call(order(1), |_| async { charge(&bank, 1) })
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("sealed under the key `b`"),
        "{refused}"
    );
    assert_eq!(scene.charges(), [1]);
}
