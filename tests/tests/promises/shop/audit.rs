//! What is wrong by a journal, read once from its first line to its last: a day has a million lines.

use super::{Line, Told, What};
use std::collections::{HashMap, HashSet};

/// A breach of the promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It took effect a second time.
    Twice(String),
    /// A customer got an answer about an effect that did not happen.
    False(String),
    /// A recorded answer is missing from the ledger later.
    Lost(String),
}

/// The state after the lines so far that later lines depend on.
#[derive(Debug, Default)]
pub struct Audit {
    lines: usize,
    /// The last effect of each.
    done: HashMap<What, String>,
    effects: HashSet<String>,
    /// The effects that a customer got an answer about.
    taken: HashSet<String>,
    /// The lines at which customers got a recorded answer, each with its effect.
    known: HashMap<What, Vec<(usize, Option<String>)>>,
    /// The bookings that a customer asked to cancel.
    cancelled: HashSet<String>,
}

impl Audit {
    /// Reads the next line, and returns its fault.
    pub fn read(&mut self, line: &Line) -> Option<Fault> {
        let at = self.lines;
        self.lines += 1;
        match line {
            Line::Asks(what) => {
                if what.tool == "cancel" {
                    self.cancelled.insert(what.id.clone());
                }
                None
            }
            Line::Did { what, effect } => {
                let is_twice = self.is_twice(what);
                self.done.insert(what.clone(), effect.clone());
                self.effects.insert(effect.clone());
                is_twice.then(|| Fault::Twice(effect.clone()))
            }
            Line::Told { asked, told } => {
                let fault = self.told_false(told).or_else(|| self.lost(*asked, told));
                self.note(at, told);
                fault
            }
        }
    }

    /// Returns true if doing it again breaks the promise.
    fn is_twice(&self, what: &What) -> bool {
        let Some(earlier) = self.done.get(what) else {
            return false;
        };
        match what.tool.as_str() {
            // A room may be booked again once the booking was cancelled.
            "book" => !self.done.contains_key(&What::new("cancel", earlier)),
            // A notice may be sent again after a customer received the answer that it was sent.
            "notify" => !self.taken.contains(earlier),
            _ => true,
        }
    }

    fn told_false(&self, told: &Told) -> Option<Fault> {
        let words = [
            "executed", "replayed", "running", "in doubt", "held", "expired", "refused",
        ];
        let did = told
            .effect
            .as_ref()
            .is_none_or(|effect| self.effects.contains(effect));
        (!did || !words.contains(&&*told.word)).then(|| Fault::False(format!("{told:?}")))
    }

    /// Returns the fault if a customer that called at `asked` got an older state than another
    /// customer before.
    fn lost(&self, asked: usize, told: &Told) -> Option<Fault> {
        let known = self.known.get(&told.what)?;
        let before = known.partition_point(|(line, _)| *line < asked);
        let known = known[..before].last()?.1.as_deref()?;
        // An answer about a notice was received, so the next notice is a new operation.
        let is_over = told.what.tool == "notify"
            || (told.what.tool == "book" && self.cancelled.contains(known));
        let is_kept = told.effect.as_deref() == Some(known) || told.word == "expired";
        (!is_over && !is_kept).then(|| Fault::Lost(format!("{known}, then {told:?}")))
    }

    fn note(&mut self, at: usize, told: &Told) {
        self.taken.extend(told.effect.clone());
        if told.recorded {
            self.known
                .entry(told.what.clone())
                .or_default()
                .push((at, told.effect.clone()));
        }
    }
}
