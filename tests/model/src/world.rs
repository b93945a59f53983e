//! The state of the world: what lies in the ledger, who does what, what travels, what took effect.

use semel_core::{
    guard::{Guard, GuardAction},
    ledger::{Decision, Fence, Record, Retention},
    model::{Outcome, Stamp},
};
use std::{collections::BTreeMap, sync::Arc};

use crate::promise::Promise;

/// An operation: 0 is the one that matters, the others undo it.
pub type Op = u8;

/// A moment, in ticks.
pub type Tick = u8;

/// A downstream key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Of which operation.
    pub op: Op,
    /// Its generation.
    pub generation: u32,
    /// Its series.
    pub series: u32,
}

/// A record as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filed {
    /// The record.
    pub record: Arc<Record>,
    /// When it was written.
    pub written: Stamp,
    /// How long it is kept.
    pub keep: Retention,
    /// How often it was written, where a plan needs to tell versions apart.
    pub version: u8,
}

/// The right to send, as its holder has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Right {
    /// What it is for.
    pub key: Key,
    /// The attempt.
    pub fence: Fence,
    /// Until when it holds.
    pub until: Tick,
    /// Whether it was used.
    pub sent: bool,
}

/// One call on its way through the guard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The guard, as it is in the library.
    pub guard: Guard,
    /// What it is to do next.
    pub action: GuardAction,
    /// Its right to send.
    pub right: Option<Right>,
    /// How many nonces it used up.
    pub nonces: u8,
    /// The look that it was granted.
    pub look: u8,
    /// The first generation that it read before it was taken.
    pub first_read: Option<u32>,
    /// The mark of an operation that counts for nothing, and the version of the record that bore it.
    pub void: Option<(Op, u8)>,
}

/// Where a call stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// Under way.
    Live(Box<Caller>),
    /// It has the outcome, and its program has not taken it yet.
    Answered {
        /// The generation.
        generation: u32,
        /// The attempt that landed.
        attempt: u32,
    },
    /// Its program took the outcome, and the mark is not written yet.
    Took {
        /// The generation.
        generation: u32,
        /// The attempt that landed.
        attempt: u32,
    },
    /// Over, or crashed.
    Gone,
}

/// A request on its way to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Message {
    /// Under which key.
    pub key: Key,
    /// Of which attempt.
    pub fence: Fence,
    /// What it asks for.
    pub content: u8,
    /// When it left.
    pub sent: Tick,
    /// Whether the tool said that it had no effect, which was not true.
    pub disowned: bool,
}

/// What the system behind the tool knows of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Site {
    /// How many effects stand.
    pub effects: u8,
    /// What was sent first under the key.
    pub content: u8,
    /// When it took effect.
    pub since: Tick,
    /// Whether it was turned away.
    pub refused: bool,
}

/// What a person was shown, and what the person knows from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shown {
    /// The last attempt.
    pub attempt: u32,
    /// What the person may decide.
    pub decisions: Vec<Decision>,
}

/// The world.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// The true time.
    pub tick: Tick,
    /// Which boot of the store's machine.
    pub boot: u8,
    /// Whether its wall clock was set far back.
    pub set_back: bool,
    /// The ledger.
    pub filed: BTreeMap<Op, Filed>,
    /// The calls.
    pub parts: Vec<Part>,
    /// What travels.
    pub messages: Vec<Message>,
    /// What hosts learned of attempts that their calls no longer wait for.
    pub reports: Vec<Message>,
    /// The target.
    pub sites: BTreeMap<Key, Site>,
    /// The person.
    pub person: Option<Shown>,
    /// The look of the sweep that is under way.
    pub sweep: Option<u8>,
    /// What the world remembers besides, to judge by.
    pub memory: Memory,
    /// The promise that was broken, by which the story ends.
    pub broken: Option<Promise>,
}

/// What the world remembers, to judge by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// How many effects more than one are somebody's own fault or wish.
    pub licences: u8,
    /// How often a person decided.
    pub decisions: u8,
    /// How often the ledger lost the record.
    pub losses: u8,
    /// How often a tool lied.
    pub lies: u8,
    /// How often hosts did what is not theirs.
    pub mistakes: u8,
    /// How many looks the sweep began.
    pub sweeps: u8,
    /// Which generations were taken, by their numbers as bits.
    pub taken: u8,
    /// Which generations were undone, by their numbers as bits.
    pub undone: u8,
    /// Whether a person refused it.
    pub person_refused: bool,
    /// What was refused last, and when.
    pub refused: Option<(u8, Tick)>,
    /// Which generation an outcome said to be undone.
    pub told_undone: Option<(Op, u32)>,
}

impl World {
    /// The record of an operation.
    #[must_use]
    pub fn record(&self, op: Op) -> Option<&Record> {
        self.filed.get(&op).map(|filed| &*filed.record)
    }

    /// How many effects of one generation stand.
    #[must_use]
    pub fn effects(&self, op: Op, generation: u32) -> u8 {
        let of = |key: &Key| key.op == op && key.generation == generation;
        self.sites
            .iter()
            .filter(|(key, _)| of(key))
            .map(|(_, site)| site.effects)
            .sum()
    }

    /// Whether something of one generation may still take effect, as far as honest tools tell.
    #[must_use]
    pub fn travels(&self, op: Op, generation: u32) -> bool {
        self.messages.iter().any(|message| {
            message.key.op == op && message.key.generation == generation && !message.disowned
        })
    }

    /// The calls under way.
    pub fn callers(&self) -> impl Iterator<Item = (usize, &Caller)> {
        self.parts
            .iter()
            .enumerate()
            .filter_map(|(at, part)| match part {
                Part::Live(caller) => Some((at, &**caller)),
                _ => None,
            })
    }

    /// Ends the story where a promise does not hold.
    pub fn promise(&mut self, promise: Promise, holds: bool) {
        if !holds && self.broken.is_none() {
            self.broken = Some(promise);
        }
    }
}

/// The nonce of a caller's so-many-th attempt or look.
#[must_use]
pub fn nonce(caller: u8, count: u8) -> semel_core::model::Nonce {
    let mut bytes = [0; 16];
    if let Some(byte) = bytes.first_mut() {
        *byte = caller;
    }
    if let Some(byte) = bytes.last_mut() {
        *byte = count;
    }
    semel_core::model::Nonce::from_bytes(bytes)
}

/// What a tool answers that did what it was asked.
#[must_use]
pub fn done(generation: u32, content: u8) -> Outcome {
    Outcome::Returned(format!("content {content} in generation {generation}").into())
}

/// A generation as a bit among others.
#[must_use]
pub fn bit(generation: u32) -> u8 {
    1_u8.checked_shl(generation).unwrap_or(0)
}
