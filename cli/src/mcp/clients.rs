//! The configurations of MCP clients: their paths, and the edit that puts this program before a server's command or takes
//! it away again.
//!
//! An edit keeps comments, order and layout. Absent: reading and writing files.

use clap::ValueEnum;
use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{Array, Object, ObjectProp, StringLit},
    common::Ranged,
    parse_to_ast,
};
use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

/// An MCP client with a known configuration format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum McpClient {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    Vscode,
}

impl McpClient {
    /// The member of the configuration that holds the servers.
    fn servers_member(self) -> &'static str {
        match self {
            Self::Vscode => "servers",
            Self::ClaudeDesktop | Self::ClaudeCode | Self::Cursor => "mcpServers",
        }
    }

    /// The path of the configuration: the project's in `working_folder` if it exists, else the user's.
    pub(super) fn config_path(self, working_folder: &Path, home: &Path) -> PathBuf {
        let settings = if cfg!(target_os = "macos") {
            "Library/Application Support"
        } else {
            ".config"
        };
        let (of_project, of_user) = match self {
            Self::ClaudeDesktop => (
                None,
                format!("{settings}/Claude/claude_desktop_config.json"),
            ),
            Self::ClaudeCode => (Some(".mcp.json"), ".claude.json".to_owned()),
            Self::Cursor => (Some(".cursor/mcp.json"), ".cursor/mcp.json".to_owned()),
            Self::Vscode => (
                Some(".vscode/mcp.json"),
                format!("{settings}/Code/User/mcp.json"),
            ),
        };
        match of_project.map(|path| working_folder.join(path)) {
            Some(path) if path.exists() => path,
            _ => home.join(of_user),
        }
    }
}

/// An edit of a configuration.
#[derive(Debug, Clone, Copy)]
pub(super) enum ConfigEdit<'a> {
    /// Put this program before each server's command.
    Wrap { program: &'a str },
    /// Take this program away again.
    Unwrap,
}

/// The result of an edit for one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerResult {
    Guarded,
    AlreadyGuarded,
    Unguarded,
    AlreadyUnguarded,
    /// The server has no command to put anything before.
    Endpoint,
    /// The entry is not an object.
    UnknownEntry,
}

impl fmt::Display for ServerResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guarded => "is guarded from now on",
            Self::AlreadyGuarded => "is guarded already",
            Self::Unguarded => "is no longer guarded",
            Self::AlreadyUnguarded => "is not guarded, and stays unchanged",
            Self::Endpoint => {
                "is an endpoint without a command, and stays unchanged: see `semel mcp --upstream`"
            }
            Self::UnknownEntry => "is not a server, and stays unchanged",
        })
    }
}

/// A configuration after an edit.
#[derive(Debug)]
pub(super) struct EditedConfig {
    pub(super) text: String,
    /// The result for each server that the edit was about, by its name.
    pub(super) servers: Vec<(String, ServerResult)>,
}

/// A replacement in a text: the range, and the text that replaces it.
type Replacement = (Range<usize>, String);

/// Edits every server of a configuration, or only the one named `only`.
pub(super) fn edit_config(
    text: &str,
    client: McpClient,
    only: Option<&str>,
    edit: ConfigEdit<'_>,
) -> Result<EditedConfig, String> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default())
        .map_err(|error| format!("not valid JSON ({error}): correct it first"))?;
    let member = client.servers_member();
    let entries = parsed
        .value
        .as_ref()
        .and_then(|root| root.as_object()?.get_object(member))
        .ok_or_else(|| format!("it has no `{member}`: set up a server in the client first"))?;
    let mut servers = Vec::new();
    let mut replacements = Vec::new();
    for property in &entries.properties {
        let server = property.name.as_str();
        if only.is_some_and(|only| only != server) {
            continue;
        }
        let result = match property.value.as_object() {
            Some(entry) => edit_entry(text, entry, server, edit, &mut replacements)?,
            None => ServerResult::UnknownEntry,
        };
        servers.push((server.to_owned(), result));
    }
    if let Some(only) = only
        && servers.is_empty()
    {
        return Err(format!("it has no server `{only}`"));
    }
    Ok(EditedConfig {
        text: apply_replacements(text, replacements),
        servers,
    })
}

fn apply_replacements(text: &str, mut replacements: Vec<Replacement>) -> String {
    replacements.sort_by_key(|(range, _)| range.start);
    let mut edited = String::new();
    let mut from = 0;
    for (range, new) in replacements {
        edited.push_str(text.get(from..range.start).unwrap_or_default());
        edited.push_str(&new);
        from = range.end;
    }
    edited + text.get(from..).unwrap_or_default()
}

fn edit_entry(
    text: &str,
    entry: &Object<'_>,
    server: &str,
    edit: ConfigEdit<'_>,
    replacements: &mut Vec<Replacement>,
) -> Result<ServerResult, String> {
    let Some(command) = entry.get_string("command") else {
        return Ok(ServerResult::Endpoint);
    };
    let args = entry.get_array("args");
    if entry.get("args").is_some() && args.is_none() {
        return Err(format!(
            "the `args` of `{server}` are not a list: correct them first"
        ));
    }
    let words = string_elements(args).ok_or_else(|| {
        format!("the `args` of `{server}` are not all strings: correct them first")
    })?;
    match (edit, own_word_count(&command.value, &words)) {
        (ConfigEdit::Wrap { .. }, Some(_)) => Ok(ServerResult::AlreadyGuarded),
        (ConfigEdit::Wrap { program }, None) => {
            replacements.push((to_range(&command.range), quote(program)));
            replacements.push(wrap_args(text, command, args, server));
            Ok(ServerResult::Guarded)
        }
        (ConfigEdit::Unwrap, None) => Ok(ServerResult::AlreadyUnguarded),
        (ConfigEdit::Unwrap, Some(count)) => {
            let original_command = words.get(count).ok_or_else(|| {
                format!("`{server}` is guarded, but has no command after `--`: write it there")
            })?;
            replacements.push((to_range(&command.range), quote(original_command)));
            if let Some(args) = entry.get("args") {
                replacements.extend(unwrap_args(text, command, args, count));
            }
            Ok(ServerResult::Unguarded)
        }
    }
}

/// Returns the replacement that puts this program's arguments and the server's command before the arguments.
fn wrap_args(
    text: &str,
    command: &StringLit<'_>,
    args: Option<&Array<'_>>,
    server: &str,
) -> Replacement {
    let words = ["mcp", "--name", server, "--", &command.value]
        .map(quote)
        .join(", ");
    let Some(args) = args else {
        let after_command = command.range.end..command.range.end;
        return (after_command, format!(", \"args\": [{words}]"));
    };
    let inside = args.range.start + 1;
    let Some(first) = args.elements.first().map(|first| first.range().start) else {
        return (inside..inside, words);
    };
    // If the arguments are on lines of their own, the first of them stays on its line.
    let gap = text
        .get(inside..first)
        .filter(|gap| gap.contains('\n') && gap.trim().is_empty());
    (first..first, format!("{words},{}", gap.unwrap_or(" ")))
}

/// Returns the replacement that removes exactly what [`wrap_args`] inserted.
fn unwrap_args(
    text: &str,
    command: &StringLit<'_>,
    args: &ObjectProp<'_>,
    own_count: usize,
) -> Option<Replacement> {
    let elements = &args.value.as_array()?.elements;
    let first = elements.first()?.range().start;
    // The element at `own_count` is the server's command, which goes back to `command`.
    if let Some(rest) = elements.get(own_count + 1) {
        return Some((first..rest.range().start, String::new()));
    }
    // A server that had no arguments had no `args`, either.
    let follows_command = text.get(command.range.end..args.range.start) == Some(", ");
    let range = if follows_command {
        command.range.end..args.range.end
    } else {
        first..elements.last()?.range().end
    };
    Some((range, String::new()))
}

fn to_range(range: &jsonc_parser::common::Range) -> Range<usize> {
    range.start..range.end
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns the elements of a list of strings, or none if one of them is not a string.
fn string_elements(list: Option<&Array<'_>>) -> Option<Vec<String>> {
    let elements = list.map_or(&[][..], |list| &list.elements);
    elements
        .iter()
        .map(|element| Some(element.as_string_lit()?.value.clone().into_owned()))
        .collect()
}

/// Returns the number of arguments up to `--` that are this program's own, or none if the command is another program.
fn own_word_count(command: &str, words: &[String]) -> Option<usize> {
    let program = Path::new(command).file_stem()?;
    if program != "semel" || words.first()? != "mcp" {
        return None;
    }
    let separator = words.iter().position(|word| word == "--")?;
    Some(separator + 1)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const CONFIG: &str = r#"{
  // Mine.
  "theme": "dark",
  "mcpServers": {
    "files": {
      "command": "npx", // with Node
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/data"],
      "env": { "A": "1" }
    },
    "bare": { "command": "bank-server" },
    "empty": { "args": [], "command": "x" },
    "lines": {
      "command": "node",
      "args": [
        "server.js" // Ours.
      ]
    },
    "far": { "url": "https://example.org/mcp" },
  },
}
"#;

    fn wrap(text: &str, only: Option<&str>) -> EditedConfig {
        edit_config(
            text,
            McpClient::Cursor,
            only,
            ConfigEdit::Wrap {
                program: "/usr/bin/semel",
            },
        )
        .unwrap()
    }

    #[test]
    fn servers_are_wrapped_and_everything_else_stays() {
        insta::assert_snapshot!(wrap(CONFIG, None).text);
        let results: Vec<_> = wrap(CONFIG, None)
            .servers
            .iter()
            .map(|(server, result)| format!("{server} {result}"))
            .collect();
        insta::assert_snapshot!(results.join("\n"));
    }

    #[test]
    fn what_is_wrapped_stays_so_and_comes_back_as_it_was() {
        let once = wrap(CONFIG, None).text;
        assert_eq!(wrap(&once, None).text, once);
        assert_eq!(
            edit_config(&once, McpClient::Cursor, None, ConfigEdit::Unwrap)
                .unwrap()
                .text,
            CONFIG
        );
        assert_eq!(
            edit_config(CONFIG, McpClient::Cursor, None, ConfigEdit::Unwrap)
                .unwrap()
                .text,
            CONFIG
        );
    }

    #[test]
    fn one_server_is_wrapped_alone() {
        let one = wrap(CONFIG, Some("bare"));
        assert_eq!(one.servers.len(), 1);
        assert!(one.text.contains(r#""command": "npx", // with Node"#));
    }

    #[test]
    fn an_unusable_configuration_is_refused_with_its_mistake() {
        let mistake = |text: &str, only| {
            edit_config(text, McpClient::Vscode, only, ConfigEdit::Unwrap).unwrap_err()
        };
        insta::assert_snapshot!(
            [
                mistake("{", None),
                mistake("[]", None),
                mistake(r#"{"servers": {}}"#, Some("x")),
                mistake(r#"{"servers": {"x": {"command": "a", "args": "b"}}}"#, None),
                mistake(r#"{"servers": {"x": {"command": "a", "args": [1]}}}"#, None),
                mistake(
                    r#"{"servers": {"x": {"command": "semel", "args": ["mcp", "--"]}}}"#,
                    None
                ),
            ]
            .join("\n")
        );
    }
}
