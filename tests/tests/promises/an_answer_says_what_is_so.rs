//! An answer must be the whole truth: that the call was sent and under which key, that it landed
//! although its output was too large to record, that the ledger does not survive a power loss.

use crate::world::{
    Bank, CANARY, ask, ask_in_vain, charge, charging, file, host, intent, memory, told, with,
};
use semel::{
    ledger::{Decision, Person},
    model::{Answer, Call, Durability, Effect, NextStep, Outcome, RecordStatus},
    runtime::{CallStep, LookUpResult, Semel},
};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn an_outcome_too_large_to_keep_landed_all_the_same() {
    let mut tool = intent(charging()).await;
    tool.outcome_bytes_max = 100;
    let semel = host(memory(), tool).await;
    let large = Outcome::returned(json!({ "id": "ch_1", "receipt": "x".repeat(200) }));
    let first = semel
        .call(charge(), |_| {
            let large = large.clone();
            async { large }
        })
        .await
        .unwrap();
    assert_eq!(first.outcome(), Some(&large));
    let again = ask_in_vain(&semel, charge()).await;
    assert!(
        matches!(
            again,
            Answer::Replayed {
                outcome: None,
                effect: Effect::Landed,
                next: NextStep::Nothing,
                ..
            }
        ),
        "{again:?}"
    );
}

/// The control: an outcome within the limit is recorded and replayed.
#[tokio::test]
async fn control_an_outcome_within_the_limit_is_told_again() {
    let (semel, bank) = (
        host(memory(), intent(charging()).await).await,
        Bank::plain(),
    );
    ask(&semel, charge(), &bank).await;
    assert_eq!(
        told(&ask_in_vain(&semel, charge()).await),
        ("replayed", Some("ch_1"))
    );
}

#[tokio::test]
async fn an_answer_says_how_durable_its_record_is() {
    let folder = tempfile::tempdir().unwrap();
    let stores = [
        (memory(), Durability::Nothing),
        (file(folder.path().join("ledger.db")), Durability::PowerLoss),
    ];
    for (store, durability) in stores {
        let (semel, bank) = (host(store, intent(charging()).await).await, Bank::plain());
        let answer = ask(&semel, charge(), &bank).await;
        assert_eq!(
            answer.about().unwrap().recorded,
            RecordStatus::Yes(durability)
        );
    }
}

#[tokio::test]
async fn what_cannot_be_taken_back_does_not_run_on_a_ledger_that_forgets() {
    let mut tool = intent(charging()).await;
    tool.irreversible = true;
    let semel = host(memory(), tool.clone()).await;
    let Answer::Refused { reason, .. } = ask_in_vain(&semel, charge()).await else {
        panic!("refused")
    };
    assert!(
        reason.contains("memory") && reason.contains("allow_forgetful_ledger"),
        "{reason}"
    );
    tool.allow_forgetful_ledger = true;
    let allowed = host(memory(), tool.clone()).await;
    assert_eq!(
        ask(&allowed, charge(), &Bank::plain()).await.word(),
        "executed"
    );
    tool.allow_forgetful_ledger = false;
    let folder = tempfile::tempdir().unwrap();
    let lasting = host(file(folder.path().join("ledger.db")), tool).await;
    assert_eq!(
        ask(&lasting, charge(), &Bank::plain()).await.word(),
        "executed"
    );
}

#[tokio::test]
async fn the_key_goes_where_the_target_wants_it_and_the_agents_arguments_stay() {
    let target = json!({
        "argument": "/options/idempotency_key", "header": "Idempotency-Key", "metadata": "semel-key", "appended": "/note",
        "form": "hex32", "repeats": "replayed", "remembers": "24h",
    });
    let semel = host(
        memory(),
        intent(with(charging(), json!({ "target": target }))).await,
    )
    .await;
    let CallStep::Run(started) = semel.begin(charge()).await.unwrap() else {
        panic!("a run")
    };
    let ticket = started.ticket.clone();
    let key = ticket.key.clone().unwrap();
    assert_eq!((key.len(), ticket.attempt, ticket.repeats), (32, 1, false));
    assert_eq!(ticket.arguments["options"]["idempotency_key"], json!(key));
    assert_eq!(ticket.arguments["note"], json!(format!("{CANARY}\n{key}")));
    assert_eq!(ticket.arguments["order_id"], json!("A1"));
    assert_eq!(
        ticket.headers,
        [("Idempotency-Key".to_owned(), key.clone())]
    );
    assert_eq!(ticket.metadata, [("semel-key".to_owned(), key.clone())]);
    let answer = started
        .finish(Outcome::returned(json!({ "id": "ch_1" })))
        .await
        .unwrap()
        .answer;
    assert_eq!(answer.about().unwrap().key, key);
}

#[tokio::test]
async fn a_host_that_begins_and_finishes_gets_the_same_answers() {
    let semel = host(
        memory(),
        intent(crate::world::charging_a_bank_that_remembers()).await,
    )
    .await;
    let begun = async || match semel.begin(charge()).await.unwrap() {
        CallStep::Run(started) => started,
        CallStep::Answered(answered) => panic!("{answered:?}"),
    };
    let lost = begun()
        .await
        .finish(Outcome::no_answer("timed out"))
        .await
        .unwrap()
        .answer;
    let Answer::InDoubt {
        next: NextStep::AskAgain { .. },
        ..
    } = &lost
    else {
        panic!("{lost:?}")
    };
    let again = begun().await;
    assert!(again.ticket.repeats);
    assert_eq!(
        (again.ticket.key.as_ref(), again.ticket.attempt),
        (Some(&lost.about().unwrap().key), 2)
    );
    let found = again
        .finish(Outcome::returned(json!({ "id": "ch_1" })))
        .await
        .unwrap()
        .answer;
    assert_eq!(told(&found), ("executed", Some("ch_1")));
    let CallStep::Answered(answered) = semel.begin(charge()).await.unwrap() else {
        panic!("an answer")
    };
    assert_eq!(told(&answered.answer), ("replayed", Some("ch_1")));
}

#[tokio::test]
async fn what_a_person_decides_is_what_the_next_caller_is_told() {
    for (decision, then) in [
        (
            Decision::Landed {
                outcome: None,
                handles: Vec::new(),
            },
            "replayed",
        ),
        (Decision::Refused, "replayed"),
        (Decision::Released { new_key: false }, "executed"),
    ] {
        let semel = host(memory(), intent(charging()).await).await;
        let bank = Bank::plain();
        bank.lose_replies(1);
        let held = ask(&semel, charge(), &bank).await;
        let about = held.about().unwrap().clone();
        let LookUpResult::Record(listed) = semel.ledger().look_up(&about.key).await.unwrap() else {
            panic!("one record")
        };
        let person = Person {
            who: "ada".to_owned(),
            why: "looked at the bank's list".to_owned(),
        };
        semel
            .ledger()
            .decide(listed.key, about.attempt, person, decision.clone())
            .await
            .unwrap();
        assert_eq!(
            ask(&semel, charge(), &bank).await.word(),
            then,
            "{decision:?}"
        );
    }
}

#[tokio::test]
async fn a_call_under_a_secret_has_another_key_and_its_ledger_takes_no_other_host() {
    use semel::key::{KeyMode, KeyScheme, Secret};
    let store = memory();
    let tool = intent(charging()).await;
    let keys = |secret: &[u8]| KeyScheme::new(KeyMode::Enforce, Some(Secret::new(secret).unwrap()));
    let secret = [7; 32];
    let open = |keys: Option<KeyScheme>| {
        let builder = Semel::builder(std::sync::Arc::clone(&store)).tool(["charge"], tool.clone());
        match keys {
            Some(keys) => builder.keys(keys).open(),
            None => builder.open(),
        }
    };
    let semel = open(Some(keys(&secret))).await.unwrap();
    assert_eq!(
        ask(&semel, charge(), &Bank::plain()).await.word(),
        "executed"
    );
    for other in [None, Some(keys(&[8; 32]))] {
        let error = open(other).await.unwrap_err().to_string();
        assert!(error.contains("secret"), "{error}");
    }
    open(Some(keys(&secret))).await.unwrap();
    let _: Call = charge();
}

/// An operator may forget outcomes early. That it landed is never forgotten with them.
#[tokio::test]
async fn a_forgotten_outcome_is_told_as_expired_and_not_sent_again() {
    let final_charge = with(charging(), json!({ "handles": [] }));
    let (semel, bank) = (
        host(memory(), intent(final_charge).await).await,
        Bank::plain(),
    );
    ask(&semel, charge(), &bank).await;
    assert_eq!(
        semel
            .ledger()
            .forget_outcomes(Duration::from_secs(3_600))
            .await
            .unwrap(),
        0,
        "it is too young"
    );
    assert_eq!(
        told(&ask_in_vain(&semel, charge()).await),
        ("replayed", Some("ch_1"))
    );
    assert_eq!(
        semel
            .ledger()
            .forget_outcomes(Duration::ZERO)
            .await
            .unwrap(),
        1
    );
    let again = ask_in_vain(&semel, charge()).await;
    assert!(
        matches!(
            again,
            Answer::Expired {
                next: NextStep::Nothing,
                ..
            }
        ),
        "{again:?}"
    );
    assert_eq!(bank.charges(), 1);
}

#[tokio::test]
async fn what_can_still_be_undone_by_a_handle_keeps_its_outcome() {
    let (semel, bank) = (
        host(memory(), intent(charging()).await).await,
        Bank::plain(),
    );
    ask(&semel, charge(), &bank).await;
    assert_eq!(
        semel
            .ledger()
            .forget_outcomes(Duration::ZERO)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        told(&ask_in_vain(&semel, charge()).await),
        ("replayed", Some("ch_1"))
    );
}
