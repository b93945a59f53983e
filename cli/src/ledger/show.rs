//! `semel ledger show`: shows one record.

use super::record_view;
use crate::{
    common_args::{ConfigArgs, OutputFormat},
    exit::CommandError,
    output,
};
use semel::runtime::RecordView;

const VALUE_CHARS_SHOWN: usize = 400;

/// Shows the record of one operation
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Key from an answer or from `list`, or at least its first 8 digits
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    config: ConfigArgs,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(args: ShowArgs) -> Result<(), CommandError> {
    let ledger = super::open_ledger(&args.config).await?;
    let listed = super::find_record(&ledger, &args.id).await?;
    match args.output {
        OutputFormat::Json => output::write_line(&record_view::to_json(&listed).to_string()),
        OutputFormat::Text => output::write_stdout(to_text(&listed).as_bytes()),
    }
}

fn to_text(listed: &RecordView) -> String {
    let mut rows = header_rows(listed);
    rows.extend(identity_rows(listed));
    rows.extend(attempt_rows(listed));
    if let Some(outcome) = &listed.record.found {
        rows.push(("outcome", record_view::describe_outcome(Some(outcome))));
    }
    let to_line = |(name, value): (&str, String)| {
        let value = output::single_line(&value, VALUE_CHARS_SHOWN);
        format!("{name:<12}{value}\n")
    };
    rows.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(to_line)
        .collect()
}

fn header_rows(listed: &RecordView) -> Vec<(&'static str, String)> {
    let record = &listed.record;
    let terms = &record.terms;
    let mode = if terms.shadow {
        "shadow: a dry run, which no call is answered by"
    } else {
        ""
    };
    vec![
        ("key", listed.downstream.clone()),
        ("operation", terms.operation.clone()),
        ("tenant", record.tenant.to_string()),
        ("state", record.state.label().word().to_owned()),
        ("since", record_view::state_since(listed).to_string()),
        ("why", record_view::state_reason(listed)),
        (
            "generation",
            format!("{}, series {}", record.generation, record.series),
        ),
        (
            "policy",
            format!("{} (name space {})", terms.policy.name, record.name_space),
        ),
        ("mode", mode.to_owned()),
        ("handles", record.handles.join(", ")),
    ]
}

fn identity_rows(listed: &RecordView) -> impl Iterator<Item = (&'static str, String)> {
    let fields = &listed.record.terms.identity;
    fields
        .iter()
        .map(|field| ("identity", format!("{} = {}", field.name, field.value)))
}

fn attempt_rows(listed: &RecordView) -> impl Iterator<Item = (&'static str, String)> {
    listed.record.attempts.iter().map(|attempt| {
        let row = format!(
            "{} of generation {}, at {}: {}",
            attempt.fence.number,
            attempt.generation,
            attempt.started.at(listed.written),
            record_view::describe_outcome(attempt.outcome.as_ref())
        );
        ("attempt", row)
    })
}
