//! `semel policy inspect`

use crate::{
    common_args::OutputFormat,
    exit::{CommandError, Exit, OrExit},
    setup, talk,
};
use semel::{
    engine::{Limits, PolicyInspection},
    model::PolicyDescription,
};
use semel_config::{PolicySource, SetupError};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Tells what a policy is: its name, what it imports, its settings, and the limits it runs within.
#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// A component's file, or the name of a ready-made policy
    #[arg(value_name = "FILE|NAME")]
    policy: String,
    /// Whether it takes these settings
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// How it is printed
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(options: InspectArgs) -> Result<(), CommandError> {
    let source = source(options.policy);
    let engine = setup::uncached_engine()?;
    let component = source.read_component(engine.limits().load.component_bytes)?;
    let refused = |fault| SetupError::Policy {
        defined_at: None,
        policy: source.clone(),
        source: Box::new(fault),
    };
    let (description, inspection) = engine.inspect(&component).await.map_err(refused)?;
    if let Some(settings) = options.settings {
        let settings = semel::json::parse(&settings, &semel::json::JsonLimits::default());
        let settings = settings
            .map_err(|fault| format!("`--settings` cannot be used: {fault}"))
            .or_exit(Exit::Usage)?;
        engine.load(&component, settings).await.map_err(refused)?;
    }
    match options.output {
        OutputFormat::Json => {
            talk::line(&in_json(&description, &inspection, engine.limits()).to_string())
        }
        OutputFormat::Text => {
            talk::data(in_text(&description, &inspection, engine.limits()).as_bytes())
        }
    }
}

/// A file where there is one, or where it looks like one; else a name.
fn source(written: String) -> PolicySource {
    let path = PathBuf::from(&written);
    let is_file = written.contains(['/', '\\', '.']) || path.is_file();
    if is_file {
        PolicySource::File(path)
    } else {
        PolicySource::Named(written)
    }
}

fn in_json(
    description: &PolicyDescription,
    inspection: &PolicyInspection,
    limits: &Limits,
) -> Value {
    json!({ "policy": description, "component": inspection, "limits": limits })
}

fn in_text(
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
        .map(|(name, value)| format!("{name:<12}{}\n", talk::plain(value, 400)))
        .collect();
    text += "\ncomponent\n";
    text += &figures(&json!(inspection));
    text += "\nlimits of loading\n";
    text += &figures(&json!(limits.load));
    text += "\nlimits of one decision\n";
    text += &figures(&json!(limits.decision));
    let schema = serde_json::to_string_pretty(&description.settings_schema).unwrap_or_default();
    text + "\nsettings\n" + &indented(&schema)
}

/// The members of an object, one a line.
fn figures(object: &Value) -> String {
    let members = object.as_object().into_iter().flatten();
    members
        .map(|(name, value)| format!("  {:<22}{}\n", name.replace('_', "-"), figure(value)))
        .collect()
}

fn figure(value: &Value) -> String {
    match value {
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(figure).collect::<Vec<_>>().join(", "),
        Value::String(text) => talk::plain(text, 200),
        other => other.to_string(),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
