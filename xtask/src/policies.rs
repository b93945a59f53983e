//! `cargo xtask policies`: builds the ready-made policies into `target/policies`, where `semel-policies` embeds them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::guests::{self, BuiltGuest, CompilerSource};
use crate::workspace;

/// The prefix of the package of a ready-made policy.
const PACKAGE_PREFIX: &str = "semel-policy-";

/// The largest policy, in bytes: every byte is compiled by each host that loads it. Unicode's tables are 110 KiB of
/// `intent`.
const BUDGETS_BYTES: &[(&str, u64)] = &[
    ("hints", 120 << 10),
    ("intent", 384 << 10),
    ("stripe", 120 << 10),
];

/// Build the ready-made policies as WebAssembly components into target/policies.
#[derive(clap::Args)]
pub(crate) struct PoliciesArguments {
    /// Only these, such as `intent,hints`; all of them otherwise
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    names: Vec<String>,
    /// The origin of the compiler for WebAssembly [default: the first that works]
    #[arg(long, value_name = "SOURCE")]
    toolchain: Option<CompilerSource>,
    /// Also copy them into the crate `semel-policies`, for `cargo package`
    #[arg(long)]
    pack: bool,
}

pub(crate) fn run(arguments: &PoliciesArguments) -> Result<()> {
    let names = wanted_policies(&known_policies()?, &arguments.names)?;
    let packages: Vec<_> = names
        .iter()
        .map(|name| format!("{PACKAGE_PREFIX}{name}"))
        .collect();
    let out = workspace::built_policies();
    for (name, built) in
        names
            .iter()
            .zip(guests::build_guests(&packages, &out, arguments.toolchain)?)
    {
        report_size(name, &built);
        within_budget(name, &built)?;
        if arguments.pack {
            pack(&built.path)?;
        }
    }
    Ok(())
}

/// Builds all of them, by the first compiler that works.
pub(crate) fn build_all() -> Result<()> {
    run(&PoliciesArguments {
        names: Vec::new(),
        toolchain: None,
        pack: false,
    })
}

/// Builds all of them, and copies them to where `cargo package` finds them.
pub(crate) fn pack_all() -> Result<()> {
    run(&PoliciesArguments {
        names: Vec::new(),
        toolchain: None,
        pack: true,
    })
}

/// The ready-made policies: each is a package in a folder of its own under `policies/`.
fn known_policies() -> Result<Vec<String>> {
    let folder = workspace::root().join("policies");
    let mut names = Vec::new();
    for entry in
        fs::read_dir(&folder).with_context(|| format!("cannot list `{}`", folder.display()))?
    {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn wanted_policies(known: &[String], asked: &[String]) -> Result<Vec<String>> {
    if let Some(name) = asked.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no ready-made policy `{name}`; there are: {}",
            known.join(", ")
        );
    }
    Ok(if asked.is_empty() { known } else { asked }.to_vec())
}

#[expect(clippy::cast_precision_loss, reason = "a size to look at")]
fn report_size(name: &str, built: &BuiltGuest) {
    let path = built
        .path
        .strip_prefix(workspace::root())
        .unwrap_or(&built.path);
    let note = if built.changed { "" } else { " (as before)" };
    println!(
        "{name:<10} {:>6.1} KiB  {}{note}",
        built.size as f64 / 1024.0,
        path.display()
    );
}

fn within_budget(name: &str, built: &BuiltGuest) -> Result<()> {
    let Some((_, budget)) = BUDGETS_BYTES.iter().find(|(of, _)| *of == name) else {
        return Ok(());
    };
    ensure!(
        built.size <= *budget,
        "policy `{name}` is {} bytes and may be {budget}: look for what grew, or raise its budget in xtask",
        built.size
    );
    Ok(())
}

fn pack(component: &Path) -> Result<()> {
    let folder = workspace::root().join("policies/built");
    let file = component
        .file_name()
        .context("a built policy has no file name")?;
    fs::create_dir_all(&folder)?;
    fs::copy(component, folder.join(file)).with_context(|| {
        format!(
            "cannot copy `{}` into `{}`",
            component.display(),
            folder.display()
        )
    })?;
    Ok(())
}
