//! `cargo xtask localstripe`: installs localstripe, a fake of Stripe that somebody else wrote, for the tests that need it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// The interpreters that are tried, in this order.
const PYTHONS: &[&str] = &["python3.11", "python3"];

/// What to do where it cannot be installed.
const CURE: &str = "install python3 with its modules venv and pip (Debian: `apt-get install python3-venv`), make sure that \
                    pip reaches PyPI, then run `cargo xtask localstripe`";

/// Install localstripe, at pinned versions, into target/localstripe.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Result<()> {
    prepare()
}

/// Installs it, unless it is there as it should be.
pub(crate) fn prepare() -> Result<()> {
    let wanted = workspace::root().join("tests/localstripe/requirements.txt");
    let folder = workspace::root().join("target/localstripe");
    // Copied once all is installed, so that a half-made folder is never taken for a whole one.
    let installed = folder.join("requirements.txt");
    if same(&wanted, &installed) {
        return Ok(());
    }
    eprintln!("installing localstripe into `{}`", folder.display());
    install(&wanted, &folder).map_err(|error| anyhow::anyhow!("localstripe cannot be installed: {error:#}; {CURE}"))?;
    fs::copy(&wanted, &installed).with_context(|| format!("cannot write `{}`", installed.display()))?;
    Ok(())
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

fn install(wanted: &Path, folder: &Path) -> Result<()> {
    quietly(Command::new(python()?).args(["-m", "venv", "--clear"]).arg(folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"];
    quietly(Command::new(folder.join("bin/python")).args(pip).arg(wanted))
}

fn python() -> Result<PathBuf> {
    let works = |name: &&&str| {
        let mut version = Command::new(name);
        version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    };
    match PYTHONS.iter().find(works) {
        Some(name) => Ok(PathBuf::from(name)),
        None => bail!("there is none of {}", PYTHONS.join(", ")),
    }
}

/// Runs it with its output on stderr, which is for talk.
fn quietly(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
