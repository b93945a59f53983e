//! Finds a compiler for WebAssembly: the installed target, else what rustup can add, else Debian's packages.
//!
//! Nothing here is written into `rust-toolchain.toml`: where no target can be downloaded every cargo call would fail.

mod debian;

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::TARGET;
use crate::workspace;

/// The time that rustup has to add the target before Debian's packages are tried.
const RUSTUP_LIMIT: Duration = Duration::from_secs(20);

/// The time between two polls of a running rustup.
const POLL: Duration = Duration::from_millis(100);

/// The origin of a compiler for WebAssembly.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CompilerSource {
    /// The compiler in use, its target added by rustup where it is missing
    Rustup,
    /// The packages of Debian, which also carry the sources of the standard library
    Debian,
}

/// A compiler that can build guests.
pub(super) enum Toolchain {
    /// The compiler in use has the target.
    Installed,
    /// The compiler in use has it now: rustup added it.
    Added,
    /// Debian's compiler, which builds the standard library along.
    Debian(debian::DebianCompiler),
}

impl Toolchain {
    /// Makes a cargo call use this compiler.
    pub(super) fn apply(&self, cargo: &mut Command) {
        if let Self::Debian(compiler) = self {
            compiler.apply(cargo);
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => write!(f, "the installed target {TARGET}"),
            Self::Added => write!(f, "the target {TARGET}, added by rustup just now"),
            Self::Debian(compiler) => write!(f, "{compiler}"),
        }
    }
}

/// The first compiler that works, or the one from `source`.
pub(super) fn find_toolchain(source: Option<CompilerSource>) -> Result<Toolchain> {
    match source {
        Some(CompilerSource::Rustup) => by_rustup().context("no target for guests"),
        Some(CompilerSource::Debian) => debian::find_compiler().map(Toolchain::Debian),
        None => first_working(),
    }
}

fn first_working() -> Result<Toolchain> {
    if has_target() {
        return Ok(Toolchain::Installed);
    }
    let memory = failure_memory();
    let rustup = match fs::read_to_string(&memory) {
        Ok(reason) if debian::is_installed() => Err(anyhow::anyhow!(
            "{reason} (remembered in `{}`)",
            memory.display()
        )),
        _ => by_rustup(),
    };
    let reason = match rustup {
        Ok(toolchain) => return Ok(toolchain),
        Err(error) => format!("{error:#}"),
    };
    eprintln!("no target from rustup: {reason}; trying the packages of Debian");
    let compiler = debian::find_compiler()
        .with_context(|| format!("rustup could not add {TARGET}: {reason}"))?;
    remember_failure(&reason)?;
    Ok(Toolchain::Debian(compiler))
}

/// The file that remembers a failed rustup, so that not every build waits for it again.
fn failure_memory() -> PathBuf {
    workspace::guest_target().join("rustup-cannot-add-the-target")
}

fn remember_failure(reason: &str) -> Result<()> {
    let memory = failure_memory();
    if !memory.exists() {
        fs::create_dir_all(workspace::guest_target())?;
        fs::write(memory, reason)?;
    }
    Ok(())
}

/// Returns true if the compiler in use has the standard library of the target.
fn has_target() -> bool {
    output_of("rustc", &["--print", "target-libdir", "--target", TARGET])
        .and_then(|folder| fs::read_dir(folder).ok())
        .is_some_and(|mut files| files.any(|file| is_core(&file)))
}

fn is_core(file: &std::io::Result<fs::DirEntry>) -> bool {
    file.as_ref()
        .is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
}

fn by_rustup() -> Result<Toolchain> {
    if has_target() {
        return Ok(Toolchain::Installed);
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]).stdin(Stdio::null());
    run_within(&mut rustup, RUSTUP_LIMIT)?;
    anyhow::ensure!(
        has_target(),
        "`rustup target add {TARGET}` ended well, but the compiler in use has no such target"
    );
    Ok(Toolchain::Added)
}

/// Runs a command to its end, or kills it when its time is over.
fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start `{name}`"))?;
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            anyhow::ensure!(status.success(), "`{name}` failed ({status})");
            return Ok(());
        }
        thread::sleep(POLL);
    }
    child.kill()?;
    child.wait()?;
    anyhow::bail!("`{name}` took longer than {} s", limit.as_secs())
}

/// Returns the trimmed output of a command, if it succeeds.
fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let start = Instant::now();
        let outcome = run_within(Command::new("sleep").arg("30"), Duration::from_millis(200));
        assert!(outcome.is_err());
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_command_that_fails_is_no_success() {
        assert!(run_within(&mut Command::new("false"), RUSTUP_LIMIT).is_err());
        assert!(run_within(&mut Command::new("true"), RUSTUP_LIMIT).is_ok());
    }
}
