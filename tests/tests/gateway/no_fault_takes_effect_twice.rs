//! A payment is sent, and then something breaks: the server ends before it answers, the answer is
//! late or cut off, the client is killed, two clients do the same at once. The agent tries again.
//! The server counts payments in a file: there is one, and the agent is told its result or that it
//! is in doubt. Without the gateway, or with its guards off, there are two: each fault shows it.

use crate::session::{CallResult, Client, Route, Scene, VersionGroup};
use std::time::{Duration, Instant};

const ERAS: [VersionGroup; 2] = [VersionGroup::Older, VersionGroup::Newer];

/// The time that an agent waits where an answer must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// An agent whose tool fails: it calls again, from a new process where the old one has ended, three
/// times in all.
fn insists(scene: &Scene, way: Route, era: VersionGroup, patience: Duration) -> Vec<CallResult> {
    let mut client = scene.client(way, era);
    let mut all = Vec::new();
    for _ in 0..3 {
        let got = client.call("pay", 7, patience);
        all.push(got.clone());
        match got {
            CallResult::Result(_) => break,
            // A server that fails is restarted, as clients do.
            CallResult::Ended | CallResult::Wrong(_) => client = scene.client(way, era),
            CallResult::Nothing => {}
        }
    }
    all
}

/// Guarded there is one effect, of which the agent hears or that is in doubt; otherwise there are more.
fn one_effect(fault: &str, era: VersionGroup, patience: Duration) {
    one_effect_in(|| Scene::with(fault), fault, era, patience);
}

fn one_effect_in(scene: impl Fn() -> Scene, fault: &str, era: VersionGroup, patience: Duration) {
    for way in [Route::Bare, Route::Unguarded] {
        let scene = scene();
        let got = insists(&scene, way, era, patience);
        assert!(
            scene.effects() > 1,
            "the control: {way:?} {era:?} {fault}: {got:?}"
        );
    }
    let scene = scene();
    let got = insists(&scene, Route::Guarded, era, patience);
    assert_eq!(scene.effects(), 1, "{era:?} {fault}: {got:?}");
    let last = got.last().unwrap();
    assert!(
        *last == CallResult::Result("effect 1".to_owned()) || last.tells_doubt(),
        "{era:?} {fault}: {got:?}"
    );
}

#[test]
fn the_server_ends_before_it_answers() {
    ERAS.into_iter()
        .for_each(|era| one_effect("dies", era, PATIENCE));
}

#[test]
fn the_answer_says_that_it_failed() {
    ERAS.into_iter()
        .for_each(|era| one_effect("fails", era, PATIENCE));
}

#[test]
fn the_answer_comes_after_the_client_gave_up() {
    let scene = || Scene::with("late=800").taken_within_200_ms();
    ERAS.into_iter()
        .for_each(|era| one_effect_in(scene, "late=800", era, Duration::from_millis(500)));
}

#[test]
fn the_answer_is_cut_off() {
    // An answer has some 105 bytes, and in the older era more. The last one ends the line.
    const PLACES: usize = 100;
    let cuts = std::env::var("SEMEL_MCP_CUTS")
        .map_or(10, |wish| wish.parse::<usize>().unwrap().min(PLACES));
    for cut in 0..cuts {
        one_effect(
            &format!("cut={}", cut * PLACES / cuts),
            ERAS[cut % 2],
            PATIENCE,
        );
    }
}

#[test]
fn the_answer_is_there_before_the_server_ends() {
    for era in ERAS {
        let scene = Scene::with("cut=1000");
        assert_eq!(
            insists(&scene, Route::Guarded, era, PATIENCE),
            [CallResult::Result("effect 1".to_owned())],
            "{era:?}"
        );
    }
}

/// Kills the process that the client talks to in the middle of a call, and calls again by a new one.
fn killed_and_begun_anew(way: Route, era: VersionGroup) -> (Scene, CallResult) {
    let scene = Scene::with("late=60000");
    let mut client = scene.client(way, era);
    client.begin("pay", 7);
    effects_reach(&scene, 1);
    client.kill();
    let got = scene.client(way, era).call("pay", 7, PATIENCE);
    (scene, got)
}

fn effects_reach(scene: &Scene, count: usize) {
    let begun = Instant::now();
    while scene.effects() < count {
        assert!(begun.elapsed() < PATIENCE, "the call did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_gateway_is_killed_in_the_middle_of_a_call() {
    for era in ERAS {
        for way in [Route::Bare, Route::Unguarded] {
            let (scene, got) = killed_and_begun_anew(way, era);
            assert_eq!(scene.effects(), 2, "the control: {way:?} {era:?}: {got:?}");
        }
        let (scene, got) = killed_and_begun_anew(Route::Guarded, era);
        assert_eq!(scene.effects(), 1, "{era:?}: {got:?}");
        assert!(got.tells_doubt(), "{era:?}: {got:?}");
    }
}

/// A client that ends in the middle of a call, as if its user closed the window, and another client
/// that makes the same call.
fn left_and_begun_anew(way: Route, era: VersionGroup) -> (Scene, CallResult) {
    let scene = Scene::with("late=700");
    let mut client = scene.client_that_hears(1, way, era);
    client.begin("pay", 7);
    effects_reach(&scene, 1);
    client.leave();
    let got = scene.client(way, era).call("pay", 7, PATIENCE);
    (scene, got)
}

#[test]
fn the_client_leaves_in_the_middle_of_a_call() {
    for era in ERAS {
        let (scene, got) = left_and_begun_anew(Route::Unguarded, era);
        assert_eq!(scene.effects(), 2, "the control: {era:?}: {got:?}");
        let (scene, got) = left_and_begun_anew(Route::Guarded, era);
        assert_eq!(scene.effects(), 1, "{era:?}: {got:?}");
        assert!(
            got == CallResult::Result("effect 1".to_owned()) || got.tells_doubt(),
            "{era:?}: {got:?}"
        );
    }
}

/// Two clients with one ledger, each with a server of its own behind it, make the same call at once.
fn two_at_once(way: Route, era: VersionGroup) -> (Scene, Vec<CallResult>) {
    let scene = Scene::with("late=300");
    let mut clients = [scene.client(way, era), scene.client(way, era)];
    let begun: Vec<i64> = clients
        .iter_mut()
        .map(|client| client.begin("pay", 7))
        .collect();
    let got = clients
        .iter_mut()
        .zip(begun)
        .map(|(client, id)| client.wait(id, PATIENCE))
        .collect();
    (scene, got)
}

#[test]
fn two_clients_call_at_once() {
    for era in ERAS {
        let (scene, got) = two_at_once(Route::Unguarded, era);
        assert_eq!(scene.effects(), 2, "the control: {era:?}: {got:?}");
        let (scene, got) = two_at_once(Route::Guarded, era);
        assert_eq!(scene.effects(), 1, "{era:?}: {got:?}");
        assert_eq!(
            got,
            vec![CallResult::Result("effect 1".to_owned()); 2],
            "{era:?}"
        );
    }
}

/// So many equal calls by one client, one right after the other, before any is answered.
fn in_a_row(client: &mut Client, count: usize) -> Vec<CallResult> {
    let begun: Vec<i64> = (0..count).map(|_| client.begin("pay", 7)).collect();
    begun
        .into_iter()
        .map(|id| client.wait(id, PATIENCE))
        .collect()
}

#[test]
fn equal_calls_come_within_milliseconds() {
    for era in ERAS {
        let scene = Scene::with("none");
        in_a_row(&mut scene.client(Route::Unguarded, era), 8);
        assert_eq!(scene.effects(), 8, "the control");
        let scene = Scene::with("late=200");
        let got = in_a_row(&mut scene.client(Route::Guarded, era), 8);
        assert_eq!(scene.effects(), 1, "{era:?}: {got:?}");
        assert_eq!(
            got,
            vec![CallResult::Result("effect 1".to_owned()); 8],
            "{era:?}"
        );
    }
}

#[test]
fn what_is_meant_again_is_done_again() {
    for era in ERAS {
        let scene = Scene::with("none");
        let mut client = scene.client(Route::Guarded, era);
        for number in 1..=20 {
            assert_eq!(
                client.call("pay", 7, PATIENCE),
                CallResult::Result(format!("effect {number}")),
                "{era:?}"
            );
        }
    }
}
