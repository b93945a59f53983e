//! The report of a run of kills.

use crate::shop::{Fault, What};
use semel::model::Answer;
use std::{collections::BTreeMap, fmt};

/// Counts of a run.
#[derive(Debug, Default)]
pub struct Report {
    by_point: BTreeMap<String, usize>,
    survived: usize,
    answers: BTreeMap<&'static str, usize>,
    faults: Vec<Fault>,
    stuck: Vec<What>,
}

impl Report {
    /// A process was to end at this point; it may have gone another way, and survived.
    pub fn ended(&mut self, point: &str, was_killed: bool) {
        if was_killed {
            *self.by_point.entry(point.to_owned()).or_insert(0) += 1;
        } else {
            self.survived += 1;
        }
    }

    /// The answer of a call long afterwards, when nothing is in progress.
    pub fn answered(&mut self, what: &What, answer: &Answer) {
        *self.answers.entry(answer.word()).or_insert(0) += 1;
        if matches!(answer, Answer::Running { .. }) {
            self.stuck.push(what.clone());
        }
    }

    /// The faults in the shop's journal.
    pub fn faults(&mut self, faults: Vec<Fault>) {
        self.faults.extend(faults);
    }

    pub fn add(&mut self, other: Self) {
        for (point, kills) in other.by_point {
            *self.by_point.entry(point).or_insert(0) += kills;
        }
        for (word, times) in other.answers {
            *self.answers.entry(word).or_insert(0) += times;
        }
        self.survived += other.survived;
        self.faults.extend(other.faults);
        self.stuck.extend(other.stuck);
    }

    pub fn kills(&self) -> usize {
        self.by_point.values().sum()
    }

    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.stuck.is_empty()
    }

    fn count(&self, of: impl Fn(&Fault) -> bool) -> usize {
        self.faults.iter().filter(|fault| of(fault)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:6} kills, of them", self.kills())?;
        for (point, kills) in &self.by_point {
            writeln!(f, "{kills:6}   at `{point}`")?;
        }
        writeln!(
            f,
            "{:6} processes took another way and survived",
            self.survived
        )?;
        writeln!(
            f,
            "{:6} answers to those who came after, of them",
            self.answers.values().sum::<usize>()
        )?;
        for (word, times) in &self.answers {
            writeln!(f, "{times:6}   {word}")?;
        }
        writeln!(
            f,
            "{:6} double sendings",
            self.count(|fault| matches!(fault, Fault::Twice(_)))
        )?;
        writeln!(
            f,
            "{:6} lost records",
            self.count(|fault| matches!(fault, Fault::Lost(_)))
        )?;
        writeln!(
            f,
            "{:6} false answers",
            self.count(|fault| matches!(fault, Fault::False(_)))
        )?;
        write!(f, "{:6} stuck operations", self.stuck.len())?;
        for fault in &self.faults {
            write!(f, "\n       {fault:?}")?;
        }
        self.stuck
            .iter()
            .try_for_each(|what| write!(f, "\n       stuck: {what}"))
    }
}
