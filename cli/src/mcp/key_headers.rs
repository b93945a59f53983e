//! A check, before anything starts, that no policy puts its key into a header of a server without headers: a command.
//!
//! Absent: policies from a file. They name the place of their key only when they decide, and a key without a place
//! makes the call refused then.

use super::options::ServePlan;
use crate::exit::{CommandError, ExitReason};
use semel::model::ToolMode;
use semel_config::{McpPlace, McpServer, PolicySource, ToolSetup};

/// Refuses a plan in which a tool's key goes into a header, and every server that may have the tool is a command.
pub(super) fn check_plan(plan: &ServePlan) -> Result<(), CommandError> {
    for rule in &plan.config.rules {
        check_rule(rule.patterns(), &rule.setup, &plan.servers)?;
    }
    check_rule(&["*".to_owned()], &plan.config.unnamed, &plan.servers)
}

fn check_rule(
    patterns: &[String],
    setup: &ToolSetup,
    servers: &[McpServer],
) -> Result<(), CommandError> {
    let Some(header) = key_header(setup) else {
        return Ok(());
    };
    let is_only_server = servers.len() == 1;
    let may_have_tool = |server: &&McpServer| {
        let prefix = server.prefix(is_only_server);
        patterns.iter().any(|glob| may_match_prefix(glob, &prefix))
    };
    let candidates: Vec<_> = servers.iter().filter(may_have_tool).collect();
    let is_command = |server: &&McpServer| matches!(server.place, McpPlace::Command(_));
    match candidates.first() {
        Some(server) if candidates.iter().all(is_command) => {
            Err(header_error(setup, header, server))
        }
        _ => Ok(()),
    }
}

/// Returns the header into which a ready-made policy puts its key.
fn key_header(setup: &ToolSetup) -> Option<&str> {
    let PolicySource::Named(policy) = &setup.policy else {
        return None;
    };
    // Only a guarded call gets a key.
    if setup.mode != ToolMode::Enforce {
        return None;
    }
    match policy.as_str() {
        "intent" => setup.settings.get("target")?.get("header")?.as_str(),
        "stripe" => match setup.settings.get("key") {
            Some(place) if place.as_str() != Some("header") => None,
            _ => Some("Idempotency-Key"),
        },
        _ => None,
    }
}

/// Returns true if the glob may match a name that begins with `prefix`, judged by the glob's literal beginning.
fn may_match_prefix(glob: &str, prefix: &str) -> bool {
    match glob.find(['*', '?', '[', '{', '\\']) {
        Some(end) => {
            let literal = glob.get(..end).unwrap_or_default();
            literal.starts_with(prefix) || prefix.starts_with(literal)
        }
        None => glob.starts_with(prefix),
    }
}

fn header_error(setup: &ToolSetup, header: &str, server: &McpServer) -> CommandError {
    let origin = match &setup.defined_at {
        Some(origin) => format!("{origin}: "),
        None => String::new(),
    };
    let example = match &setup.policy {
        PolicySource::Named(name) if name == "stripe" => {
            "`key = \"/idempotency_key\"`, if its tools take the key there"
        }
        _ => "`target = { metadata = \"dev.example/key\", … }`, or `argument`",
    };
    ExitReason::Config.error(format!(
        "{origin}the policy puts its key into the header `{header}`, but the server `{}` is a command, and messages to it \
         have no headers: name another place for the key in `settings`, such as {example}",
        server.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_may_mean_a_server_s_tools_where_their_names_can_match_it() {
        for (glob, prefix, may) in [
            ("pay", "", true),
            ("*", "bank_", true),
            ("ba*", "bank_", true),
            ("bank_p?y", "bank_", true),
            ("bank_pay", "bank_", true),
            ("pay", "bank_", false),
            ("shop_*", "bank_", false),
        ] {
            assert_eq!(may_match_prefix(glob, prefix), may, "{glob} {prefix}");
        }
    }
}
