//! Folders of this workspace.
//!
//! Everything here hangs on the folder of the workspace, never on the present one or on `CARGO_TARGET_DIR`: a
//! build script has to find the built policies without any setting.

use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The folder in which `semel-policies` finds the ready-made policies.
pub(crate) fn built_policies() -> PathBuf {
    root().join("target/policies")
}

/// The target directory of guests: apart, so that host and guests never rebuild each other's dependencies.
pub(crate) fn guest_target() -> PathBuf {
    root().join("target/guests")
}

/// The folder of installed third-party MCP clients and servers.
pub(crate) fn mcp_peers() -> PathBuf {
    root().join("target/mcp-peers")
}

/// The folder of unpacked third-party servers.
pub(crate) fn servers() -> PathBuf {
    root().join("target/servers")
}
