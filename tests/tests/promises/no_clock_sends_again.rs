//! The clock is set back or forward; the machine restarts; a host's clock is hours off. A wrong
//! time may make a host doubt or hold an operation that it would have settled. It never makes a
//! host send a call that it would not have sent.

use crate::{
    scene::Scene,
    shop::{Fault, What},
    stories::{Reply, Step, Tools},
};
use semel::store::{Clock, SettableClock, SqliteStore};
use std::{sync::Arc, time::Duration};

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// A change of the clock.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Back(u64),
    Forward(u64),
    To(u64),
    Passes(u64),
    Reboot,
}

impl Turn {
    fn of(self, clock: &SettableClock) {
        let now = clock.now().wall_ms;
        match self {
            Self::Back(ms) => clock.set_wall_ms(now.saturating_sub(ms)),
            Self::Forward(ms) => clock.set_wall_ms(now + ms),
            Self::To(ms) => clock.set_wall_ms(ms),
            Self::Passes(ms) => clock.advance(Duration::from_millis(ms)),
            Self::Reboot => clock.reboot(),
        }
    }
}

/// The edges of the lease, of an attempt, of the shop's memory and of the window, and what lies far off.
fn turns() -> Vec<Turn> {
    let edges = [1, SECOND, 120 * SECOND, DAY, 29 * DAY];
    let near = edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]);
    let turns = near.flat_map(|ms| [Turn::Back(ms), Turn::Forward(ms), Turn::Passes(ms)]);
    turns.chain([Turn::To(0), Turn::Reboot]).collect()
}

/// Operations in every state: landed, released to the next, in doubt, held, running, taken.
async fn lived(scene: &Scene) {
    let mut customers = scene.customers(&scene.store).await.unwrap();
    let steps = [
        Step::Call {
            tool: "pay",
            id: "landed",
        },
        Step::Unheard {
            tool: "pay",
            id: "held",
        },
        Step::Vanish {
            tool: "pay",
            id: "running",
        },
        Step::Unheard {
            tool: "known",
            id: "doubt",
        },
        Step::Vanish {
            tool: "known",
            id: "running",
        },
        Step::Unheard {
            tool: "listed",
            id: "found",
        },
        Step::Call {
            tool: "book",
            id: "room",
        },
        Step::Cancel { id: "room" },
        Step::Call {
            tool: "notify",
            id: "taken",
        },
    ];
    for step in steps {
        customers.take(step).await.unwrap();
    }
}

fn all_that_was_asked() -> Vec<What> {
    let named = [
        ("pay", "landed"),
        ("pay", "held"),
        ("pay", "running"),
        ("known", "doubt"),
        ("known", "running"),
        ("listed", "found"),
        ("cancel", "book:x-room#1"),
        ("notify", "taken"),
    ];
    named
        .iter()
        .map(|(tool, id)| {
            What::new(
                tool,
                if *tool == "cancel" {
                    (*id).to_owned()
                } else {
                    format!("x-{id}")
                },
            )
        })
        .collect()
}

/// Changes the clock twice; all customers call in between and afterwards.
async fn turned(scene: &Scene, turns: [Turn; 2]) -> Vec<Fault> {
    lived(scene).await;
    let mut customers = scene.customers(&scene.store).await.unwrap();
    for turn in turns {
        turn.of(&scene.clock);
        for what in all_that_was_asked() {
            customers.ask(&what, Reply::Heard).await.unwrap();
        }
    }
    scene.shop.faults()
}

#[tokio::test]
async fn whatever_happens_to_the_clock() {
    let tools = Tools::load().await.impatient();
    for first in turns() {
        for second in [
            Turn::Passes(0),
            Turn::Reboot,
            Turn::Back(HOUR),
            Turn::Forward(HOUR),
        ] {
            let scene = Scene::in_memory(&tools);
            assert_eq!(
                turned(&scene, [first, second]).await,
                [],
                "{first:?}, {second:?}"
            );
        }
    }
}

#[tokio::test]
async fn whatever_happens_to_the_clock_of_a_file() {
    let tools = Tools::load().await.impatient();
    for first in turns() {
        let folder = tempfile::TempDir::new_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let scene = Scene::new(&tools, |clock| {
            Arc::new(SqliteStore::open_with_clock(folder.path().join("ledger.db"), clock).unwrap())
        });
        assert_eq!(turned(&scene, [first, Turn::Reboot]).await, [], "{first:?}");
    }
}

/// The control: past its window, a landed operation is forgotten, as documented. A clock that is
/// set so far ahead has the same effect.
#[tokio::test]
async fn control_past_the_window_it_is_another_operation() {
    let tools = Tools::load().await.impatient();
    let scene = Scene::in_memory(&tools);
    let faults = turned(&scene, [Turn::Forward(31 * DAY), Turn::Passes(0)]).await;
    assert!(
        faults.contains(&Fault::Twice("pay:x-landed#2".to_owned())),
        "{faults:?}"
    );
}

/// The latest time after its first attempt at which an operation may be sent again, where the shop
/// remembers a key for a day: another attempt of two minutes, a lease of a second and a hundredth
/// of the day still fit.
const LAST: u64 = DAY - DAY / 100 - 121 * SECOND;

/// Asks about what is in doubt after so long, and says how often the shop was asked. While the call waits to send again,
/// so much more passes.
async fn asked_after(tools: &Tools, ms: u64, meanwhile_ms: u64) -> (usize, &'static str) {
    let scene = Scene::in_memory(tools);
    let impatient = scene
        .customers_with(&scene.store, &tools.clone().impatient())
        .await;
    let what = What::new("known", "A");
    impatient.unwrap().ask(&what, Reply::Lost).await.unwrap();
    scene.clock.advance(Duration::from_millis(ms));
    let mut patient = scene.customers(&scene.store).await.unwrap();
    let passes = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        scene.clock.advance(Duration::from_millis(meanwhile_ms));
    };
    let (answer, ()) = tokio::join!(patient.ask(&what, Reply::Heard), passes);
    assert_eq!(scene.shop.faults(), []);
    (scene.shop.requests(), answer.unwrap().word())
}

#[tokio::test]
async fn what_the_shop_may_have_forgotten_is_not_sent_again() {
    let tools = Tools::load().await;
    assert_eq!(asked_after(&tools, LAST - SECOND, 0).await, (2, "executed"));
    assert_eq!(asked_after(&tools, LAST + SECOND, 0).await, (1, "held"));
    assert_eq!(
        asked_after(&tools, LAST - SECOND, 2 * SECOND).await,
        (1, "held"),
        "it ended while the call waited"
    );
    assert_eq!(asked_after(&tools, 2 * DAY, 0).await, (1, "held"));
}
