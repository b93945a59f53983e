//! The results of a run: a table of figures with their floors and goals.

use crate::{machine::MachineInfo, sample::Sample};
use anyhow::Result;
use serde::Serialize;

/// The goal of a figure.
#[derive(Clone, Copy)]
pub(crate) enum FigureGoal {
    /// At most this value, in the figure's unit.
    AtMost(f64),
    /// At least this value.
    AtLeast(f64),
    /// At most this multiple of the floor.
    RatioAtMost(f64),
    /// At least this multiple of the floor.
    RatioAtLeast(f64),
}

impl FigureGoal {
    fn is_met(self, value: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
            Self::RatioAtMost(most) => ratio.is_some_and(|ratio| ratio <= most),
            Self::RatioAtLeast(least) => ratio.is_some_and(|ratio| ratio >= least),
        }
    }

    fn describe(self, unit: &str) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most} {unit}"),
            Self::AtLeast(least) => format!("≥ {least} {unit}"),
            Self::RatioAtMost(most) => format!("≤ {most} × floor"),
            Self::RatioAtLeast(least) => format!("≥ {least} × floor"),
        }
    }
}

/// One figure.
#[derive(Serialize)]
struct ResultRow {
    name: String,
    unit: &'static str,
    value: f64,
    low: f64,
    high: f64,
    floor: Option<f64>,
    ratio: Option<f64>,
    #[serde(rename = "reach")]
    goals: String,
    met: Option<bool>,
}

/// All figures of a run, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct ResultTable(Vec<ResultRow>);

impl ResultTable {
    /// Adds a figure with its floor and its goals, and prints it to stderr as progress.
    pub(crate) fn add_row(
        &mut self,
        name: &str,
        unit: &'static str,
        value: Sample,
        floor: Option<Sample>,
        goals: &[FigureGoal],
    ) {
        let floor = floor.map(|floor| floor.median);
        let ratio = floor.map(|floor| value.median / floor);
        let row = ResultRow {
            name: name.to_owned(),
            unit,
            value: value.median,
            low: value.low,
            high: value.high,
            floor,
            ratio,
            goals: goals
                .iter()
                .map(|goal| goal.describe(unit))
                .collect::<Vec<_>>()
                .join(", "),
            met: (!goals.is_empty())
                .then(|| goals.iter().all(|goal| goal.is_met(value.median, ratio))),
        };
        eprintln!("{}", row.to_markdown());
        self.0.push(row);
    }

    pub(crate) fn print_json(&self, machine: &MachineInfo) -> Result<()> {
        println!(
            "{}",
            serde_json::to_string_pretty(
                &serde_json::json!({ "machine": machine, "rows": self.0 })
            )?
        );
        Ok(())
    }

    pub(crate) fn print_table(&self, machine: &MachineInfo) -> Result<()> {
        println!("{machine}\n");
        println!(
            "| what | median | from – to | floor | ratio | goal | met |\n|---|---:|---:|---:|---:|---|---|"
        );
        for row in &self.0 {
            println!("{}", row.to_markdown());
        }
        Ok(())
    }
}

impl ResultRow {
    fn to_markdown(&self) -> String {
        let Self {
            name,
            unit,
            value,
            low,
            high,
            floor,
            ratio,
            goals,
            met,
        } = self;
        let optional = |number: &Option<f64>| number.map_or_else(|| "–".to_owned(), format_figure);
        let met = met.map_or("–", |met| if met { "yes" } else { "no" });
        format!(
            "| {name} | {} {unit} | {} – {} | {} | {} | {goals} | {met} |",
            format_figure(*value),
            format_figure(*low),
            format_figure(*high),
            optional(floor),
            optional(ratio),
        )
    }
}

/// Formats a number with three significant digits.
fn format_figure(number: f64) -> String {
    match number {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
