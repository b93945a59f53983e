//! Debian's compiler: it has no WebAssembly target either, but carries the sources to build one.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{TARGET, output_of};

const RUSTC: &str = "/usr/bin/rustc";

const PACKAGES: &[&str] = &["rustc-web", "rust-web-src", "libstd-rust-web-dev"];

/// Debian's compiler, and a linker for WebAssembly.
pub(in crate::guests) struct DebianCompiler {
    version: String,
    linker: PathBuf,
}

impl DebianCompiler {
    pub(super) fn apply(&self, cargo: &mut Command) {
        cargo
            .env("RUSTC", RUSTC)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker)
            .arg("-Zbuild-std=std,panic_abort");
    }
}

impl fmt::Display for DebianCompiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Debian's {}, which builds the standard library for {TARGET} along",
            self.version
        )
    }
}

/// Returns true if the packages are installed.
pub(super) fn is_installed() -> bool {
    std_sources().is_some_and(|sources| sources.is_file())
}

/// Debian's compiler, installed where it is missing.
pub(super) fn find_compiler() -> Result<DebianCompiler> {
    if !is_installed() {
        install_packages()?;
    }
    ensure!(
        is_installed(),
        "Debian's packages are installed, but `{RUSTC}` has no sources of the standard library"
    );
    let version =
        output_of(RUSTC, &["--version"]).with_context(|| format!("`{RUSTC}` does not run"))?;
    Ok(DebianCompiler {
        version,
        linker: wasm_linker()?,
    })
}

/// A file that only `rust-web-src` brings.
fn std_sources() -> Option<PathBuf> {
    let sysroot = output_of(RUSTC, &["--print", "sysroot"])?;
    Some(Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml"))
}

/// The linker that comes with the compiler in use: Debian's packages have none for WebAssembly.
fn wasm_linker() -> Result<PathBuf> {
    let sysroot = output_of("rustc", &["--print", "sysroot"]).context("`rustc` does not run")?;
    let libraries = Path::new(&sysroot).join("lib/rustlib");
    std::fs::read_dir(&libraries)
        .with_context(|| format!("cannot list `{}`", libraries.display()))?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/rust-lld")))
        .find(|linker| linker.is_file())
        .with_context(|| {
            format!(
                "no `rust-lld` under `{}`: install Rust by rustup",
                libraries.display()
            )
        })
}

fn install_packages() -> Result<()> {
    let packages = PACKAGES.join(" ");
    let cure = format!(
        "run `rustup target add {TARGET}`, or, as root on Debian, `apt-get install {packages}`"
    );
    if !is_root() || output_of("apt-get", &["--version"]).is_none() {
        bail!("there is no compiler for WebAssembly: {cure}");
    }
    eprintln!("installing {packages}");
    let arguments = [&["install", "-y", "--no-install-recommends"], PACKAGES].concat();
    if apt_get(&arguments) {
        return Ok(());
    }
    ensure!(
        apt_get(&["update"]) && apt_get(&arguments),
        "`apt-get` could not install {packages}: {cure}"
    );
    Ok(())
}

fn apt_get(arguments: &[&str]) -> bool {
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "-o", "APT::Color=0"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    // Its messages are not the data of this command.
    apt.stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()));
    apt.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
