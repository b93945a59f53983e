//! `semel policy inspect`: describes one policy, and checks settings for it.

use crate::{
    common_args::OutputFormat,
    exit::{CommandError, ExitReason, OrExit},
    output, setup,
};
use semel::{
    engine::{Limits, PolicyInspection},
    json::{JsonLimits, JsonValue},
    model::PolicyDescription,
};
use semel_config::{PolicySource, SetupError};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Describes a policy: its name, imports and settings, and the limits that it runs within
#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// File of a WebAssembly component, or name of a ready-made policy
    #[arg(value_name = "FILE|NAME")]
    policy: String,
    /// Settings to check: the command fails if the policy refuses them
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(args: InspectArgs) -> Result<(), CommandError> {
    let source = policy_source(args.policy);
    let engine = setup::build_uncached_engine()?;
    let component = source.read_component(engine.limits().load.component_bytes)?;
    let policy_error = |error| SetupError::Policy {
        defined_at: None,
        policy: source.clone(),
        source: Box::new(error),
    };
    let (description, inspection) = engine.inspect(&component).await.map_err(policy_error)?;
    if let Some(settings) = args.settings {
        let settings = semel::json::parse(&settings, &JsonLimits::default())
            .map_err(|error| format!("`--settings` cannot be used: {error}"))
            .or_exit(ExitReason::Usage)?;
        engine
            .load(&component, settings)
            .await
            .map_err(policy_error)?;
    }
    match args.output {
        OutputFormat::Json => {
            output::write_line(&to_json(&description, &inspection, engine.limits()))
        }
        OutputFormat::Text => {
            output::write_stdout(to_text(&description, &inspection, engine.limits()).as_bytes())
        }
    }
}

/// Returns a file if there is one of this name or the name looks like a path, else a ready-made policy.
fn policy_source(argument: String) -> PolicySource {
    let path = PathBuf::from(&argument);
    let is_file = argument.contains(['/', '\\', '.']) || path.is_file();
    if is_file {
        PolicySource::File(path)
    } else {
        PolicySource::Named(argument)
    }
}

fn to_json(
    description: &PolicyDescription,
    inspection: &PolicyInspection,
    limits: &Limits,
) -> String {
    #[derive(Serialize)]
    struct InspectedPolicy<'a> {
        policy: &'a PolicyDescription,
        component: &'a PolicyInspection,
        limits: &'a Limits,
    }
    let inspected = InspectedPolicy {
        policy: description,
        component: inspection,
        limits,
    };
    // Not `json!`, which would round the numbers of a schema.
    JsonValue::from_serialized(&inspected)
        .unwrap_or_default()
        .to_string()
}

fn to_text(
    description: &PolicyDescription,
    inspection: &PolicyInspection,
    limits: &Limits,
) -> String {
    let lines = [
        (
            "policy",
            format!("{} {}", description.name, description.version),
        ),
        ("summary", description.summary.clone()),
        ("for tools", description.tools.join(", ")),
        ("key epoch", description.key_epoch.to_string()),
        ("contract", inspection.contract.to_owned()),
    ];
    let mut text: String = lines
        .iter()
        .map(|(name, value)| format!("{name:<12}{}\n", output::single_line(value, 400)))
        .collect();
    text += "\ncomponent\n";
    text += &member_lines(&json!(inspection));
    text += "\nlimits of loading\n";
    text += &member_lines(&json!(limits.load));
    text += "\nlimits of one decision\n";
    text += &member_lines(&json!(limits.decision));
    let schema = serde_json::to_string_pretty(&description.settings_schema).unwrap_or_default();
    text + "\nsettings\n" + &indent_lines(&schema)
}

/// Returns the members of an object, one per line.
fn member_lines(object: &Value) -> String {
    let members = object.as_object().into_iter().flatten();
    members
        .map(|(name, value)| format!("  {:<22}{}\n", name.replace('_', "-"), value_text(value)))
        .collect()
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(value_text).collect::<Vec<_>>().join(", "),
        Value::String(text) => output::single_line(text, 200),
        other => other.to_string(),
    }
}

fn indent_lines(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
