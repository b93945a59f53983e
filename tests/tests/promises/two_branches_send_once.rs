//! A plan forks: two branches reach the same step at the same moment, or sixty-four do. No branch
//! sees another's charge, because there is none yet, and each sends its own.

use crate::world::{Bank, charge, charge_of, charging, file, host, intent, memory, told};
use semel::{
    model::{Answer, Call},
    runtime::Semel,
    store::Store,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

const BRANCHES: usize = 64;

/// Long enough for every branch to arrive while the first is still in progress.
const SLOWLY: Duration = Duration::from_millis(200);

async fn all_at_once(semel: &Semel, bank: &Arc<Bank>, call: fn(usize) -> Call) -> Vec<Answer> {
    let branches: Vec<_> = (0..BRANCHES)
        .map(|branch| {
            let (semel, bank) = (semel.clone(), Arc::clone(bank));
            tokio::spawn(async move {
                let run = |ticket| {
                    let bank = Arc::clone(&bank);
                    async move {
                        let outcome = bank.serve(&ticket);
                        tokio::time::sleep(SLOWLY).await;
                        outcome
                    }
                };
                semel.call(call(branch), run).await.unwrap()
            })
        })
        .collect();
    let mut answers = Vec::new();
    for branch in branches {
        answers.push(branch.await.unwrap());
    }
    answers
}

fn count(answers: &[Answer], word: &str) -> usize {
    answers
        .iter()
        .filter(|answer| answer.word() == word)
        .count()
}

async fn one_sends_and_the_others_get_its_outcome(store: Arc<dyn Store>) {
    let bank = Bank::plain();
    let semel = host(store, intent(charging()).await).await;
    let answers = all_at_once(&semel, &bank, |_| charge()).await;
    assert_eq!(
        (count(&answers, "executed"), count(&answers, "replayed")),
        (1, BRANCHES - 1)
    );
    assert!(answers.iter().all(|answer| told(answer).1 == Some("ch_1")));
    assert_eq!(bank.charges(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory() {
    one_sends_and_the_others_get_its_outcome(memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    one_sends_and_the_others_get_its_outcome(file(folder.path().join("ledger.db"))).await;
}

/// With an order of its own for each branch nothing is held back: the one sending above is no accident.
#[tokio::test(flavor = "multi_thread")]
async fn control_other_orders_are_other_charges() {
    let bank = Bank::plain();
    let semel = host(memory(), intent(charging()).await).await;
    let answers = all_at_once(&semel, &bank, |branch| {
        Call::new(
            "charge",
            json!({ "order_id": format!("A{branch}"), "amount": 10 }),
        )
        .unwrap()
    })
    .await;
    assert_eq!(count(&answers, "executed"), BRANCHES);
    assert_eq!(bank.charges(), BRANCHES);
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_that_disagree_about_the_amount_are_told_so() {
    let bank = Bank::plain();
    let semel = host(memory(), intent(charging()).await).await;
    let answers = all_at_once(&semel, &bank, |branch| charge_of(json!(10 + branch % 2))).await;
    assert_eq!(bank.charges(), 1);
    assert_eq!(count(&answers, "executed"), 1);
    assert_eq!(count(&answers, "conflict"), BRANCHES / 2);
    assert_eq!(count(&answers, "replayed"), BRANCHES / 2 - 1);
}

#[tokio::test]
async fn who_does_not_want_to_wait_is_told_that_it_runs() {
    let bank = Bank::plain();
    let mut tool = intent(charging()).await;
    tool.allowance.wait_ms = 0;
    let semel = host(memory(), tool).await;
    let semel::runtime::CallStep::Run(started) = semel.begin(charge()).await.unwrap() else {
        panic!("a run")
    };
    let other = crate::world::ask_in_vain(&semel, charge()).await;
    assert_eq!(other.word(), "running", "{other:?}");
    let outcome = bank.serve(&started.ticket);
    assert_eq!(
        started.finish(outcome).await.unwrap().answer.word(),
        "executed"
    );
    assert_eq!(bank.charges(), 1);
}
