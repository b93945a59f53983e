//! What clients say.

use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicU64, Ordering};

/// The version of the protocol that they speak.
pub(super) const VERSION: &str = "2025-11-25";

pub(super) const INITIALIZE: &str = r#""initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}"#;
pub(super) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
pub(super) const LIST: &str = r#""tools/list""#;

/// The tools of the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tool {
    /// Takes effect: the gateway records it.
    Pay,
    /// Only reads: the gateway passes it.
    Look,
}

impl Tool {
    /// A new call.
    pub(super) fn call(self) -> String {
        let id = fresh();
        let name = self.name();
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{{"order":{id},"to":"ACME","amount":"129.90","note":"as agreed on the phone"}}}}}}"#,
        )
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Look => "look",
        }
    }
}

/// A request of this method.
pub(super) fn request(method_and_params: &str) -> String {
    let id = fresh();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method_and_params}}}"#)
}

/// A number that no client of this process has used.
fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// An answer that is what was asked for, and not the one to another call.
pub(super) fn check(answer: &str) -> Result<()> {
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
