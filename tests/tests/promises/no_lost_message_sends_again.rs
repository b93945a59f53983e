//! A request is lost; a reply is lost after the effect; the effect happens long after the lease has
//! ended. Customers call again and again, and the shop does it at most once, or the answer says why
//! the effect is unknown.

use crate::{
    random::Random,
    scene::Scene,
    shop::{Fault, Request, Shop, Way, What},
    stories::{Reply, Tools, effect},
    wish::Wish,
};
use semel::{
    ledger::{Decision, Person, StateLabel},
    model::Answer,
};
use std::time::Duration;

/// The default number of stories.
const STORIES: u64 = 1_000;

/// The number of calls of the customers in one story.
const ASKS: usize = 12;

/// One story, as its number wills: whatever becomes of messages, clocks and machines.
async fn told(tools: &Tools, number: u64) -> (Scene, usize) {
    let (scene, mut random, mut unsure) = (Scene::in_memory(tools), Random(number), 0);
    let mut customers = scene.customers(&scene.store).await.unwrap();
    for _ in 0..ASKS {
        let replies = [Reply::Heard, Reply::Astray, Reply::Lost, Reply::TooLate];
        let reply = replies[random.below(4) as usize];
        let tool = ["pay", "known", "listed", "notify", "book"][random.below(5) as usize];
        let what = match customers
            .booking("A")
            .filter(|_| tool == "book" && random.below(2) == 0)
        {
            Some(booking) => What::new("cancel", booking),
            None => What::new(tool, "A"),
        };
        let answer = customers.ask(&what, reply).await.unwrap();
        unsure += usize::from(matches!(
            answer,
            Answer::InDoubt { .. } | Answer::Held { .. }
        ));
        match random.below(6) {
            0 => scene.clock.reboot(),
            1 => customers = scene.customers(&scene.store).await.unwrap(),
            2 => scene.shop.catch_up(),
            _ => scene
                .clock
                .advance(Duration::from_millis(random.below(40_000))),
        }
    }
    scene.shop.catch_up();
    for what in ["pay", "known", "listed"].map(|tool| What::new(tool, "A")) {
        customers.ask(&what, Reply::Heard).await.unwrap();
    }
    (scene, unsure)
}

#[tokio::test]
async fn a_thousand_stories() {
    let tools = Tools::load().await.impatient();
    let (wish, mut requests, mut unsure) = (Wish::of("SEMEL_SOAK_STORIES", STORIES), 0, 0);
    for number in (0..wish.times)
        .map(|number| wish.seed.wrapping_add(number))
        .take_while(|_| !wish.is_over())
    {
        let (scene, doubts) = told(&tools, number).await;
        assert_eq!(scene.shop.faults(), [], "seed {number}");
        (requests, unsure) = (requests + scene.shop.requests(), unsure + doubts);
    }
    assert!(
        requests > 1_000 && unsure > 1_000 || !wish.has_time(),
        "{requests} requests, {unsure} answers in doubt or held"
    );
}

/// A person's decision is wrong: the call was on its way, and the person decided that it was not
/// sent. The shop does it twice, and Semel reports it.
#[tokio::test]
async fn control_whoever_says_that_it_was_not_sent_must_know() {
    let tools = Tools::load().await.impatient();
    let scene = Scene::in_memory(&tools);
    let (mut customers, what) = (
        scene.customers(&scene.store).await.unwrap(),
        What::new("pay", "A"),
    );
    customers.ask(&what, Reply::TooLate).await.unwrap();
    let ledger = customers.semel.ledger();
    let held = ledger
        .list(None, &[StateLabel::Held], 1)
        .await
        .unwrap()
        .remove(0);
    let person = Person {
        who: "ann".to_owned(),
        why: "it cannot have arrived".to_owned(),
    };
    ledger
        .decide(held.key, 1, person, Decision::Released { new_key: false })
        .await
        .unwrap();
    assert_eq!(
        effect(&customers.ask(&what, Reply::Heard).await.unwrap()),
        Some("pay:A#1".to_owned())
    );
    scene.shop.catch_up();
    assert_eq!(scene.shop.faults(), [Fault::Twice("pay:A#2".to_owned())]);
}

/// The control: the same customers at the shop itself.
#[tokio::test]
async fn control_without_a_guard_a_lost_reply_is_a_second_effect() {
    let shop = Shop::default();
    for way in [Way::Delayed, Way::Unheard, Way::Heard] {
        shop.answer(Request::Serve {
            what: What::new("pay", "A"),
            key: None,
            way,
        });
    }
    shop.catch_up();
    assert_eq!(shop.faults().len(), 2);
}
