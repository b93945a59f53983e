//! A minimal MCP server.

pub(crate) mod http;

use anyhow::Result;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{BufRead, Write};

/// The first argument that makes this program such a server over the standard streams.
pub(crate) const COMMAND: &str = "serve-mcp";

const GREETING: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}"#;

const TOOLS: &str = r#"{"tools":[{"name":"pay","inputSchema":{"type":"object"}},{"name":"look","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"destructiveHint":false}}]}"#;

const DONE: &str =
    r#"{"content":[{"type":"text","text":"{\"id\":\"re_8812\",\"status\":\"succeeded\"}"}]}"#;

#[derive(Deserialize)]
struct RpcRequest<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
}

/// Serves over the standard streams until its input ends.
pub(crate) fn serve_stdio() -> Result<()> {
    let mut input = std::io::stdin().lock();
    let mut out = std::io::stdout().lock();
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        if let Some(mut answer) = answer_message(&line)? {
            answer.push('\n');
            out.write_all(answer.as_bytes())?;
            out.flush()?;
        }
        line.clear();
    }
    Ok(())
}

/// Returns the response to a message, or none for a notification.
fn answer_message(message: &str) -> Result<Option<String>> {
    let request: RpcRequest<'_> = serde_json::from_str(message)?;
    let result = match request.method {
        "initialize" => GREETING,
        "tools/list" => TOOLS,
        "tools/call" => DONE,
        _ => "{}",
    };
    Ok(request
        .id
        .map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)))
}
