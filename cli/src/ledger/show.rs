//! `semel ledger show`

use super::summary;
use crate::{
    common_args::{ConfigArgs, OutputFormat},
    exit::CommandError,
    talk,
};
use semel::runtime::RecordView;

const CHARS_SHOWN: usize = 400;

/// Shows all that is recorded of one operation.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The key that an answer or `list` shows, or at least its first 8 digits
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    place: ConfigArgs,
    /// How it is printed
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(options: ShowArgs) -> Result<(), CommandError> {
    let ledger = super::open(&options.place).await?;
    let listed = super::find(&ledger, &options.id).await?;
    match options.output {
        OutputFormat::Json => talk::line(&summary::in_json(&listed).to_string()),
        OutputFormat::Text => talk::data(in_text(&listed).as_bytes()),
    }
}

fn in_text(listed: &RecordView) -> String {
    let record = &listed.record;
    let mut lines = vec![
        ("key", listed.downstream.clone()),
        ("operation", record.terms.operation.clone()),
        ("tenant", record.tenant.to_string()),
        ("state", record.state.label().word().to_owned()),
        ("since", summary::since(listed).to_string()),
        ("why", summary::why(listed)),
        (
            "generation",
            format!("{}, series {}", record.generation, record.series),
        ),
        (
            "policy",
            format!(
                "{} (name space {})",
                record.terms.policy.name, record.name_space
            ),
        ),
        (
            "mode",
            if record.terms.shadow {
                "shadow: nothing rests on it".to_owned()
            } else {
                String::new()
            },
        ),
        ("handles", record.handles.join(", ")),
    ];
    lines.extend(
        record
            .terms
            .identity
            .iter()
            .map(|field| ("identity", format!("{} = {}", field.name, field.value))),
    );
    lines.extend(record.attempts.iter().map(|attempt| {
        let started = attempt.started.at(listed.written);
        let came_to = summary::short(attempt.outcome.as_ref());
        (
            "attempt",
            format!(
                "{} of generation {}, at {started}: {came_to}",
                attempt.fence.number, attempt.generation
            ),
        )
    }));
    lines.extend(
        record
            .found
            .as_ref()
            .map(|found| ("outcome", summary::short(Some(found)))),
    );
    let line =
        |(name, value): (&str, String)| format!("{name:<12}{}\n", talk::plain(&value, CHARS_SHOWN));
    lines
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(line)
        .collect()
}
