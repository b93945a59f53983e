//! What a store means for one key, and whether a history of it can be so: each command meets the key at one moment between
//! its call and its answer (*linearizable*).

use semel::store::Version;
use stateright::semantics::SequentialSpec;
use std::collections::HashSet;

/// Which version lies there, if any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Register(Option<Version>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Create(Version),
    Replace { expected: Version, by: Version },
    Remove(Version),
    Get,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Done,
    /// This lies there instead, or lies there.
    Found(Option<Version>),
}

impl SequentialSpec for Register {
    type Op = Asked;
    type Ret = Told;

    fn invoke(&mut self, asked: &Asked) -> Told {
        let (is_met, next) = match *asked {
            Asked::Create(version) => (self.0.is_none(), Some(version)),
            Asked::Replace { expected, by } => (self.0 == Some(expected), Some(by)),
            Asked::Remove(expected) => (self.0 == Some(expected), None),
            Asked::Get => return Told::Found(self.0),
        };
        if !is_met {
            return Told::Found(self.0);
        }
        self.0 = next;
        Told::Done
    }
}

/// A command: when it was called, and when it was answered.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    pub asked: Asked,
    pub begun_ns: u64,
    /// None: there was no certain answer, so that it may have been carried out at any time since, or not.
    pub ended: Option<(u64, Told)>,
}

impl Event {
    fn ended_ns(&self) -> u64 {
        self.ended.map_or(u64::MAX, |(ns, _)| ns)
    }

    /// Returns the register after the event, or none if the event is impossible there.
    fn meets(&self, mut register: Register) -> Option<Register> {
        let told = register.invoke(&self.asked);
        self.ended
            .is_none_or(|(_, answer)| answer == told)
            .then_some(register)
    }
}

/// The limit on the events of a history: one bit each.
pub const EVENTS_MAX: usize = 128;

/// Returns true if there is an order of all answered events, and of some unanswered ones, that
/// respects real time and in which each answer is right (the search of Wing and Gong, which visits
/// no state twice).
pub fn is_linearizable(history: &[Event]) -> bool {
    assert!(history.len() <= EVENTS_MAX, "{} events", history.len());
    let (mut seen, mut open) = (HashSet::new(), vec![(0_u128, Register::default())]);
    while let Some((taken, register)) = open.pop() {
        let left = || {
            history
                .iter()
                .enumerate()
                .filter(|(at, _)| taken & (1 << at) == 0)
        };
        if left().all(|(_, event)| event.ended.is_none()) {
            return true;
        }
        // What was called after another one was answered comes after it.
        let first_end = left()
            .map(|(_, event)| event.ended_ns())
            .min()
            .unwrap_or(u64::MAX);
        for (at, event) in left().filter(|(_, event)| event.begun_ns <= first_end) {
            let next = event
                .meets(register)
                .map(|register| (taken | (1 << at), register));
            open.extend(next.filter(|next| seen.insert(*next)));
        }
    }
    false
}
