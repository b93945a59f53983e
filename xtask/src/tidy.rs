//! `cargo xtask tidy`: how plainly the code is written, in numbers, each with its goal. It fails past one.
//!
//! The names, the comments and the form of the sources of each folder are counted; tests, examples and the methods of traits
//! are not. This is the only place where such numbers are enforced.

mod commits;
mod errors;
mod examples;
mod items;
mod measures;
mod packing;
mod prose;
mod reach;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use measures::{FolderMeasures, Offence};
use source::SourceFile;

use crate::workspace;

/// The folders that are measured, each by itself.
const FOLDERS: &[&str] = &[
    "core", "store", "host", "config", "gateway", "cli", "guest", "policies", "demo", "xtask",
];

/// Measure how plainly the code is written, and fail where a goal is missed.
#[derive(clap::Args)]
pub(crate) struct TidyArguments {
    /// Print every place that counts against a goal
    #[arg(long)]
    list: bool,

    /// Measure this folder alone; may be repeated
    #[arg(long = "folder")]
    folders: Vec<String>,
}

pub(crate) fn run(arguments: &TidyArguments) -> Result<()> {
    let mut missed = Vec::new();
    for folder in FOLDERS {
        let is_selected = arguments.folders.iter().any(|only| only == folder);
        if !arguments.folders.is_empty() && !is_selected {
            continue;
        }
        let measured = measure(folder)?;
        println!("{folder}");
        for measure in measured.measures() {
            println!("  {measure}");
            if measure.is_missed() {
                missed.push(format!("{folder}: {}", measure.name));
            }
        }
        if arguments.list {
            measured.offences.iter().for_each(print_offence);
        }
    }
    for subject in commits::long_subjects()? {
        println!(
            "commit subject over {} characters: {subject}",
            commits::SUBJECT_MAX
        );
        missed.push("commit subjects".to_owned());
    }
    ensure!(
        missed.is_empty(),
        "goals missed: {}; `cargo xtask tidy --list` prints each place",
        missed.join(", ")
    );
    Ok(())
}

fn print_offence(offence: &Offence) {
    println!(
        "    {}: {}:{} {}",
        offence.measure,
        offence.path.display(),
        offence.line,
        offence.what
    );
}

/// Measures the sources of one folder of the workspace.
fn measure(folder: &str) -> Result<FolderMeasures> {
    let root = workspace::root();
    let mut texts = Vec::new();
    for path in sources_below(&root.join(folder))? {
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let path = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
        texts.push((path, text));
    }
    let files: Vec<_> = texts
        .iter()
        .map(|(path, text)| SourceFile::parse(path.clone(), text))
        .collect();
    let mut measured = FolderMeasures::new(&files);
    measured.add_unreached(reach::unreached_items(folder, &files)?);
    Ok(measured)
}

/// The Rust sources below a folder, in order, without tests and examples.
fn sources_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if is_left_out(&path) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(path);
            }
        }
    }
    sources.sort();
    Ok(sources)
}

/// Tests, examples and what is built are not measured.
fn is_left_out(path: &Path) -> bool {
    let name = path
        .file_stem()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    ["tests", "examples", "target", "wit"].contains(&name) || path.is_symlink()
}
