//! `cargo xtask mcp-peers`: installs third-party MCP clients and servers, for the tests of the gateway.

use anyhow::Result;

use crate::{installed, workspace};

/// The cure where they cannot be installed.
const CURE: &str = "install Node 20 with npm and python3 with its modules venv and pip (Debian: `apt-get install nodejs npm \
                    python3-venv`), make sure that npm and pip reach their registries, then run `cargo xtask mcp-peers`";

/// Install the MCP clients and servers that tests talk to, at pinned versions, into target/mcp-peers.
#[derive(clap::Args)]
pub(crate) struct McpPeersArguments {}

pub(crate) fn run(_: &McpPeersArguments) -> Result<()> {
    prepare()
}

/// Installs what the tests need, unless it is there as it should be.
pub(crate) fn prepare() -> Result<()> {
    install_npm_peers("package-lock.json", "npm")?;
    // The conformance suite, with the newer Node that it needs.
    install_npm_peers("conformance/package-lock.json", "conformance")?;
    install_python_peers("requirements.txt", "py")?;
    // The agent frameworks want an older SDK than the one above.
    install_python_peers("agents.txt", "agents")
}

fn install_npm_peers(lock: &str, folder: &str) -> Result<()> {
    let lists = workspace::root().join("tests/mcp");
    installed::unless_there(
        &lists.join(lock),
        &workspace::mcp_peers().join(folder),
        installed::by_npm,
        CURE,
    )
}

fn install_python_peers(list: &str, folder: &str) -> Result<()> {
    let lists = workspace::root().join("tests/mcp");
    installed::unless_there(
        &lists.join(list),
        &workspace::mcp_peers().join(folder),
        installed::by_pip,
        CURE,
    )
}
