//! The messages of the clients.

use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicU64, Ordering};

/// The protocol version of the clients.
pub(super) const VERSION: &str = "2025-11-25";

pub(super) const INITIALIZE: &str = r#""initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}"#;
pub(super) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
pub(super) const LIST_TOOLS: &str = r#""tools/list""#;

/// The tools of the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum BenchTool {
    /// Takes effect: the gateway records it.
    Pay,
    /// Only reads: the gateway passes it.
    Look,
}

impl BenchTool {
    /// Returns a call that was not made before.
    pub(super) fn new_call(self) -> String {
        let id = next_id();
        let name = self.tool_name();
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{{"order":{id},"to":"ACME","amount":"129.90","note":"as agreed on the phone"}}}}}}"#,
        )
    }

    fn tool_name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Look => "look",
        }
    }
}

/// Returns a request with this method.
pub(super) fn new_request(method_and_params: &str) -> String {
    let id = next_id();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method_and_params}}}"#)
}

/// Returns a number that no client of this process has used.
fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Fails unless the answer is a result of an executed call.
pub(super) fn check_answer(answer: &str) -> Result<()> {
    let answer = answer.trim_end();
    ensure!(
        answer.contains(r#""result""#),
        "the server answered `{answer}`"
    );
    ensure!(
        !answer.contains(r#""isError":true"#),
        "the call failed: `{answer}`"
    );
    ensure!(
        !answer.contains("replayed"),
        "the call was not executed: `{answer}`"
    );
    Ok(())
}
