//! `cargo xtask servers`: a Redis server for the tests of the ledgers on servers.

use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{installed, workspace};

/// The cure where it cannot be installed.
const CURE: &str = "install Redis 7.0 or newer with its tools, so that `redis-server` and `redis-cli` are found, or let \
                    `apt-get` reach its archive and run `cargo xtask servers`";

/// Unpack a Redis server into target/servers, where none is installed; as any user, and for the tests alone.
#[derive(clap::Args)]
pub(crate) struct ServersArguments {}

pub(crate) fn run(_: &ServersArguments) -> Result<()> {
    prepare()
}

/// Sees to it that the tests find a server.
pub(crate) fn prepare() -> Result<()> {
    if ["redis-server", "redis-cli"]
        .iter()
        .all(|program| is_installed(program))
    {
        return Ok(());
    }
    let list = workspace::root().join("tests/servers/debian.txt");
    installed::unless_there(&list, &workspace::servers(), unpack_archive, CURE)
}

fn is_installed(program: &str) -> bool {
    let mut version = Command::new(program);
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Unpacks the packages of the list. Nothing of the machine is changed.
fn unpack_archive(list: &Path, folder: &Path) -> Result<()> {
    let list = fs::read_to_string(list)?;
    let packages: Vec<&str> = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let downloads = folder.join("downloads");
    fs::create_dir_all(&downloads)?;
    if download_package(&packages, &downloads, &[]).is_err() {
        // The machine's own lists are missing or old, and may be its administrator's alone to bring up to date.
        let lists = folder.join("apt");
        let own = own_lists(&lists)?;
        apt_get(&own, &["update"], &downloads)?;
        download_package(&packages, &downloads, &own)?;
        fs::remove_dir_all(&lists)?;
    }
    for file in fs::read_dir(&downloads)? {
        let mut unpacking = Command::new("dpkg");
        unpacking.arg("--extract").arg(file?.path()).arg(folder);
        installed::run_quietly(&mut unpacking)?;
    }
    fs::remove_dir_all(&downloads)?;
    Ok(())
}

fn download_package(packages: &[&str], into: &Path, options: &[String]) -> Result<()> {
    apt_get(options, &[&["download"], packages].concat(), into)
}

fn apt_get(options: &[String], arguments: &[&str], folder: &Path) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.args(["--quiet=2", "--option=APT::Sandbox::User=root"])
        .args(options)
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null());
    let status = apt.status().context("cannot run `apt-get`")?;
    ensure!(status.success(), "`apt-get {}` failed", arguments.join(" "));
    Ok(())
}

/// The machine's sources, with lists in a folder of our own.
fn own_lists(folder: &Path) -> Result<Vec<String>> {
    fs::create_dir_all(folder.join("lists/partial"))?;
    fs::create_dir_all(folder.join("cache/archives/partial"))?;
    let places = [("Dir::State::Lists", "lists"), ("Dir::Cache", "cache")];
    Ok(places
        .map(|(name, part)| format!("--option={name}={}", folder.join(part).display()))
        .into())
}
