//! `cargo xtask mcp-peers`: installs MCP clients and servers that nobody here wrote, for the tests of the gateway.

use anyhow::Result;

use crate::{installed, workspace};

/// What to do where they cannot be installed.
const CURE: &str = "install Node 20 with npm and python3 with its modules venv and pip (Debian: `apt-get install nodejs npm \
                    python3-venv`), make sure that npm and pip reach their registries, then run `cargo xtask mcp-peers`";

/// Install the MCP clients and servers that tests talk to, at pinned versions, into target/mcp-peers.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Result<()> {
    prepare()
}

/// Installs what the tests need, unless it is there as it should be.
pub(crate) fn prepare() -> Result<()> {
    npm("package-lock.json", "npm")?;
    // The conformance suite, with the newer Node that it needs.
    npm("conformance/package-lock.json", "conformance")?;
    pip("requirements.txt", "py")?;
    // The agent frameworks want an older SDK than the one above.
    pip("agents.txt", "agents")
}

fn npm(lock: &str, folder: &str) -> Result<()> {
    let lists = workspace::root().join("tests/mcp");
    installed::unless_there(
        &lists.join(lock),
        &workspace::mcp_peers().join(folder),
        installed::by_npm,
        CURE,
    )
}

fn pip(list: &str, folder: &str) -> Result<()> {
    let lists = workspace::root().join("tests/mcp");
    installed::unless_there(
        &lists.join(list),
        &workspace::mcp_peers().join(folder),
        installed::by_pip,
        CURE,
    )
}
