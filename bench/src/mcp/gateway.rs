//! The gateway as a program, and its starts before different servers.

use super::{http_process::HttpProcess, server, stdio::client::StdioClient};
use anyhow::Result;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A rate limit that is out of reach: it must not limit the measurement.
const CONFIG: &str = "[mcp]\nrequests_per_second_max = 1_000_000\n";

/// The program, with a ledger and a code cache of its own.
pub(super) struct GatewayProgram {
    semel: PathBuf,
    folder: PathBuf,
}

impl GatewayProgram {
    pub(super) fn new(semel: &Path, folder: &Path) -> Result<Self> {
        let gateway = Self {
            semel: semel.to_owned(),
            folder: folder.join("mcp"),
        };
        fs::create_dir_all(&gateway.folder)?;
        fs::write(gateway.folder.join("semel.toml"), CONFIG)?;
        // The first start compiles the policies into the cache.
        gateway.start_stdio()?;
        Ok(gateway)
    }

    /// Starts a gateway over the standard streams before a child server, and returns its client.
    pub(super) fn start_stdio(&self) -> Result<StdioClient> {
        let mut command = self.base_command();
        StdioClient::start(add_child_server(&mut command)?)
    }

    /// Starts a gateway over HTTP before a child server.
    pub(super) fn start_http_before_child(&self) -> Result<HttpProcess> {
        let mut command = self.base_command();
        HttpProcess::start(add_child_server(command.args(["--listen", "127.0.0.1:0"]))?)
    }

    /// Starts a gateway over HTTP before a server over HTTP.
    pub(super) fn start_http_before(&self, server: &HttpProcess) -> Result<HttpProcess> {
        let mut command = self.base_command();
        let url = format!("http://{}/mcp", server.address);
        HttpProcess::start(command.args([
            "--listen",
            "127.0.0.1:0",
            "--trust-hints",
            "yes",
            "--upstream",
            &url,
        ]))
    }

    fn base_command(&self) -> Command {
        let mut command = Command::new(&self.semel);
        command.env(
            "SEMEL_LEDGER",
            format!("sqlite:{}", self.folder.join("ledger.db").display()),
        );
        command
            .env("SEMEL_CACHE", self.folder.join("code"))
            .env("SEMEL_CONFIG", self.folder.join("semel.toml"));
        command.args(["mcp", "--name", "bench"]);
        command
    }
}

fn add_child_server(gateway: &mut Command) -> Result<&mut Command> {
    Ok(gateway
        .arg("--")
        .arg(std::env::current_exe()?)
        .arg(server::COMMAND))
}
