//! `semel ledger list`: lists the recorded operations.

use super::record_view;
use crate::{
    common_args::{ConfigArgs, OutputFormat},
    exit::{CommandError, ExitReason, OrExit},
    output, table,
};
use semel::{json::JsonValue, ledger::StateLabel, model::Tenant, runtime::RecordView};

const REASON_CHARS_SHOWN: usize = 80;
const NAME_CHARS_SHOWN: usize = 40;

/// The columns of the list.
const HEADING: [&str; 8] = [
    "key",
    "state",
    "operation",
    "tenant",
    "generation",
    "attempts",
    "since",
    "why",
];

/// Lists the recorded operations
///
/// Prints a table on a terminal. Elsewhere prints one line per operation: key, state, operation, tenant, generation,
/// attempts, since and why, separated by tabs.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// List only operations of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// List only operations in this state; repeatable
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    state: Vec<StateLabel>,
    /// Limit on the number of operations
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    config: ConfigArgs,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

fn parse_state(text: &str) -> Result<StateLabel, String> {
    let is_operation_state =
        |label: &StateLabel| !matches!(label, StateLabel::Handle | StateLabel::Scheme);
    StateLabel::from_word(text)
        .filter(is_operation_state)
        .ok_or_else(|| {
            let states: Vec<_> = StateLabel::ALL
                .into_iter()
                .filter(is_operation_state)
                .map(StateLabel::word)
                .collect();
            format!("the states are {}", states.join(", "))
        })
}

pub(super) async fn run(args: ListArgs) -> Result<(), CommandError> {
    let tenant = args
        .tenant
        .map(Tenant::new)
        .transpose()
        .or_exit(ExitReason::Refused)?;
    let ledger = super::open_ledger(&args.config).await?;
    let mut records = ledger
        .list(tenant.as_ref(), &args.state, args.limit)
        .await?;
    // The ledger returns them in the order of their keys, which means nothing to a person.
    records.sort_by_key(|listed| listed.created.wall_ms);
    match args.output {
        OutputFormat::Json => {
            let records = records.iter().map(record_view::to_json).collect();
            output::write_line(&JsonValue::Array(records).to_string())
        }
        OutputFormat::Text => {
            let rows: Vec<_> = records.iter().map(to_row).collect();
            output::write_stdout(table::render_table(HEADING, &rows).as_bytes())
        }
    }
}

fn to_row(listed: &RecordView) -> [String; HEADING.len()] {
    let record = &listed.record;
    let attempts = record.last_attempt().map_or(0, |last| last.fence.number);
    [
        listed.downstream.clone(),
        record.state.label().word().to_owned(),
        output::single_line(&record.terms.operation, NAME_CHARS_SHOWN),
        output::single_line(record.tenant.as_str(), NAME_CHARS_SHOWN),
        record.generation.to_string(),
        attempts.to_string(),
        record_view::state_since(listed).to_string(),
        output::single_line(&record_view::state_reason(listed), REASON_CHARS_SHOWN),
    ]
}
