//! A charge goes through, and its answer is lost. The agent sees a time-out and asks again, and again: the model
//! retries, its framework retries, the queue in front of both retries. Each of them is right to, and the customer
//! pays three times.

use crate::world::{
    Bank, ask, ask_in_vain, charge, charging, charging_a_bank_that_remembers, host, intent, memory,
    told, with,
};
use semel::model::{Answer, NextStep, Outcome};
use serde_json::json;

#[tokio::test]
async fn control_without_semel_each_try_charges() {
    let bank = Bank::plain();
    bank.lose_replies(2);
    for _ in 0..3 {
        if matches!(bank.serve_key(None), Outcome::Returned(_)) {
            break;
        }
    }
    assert_eq!(bank.charges(), 3);
}

#[tokio::test(start_paused = true)]
async fn where_the_bank_remembers_keys_the_same_is_sent_again_under_the_same_key() {
    let bank = Bank::that_remembers();
    bank.lose_replies(2);
    let semel = host(memory(), intent(charging_a_bank_that_remembers()).await).await;
    let first = ask(&semel, charge(), &bank).await;
    assert_eq!(told(&first), ("executed", Some("ch_1")));
    assert_eq!(first.about().unwrap().attempt, 3, "{first:?}");
    assert_eq!((bank.charges(), bank.requests()), (1, 3));
    let keys = bank.keys();
    assert!(
        keys[0].is_some() && keys.iter().all(|key| *key == keys[0]),
        "{keys:?}"
    );
    for _ in 0..5 {
        assert_eq!(
            told(&ask_in_vain(&semel, charge()).await),
            ("replayed", Some("ch_1"))
        );
    }
}

/// The control of the one before: its policy is wrong about its bank, which does not look at keys.
#[tokio::test(start_paused = true)]
async fn control_a_bank_that_forgets_keys_charges_for_each_sending() {
    let bank = Bank::plain();
    bank.lose_replies(2);
    let semel = host(memory(), intent(charging_a_bank_that_remembers()).await).await;
    assert_eq!(ask(&semel, charge(), &bank).await.word(), "executed");
    assert_eq!(bank.charges(), 3);
}

#[tokio::test]
async fn where_nothing_is_known_of_the_bank_a_person_decides_and_nothing_is_sent() {
    let bank = Bank::plain();
    bank.lose_replies(1);
    let semel = host(memory(), intent(charging()).await).await;
    let first = ask(&semel, charge(), &bank).await;
    let Answer::Held { next, outcome, .. } = &first else {
        panic!("{first:?}")
    };
    assert_eq!(*next, NextStep::AskAPerson);
    assert_eq!(*outcome, Some(Outcome::no_answer("timed out after 30 s")));
    for _ in 0..5 {
        assert_eq!(ask_in_vain(&semel, charge()).await.word(), "held");
    }
    assert_eq!(bank.charges(), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_in_doubt_are_bounded_then_held() {
    let bank = Bank::that_remembers();
    bank.lose_replies(100);
    let semel = host(memory(), intent(charging_a_bank_that_remembers()).await).await;
    let answer = ask(&semel, charge(), &bank).await;
    assert_eq!(answer.word(), "held", "{answer:?}");
    assert_eq!((bank.charges(), bank.requests()), (1, 3));
    assert_eq!(ask_in_vain(&semel, charge()).await.word(), "held");
}

#[tokio::test]
async fn a_repeat_worded_otherwise_is_still_the_same_charge() {
    let bank = Bank::plain();
    let semel = host(memory(), intent(charging()).await).await;
    assert_eq!(
        told(&ask(&semel, charge(), &bank).await),
        ("executed", Some("ch_1"))
    );
    for amount in [json!(10), json!(10.0), json!("10"), json!("10.00")] {
        let arguments = with(
            json!({ "order_id": "A1", "note": "retry!", "step": 7 }),
            json!({ "amount": amount }),
        );
        let call = semel::model::Call::new("charge", arguments).unwrap();
        assert_eq!(
            told(&ask_in_vain(&semel, call).await),
            ("replayed", Some("ch_1"))
        );
    }
    assert_eq!(bank.charges(), 1);
}
