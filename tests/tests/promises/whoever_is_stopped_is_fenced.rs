//! A laptop is shut, a container is frozen, a process is stopped in a debugger: its lease ends, others go on, and then it
//! wakes up in the middle of what it was about to do. It must not send any more, and what it knows must count.
//!
//! Real processes stop themselves with the right to send in their hand, or with the effect behind them and the reply
//! unread. They are woken after their lease.

use crate::{
    processes::{EFFECT, Role, Scene, Zygote},
    shop::{Fault, Request, Way, What},
    stories::{Customers, KNOWN_ONCE, PAY_ONCE, Reply, Tools, effect},
    world::file,
};
use rustix::process::{Pid, Signal, kill_process};
use semel::{
    ledger::{Decision, Person, StateLabel},
    model::Answer,
};
use std::{fs, thread, time::Duration};
use tokio::task::JoinSet;

/// The number of processes that pause at each of the four places.
const EACH: usize = 25;

/// The lease of the tools is a second.
const PAST_THE_LEASE: Duration = Duration::from_millis(1_200);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// A process that stopped, and what it was doing.
struct Stopped {
    process: Pid,
    what: What,
    effect_is_done: bool,
}

fn until_it_stops(process: Pid) {
    let status = format!("/proc/{}/stat", process.as_raw_nonzero());
    for _ in 0..10_000 {
        // The state stands after the name, which ends with the last bracket.
        let text = fs::read_to_string(&status).unwrap();
        if text
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" T"))
        {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("it never stops");
}

/// Starts processes on one ledger, each of which stops in the middle of a call.
fn stopped(scene: &Scene, zygote: &mut Zygote) -> Vec<Stopped> {
    let mut stopped = Vec::new();
    for (tool, story) in [("pay", PAY_ONCE), ("known", KNOWN_ONCE)] {
        for (effect_is_done, point) in [(false, "before send"), (true, EFFECT[1])] {
            for number in 0..EACH {
                let prefix = format!("{point} {number} ");
                let role = Role::Live {
                    story: story.name.to_owned(),
                    ends: Some((point.to_owned(), 1)),
                    stops: true,
                };
                let process = zygote.play(&scene.part(&prefix, role));
                stopped.push(Stopped {
                    process,
                    what: What::new(tool, format!("{prefix}A")),
                    effect_is_done,
                });
            }
        }
    }
    stopped
        .iter()
        .for_each(|stopped| until_it_stops(stopped.process));
    stopped
}

fn wake(zygote: &mut Zygote, process: Pid) {
    kill_process(process, Signal::CONT).unwrap();
    assert!(!zygote.was_killed(process));
}

/// Others meet what the stopped ones hold, all at once: they send only what the shop recognises.
async fn asked_meanwhile(customers: &Customers, scene: &Scene, stopped: &[Stopped]) {
    let mut asking = JoinSet::new();
    for Stopped { what, .. } in stopped {
        let (mut customer, what) = (customers.another(), what.clone());
        asking.spawn(async move {
            let answer = customer.ask(&what, Reply::Heard).await.unwrap();
            (what, answer)
        });
    }
    for (what, answer) in asking.join_all().await {
        match what.tool.as_str() {
            "known" => assert_eq!(effect(&answer), Some(first(&what)), "{answer:?}"),
            _ => assert!(matches!(answer, Answer::Held { .. }), "{answer:?}"),
        }
    }
    for Stopped {
        what,
        effect_is_done,
        ..
    } in stopped
    {
        assert_eq!(
            scene.shop.effects(what),
            usize::from(*effect_is_done || what.tool == "known"),
            "{what}"
        );
    }
}

/// The shop's name of the first effect.
fn first(what: &What) -> String {
    format!("{}:{}#1", what.tool, what.id)
}

/// A person decides that half of the unsent calls were not sent, so that others send them.
async fn decided(customers: &mut Customers, stopped: &[Stopped]) {
    let ledger = customers.semel.ledger();
    let held = ledger.list(None, &[StateLabel::Held], 1_000).await.unwrap();
    assert_eq!(held.len(), 2 * EACH);
    for Stopped {
        what,
        effect_is_done,
        ..
    } in stopped.iter().step_by(2)
    {
        if what.tool == "pay" && !effect_is_done {
            let Answer::Held { about, .. } = customers.ask(what, Reply::Heard).await.unwrap()
            else {
                panic!("held")
            };
            let held = held
                .iter()
                .find(|held| held.downstream == about.key)
                .unwrap();
            let person = Person {
                who: "ann".to_owned(),
                why: "the machine was shut before".to_owned(),
            };
            ledger
                .decide(
                    held.key,
                    about.attempt,
                    person,
                    Decision::Released { new_key: false },
                )
                .await
                .unwrap();
            let answer = customers.ask(what, Reply::Heard).await.unwrap();
            assert_eq!(
                (answer.word(), effect(&answer)),
                ("executed", Some(first(what)))
            );
        }
    }
}

#[test]
fn a_hundred_that_wake_after_their_lease() {
    let (scene, mut zygote, runtime) = (Scene::new(), Zygote::start(), runtime());
    let tools = runtime.block_on(Tools::load());
    let stopped = stopped(&scene, &mut zygote);
    assert_eq!(stopped.len(), 100);
    thread::sleep(PAST_THE_LEASE);
    runtime.block_on(async {
        let mut customers = scene.customers(file(scene.ledger()), &tools).await;
        asked_meanwhile(&customers, &scene, &stopped).await;
        decided(&mut customers, &stopped).await;
    });
    stopped
        .iter()
        .for_each(|stopped| wake(&mut zygote, stopped.process));
    assert_eq!(scene.shop.faults(), []);
    runtime.block_on(what_they_know_is_kept(&scene, &tools, &stopped));
    assert_eq!(scene.shop.faults(), []);
}

/// A process that wakes after its effect has recorded it; what was not sent is free, and others do
/// it.
async fn what_they_know_is_kept(scene: &Scene, tools: &Tools, stopped: &[Stopped]) {
    let mut customers = scene.customers(file(scene.ledger()), tools).await;
    for Stopped {
        what,
        effect_is_done,
        ..
    } in stopped
    {
        let answer = customers.ask(what, Reply::Heard).await.unwrap();
        assert_eq!(effect(&answer), Some(first(what)), "{answer:?}");
        assert!(answer.word() == "replayed" || !effect_is_done, "{answer:?}");
        assert_eq!(scene.shop.effects(what), 1, "{what}");
    }
}

/// A process that pauses in the middle of a write blocks all others. They get an error in bounded
/// time, and send nothing.
#[test]
fn one_that_stops_while_it_writes() {
    let (scene, mut zygote, runtime) = (Scene::new(), Zygote::start(), runtime());
    let tools = runtime.block_on(Tools::load());
    // Its first commit is that of the scheme, its second the claim's.
    let ends = Some(("before commit".to_owned(), 2));
    let role = Role::Live {
        story: PAY_ONCE.name.to_owned(),
        ends,
        stops: true,
    };
    let process = zygote.play(&scene.part("", role));
    until_it_stops(process);
    let (own, other) = (What::new("pay", "A"), What::new("pay", "B"));
    runtime.block_on(async {
        let mut customers = scene.customers(file(scene.ledger()), &tools).await;
        let told = customers
            .ask(&other, Reply::Heard)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("the tool did not run") && told.contains("find and end it"),
            "{told}"
        );
        assert_eq!(scene.shop.requests(), 0);
        wake(&mut zygote, process);
        for what in [own, other] {
            assert_eq!(
                effect(&customers.ask(&what, Reply::Heard).await.unwrap()),
                Some(first(&what))
            );
        }
    });
    assert_eq!(
        (scene.shop.faults(), scene.shop.requests()),
        (Vec::new(), 2)
    );
}

/// The control: a lock with a time limit and without a fence. A process that wakes with it does it
/// again.
#[test]
fn control_a_lock_that_ends_by_itself_does_it_twice() {
    let (scene, mut zygote) = (Scene::new(), Zygote::start());
    let process = zygote.play(&scene.part("", Role::Lock));
    until_it_stops(process);
    // The lock's time is over, so another process takes it.
    scene.shop.answer(Request::Serve {
        what: What::new("pay", "locked"),
        key: None,
        way: Way::Heard,
    });
    wake(&mut zygote, process);
    assert_eq!(
        scene.shop.faults(),
        [Fault::Twice("pay:locked#2".to_owned())]
    );
}
