//! How the gateway is started.

use super::{listening::Listening, server, stdio::client::Client};
use anyhow::Result;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// More requests a second than can be made here: how many one tenant may make is not what is measured.
const CONFIGURATION: &str = "[mcp]\nrequests_per_second_max = 1_000_000\n";

/// The gateway as a program, with a ledger and compiled code of its own.
pub(super) struct Gateway {
    semel: PathBuf,
    folder: PathBuf,
}

impl Gateway {
    pub(super) fn new(semel: &Path, folder: &Path) -> Result<Self> {
        let gateway = Self {
            semel: semel.to_owned(),
            folder: folder.join("mcp"),
        };
        fs::create_dir_all(&gateway.folder)?;
        fs::write(gateway.folder.join("semel.toml"), CONFIGURATION)?;
        // Compiled code is kept from here on.
        gateway.client()?;
        Ok(gateway)
    }

    /// A client of the gateway over the standard streams, before a child that is the server.
    pub(super) fn client(&self) -> Result<Client> {
        let mut command = self.command();
        Client::start(before_a_child(&mut command)?)
    }

    /// The gateway over HTTP, before a child that is the server.
    pub(super) fn before_a_child(&self) -> Result<Listening> {
        let mut command = self.command();
        Listening::start(before_a_child(command.args(["--listen", "127.0.0.1:0"]))?)
    }

    /// The gateway over HTTP, before a server over HTTP.
    pub(super) fn before(&self, server: &Listening) -> Result<Listening> {
        let mut command = self.command();
        let url = format!("http://{}/mcp", server.address);
        Listening::start(command.args([
            "--listen",
            "127.0.0.1:0",
            "--trust-hints",
            "yes",
            "--upstream",
            &url,
        ]))
    }

    fn command(&self) -> Command {
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

fn before_a_child(gateway: &mut Command) -> Result<&mut Command> {
    Ok(gateway
        .arg("--")
        .arg(std::env::current_exe()?)
        .arg(server::WORD))
}
