//! A host may be killed at any moment: before a write, after it, between sending and knowing, while
//! it creates its ledger, or while another process reads it. The next host knows the file and
//! nothing else.
//!
//! Processes kill themselves at every named point of the host, at the first, second, … time that their story passes it,
//! and crowds on one file are killed at any moment. The shop counts its effects itself, in the process that is not killed.
//!
//! A thousand kills are made in a run; `cargo xtask soak` makes more, and repeats a run by its seed.

mod report;

use crate::{
    processes::{EFFECT, FEW, Part, Place, Role, Scene, Zygote, story_of},
    random::Random,
    shop::{Fault, Line as Entry, Shop, What},
    stories::{HEIR, PATIENT, SLOW, STORIES, Tools, asked_in},
    wish::Wish,
};
use report::Report;
use rustix::process::{Signal, kill_process};
use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// The default number of kills.
const KILLS: u64 = 1_000;

/// One in so many of them takes a process of a crowd.
const ONE_IN_A_CROWD: usize = 4;

/// The number of concurrent processes of a crowd, and of kills on one file.
const CROWD_AT_ONCE: usize = 3;
const CROWD_KILLS: usize = 25;

/// Makes each of these calls twice, as a later agent, and notes the state of the journal.
fn look_after(scene: &Scene, tools: &Tools, asked: &[What], report: &mut Report) {
    for (what, answer) in scene.ask_later(tools, asked, 2) {
        report.answered(&what, &answer);
    }
    report.faults(scene.shop.faults());
}

/// At which point of which story a process ends, and when it passes it for the how-manieth time.
#[derive(Debug, Clone)]
struct End {
    story: &'static str,
    point: String,
    nth: usize,
}

impl End {
    /// Stories in which time passes are lived only for what comes after it.
    fn is_worth_its_time(&self) -> bool {
        let is = |deed: &str| self.point.ends_with(deed);
        match self.story {
            "slow" => is("renew"),
            "patient" => {
                is("resolve") || (self.nth > 1 && (is("send") || is("effect") || is("settle")))
            }
            _ => true,
        }
    }
}

/// Every failpoint of the host, which the stories pass when no process is killed.
fn ends(zygote: &mut Zygote) -> Vec<End> {
    let mut ends = Vec::new();
    for story in STORIES.iter().chain([&SLOW, &PATIENT, &HEIR]) {
        let scene = Scene::new();
        let role = Role::Live {
            story: story.name.to_owned(),
            ends: None,
            stops: false,
        };
        let process = zygote.play(&scene.part("x-", role));
        assert!(!zygote.was_killed(process));
        assert_eq!(scene.shop.faults(), [], "{}", story.name);
        for (point, times) in scene.shop.passed() {
            ends.extend((1..=times).map(|nth| End {
                story: story.name,
                point: point.clone(),
                nth,
            }));
        }
    }
    ends.retain(End::is_worth_its_time);
    let passed: BTreeSet<&str> = ends.iter().map(|end| &*end.point).collect();
    let all: BTreeSet<&str> = semel_store::failpoints::FAILPOINTS
        .iter()
        .chain(&EFFECT)
        .copied()
        .collect();
    assert_eq!(
        passed, all,
        "the stories pass what the host's table of points names"
    );
    ends
}

/// A process lives through a story up to its end, and another looks after what it leaves.
fn kill_at(end: &End, zygote: &mut Zygote, tools: &Tools, report: &mut Report) {
    let scene = Scene::new();
    let role = Role::Live {
        story: end.story.to_owned(),
        ends: Some((end.point.clone(), end.nth)),
        stops: false,
    };
    let process = zygote.play(&scene.part("x-", role));
    report.ended(&end.point, zygote.was_killed(process));
    let asked = asked_in(&story_of(end.story), "x-", &scene.shop);
    look_after(&scene, tools, &asked, report);
}

/// Crowds on one file, whose processes are killed in turn; then a later agent repeats their calls.
fn kill_in_a_crowd(random: &mut Random, zygote: &mut Zygote, tools: &Tools, report: &mut Report) {
    let scene = Scene::new();
    let mut crowd = Vec::new();
    for kill in 0..CROWD_KILLS {
        while crowd.len() < CROWD_AT_ONCE && kill + crowd.len() < CROWD_KILLS {
            // Two lives in a row ask about the same, and a third still does.
            let prefix = prefix(kill + crowd.len());
            crowd.push(zygote.play(&scene.part(
                &prefix,
                Role::Crowd {
                    seed: random.below(u64::MAX),
                },
            )));
        }
        thread::sleep(Duration::from_micros(3_000 + random.below(25_000)));
        let process = crowd.swap_remove(random.below(crowd.len() as u64) as usize);
        kill_process(process, Signal::KILL).unwrap();
        report.ended("any moment, in a crowd", zygote.was_killed(process));
    }
    look_after(&scene, tools, &asked_by_crowds(&scene.shop), report);
}

fn prefix(life: usize) -> String {
    format!("r{}-", life / CROWD_AT_ONCE)
}

/// All that they may have asked about: what was cancelled first, since the bookings are another after that.
fn asked_by_crowds(shop: &Shop) -> Vec<What> {
    let cancelled = shop.journal().into_iter().filter_map(|line| match line {
        Entry::Asks(what) if what.tool == "cancel" => Some(what),
        _ => None,
    });
    let cancelled: BTreeSet<What> = cancelled.collect();
    let ids = (0..CROWD_KILLS.div_ceil(CROWD_AT_ONCE))
        .flat_map(|round| (0..FEW).map(move |id| format!("r{round}-{id}")));
    let called = ids.flat_map(|id| {
        ["pay", "known", "listed", "notify", "book"].map(|tool| What::new(tool, id.clone()))
    });
    cancelled.into_iter().chain(called).collect()
}

/// The work of one thread, which depends on the seed and the thread's number alone.
fn work(
    wish: &Wish,
    ends: &[End],
    next: &AtomicUsize,
    mut zygote: Zygote,
    tools: &Tools,
) -> Report {
    let mut report = Report::default();
    let pieces = (wish.times as usize).div_ceil(ONE_IN_A_CROWD * CROWD_KILLS);
    let in_a_piece = (ONE_IN_A_CROWD - 1) * CROWD_KILLS;
    loop {
        let piece = next.fetch_add(1, Ordering::SeqCst);
        if piece >= pieces || wish.is_over() {
            return report;
        }
        let mut random = Random(wish.seed.wrapping_add(piece as u64));
        kill_in_a_crowd(&mut random, &mut zygote, tools, &mut report);
        for kill in 0..in_a_piece {
            // One end after the other, from where the seed says: none is left out.
            let at = (wish.seed as usize).wrapping_add(piece * in_a_piece + kill) % ends.len();
            kill_at(&ends[at], &mut zygote, tools, &mut report);
        }
    }
}

fn tools() -> Tools {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(Tools::load())
}

#[test]
fn at_every_point_and_at_any_moment() {
    let wish = Wish::of("SEMEL_SOAK_KILLS", KILLS);
    let (mut first, second) = (Zygote::start(), Zygote::start());
    let tools = tools();
    let ends = ends(&mut first);
    let (next, report) = (AtomicUsize::new(0), Mutex::new(Report::default()));
    thread::scope(|scope| {
        for zygote in [first, second] {
            scope.spawn(|| {
                let done = work(&wish, &ends, &next, zygote, &tools);
                report.lock().unwrap().add(done);
            });
        }
    });
    let report = report.into_inner().unwrap();
    println!(
        "{report}\nseed {}: repeat it by `cargo xtask soak --kills {} --seed {}`",
        wish.seed, wish.times, wish.seed
    );
    assert!(report.is_sound(), "{report}");
    assert!(
        report.kills() >= ends.len().min(wish.times as usize) || !wish.has_time(),
        "{report}"
    );
}

/// The control: where the ledger ends with the process, a later host sends again, and the shop sees
/// it.
#[test]
fn control_without_a_ledger_that_lasts_the_shop_does_it_twice() {
    let (scene, mut zygote) = (Scene::new(), Zygote::start());
    let ends = Some((EFFECT[1].to_owned(), 1));
    let part = Part {
        ledger: Place::Memory,
        ..scene.part(
            "x-",
            Role::Live {
                story: "pays".to_owned(),
                ends,
                stops: false,
            },
        )
    };
    let process = zygote.play(&part);
    assert!(zygote.was_killed(process));
    let mut report = Report::default();
    look_after(&scene, &tools(), &[What::new("pay", "x-A")], &mut report);
    assert!(!report.is_sound());
    assert_eq!(scene.shop.faults(), [Fault::Twice("pay:x-A#2".to_owned())]);
}
