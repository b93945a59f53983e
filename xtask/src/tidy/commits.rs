//! The subjects of commits.

use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace;

/// The longest subject of a commit, in characters.
pub(crate) const SUBJECT_MAX: usize = 72;

/// The last commit from before subjects were bounded.
const LAST_UNBOUNDED: &str = "6db6b50";

/// Returns the subjects that are too long. A clone without the history before the bound has nothing to compare with.
pub(crate) fn long_subjects() -> Result<Vec<String>> {
    let range = format!("{LAST_UNBOUNDED}..HEAD");
    let log = Command::new("git")
        .args(["log", "--no-merges", "--format=%s", &range])
        .current_dir(workspace::root())
        .output()
        .context("cannot run git")?;
    let subjects = String::from_utf8_lossy(&log.stdout).into_owned();
    let long = subjects
        .lines()
        .filter(|subject| subject.chars().count() > SUBJECT_MAX);
    Ok(long.map(str::to_owned).collect())
}
