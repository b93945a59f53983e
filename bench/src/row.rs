//! The rows of the result, and how they are printed.

use crate::{machine::Machine, sample::Sample};
use anyhow::Result;
use serde::Serialize;

/// The goal of a figure.
#[derive(Clone, Copy)]
pub(crate) enum Reach {
    /// At most so much, in the figure's own unit.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
    /// At most so many times its floor.
    TimesAtMost(f64),
    /// At least so many times its floor.
    TimesAtLeast(f64),
}

impl Reach {
    fn is_met(self, value: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
            Self::TimesAtMost(most) => ratio.is_some_and(|ratio| ratio <= most),
            Self::TimesAtLeast(least) => ratio.is_some_and(|ratio| ratio >= least),
        }
    }

    fn words(self, unit: &str) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most} {unit}"),
            Self::AtLeast(least) => format!("≥ {least} {unit}"),
            Self::TimesAtMost(most) => format!("≤ {most} × floor"),
            Self::TimesAtLeast(least) => format!("≥ {least} × floor"),
        }
    }
}

/// A figure.
#[derive(Serialize)]
struct Row {
    name: String,
    unit: &'static str,
    value: f64,
    low: f64,
    high: f64,
    floor: Option<f64>,
    ratio: Option<f64>,
    reach: String,
    met: Option<bool>,
}

/// All figures of a run, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Rows(Vec<Row>);

impl Rows {
    /// Adds a figure with its floor. It is met if it reaches all of `reach`.
    pub(crate) fn add(
        &mut self,
        name: &str,
        unit: &'static str,
        value: Sample,
        floor: Option<Sample>,
        reach: &[Reach],
    ) {
        let floor = floor.map(|floor| floor.median);
        let ratio = floor.map(|floor| value.median / floor);
        let row = Row {
            name: name.to_owned(),
            unit,
            value: value.median,
            low: value.low,
            high: value.high,
            floor,
            ratio,
            reach: reach
                .iter()
                .map(|reach| reach.words(unit))
                .collect::<Vec<_>>()
                .join(", "),
            met: (!reach.is_empty())
                .then(|| reach.iter().all(|reach| reach.is_met(value.median, ratio))),
        };
        eprintln!("{}", row.line());
        self.0.push(row);
    }

    pub(crate) fn print_json(&self, machine: &Machine) -> Result<()> {
        println!(
            "{}",
            serde_json::to_string_pretty(
                &serde_json::json!({ "machine": machine, "rows": self.0 })
            )?
        );
        Ok(())
    }

    pub(crate) fn print_table(&self, machine: &Machine) -> Result<()> {
        println!("{machine}\n");
        println!(
            "| what | median | from – to | floor | ratio | reach | met |\n|---|---:|---:|---:|---:|---|---|"
        );
        for row in &self.0 {
            println!("{}", row.line());
        }
        Ok(())
    }
}

impl Row {
    fn line(&self) -> String {
        let Self {
            name,
            unit,
            value,
            low,
            high,
            floor,
            ratio,
            reach,
            met,
        } = self;
        let optional = |number: &Option<f64>| number.map_or_else(|| "–".to_owned(), figure);
        let met = met.map_or("–", |met| if met { "yes" } else { "no" });
        format!(
            "| {name} | {} {unit} | {} – {} | {} | {} | {reach} | {met} |",
            figure(*value),
            figure(*low),
            figure(*high),
            optional(floor),
            optional(ratio),
        )
    }
}

/// Three digits that say something.
fn figure(number: f64) -> String {
    match number {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
