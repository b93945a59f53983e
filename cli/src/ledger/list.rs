//! `semel ledger list`

use super::summary;
use crate::{
    common_args::{ConfigArgs, OutputFormat},
    exit::{CommandError, Exit, OrExit},
    table, talk,
};
use semel::{ledger::StateLabel, model::Tenant, runtime::RecordView};
use serde_json::Value;

const WHY_CHARS_SHOWN: usize = 80;
const NAME_CHARS_SHOWN: usize = 40;

/// Lists the recorded operations.
///
/// On a terminal a table, elsewhere one line each: key, state, operation, tenant, generation, attempts, since, why,
/// separated by tabs.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only those in this state; may be given again
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Vec<StateLabel>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    place: ConfigArgs,
    /// How it is printed
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    output: OutputFormat,
}

fn state(word: &str) -> Result<StateLabel, String> {
    let is_of_operations =
        |label: &StateLabel| !matches!(label, StateLabel::Handle | StateLabel::Scheme);
    StateLabel::from_word(word)
        .filter(is_of_operations)
        .ok_or_else(|| {
            let words: Vec<_> = StateLabel::ALL
                .into_iter()
                .filter(is_of_operations)
                .map(StateLabel::word)
                .collect();
            format!("there are {}", words.join(", "))
        })
}

pub(super) async fn run(options: ListArgs) -> Result<(), CommandError> {
    let tenant = options
        .tenant
        .map(Tenant::new)
        .transpose()
        .or_exit(Exit::Refused)?;
    let ledger = super::open(&options.place).await?;
    let listed = ledger
        .list(tenant.as_ref(), &options.state, options.limit)
        .await;
    let mut listed = listed?;
    listed.sort_by_key(|listed| listed.created.wall_ms);
    match options.output {
        OutputFormat::Json => {
            talk::line(&Value::Array(listed.iter().map(summary::in_json).collect()).to_string())
        }
        OutputFormat::Text => {
            let rows: Vec<_> = listed.iter().map(row).collect();
            let heading = [
                "key",
                "state",
                "operation",
                "tenant",
                "generation",
                "attempts",
                "since",
                "why",
            ];
            talk::data(table::render(heading, &rows).as_bytes())
        }
    }
}

fn row(listed: &RecordView) -> [String; 8] {
    let record = &listed.record;
    [
        listed.downstream.clone(),
        record.state.label().word().to_owned(),
        talk::plain(&record.terms.operation, NAME_CHARS_SHOWN),
        talk::plain(record.tenant.as_str(), NAME_CHARS_SHOWN),
        record.generation.to_string(),
        record
            .last_attempt()
            .map_or(0, |last| last.fence.number)
            .to_string(),
        summary::since(listed).to_string(),
        talk::plain(&summary::why(listed), WHY_CHARS_SHOWN),
    ]
}
