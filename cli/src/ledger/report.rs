//! `semel ledger report`: the dry run of tools in shadow mode.

use crate::{
    common_args::{ConfigArgs, OutputFormat},
    exit::CommandError,
    output,
    table::render_table,
};
use semel::{
    ledger::{Tally, TallyExample},
    model::rfc3339,
};
use serde_json::{Map, Value, json};
use std::{cmp::Reverse, time::Duration};

const NAME_CHARS_SHOWN: usize = 40;

const COUNT_HEADING: [&str; 3] = ["tool", "would be", "calls"];

const EXAMPLE_HEADING: [&str; 8] = [
    "calls",
    "would be",
    "tool",
    "operation",
    "tenant",
    "key",
    "first",
    "last",
];

/// Reports what a guard would have done with the calls of tools in shadow mode
///
/// Prints two tables: the number of calls of each tool by the answer that a guard would have given, and examples of
/// calls that it would not have sent, the most frequent first. Look there for repeats that were intended: in the mode
/// `enforce` they are not sent. `semel ledger show` shows more about a key. Elsewhere than on a terminal, columns are
/// separated by tabs and the tables by an empty line. Counts are kept for 90 days.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// Age of the oldest calls in the report, such as 7d; counts are by day (in UTC), so it begins with a whole day
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = humantime::parse_duration)]
    since: Duration,
    #[command(flatten)]
    config: ConfigArgs,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(args: ReportArgs) -> Result<(), CommandError> {
    let ledger = super::open_ledger(&args.config).await?;
    let tallies = ledger.report(args.since).await?;
    match args.output {
        OutputFormat::Json => {
            let tallies = tallies.iter().map(to_json).collect();
            output::write_line(&Value::Array(tallies).to_string())
        }
        OutputFormat::Text => {
            output::print_message(summarize(&tallies));
            let text = to_text(&tallies, render_table, render_table);
            output::write_stdout(text.as_bytes())
        }
    }
}

fn summarize(tallies: &[Tally]) -> String {
    let Some(first_ms) = tallies.iter().map(|tally| tally.day_ms).min() else {
        return "no call was observed: set `mode = \"shadow\"` for a tool".to_owned();
    };
    let mut all = 0;
    let mut suppressed = 0;
    for (would_be, count) in tallies.iter().flat_map(|tally| &tally.counts) {
        all += count;
        if would_be.suppresses() {
            suppressed += count;
        }
    }
    format!(
        "of {all} calls since {}, {suppressed} would not have been sent",
        rfc3339(first_ms)
    )
}

fn to_text(
    tallies: &[Tally],
    render_counts: impl Fn([&str; 3], &[[String; 3]]) -> String,
    render_examples: impl Fn([&str; 8], &[[String; 8]]) -> String,
) -> String {
    let counts = render_counts(COUNT_HEADING, &count_rows(tallies));
    let examples = example_rows(tallies);
    if examples.is_empty() {
        return counts;
    }
    format!("{counts}\n{}", render_examples(EXAMPLE_HEADING, &examples))
}

fn count_rows(tallies: &[Tally]) -> Vec<[String; 3]> {
    let mut rows = Vec::new();
    for tally in tallies {
        let tool = output::single_line(&tally.tool, NAME_CHARS_SHOWN);
        for (would_be, count) in &tally.counts {
            rows.push([tool.clone(), would_be.word().to_owned(), count.to_string()]);
        }
    }
    rows
}

fn example_rows(tallies: &[Tally]) -> Vec<[String; 8]> {
    let mut examples: Vec<_> = tallies
        .iter()
        .flat_map(|tally| tally.examples.iter().map(move |example| (tally, example)))
        .collect();
    examples.sort_by_key(|(_, example)| (Reverse(example.times), example.first_ms));
    let to_row = |(tally, example): (&Tally, &TallyExample)| {
        [
            example.times.to_string(),
            example.would.word().to_owned(),
            output::single_line(&tally.tool, NAME_CHARS_SHOWN),
            output::single_line(&example.operation, NAME_CHARS_SHOWN),
            output::single_line(example.tenant.as_str(), NAME_CHARS_SHOWN),
            example.key.clone(),
            rfc3339(example.first_ms),
            rfc3339(example.last_ms),
        ]
    };
    examples.into_iter().map(to_row).collect()
}

fn to_json(tally: &Tally) -> Value {
    let counts: Map<_, _> = tally
        .counts
        .iter()
        .map(|(would_be, count)| (would_be.word().to_owned(), json!(count)))
        .collect();
    let to_example = |example: &TallyExample| {
        json!({
            "would_be": example.would.word(), "calls": example.times, "operation": example.operation,
            "tenant": example.tenant, "key": example.key,
            "first": rfc3339(example.first_ms), "last": rfc3339(example.last_ms),
        })
    };
    let examples: Vec<_> = tally.examples.iter().map(to_example).collect();
    json!({
        "tool": tally.tool, "since": rfc3339(tally.day_ms), "would_be": counts, "examples": examples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::align_columns;
    use semel::{ledger::ShadowOutcome, model::Tenant};
    use std::collections::BTreeMap;

    fn tallies() -> Vec<Tally> {
        const DAY_MS: u64 = 1_795_478_400_000;
        let example = |would, times, key: &str, minutes| TallyExample {
            tenant: Tenant::default(),
            operation: "refund".to_owned(),
            key: key.to_owned(),
            would,
            times,
            first_ms: DAY_MS + minutes * 60_000,
            last_ms: DAY_MS + (minutes + times) * 60_000,
        };
        let counts = [
            (ShadowOutcome::Execute, 120),
            (ShadowOutcome::Replay, 14),
            (ShadowOutcome::Conflict, 1),
            (ShadowOutcome::FailByLedger, 2),
        ];
        vec![
            Tally {
                counts: BTreeMap::from([(ShadowOutcome::Pass, 9)]),
                ..Tally::new("list_orders".to_owned(), DAY_MS)
            },
            Tally {
                counts: BTreeMap::from(counts),
                examples: vec![
                    example(
                        ShadowOutcome::Conflict,
                        1,
                        "3f2b7c10-5a44-8e0c-9d5e-8a1c62a0b7f4",
                        700,
                    ),
                    example(
                        ShadowOutcome::Replay,
                        13,
                        "0b9e5d3a-1c7f-8b62-a4d8-5e2f90c1a6d3",
                        610,
                    ),
                ],
                ..Tally::new("refund".to_owned(), DAY_MS)
            },
        ]
    }

    #[test]
    fn a_report_reads_well() {
        insta::assert_snapshot!(to_text(&tallies(), align_columns, align_columns));
        assert_eq!(
            to_text(&[], align_columns, align_columns).lines().count(),
            1
        );
        let summary = summarize(&tallies());
        assert_eq!(
            summary,
            "of 146 calls since 2026-11-24T00:00:00.000Z, 17 would not have been sent"
        );
    }
}
