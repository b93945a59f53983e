//! A backup of the ledger is stolen. Its keys are digests of a published form, and an order has a
//! number of four digits. So the thief tries them all: a digest that matches discloses an order.
//! Sealing does not prevent that, and neither does a key that the bank saw. A secret does.

use crate::world::{charging, file, intent};
use semel::{
    key::{KeyMode, KeyScheme, Secret},
    model::{Call, Outcome},
    runtime::{Semel, Tool},
    store::{SealingKey, SealingKeys, SealingStore, Store},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{collections::HashSet, fs, path::Path, sync::Arc};

/// The numbers of orders, amounts and charges: few enough to try.
const ORDERS: u32 = 2_000;
const AMOUNTS: u32 = 50;
const CHARGES: u32 = 10_000;

/// The order that the thief looks for.
const ORDER: u32 = 1_371;
const AMOUNT: u32 = 37;
const CHARGE: u32 = 3_141;

/// The part that the thief knows.
const NAME_SPACE: &str = "intent";
const TENANT: &str = "acme";

type Key = [u8; 32];

/// The loot: every sequence of 32 bytes in the files, raw and as hexadecimal digits, and the keys
/// that the bank saw.
struct Loot {
    digests: HashSet<Key>,
    seen_at_the_bank: String,
}

/// The thief's findings.
#[derive(Debug, Default, PartialEq, Eq)]
struct Guessed {
    orders: Vec<u32>,
    orders_by_the_banks_key: Vec<u32>,
    amounts: Vec<u32>,
    calls: Vec<(u32, u32)>,
    charges: Vec<u32>,
}

fn arguments(order: u32, amount: u32) -> serde_json::Value {
    json!({ "amount": format!("{amount}"), "note": "thanks", "order_id": format!("order-{order:04}") })
}

fn call() -> Call {
    Call::new("charge", arguments(ORDER, AMOUNT))
        .unwrap()
        .for_tenant(crate::world::tenant(TENANT))
}

/// One order is charged for, and the files are copied.
async fn steal(keys: KeyScheme, seal: bool) -> Loot {
    let folder = tempfile::tempdir().unwrap();
    let store = file(folder.path().join("ledger.db"));
    let sealing = || {
        SealingKeys::new(
            SealingKey::new("a", b"a secret for sealing, which is long enough").unwrap(),
        )
    };
    let store: Arc<dyn Store> = if seal {
        Arc::new(SealingStore::new(store, sealing()))
    } else {
        store
    };
    // Nothing of the call itself is recorded: only its digests could disclose it.
    let tool: Tool = intent(charging()).await;
    let semel = Semel::builder(store)
        .keys(keys)
        .tool(["charge"], tool)
        .open()
        .await
        .unwrap();
    let charged = |_| async { Outcome::returned(json!({ "id": format!("ch_{CHARGE}") })) };
    let answer = semel.call(call(), charged).await.unwrap();
    assert_eq!(answer.word(), "executed");
    let seen_at_the_bank = answer.about().unwrap().key.clone();
    drop(semel);
    Loot {
        digests: digests(folder.path()),
        seen_at_the_bank,
    }
}

fn digests(folder: &Path) -> HashSet<Key> {
    let order = format!("order-{ORDER}");
    let mut digests = HashSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(
            !bytes
                .windows(order.len())
                .any(|window| window == order.as_bytes()),
            "the order lies in the clear"
        );
        digests.extend(
            bytes
                .windows(32)
                .map(|window| Key::try_from(window).unwrap()),
        );
        digests.extend(bytes.windows(64).filter_map(digits));
    }
    digests
}

fn digits(window: &[u8]) -> Option<Key> {
    let mut key = Key::default();
    for (byte, pair) in key.iter_mut().zip(window.chunks(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(value(pair[0])? * 16 + value(pair[1])?).unwrap();
    }
    Some(key)
}

/// A message as the published page has it (`tests/vectors`), made without a line of Semel.
struct Message(Vec<u8>);

impl Message {
    fn of(purpose: &str) -> Self {
        Self(Vec::new())
            .text("semel")
            .text(purpose)
            .number(2)
            .text("enforce")
    }

    fn for_the_tenant(purpose: &str) -> Self {
        Self::of(purpose).text(NAME_SPACE).text(TENANT)
    }

    fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let mut this = self.number(bytes.len() as u64);
        this.0.extend(bytes);
        this
    }

    fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// The action: the operation named `charge`.
    fn the_charge(self) -> Self {
        self.text("operation").text("charge")
    }

    fn digest(self) -> Key {
        Sha256::digest(self.0).into()
    }
}

fn store_key(order: u32) -> Key {
    let no_handles = 0;
    let no_instances = 0;
    Message::for_the_tenant("operation")
        .text("tenant")
        .the_charge()
        .number(1)
        .text("order_id")
        .text(&format!("\"order-{order:04}\""))
        .number(no_handles)
        .number(no_instances)
        .digest()
}

fn banks_key(order: u32) -> String {
    let mut key = Message::of("downstream")
        .bytes(&store_key(order))
        .number(1)
        .number(1)
        .digest();
    key[6] = key[6] & 0x0f | 0x80;
    key[8] = key[8] & 0x3f | 0x80;
    let hex = |part: &[u8]| {
        part.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    [&key[..4], &key[4..6], &key[6..8], &key[8..10], &key[10..16]]
        .map(hex)
        .join("-")
}

fn fingerprint(amount: u32) -> Key {
    Message::for_the_tenant("content")
        .the_charge()
        .number(1)
        .text("amount")
        .text(&format!("\"{amount}\""))
        .digest()
}

fn call_digest(order: u32, amount: u32) -> Key {
    let message = Message::for_the_tenant("call")
        .text("tenant")
        .text("charge");
    message.text(&arguments(order, amount).to_string()).digest()
}

fn handle_key(charge: u32) -> Key {
    Message::for_the_tenant("handle")
        .text(&format!("charge/ch_{charge}"))
        .digest()
}

impl Loot {
    fn guess(&self) -> Guessed {
        let there = |key: Key| self.digests.contains(&key);
        let pairs = (0..ORDERS).flat_map(|order| (1..=AMOUNTS).map(move |amount| (order, amount)));
        Guessed {
            orders: (0..ORDERS)
                .filter(|order| there(store_key(*order)))
                .collect(),
            orders_by_the_banks_key: (0..ORDERS)
                .filter(|order| banks_key(*order) == self.seen_at_the_bank)
                .collect(),
            amounts: (1..=AMOUNTS)
                .filter(|amount| there(fingerprint(*amount)))
                .collect(),
            calls: pairs
                .filter(|(order, amount)| there(call_digest(*order, *amount)))
                .collect(),
            charges: (0..CHARGES)
                .filter(|charge| there(handle_key(*charge)))
                .collect(),
        }
    }
}

fn with_a_secret() -> KeyScheme {
    let secret = Secret::new(b"a secret that whoever has the file does not have").unwrap();
    KeyScheme::new(KeyMode::Enforce, Some(secret))
}

/// The control: without a secret everything that was digested is found, by trying.
#[tokio::test]
async fn control_without_a_secret_the_thief_finds_order_amount_and_charge() {
    let guessed = steal(KeyScheme::default(), false).await.guess();
    let all = Guessed {
        orders: vec![ORDER],
        orders_by_the_banks_key: vec![ORDER],
        amounts: vec![AMOUNT],
        calls: vec![(ORDER, AMOUNT)],
        charges: vec![CHARGE],
    };
    assert_eq!(guessed, all);
}

/// Sealing hides what records say, not where they lie: without a secret for keys the order is found all the same.
#[tokio::test]
async fn control_sealing_alone_does_not_keep_the_thief_from_the_order() {
    let guessed = steal(KeyScheme::default(), true).await.guess();
    assert_eq!(
        (
            guessed.orders,
            guessed.orders_by_the_banks_key,
            guessed.charges
        ),
        (vec![ORDER], vec![ORDER], vec![CHARGE])
    );
}

#[tokio::test]
async fn with_a_secret_the_thief_finds_nothing() {
    for seal in [false, true] {
        let loot = steal(with_a_secret(), seal).await;
        assert_eq!(loot.guess(), Guessed::default(), "sealed: {seal}");
        // With the secret the order is found: the key is there, and only the thief cannot compute
        // it.
        let handle = with_a_secret().handle_key(
            NAME_SPACE,
            &crate::world::tenant(TENANT),
            &format!("charge/ch_{CHARGE}"),
        );
        assert!(loot.digests.contains(handle.as_bytes()), "sealed: {seal}");
    }
}

/// Another secret is no better than none.
#[tokio::test]
async fn who_guesses_a_secret_wrong_finds_nothing() {
    let loot = steal(with_a_secret(), false).await;
    let wrong = KeyScheme::new(
        KeyMode::Enforce,
        Some(Secret::new(b"a secret that whoever has the file does not hAve").unwrap()),
    );
    for charge in 0..CHARGES {
        let key = wrong.handle_key(
            NAME_SPACE,
            &crate::world::tenant(TENANT),
            &format!("charge/ch_{charge}"),
        );
        assert!(!loot.digests.contains(key.as_bytes()), "{charge}");
    }
}
