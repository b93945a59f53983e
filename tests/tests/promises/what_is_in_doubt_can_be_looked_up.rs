//! The answer was lost, and the bank does not recognise repeats. But it has a list of charges, and the key was put into
//! their reference: looking is safe where sending is not. What is not on the list may still be on its way.

use crate::world::{Bank, ask, ask_in_vain, charge, charging, intent, memory, told, with};
use async_trait::async_trait;
use semel::json::JsonValue;
use semel::{
    model::{Answer, Boot, Call, OperatorSwitch, Outcome, Probe},
    runtime::{Prober, Semel, Tool},
    store::{Clock, ClockReading, MemoryStore, SettableClock, Store},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// The bank's list, as the story goes: one answer a look, the last of them for ever.
#[derive(Debug)]
struct List {
    answers: Mutex<Vec<Outcome>>,
    asked: Mutex<Vec<JsonValue>>,
}

impl List {
    fn showing(answers: impl IntoIterator<Item = Outcome>) -> Arc<Self> {
        let answers = answers
            .into_iter()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            asked: Mutex::default(),
        })
    }

    fn looks(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Prober for List {
    async fn probe(&self, _: &Call, probe: &Probe) -> Outcome {
        assert_eq!(probe.tool, "list_charges");
        self.asked.lock().unwrap().push(probe.arguments.clone());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop()
        } else {
            answers.last().cloned()
        };
        let Some(Outcome::Returned(text)) = &answer else {
            return answer.unwrap();
        };
        let shown = text
            .to_string()
            .replace("THE KEY", probe.arguments["reference"].as_str().unwrap());
        Outcome::Returned(serde_json::from_str(&shown).unwrap())
    }
}

fn there() -> Outcome {
    Outcome::returned(json!([{ "id": "ch_1", "reference": "THE KEY" }]))
}

fn nothing() -> Outcome {
    Outcome::returned(json!([]))
}

fn settings() -> Value {
    with(
        charging(),
        json!({
            "target": { "argument": "/reference", "repeats": "effective" },
            "probe": {
                "tool": "list_charges",
                "arguments": { "reference": "{key}" },
                "landed": { "at": "/0/reference", "is": "{key}" },
                "result": "/0",
            },
        }),
    )
}

async fn looking(store: Arc<dyn Store>, tool: Tool, list: &Arc<List>) -> Semel {
    let prober = Arc::clone(list) as Arc<dyn Prober>;
    Semel::builder(store)
        .prober(prober)
        .tool(["charge"], tool)
        .open()
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_on_the_list_landed() {
    let (list, bank) = (List::showing([there()]), Bank::plain());
    bank.lose_replies(1);
    let semel = looking(memory(), intent(settings()).await, &list).await;
    let found = ask(&semel, charge(), &bank).await;
    assert_eq!(told(&found), ("replayed", Some("ch_1")), "{found:?}");
    assert_eq!(
        list.asked.lock().unwrap()[0]["reference"],
        json!(found.about().unwrap().key)
    );
    assert_eq!(
        told(&ask_in_vain(&semel, charge()).await),
        ("replayed", Some("ch_1"))
    );
    assert_eq!((bank.charges(), list.looks()), (1, 1));
}

#[tokio::test]
async fn what_is_not_on_the_list_is_held_and_not_sent() {
    let (list, bank) = (List::showing([nothing()]), Bank::plain());
    bank.lose_replies(1);
    let semel = looking(memory(), intent(settings()).await, &list).await;
    assert_eq!(ask(&semel, charge(), &bank).await.word(), "held");
    assert_eq!(ask_in_vain(&semel, charge()).await.word(), "held");
    assert_eq!((bank.charges(), list.looks()), (1, 1));
}

/// The control: a host that takes an empty list for proof sends again, while the first charge is
/// still on its way.
#[tokio::test]
async fn control_taking_an_empty_list_for_proof_charges_twice() {
    let bank = Bank::plain();
    bank.lose_replies(1);
    bank.serve_key(None);
    let list: Vec<Value> = Vec::new();
    if list.is_empty() {
        bank.serve_key(None);
    }
    assert_eq!(bank.charges(), 2);
}

#[tokio::test]
async fn a_list_that_is_late_is_looked_at_again() {
    let late = with(
        settings()["probe"].clone(),
        json!({ "absent": { "at": "/closed" }, "again": 1 }),
    );
    let (list, bank) = (List::showing([nothing(), there()]), Bank::plain());
    bank.lose_replies(1);
    let semel = looking(
        memory(),
        intent(with(settings(), json!({ "probe": late }))).await,
        &list,
    )
    .await;
    assert_eq!(
        told(&ask(&semel, charge(), &bank).await),
        ("replayed", Some("ch_1"))
    );
    assert_eq!((bank.charges(), list.looks()), (1, 2));
}

#[tokio::test]
async fn a_list_that_cannot_be_had_leaves_it_in_doubt_for_a_later_call() {
    let (list, bank) = (
        List::showing([Outcome::no_answer("timed out"), there()]),
        Bank::plain(),
    );
    bank.lose_replies(1);
    let semel = looking(memory(), intent(settings()).await, &list).await;
    assert_eq!(ask(&semel, charge(), &bank).await.word(), "in doubt");
    assert_eq!(
        told(&ask_in_vain(&semel, charge()).await),
        ("replayed", Some("ch_1"))
    );
}

#[tokio::test]
async fn without_a_way_to_look_a_person_must_decide() {
    let bank = Bank::plain();
    bank.lose_replies(1);
    let semel = crate::world::host(memory(), intent(settings()).await).await;
    assert_eq!(ask(&semel, charge(), &bank).await.word(), "held");
    assert_eq!(ask_in_vain(&semel, charge()).await.word(), "held");
    assert_eq!(bank.charges(), 1);
}

#[tokio::test]
async fn an_operator_may_let_it_be_sent_again_once_nothing_was_found_for_long_enough() {
    let clock = Arc::new(SettableClock::new(ClockReading {
        wall_ms: 1_800_000_000_000,
        steady_ms: 5_000,
        boot: Boot(1),
    }));
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let (list, bank) = (List::showing([nothing()]), Bank::plain());
    bank.lose_replies(1);
    let mut tool = intent(settings()).await;
    tool.allowance.timed_rerun_ms = Some(60_000);
    tool.allowance.wait_ms = 0;
    let semel = looking(store, tool, &list).await;
    let early = ask(&semel, charge(), &bank).await;
    assert_eq!(early.word(), "in doubt", "{early:?}");
    assert_eq!(
        early.about().unwrap().switches,
        [OperatorSwitch::TimedRerun]
    );
    assert_eq!(bank.charges(), 1);
    clock.advance(Duration::from_secs(61));
    let late = ask(&semel, charge(), &bank).await;
    let Answer::Executed { about, .. } = &late else {
        panic!("{late:?}")
    };
    assert_eq!((about.attempt, bank.charges()), (2, 2));
}
