//! The default name of a server. The name is part of the identity of its tools' operations, so it depends neither on the
//! launcher nor on the server's version.

use semel_config::McpPlace;
use std::path::Path;

/// Programs that start a server and are not servers themselves.
const LAUNCHERS: [&str; 15] = [
    "bun", "bunx", "deno", "docker", "env", "node", "npm", "npx", "pipx", "pnpm", "podman",
    "python", "uv", "uvx", "yarn",
];

/// Subcommands of launchers that come before the server.
const LAUNCHER_VERBS: [&str; 5] = ["dlx", "exec", "run", "tool", "x"];

/// Returns the name of a server that the operator did not name.
pub(super) fn default_name(place: &McpPlace) -> String {
    match place {
        McpPlace::Url(url) => name_from_url(url),
        McpPlace::Command(words) => name_from_command(words),
    }
}

/// Returns host, port and path of the URL.
fn name_from_url(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let rest = rest.get(..end).unwrap_or_default();
    // A user and password may change, and a name is shown.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.trim_end_matches('/').to_ascii_lowercase()
}

/// Returns the program's name, or the package or script that a launcher starts.
fn name_from_command(words: &[String]) -> String {
    let Some(program) = words.first() else {
        return String::new();
    };
    if !is_launcher(program) {
        return file_stem(program).to_owned();
    }
    let server = words.iter().find(|word| is_server(word)).unwrap_or(program);
    without_version(server).to_owned()
}

fn is_launcher(word: &str) -> bool {
    // `python3.11` is `python`.
    let name = file_stem(word).trim_end_matches(|char: char| char.is_ascii_digit() || char == '.');
    LAUNCHERS.contains(&name)
}

/// Returns true if a word of a launcher's command line is neither an option nor an environment variable nor a verb.
fn is_server(word: &str) -> bool {
    // `name==1.2` is a package with its version.
    let is_variable = word.contains('=') && !word.contains("==");
    !word.starts_with('-') && !is_variable && !is_launcher(word) && !LAUNCHER_VERBS.contains(&word)
}

fn file_stem(word: &str) -> &str {
    Path::new(word)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or(word)
}

/// Removes the version from `@scope/name@1.2`, `name==1.2` and `registry/name:1.2`.
fn without_version(word: &str) -> &str {
    let word = word.split("==").next().unwrap_or(word);
    let after_scope = word.rfind('/').map_or(0, |slash| slash + 1);
    // A first `@` begins a scope, and no version.
    let from = after_scope.max(1);
    let end = word
        .get(from..)
        .and_then(|name| name.find(['@', ':']))
        .map_or(word.len(), |end| from + end);
    word.get(..end).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_called_the_same_however_it_is_launched() {
        for (line, name) in [
            (
                "npx -y @modelcontextprotocol/server-filesystem@2026.8.31 /data",
                "@modelcontextprotocol/server-filesystem",
            ),
            ("/usr/bin/npx server-memory", "server-memory"),
            ("npm exec -- server-memory", "server-memory"),
            ("uvx mcp-server-git==1.2 --repository .", "mcp-server-git"),
            ("uv run server.py", "server.py"),
            ("python3.11 -m mcp_server_time", "mcp_server_time"),
            (
                "docker run -i --rm ghcr.io/mcp/git:latest",
                "ghcr.io/mcp/git",
            ),
            ("env A=1 node /opt/files/index.js", "/opt/files/index.js"),
            ("/opt/bin/bank-server --verbose", "bank-server"),
            ("node", "node"),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(name_from_command(&words), name, "{line}");
        }
    }

    #[test]
    fn an_endpoint_is_called_by_its_host_and_path() {
        assert_eq!(
            name_from_url("https://me@CRM.example:8443/mcp/?key=1"),
            "crm.example:8443/mcp"
        );
    }
}
