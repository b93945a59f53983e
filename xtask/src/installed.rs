//! Third-party programs that tests talk to: put into `target/` once, from lists that pin every version.
//!
//! INVARIANT: what was installed from a list is known by a copy of that list beside it, which is written last. So a half-made
//! folder is never taken for a whole one, a changed list installs again, and every other run needs no network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The interpreters that are tried, in this order.
const PYTHONS: &[&str] = &["python3.11", "python3"];

/// Installs what `list` pins into `folder`, unless it is there as it should be.
pub(crate) fn unless_there(
    list: &Path,
    folder: &Path,
    install: impl FnOnce(&Path, &Path) -> Result<()>,
    cure: &str,
) -> Result<()> {
    let written_last = folder.join("installed");
    if has_same_text(list, &written_last) {
        return Ok(());
    }
    eprintln!("installing into `{}`", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove `{}`", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    install(list, folder).map_err(|error| {
        anyhow::anyhow!(
            "`{}` cannot be installed: {error:#}; {cure}",
            list.display()
        )
    })?;
    fs::copy(list, &written_last)
        .with_context(|| format!("cannot write `{}`", written_last.display()))?;
    Ok(())
}

fn has_same_text(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

/// A list of Python packages, into an environment of its own.
pub(crate) fn by_pip(list: &Path, folder: &Path) -> Result<()> {
    run_quietly(
        Command::new(find_python()?)
            .args(["-m", "venv", "--clear"])
            .arg(folder),
    )?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--requirement",
    ];
    run_quietly(Command::new(folder.join("bin/python")).args(pip).arg(list))
}

/// The lock file of Node packages, as it lies beside its `package.json`. No script of theirs is run.
pub(crate) fn by_npm(lock: &Path, folder: &Path) -> Result<()> {
    for file in [lock.with_file_name("package.json"), lock.to_owned()] {
        let name = file.file_name().unwrap_or_default();
        fs::copy(&file, folder.join(name))
            .with_context(|| format!("cannot copy `{}`", file.display()))?;
    }
    let npm = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ];
    run_quietly(Command::new("npm").args(npm).current_dir(folder))
}

fn find_python() -> Result<PathBuf> {
    let works = |name: &&&str| {
        let mut version = Command::new(name);
        version
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    };
    match PYTHONS.iter().find(works) {
        Some(name) => Ok(PathBuf::from(name)),
        None => bail!("there is no Python among {}", PYTHONS.join(", ")),
    }
}

/// Runs it without its output: what it complains of goes to stderr.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let status = command
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
