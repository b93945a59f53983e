//! Searches the output of all tests for secrets. The tests of the workspace put one word, the canary, into
//! arguments, outcomes, settings and secrets, and log everything there is to log. `cargo xtask test` has nextest keep all
//! of the output of the whole run, and searches it for the canary and for the witness: a word that one test logs on purpose.
//! Without it the output was not kept, and the search would prove nothing.

use anyhow::{Context, Result, bail, ensure};
use std::{fs, path::PathBuf};

use crate::workspace;

/// In arguments, outcomes, settings and secrets of tests. Written in two pieces, so that this file does not hold it.
const CANARY: &str = concat!("kept-quiet-", "8d1f0c5e");

/// A word that one test logs on purpose.
const WITNESS: &str = concat!("told-aloud-", "8d1f0c5e");

/// The longest part of a line that is printed.
const CHARS_SHOWN: usize = 200;

/// The file in which nextest keeps the output of its last run: see `.config/nextest.toml`.
pub(crate) fn last_output_path() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace::root().join("target"), PathBuf::from);
    target.join("nextest/default/junit.xml")
}

/// Fails if the output of the last run holds the canary, or was not kept.
pub(crate) fn search_test_output() -> Result<()> {
    let path = last_output_path();
    let output =
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    check_output(&output).with_context(|| format!("in `{}`", path.display()))?;
    println!(
        "no secret of a test in {} KiB of output",
        output.len().div_ceil(1024)
    );
    Ok(())
}

fn check_output(output: &str) -> Result<()> {
    ensure!(
        output.contains(WITNESS),
        "the witness is missing: the output of passed tests was not kept"
    );
    let mut test = "";
    for line in output.lines() {
        test = line
            .split_once("<testcase name=\"")
            .and_then(|(_, rest)| rest.split('"').next())
            .unwrap_or(test);
        if line.contains(CANARY) {
            let shown: String = line.trim().chars().take(CHARS_SHOWN).collect();
            bail!("the test `{test}` prints a secret: {shown}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(said: &str) -> String {
        format!(
            "<testsuite>\n<testcase name=\"a::b\">\n<system-out>{WITNESS}\n{said}</system-out></testcase></testsuite>"
        )
    }

    #[test]
    fn a_secret_that_is_told_is_found_with_the_test_that_tells_it() {
        assert!(check_output(&output("nothing")).is_ok());
        let found = check_output(&output(&format!("TRACE semel: the order is {CANARY}")))
            .map_err(|error| error.to_string());
        assert!(
            found.is_err_and(|error| error.contains("`a::b`") && error.contains("TRACE semel"))
        );
    }

    #[test]
    fn output_that_was_not_kept_is_no_proof() {
        let found = check_output("<testsuite></testsuite>").map_err(|error| error.to_string());
        assert!(found.is_err_and(|error| error.contains("was not kept")));
    }
}
