//! A ledger's file is copied: with a backup, a laptop, a support bundle. The copy must not disclose
//! customers' orders, their results and reasons. An attacker with write access to the file puts one
//! customer's record in another's place.

use crate::world::{charging_a_bank_that_remembers, host, intent, memory, tenant, told, with};
use semel::{
    ledger::StateLabel,
    model::{Answer, Call, Outcome, StoreKey},
    runtime::{ErasureReport, ErasureScope, Semel, Tool},
    store::{
        EntryQuery, Retention, SealingKey, SealingKeys, SealingStore, SqliteStore, Store,
        StoredEntry,
    },
};
use serde_json::json;
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};
use tempfile::TempDir;

pub fn key(id: &str) -> SealingKey {
    SealingKey::new(
        id,
        format!("the secret of {id}, which is long enough to be one").as_bytes(),
    )
    .unwrap()
}

fn sealed(path: &Path, keys: SealingKeys) -> Arc<dyn Store> {
    Arc::new(SealingStore::new(
        Arc::new(SqliteStore::open(path).unwrap()),
        keys,
    ))
}

fn in_the_clear(path: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(path).unwrap())
}

const ORDERS: u32 = 12;

/// A tool whose record holds as much as possible: the call is kept to be sent again, and so is the
/// identity.
async fn talkative() -> Tool {
    let settings = with(
        charging_a_bank_that_remembers(),
        json!({ "operation": "charge" }),
    );
    Tool {
        keep_identity: true,
        ..intent(settings).await
    }
}

/// The order and the result of `whose` hold that name.
async fn story(semel: &Semel, whose: &str, order: u32) -> Answer {
    let order = format!("argument-of-{whose}-{order}");
    let call = Call::new(
        "charge",
        json!({ "order_id": order, "amount": 10, "note": order }),
    )
    .unwrap();
    let call = call
        .for_tenant(tenant(whose))
        .with_fact("agent", json!(format!("fact-of-{whose}")));
    let id = format!("outcome-of-{whose}");
    semel
        .call(call, |_| {
            let id = id.clone();
            async move { Outcome::returned(json!({ "id": id })) }
        })
        .await
        .unwrap()
}

/// A call whose outcome is unknown, so that a person must decide.
async fn open_end(semel: &Semel, whose: &str) -> Answer {
    let call = Call::new(
        "charge",
        json!({ "order_id": format!("open-of-{whose}"), "amount": 1 }),
    )
    .unwrap();
    let unheard = |_| async { Outcome::no_answer("silence") };
    semel
        .call(call.for_tenant(tenant(whose)), unheard)
        .await
        .unwrap()
}

/// The number of times that the ledger's files hold the name.
fn tellings(folder: &TempDir, whose: &str) -> usize {
    let files = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| fs::read(file.unwrap().path()).unwrap());
    let hits = |bytes: &[u8], what: &str| {
        bytes
            .windows(what.len())
            .filter(|window| *window == what.as_bytes())
            .count()
    };
    files
        .map(|bytes| {
            ["argument", "fact", "outcome"]
                .map(|kind| hits(&bytes, &format!("{kind}-of-{whose}")))
                .iter()
                .sum::<usize>()
        })
        .sum()
}

#[tokio::test]
async fn the_files_of_a_sealed_ledger_do_not_tell_what_those_of_another_do() {
    let [clear, hidden] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let paths = [&clear, &hidden].map(|folder| folder.path().join("ledger.db"));
    let stores = [
        in_the_clear(&paths[0]),
        sealed(&paths[1], SealingKeys::new(key("a"))),
    ];
    let mut words = Vec::new();
    for store in stores {
        let semel = host(store, talkative().await).await;
        let mut said = Vec::new();
        for order in [1, 1, 2] {
            let answer = story(&semel, "ada", order).await;
            said.push(told(&answer).0.to_owned() + told(&answer).1.unwrap_or_default());
        }
        open_end(&semel, "ada").await;
        words.push(said);
        // While it is open, what was written last lies in the WAL.
        assert!(tellings(&clear, "ada") > 10, "the control");
        assert_eq!(tellings(&hidden, "ada"), 0);
    }
    assert_eq!(words[0], words[1], "sealing changes no answer");
    assert_eq!(tellings(&hidden, "ada"), 0, "nor once it is closed");
}

#[tokio::test]
async fn without_its_key_nothing_is_read_and_nothing_is_sent_whatever_the_operator_allows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let semel = host(sealed(&path, SealingKeys::new(key("a"))), talkative().await).await;
    assert_eq!(story(&semel, "ada", 1).await.word(), "executed");
    let mut tool = talkative().await;
    tool.allowance.open_without_ledger = true;
    for store in [
        sealed(&path, SealingKeys::new(key("b"))),
        in_the_clear(&path),
    ] {
        let semel = host(store, tool.clone()).await;
        let call = Call::new(
            "charge",
            json!({ "order_id": "argument-of-ada-1", "amount": 10 }),
        )
        .unwrap();
        let refused = semel
            .call(call.for_tenant(tenant("ada")), |_| async {
                panic!("it ran")
            })
            .await
            .unwrap_err();
        let words = refused.to_string();
        assert!(
            words.contains("sealed under the key `a`") && words.contains("add that key"),
            "{words}"
        );
        // An operator still sees that it is there, and where it stands.
        let listed = semel.ledger().list(None, &[], 10).await.unwrap();
        assert_eq!(
            (listed.len(), listed[0].sealed_under.as_deref()),
            (1, Some("a"))
        );
        assert_eq!(listed[0].record.state.label().word(), "landed");
    }
    // What was sealed before is still opened with both keys.
    let both = SealingKeys::new(key("b")).with_older_key(key("a")).unwrap();
    assert_eq!(
        story(&host(sealed(&path, both), tool).await, "ada", 1)
            .await
            .word(),
        "replayed"
    );
}

/// The landed record of `whose`, as the store holds it.
async fn lies(store: &Arc<dyn Store>, whose: &str) -> (StoreKey, StoredEntry) {
    let query = EntryQuery {
        tenant: Some(tenant(whose)),
        states: vec![StateLabel::Landed],
        limit: 1,
        ..EntryQuery::default()
    };
    let key = store.list(&query).await.unwrap().keys[0];
    (key, store.get(key).await.unwrap().0.unwrap())
}

#[tokio::test]
async fn a_record_put_in_the_place_of_another_is_turned_away() {
    let inner = memory();
    let store = SealingStore::new(Arc::clone(&inner), SealingKeys::new(key("a")));
    let semel = host(Arc::new(store), talkative().await).await;
    for whose in ["ada", "bob"] {
        assert_eq!(story(&semel, whose, 1).await.word(), "executed");
    }
    // An attacker who writes to a file can correct its checksums, too. So the forged record comes
    // through the store.
    let [(_, adas), (at, bobs)] = [lies(&inner, "ada").await, lies(&inner, "bob").await];
    inner
        .replace(
            at,
            bobs.version,
            &adas.entry,
            adas.version,
            Retention::UntilRemoved,
        )
        .await
        .unwrap();
    let call = Call::new(
        "charge",
        json!({ "order_id": "argument-of-bob-1", "amount": 10 }),
    )
    .unwrap();
    let refused = semel
        .call(call.for_tenant(tenant("bob")), |_| async {
            panic!("it ran")
        })
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("belongs to another record"),
        "{refused}"
    );
    assert_eq!(
        story(&semel, "ada", 1).await.word(),
        "replayed",
        "and harms nobody else"
    );
}

#[tokio::test]
async fn what_was_told_of_a_tenant_is_gone_from_the_files_and_nothing_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let semel = host(
        in_the_clear(&folder.path().join("ledger.db")),
        talkative().await,
    )
    .await;
    for order in 0..ORDERS {
        for whose in ["ada", "bob"] {
            story(&semel, whose, order).await;
        }
    }
    open_end(&semel, "ada").await;
    let (ada, ledger) = (tenant("ada"), semel.ledger());
    let counted = ledger.erase(&ada, ErasureScope::DryRun).await.unwrap();
    let left = BTreeMap::from([(StateLabel::Held, 1)]);
    assert_eq!(
        counted,
        ErasureReport {
            operations: ORDERS.into(),
            left: left.clone(),
            ..ErasureReport::default()
        }
    );
    assert!(tellings(&folder, "ada") > 12, "nothing is erased yet");
    // Control: what is only forgotten still lies in the files.
    ledger
        .forget_outcomes(std::time::Duration::ZERO)
        .await
        .unwrap();
    assert!(tellings(&folder, "ada") > 12);
    assert_eq!(
        ledger.erase(&ada, ErasureScope::Content).await.unwrap(),
        ErasureReport {
            operations: ORDERS.into(),
            left,
            ..ErasureReport::default()
        }
    );
    assert_eq!(tellings(&folder, "ada"), 0);
    assert!(tellings(&folder, "bob") > 12, "others are not erased");
    for order in 0..ORDERS {
        assert_eq!(story(&semel, "ada", order).await.word(), "expired");
    }
    assert_eq!(
        ledger
            .erase(&ada, ErasureScope::Content)
            .await
            .unwrap()
            .operations,
        0,
        "there is nothing left to erase"
    );
    assert_eq!(
        open_end(&semel, "ada").await.word(),
        "held",
        "what is not settled is left"
    );
    let gone = ledger.erase(&ada, ErasureScope::Records).await.unwrap();
    assert_eq!((gone.operations, gone.handles > 0), (ORDERS.into(), true));
    assert_eq!(
        story(&semel, "ada", 1).await.word(),
        "executed",
        "without its record it is a new operation"
    );
}
