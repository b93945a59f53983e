//! What a server is called that nobody named. The name is part of the identity of what its tools do, so it must not depend on
//! how a server is launched, nor on its version.

use semel_config::McpPlace;
use std::path::Path;

/// What starts servers and is none.
const LAUNCHERS: [&str; 15] = [
    "bun", "bunx", "deno", "docker", "env", "node", "npm", "npx", "pipx", "pnpm", "podman",
    "python", "uv", "uvx", "yarn",
];

/// What a launcher is told to do with a server.
const VERBS: [&str; 5] = ["dlx", "exec", "run", "tool", "x"];

/// The name of the server in this place.
pub(super) fn of(place: &McpPlace) -> String {
    match place {
        McpPlace::Url(url) => of_url(url),
        McpPlace::Command(words) => of_command(words),
    }
}

fn of_url(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let rest = rest.get(..end).unwrap_or_default();
    // A password is no part of a name.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.trim_end_matches('/').to_ascii_lowercase()
}

fn of_command(words: &[String]) -> String {
    let launches = |word: &str| {
        LAUNCHERS.contains(
            &stem(word).trim_end_matches(|char: char| char.is_ascii_digit() || char == '.'),
        )
    };
    match words.iter().position(|word| !launches(word)) {
        Some(0) => stem(words.first().map_or("", String::as_str)).to_owned(),
        _ => {
            let is_server = |word: &&String| {
                let is_variable = word.contains('=') && !word.contains("==");
                !word.starts_with('-')
                    && !is_variable
                    && !launches(word)
                    && !VERBS.contains(&word.as_str())
            };
            let server = words.iter().find(is_server).or(words.first());
            server.map_or_else(String::new, |word| without_version(word).to_owned())
        }
    }
}

fn stem(word: &str) -> &str {
    Path::new(word)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or(word)
}

/// `@scope/name@1.2`, `name==1.2`, `registry/name:1.2`.
fn without_version(word: &str) -> &str {
    let word = word.split("==").next().unwrap_or(word);
    let after_scope = word.rfind('/').map_or(0, |slash| slash + 1);
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
        let named =
            |line: &str| of_command(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
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
            assert_eq!(named(line), name, "{line}");
        }
    }

    #[test]
    fn an_endpoint_is_called_by_its_host_and_path() {
        assert_eq!(
            of_url("https://me@CRM.example:8443/mcp/?key=1"),
            "crm.example:8443/mcp"
        );
    }
}
