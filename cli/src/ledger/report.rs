//! `semel ledger report`

use crate::{
    common_args::{ConfigArgs, OutputFormat},
    exit::CommandError,
    table, talk,
};
use semel::{ledger::Tally, model::rfc3339};
use serde_json::{Value, json};
use std::time::Duration;

const NAME_CHARS_SHOWN: usize = 40;

/// Tells what would have become of the calls of tools in shadow mode.
///
/// Two tables: how many calls of each tool would have come to what, and examples of those that would not have been sent,
/// the most frequent first. Look there for repeats that were meant: whoever enforces suppresses them.
/// `semel ledger show` tells more of a key. Elsewhere than on a terminal columns are separated by tabs, and the tables by
/// an empty line. Counts are kept for 90 days.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// Of so long ago at the most, such as 7d; the day (in UTC) in which it begins counts as a whole
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = humantime::parse_duration)]
    since: Duration,
    #[command(flatten)]
    place: ConfigArgs,
    /// How it is printed
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(options: ReportArgs) -> Result<(), CommandError> {
    let ledger = super::open(&options.place).await?;
    let tallies = ledger.report(options.since).await?;
    match options.output {
        OutputFormat::Json => {
            talk::line(&Value::Array(tallies.iter().map(in_json).collect()).to_string())
        }
        OutputFormat::Text => {
            talk::say(summary(&tallies));
            talk::data(in_text(&tallies, table::render, table::render).as_bytes())
        }
    }
}

fn summary(tallies: &[Tally]) -> String {
    let Some(first_ms) = tallies.iter().map(|tally| tally.day_ms).min() else {
        return "nothing was watched: set `mode = \"shadow\"` for a tool".to_owned();
    };
    let counts = || tallies.iter().flat_map(|tally| &tally.counts);
    let all: u64 = counts().map(|(_, count)| count).sum();
    let suppressed: u64 = counts()
        .filter(|(would, _)| would.suppresses())
        .map(|(_, count)| count)
        .sum();
    format!(
        "of {all} calls since {}, {suppressed} would not have been sent",
        rfc3339(first_ms)
    )
}

fn in_text(
    tallies: &[Tally],
    counts: impl Fn([&str; 3], &[[String; 3]]) -> String,
    examples: impl Fn([&str; 8], &[[String; 8]]) -> String,
) -> String {
    let counted = counts(["tool", "would be", "calls"], &count_rows(tallies));
    let rows = example_rows(tallies);
    if rows.is_empty() {
        return counted;
    }
    let heading = [
        "calls",
        "would be",
        "tool",
        "operation",
        "tenant",
        "key",
        "first",
        "last",
    ];
    format!("{counted}\n{}", examples(heading, &rows))
}

fn count_rows(tallies: &[Tally]) -> Vec<[String; 3]> {
    let of_tool = |tally: &Tally| {
        let tool = talk::plain(&tally.tool, NAME_CHARS_SHOWN);
        let row = |(would, count): (&semel::ledger::ShadowOutcome, &u64)| {
            [tool.clone(), would.word().to_owned(), count.to_string()]
        };
        tally.counts.iter().map(row).collect::<Vec<_>>()
    };
    tallies.iter().flat_map(of_tool).collect()
}

fn example_rows(tallies: &[Tally]) -> Vec<[String; 8]> {
    let mut all: Vec<_> = tallies
        .iter()
        .flat_map(|tally| tally.examples.iter().map(move |one| (tally, one)))
        .collect();
    all.sort_by_key(|(_, example)| (std::cmp::Reverse(example.times), example.first_ms));
    let row = |(tally, example): (&Tally, &semel::ledger::TallyExample)| {
        [
            example.times.to_string(),
            example.would.word().to_owned(),
            talk::plain(&tally.tool, NAME_CHARS_SHOWN),
            talk::plain(&example.operation, NAME_CHARS_SHOWN),
            talk::plain(example.tenant.as_str(), NAME_CHARS_SHOWN),
            example.key.clone(),
            rfc3339(example.first_ms),
            rfc3339(example.last_ms),
        ]
    };
    all.into_iter().map(row).collect()
}

fn in_json(tally: &Tally) -> Value {
    let counts = tally
        .counts
        .iter()
        .map(|(would, count)| (would.word().to_owned(), json!(count)));
    let examples = tally.examples.iter().map(|example| {
        json!({
            "would_be": example.would.word(), "calls": example.times, "operation": example.operation,
            "tenant": example.tenant, "key": example.key,
            "first": rfc3339(example.first_ms), "last": rfc3339(example.last_ms),
        })
    });
    json!({
        "tool": tally.tool, "since": rfc3339(tally.day_ms), "would_be": counts.collect::<serde_json::Map<_, _>>(),
        "examples": examples.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use semel::{
        ledger::{ShadowOutcome, TallyExample},
        model::Tenant,
    };
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
        insta::assert_snapshot!(in_text(&tallies(), table::aligned, table::aligned));
        assert_eq!(
            in_text(&[], table::aligned, table::aligned).lines().count(),
            1
        );
        let said = summary(&tallies());
        assert_eq!(
            said,
            "of 146 calls since 2026-11-24T00:00:00.000Z, 17 would not have been sent"
        );
    }
}
