//! The configurations of MCP clients: where they are, and how a server's command in one is wrapped and unwrapped.
//!
//! A configuration is changed where it must be, and nowhere else: comments, order and layout stay. Nothing here reads or
//! writes a file.

use clap::ValueEnum;
use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{Array, Object, ObjectProp, StringLit},
    common::Ranged,
    parse_to_ast,
};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};

/// A client whose configuration is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    Vscode,
}

impl Client {
    /// The member that holds the servers.
    fn member(self) -> &'static str {
        if self == Self::Vscode {
            "servers"
        } else {
            "mcpServers"
        }
    }

    /// Where its configuration is: that of the project in the working folder, where there is one, else the user's.
    pub(super) fn place(self, folder: &Path, home: &Path) -> PathBuf {
        let settings = if cfg!(target_os = "macos") {
            "Library/Application Support"
        } else {
            ".config"
        };
        let (project, users) = match self {
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
        let project = project
            .map(|project| folder.join(project))
            .filter(|project| project.exists());
        project.unwrap_or_else(|| home.join(users))
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change<'a> {
    /// This program stands before each server.
    Wrap { program: &'a str },
    /// It no longer does.
    Unwrap,
}

/// What became of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) server: String,
    pub(super) what: &'static str,
}

/// A configuration as it is to be.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) text: String,
    pub(super) told: Vec<Told>,
}

/// A change of a text: what stands there, and what is to.
type Splice = (Range<usize>, String);

/// The configuration with each server changed, or with this one alone.
pub(super) fn changed(
    text: &str,
    client: Client,
    only: Option<&str>,
    change: Change<'_>,
) -> Result<Changed, String> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default())
        .map_err(|error| format!("it is no JSON ({error}): correct it first"))?;
    let member = client.member();
    let servers = parsed
        .value
        .as_ref()
        .and_then(|all| all.as_object()?.get_object(member));
    let servers = servers
        .ok_or_else(|| format!("it has no `{member}`: set a server up in the client first"))?;
    let mut told = Vec::new();
    let mut splices = Vec::new();
    for property in &servers.properties {
        let server = property.name.as_str();
        if only.is_some_and(|only| only != server) {
            continue;
        }
        let what = match property.value.as_object() {
            Some(entry) => change_entry(text, entry, server, change, &mut splices)?,
            None => "is no server, and is left as it is",
        };
        told.push(Told {
            server: server.to_owned(),
            what,
        });
    }
    match only.filter(|_| told.is_empty()) {
        Some(only) => Err(format!("it has no server `{only}`")),
        None => Ok(Changed {
            text: spliced(text, splices),
            told,
        }),
    }
}

fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|(range, _)| range.start);
    let mut whole = String::new();
    let mut from = 0;
    for (range, new) in splices {
        whole.push_str(text.get(from..range.start).unwrap_or_default());
        whole.push_str(&new);
        from = range.end;
    }
    whole + text.get(from..).unwrap_or_default()
}

fn change_entry(
    text: &str,
    entry: &Object<'_>,
    server: &str,
    change: Change<'_>,
    splices: &mut Vec<Splice>,
) -> Result<&'static str, String> {
    let Some(command) = entry.get_string("command") else {
        return Ok(
            "has no command (it is an endpoint), and is left as it is: see `semel mcp --upstream`",
        );
    };
    let args = entry.get_array("args");
    if entry.get("args").is_some() && args.is_none() {
        return Err(format!(
            "the `args` of `{server}` are no list: correct them first"
        ));
    }
    let words = words(args)
        .ok_or_else(|| format!("the `args` of `{server}` are no texts: correct them first"))?;
    match (change, own_words(&command.value, &words)) {
        (Change::Wrap { .. }, Some(_)) => Ok("is guarded already"),
        (Change::Wrap { program }, None) => {
            splices.push((place(&command.range), quoted(program)));
            splices.push(wrap(text, command, args, server));
            Ok("is guarded from now on")
        }
        (Change::Unwrap, None) => Ok("is not guarded, and is left as it is"),
        (Change::Unwrap, Some(own)) => {
            let gone = || {
                format!(
                    "`{server}` is guarded, and its own command is missing: write it after `--`"
                )
            };
            let own_command = words.get(own).ok_or_else(gone)?;
            splices.push((place(&command.range), quoted(own_command)));
            splices.extend(
                entry
                    .get("args")
                    .and_then(|args| unwrap(text, command, args, own)),
            );
            Ok("is no longer guarded")
        }
    }
}

/// Puts this program's arguments and the server's command before the arguments.
fn wrap(text: &str, command: &StringLit<'_>, args: Option<&Array<'_>>, server: &str) -> Splice {
    let words = ["mcp", "--name", server, "--", &command.value]
        .map(quoted)
        .join(", ");
    let Some(args) = args else {
        return (
            command.range.end..command.range.end,
            format!(", \"args\": [{words}]"),
        );
    };
    let inside = args.range.start + 1;
    match args.elements.first().map(|first| first.range().start) {
        None => (inside..inside, words),
        Some(first) => {
            // Where the arguments stand on lines of their own, the first of them still does.
            let gap = text
                .get(inside..first)
                .filter(|gap| gap.contains('\n') && gap.trim().is_empty());
            (first..first, format!("{words},{}", gap.unwrap_or(" ")))
        }
    }
}

/// Takes that away again: exactly what was put there.
fn unwrap(
    text: &str,
    command: &StringLit<'_>,
    args: &ObjectProp<'_>,
    own: usize,
) -> Option<Splice> {
    let elements = &args.value.as_array()?.elements;
    let first = elements.first()?.range().start;
    if let Some(rest) = elements.get(own + 1) {
        return Some((first..rest.range().start, String::new()));
    }
    let follows = text.get(command.range.end..args.range.start) == Some(", ");
    let from = if follows {
        command.range.end..args.range.end
    } else {
        first..elements.last()?.range().end
    };
    Some((from, String::new()))
}

fn place(range: &jsonc_parser::common::Range) -> Range<usize> {
    range.start..range.end
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The arguments. None: some is no text.
fn words(args: Option<&Array<'_>>) -> Option<Vec<String>> {
    let elements = args.map_or(&[][..], |args| &args.elements);
    elements
        .iter()
        .map(|element| Some(element.as_string_lit()?.value.clone().into_owned()))
        .collect()
}

/// How many of the arguments are this program's own, if the command is this program.
fn own_words(command: &str, words: &[String]) -> Option<usize> {
    let is_own = Path::new(command)
        .file_stem()
        .is_some_and(|stem| stem == "semel");
    let is_ours = is_own && words.first().is_some_and(|word| word == "mcp");
    words
        .iter()
        .position(|word| word == "--")
        .filter(|_| is_ours)
        .map(|place| place + 1)
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

    fn wrapped(text: &str, only: Option<&str>) -> Changed {
        changed(
            text,
            Client::Cursor,
            only,
            Change::Wrap {
                program: "/usr/bin/semel",
            },
        )
        .unwrap()
    }

    #[test]
    fn servers_are_wrapped_and_everything_else_stays() {
        insta::assert_snapshot!(wrapped(CONFIG, None).text);
        let told: Vec<_> = wrapped(CONFIG, None)
            .told
            .iter()
            .map(|told| format!("{} {}", told.server, told.what))
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn what_is_wrapped_stays_so_and_comes_back_as_it_was() {
        let once = wrapped(CONFIG, None).text;
        assert_eq!(wrapped(&once, None).text, once);
        assert_eq!(
            changed(&once, Client::Cursor, None, Change::Unwrap)
                .unwrap()
                .text,
            CONFIG
        );
        assert_eq!(
            changed(CONFIG, Client::Cursor, None, Change::Unwrap)
                .unwrap()
                .text,
            CONFIG
        );
    }

    #[test]
    fn one_server_is_wrapped_alone() {
        let one = wrapped(CONFIG, Some("bare"));
        assert_eq!(one.told.len(), 1);
        assert!(one.text.contains(r#""command": "npx", // with Node"#));
    }

    #[test]
    fn what_cannot_be_changed_is_told() {
        let fault =
            |text: &str, only| changed(text, Client::Vscode, only, Change::Unwrap).unwrap_err();
        insta::assert_snapshot!(
            [
                fault("{", None),
                fault("[]", None),
                fault(r#"{"servers": {}}"#, Some("x")),
                fault(r#"{"servers": {"x": {"command": "a", "args": "b"}}}"#, None),
                fault(r#"{"servers": {"x": {"command": "a", "args": [1]}}}"#, None),
                fault(
                    r#"{"servers": {"x": {"command": "semel", "args": ["mcp", "--"]}}}"#,
                    None
                ),
            ]
            .join("\n")
        );
    }
}
