//! The report of a day.

use super::{footprint::Course, trouble::Trouble};
use crate::shop::{Fault, What};
use std::{collections::BTreeMap, fmt};

#[derive(Debug, Default)]
pub struct Report {
    pub title: String,
    /// The number of distinct operations.
    pub operations: usize,
    pub calls: usize,
    /// The answers, by word.
    pub answers: BTreeMap<String, usize>,
    pub troubles: BTreeMap<Trouble, usize>,
    pub effects: usize,
    /// The records in the ledger at the end, by state.
    pub records: BTreeMap<String, usize>,
    pub faults: Vec<Fault>,
    /// The operations that were not settled a long time later.
    pub stuck: Vec<What>,
    /// The resource use of each host.
    pub courses: Vec<Course>,
}

impl Report {
    pub fn twice(&self) -> usize {
        self.count(|fault| matches!(fault, Fault::Twice(_)))
    }

    pub fn lost(&self) -> usize {
        self.count(|fault| matches!(fault, Fault::Lost(_)))
    }

    fn count(&self, of: impl Fn(&Fault) -> bool) -> usize {
        self.faults.iter().filter(|fault| of(fault)).count()
    }

    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.stuck.is_empty()
    }

    pub fn is_flat(&self) -> bool {
        self.courses
            .iter()
            .all(|course| course.keeps_its_memory() && course.keeps_its_descriptors())
    }

    fn answered(&self) -> usize {
        self.answers.values().sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        writeln!(
            f,
            "{:7} calls of {} operations, of them",
            self.calls, self.operations
        )?;
        for (word, times) in &self.answers {
            writeln!(f, "{times:7}   {word}")?;
        }
        let unanswered = self.calls - self.answered();
        writeln!(
            f,
            "{unanswered:7}   without an answer: given up, the host killed, or the ledger away"
        )?;
        for (trouble, times) in &self.troubles {
            writeln!(f, "{times:7} times {trouble}")?;
        }
        writeln!(f, "{:7} effects", self.effects)?;
        writeln!(f, "{:7} double sendings", self.twice())?;
        writeln!(f, "{:7} lost records", self.lost())?;
        writeln!(
            f,
            "{:7} false answers",
            self.count(|fault| matches!(fault, Fault::False(_)))
        )?;
        writeln!(f, "{:7} stuck operations", self.stuck.len())?;
        for (state, records) in &self.records {
            writeln!(f, "{records:7} records {state}")?;
        }
        for (host, course) in self.courses.iter().enumerate() {
            writeln!(
                f,
                "        host {}, early, in the middle and late: {course}",
                host + 1
            )?;
        }
        self.faults
            .iter()
            .try_for_each(|fault| writeln!(f, "        {fault:?}"))?;
        self.stuck
            .iter()
            .try_for_each(|what| writeln!(f, "        stuck: {what}"))
    }
}
