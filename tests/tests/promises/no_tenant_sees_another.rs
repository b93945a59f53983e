//! Two customers of one platform order the same thing from the same shop, in the same words. If one of them is shown
//! the other's receipt, the guard against double charges has become a leak.

use crate::world::{
    Bank, ask, charge, charge_of, charging, host, intent, memory, tenant, told, with,
};
use semel::model::Answer;
use serde_json::json;

#[tokio::test]
async fn the_same_call_of_another_tenant_is_another_operation() {
    let (semel, bank) = (
        host(memory(), intent(charging()).await).await,
        Bank::plain(),
    );
    let ours = ask(&semel, charge().for_tenant(tenant("ours")), &bank).await;
    let theirs = ask(&semel, charge().for_tenant(tenant("theirs")), &bank).await;
    assert_eq!(
        (told(&ours), told(&theirs)),
        (("executed", Some("ch_1")), ("executed", Some("ch_2")))
    );
    assert_ne!(ours.about().unwrap().key, theirs.about().unwrap().key);
    let again = ask(&semel, charge().for_tenant(tenant("theirs")), &bank).await;
    assert_eq!(told(&again), ("replayed", Some("ch_2")));
}

/// Other tenants cannot even see that a charge exists: their different content is no conflict, and
/// its doubt does not concern them.
#[tokio::test]
async fn nothing_hints_at_what_another_tenant_did() {
    let (semel, bank) = (
        host(memory(), intent(charging()).await).await,
        Bank::plain(),
    );
    bank.lose_replies(1);
    let ours = ask(&semel, charge().for_tenant(tenant("ours")), &bank).await;
    assert_eq!(ours.word(), "held");
    let theirs = ask(
        &semel,
        charge_of(json!(99)).for_tenant(tenant("theirs")),
        &bank,
    )
    .await;
    assert_eq!(
        (told(&theirs), theirs.about().unwrap().attempt),
        (("executed", Some("ch_2")), 1)
    );
}

/// The control: the very same two calls within one tenant do meet.
#[tokio::test]
async fn control_within_one_tenant_the_calls_meet() {
    let (semel, bank) = (
        host(memory(), intent(charging()).await).await,
        Bank::plain(),
    );
    ask(&semel, charge().for_tenant(tenant("ours")), &bank).await;
    let other = ask(
        &semel,
        charge_of(json!(99)).for_tenant(tenant("ours")),
        &bank,
    )
    .await;
    assert!(matches!(other, Answer::Conflict { .. }), "{other:?}");
}

#[tokio::test]
async fn a_tenant_cannot_undo_what_another_did() {
    let charges = intent(charging()).await;
    let refunds =
        json!({ "operation": "refund", "identity": ["charge"], "undoes": ["charge/{/charge}"] });
    let semel = semel::runtime::Semel::builder(memory())
        .tool(["charge"], charges)
        .tool(["refund"], intent(refunds).await)
        .open()
        .await
        .unwrap();
    let bank = Bank::plain();
    ask(&semel, charge().for_tenant(tenant("ours")), &bank).await;
    let refund = || semel::model::Call::new("refund", json!({ "charge": "ch_1" })).unwrap();
    ask(&semel, refund().for_tenant(tenant("theirs")), &bank).await;
    let ours = ask(&semel, charge().for_tenant(tenant("ours")), &bank).await;
    assert_eq!(told(&ours), ("replayed", Some("ch_1")));
    ask(&semel, refund().for_tenant(tenant("ours")), &bank).await;
    let ours = ask(&semel, charge().for_tenant(tenant("ours")), &bank).await;
    assert_eq!(
        (ours.word(), ours.about().unwrap().generation),
        ("executed", 2)
    );
}

#[tokio::test]
async fn two_name_spaces_do_not_meet() {
    let mut one = intent(charging()).await;
    one.name_space = "stripe".to_owned();
    let mut other = intent(with(charging(), json!({ "window": "1d" }))).await;
    other.name_space = "adyen".to_owned();
    let store = memory();
    let bank = Bank::plain();
    for tool in [one, other] {
        let semel = host(std::sync::Arc::clone(&store), tool).await;
        assert_eq!(ask(&semel, charge(), &bank).await.word(), "executed");
    }
    assert_eq!(bank.charges(), 2);
}
