//! The search itself is held against one that others wrote: stateright's, which tries all orders, and so is for short
//! histories only.

use super::register::{Asked, Event, Register, Told, is_linearizable};
use proptest::{collection::vec, prelude::*};
use semel::store::Version;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};

const VERSIONS: u8 = 4;

/// The same few versions again and again: more histories are nearly right.
fn version() -> impl Strategy<Value = Version> {
    (1..=VERSIONS).prop_map(|number| Version::from_bytes(u128::from(number).to_be_bytes()))
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![
        version().prop_map(Asked::Create),
        (version(), version()).prop_map(|(expected, by)| Asked::Replace { expected, by }),
        version().prop_map(Asked::Remove),
        Just(Asked::Get),
    ]
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        Just(Told::Done),
        prop::option::of(version()).prop_map(Told::Found)
    ]
}

/// A command that takes effect in its turn, with a right, wrong or missing answer, and the extent
/// of its interval to both sides.
fn step() -> impl Strategy<Value = (Asked, Option<Told>, u8, u64, u64)> {
    (
        asked(),
        prop::option::of(told()),
        any::<u8>(),
        0..40_u64,
        0..40_u64,
    )
}

fn history(steps: &[(Asked, Option<Told>, u8, u64, u64)]) -> Vec<Event> {
    let mut register = Register::default();
    let moments = (1..).map(|turn| turn * 1_000);
    let event = |((asked, other, luck, before, after), moment): (
        &(Asked, Option<Told>, u8, u64, u64),
        u64,
    )| {
        let right = stateright::semantics::SequentialSpec::invoke(&mut register, asked);
        let told = if *luck < 230 { Some(right) } else { *other };
        // No two times are the same.
        let ended = told.map(|told| (moment + after * 100 + 2, told));
        Event {
            asked: *asked,
            begun_ns: (moment + 1).saturating_sub(before * 100),
            ended,
        }
    };
    steps.iter().zip(moments).map(event).collect()
}

/// As stateright has it: each command has a caller of its own.
fn by_stateright(history: &[Event]) -> bool {
    let mut times: Vec<(u64, usize, Option<Told>)> = Vec::new();
    for (caller, event) in history.iter().enumerate() {
        times.push((event.begun_ns, caller, None));
        times.extend(event.ended.map(|(ns, told)| (ns, caller, Some(told))));
    }
    times.sort_by_key(|(ns, ..)| *ns);
    let mut tester = LinearizabilityTester::new(Register::default());
    for (_, caller, told) in times {
        let taken_in = match told {
            None => tester.on_invoke(caller, history[caller].asked),
            Some(told) => tester.on_return(caller, told),
        };
        taken_in.unwrap();
    }
    tester.is_consistent()
}

#[test]
fn the_search_finds_what_stateright_finds() {
    let counts = std::cell::Cell::new([0; 2]);
    let config = ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in vec(step(), 2..7))| {
        let history = history(&steps);
        let is_right = is_linearizable(&history);
        prop_assert_eq!(is_right, by_stateright(&history), "{:?}", history);
        let mut counted = counts.get();
        counted[usize::from(is_right)] += 1;
        counts.set(counted);
    });
    let [wrong, right] = counts.get();
    println!("{right} histories can be, {wrong} cannot");
    assert!(right > 300 && wrong > 300);
}
