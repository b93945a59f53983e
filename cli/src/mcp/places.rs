//! Whether the keys of policies can come to their servers, before anything starts: what is sent to a command has no headers.
//!
//! Absent: policies that somebody else wrote. Where they put a key is known only once they are asked, and a call whose key has no
//! place is refused then.

use super::options::Plan;
use crate::exit::{CommandError, Exit};
use semel::model::ToolMode;
use semel_config::{McpPlace, McpServer, PolicySource, ToolSetup};

/// Refuses a plan in which a tool's key goes into a header, and all servers that may have the tool are commands.
pub(super) fn check(plan: &Plan) -> Result<(), CommandError> {
    let rules = plan
        .config
        .rules
        .iter()
        .map(|rule| (rule.patterns(), &rule.setup));
    let others = ["*".to_owned()];
    let mut all = rules.chain([(&others[..], &plan.config.unnamed)]);
    all.try_for_each(|(patterns, setup)| check_one(patterns, setup, &plan.servers))
}

fn check_one(
    patterns: &[String],
    setup: &ToolSetup,
    servers: &[McpServer],
) -> Result<(), CommandError> {
    let Some(header) = header(setup) else {
        return Ok(());
    };
    let is_alone = servers.len() == 1;
    let may_have_it = |server: &&McpServer| {
        patterns
            .iter()
            .any(|glob| may_begin(glob, &server.prefix(is_alone)))
    };
    let concerned: Vec<_> = servers.iter().filter(may_have_it).collect();
    let is_command = |server: &&McpServer| matches!(server.place, McpPlace::Command(_));
    match concerned.first() {
        Some(server) if concerned.iter().all(is_command) => Err(nowhere(setup, header, server)),
        _ => Ok(()),
    }
}

/// The header into which a ready-made policy puts its key.
fn header(setup: &ToolSetup) -> Option<&str> {
    let PolicySource::Named(policy) = &setup.policy else {
        return None;
    };
    let settings = &setup.settings;
    match policy.as_str() {
        // Only who is guarded gets a key.
        _ if setup.mode != ToolMode::Enforce => None,
        "intent" => settings.get("target")?.get("header")?.as_str(),
        "stripe" => {
            let is_there = settings
                .get("key")
                .is_none_or(|key| key.as_str() == Some("header"));
            is_there.then_some("Idempotency-Key")
        }
        _ => None,
    }
}

/// Whether a name that begins with `prefix` may match the glob, as far as that is plain to see.
fn may_begin(glob: &str, prefix: &str) -> bool {
    match glob.find(['*', '?', '[', '{', '\\']) {
        Some(end) => {
            let literal = glob.get(..end).unwrap_or_default();
            literal.starts_with(prefix) || prefix.starts_with(literal)
        }
        None => glob.starts_with(prefix),
    }
}

fn nowhere(setup: &ToolSetup, header: &str, server: &McpServer) -> CommandError {
    let place = setup
        .defined_at
        .as_ref()
        .map_or_else(String::new, |place| format!("{place}: "));
    let cure = match &setup.policy {
        PolicySource::Named(name) if name == "stripe" => {
            "`key = \"/idempotency_key\"`, if its tools take it there"
        }
        _ => "`target = { metadata = \"dev.example/key\", … }`, or `argument`",
    };
    Exit::Config.error(format!(
        "{place}the policy puts its key into the header `{header}`, and what is sent to `{}`, which is a command, has no \
         headers: say in its `settings` where else the key goes, such as {cure}",
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
            assert_eq!(may_begin(glob, prefix), may, "{glob} {prefix}");
        }
    }
}
