//! What tests do with secrets must not show in what they log. The tests of the workspace put one word, the canary, into
//! arguments, outcomes, settings and secrets, and log everything there is to log. `cargo xtask test` has nextest keep all
//! of the output of the whole run, looks for the canary, and for the witness: what one test logs on purpose, without
//! which the output was not kept and the search would find nothing whatever there was.

use anyhow::{Context, Result, bail, ensure};
use std::{fs, path::PathBuf};

use crate::workspace;

/// In arguments, outcomes, settings and secrets of tests. It stands in two pieces, so that this file holds none.
const CANARY: &str = concat!("kept-quiet-", "8d1f0c5e");

/// What one test logs.
const WITNESS: &str = concat!("told-aloud-", "8d1f0c5e");

/// How much of a line is shown.
const CHARS_SHOWN: usize = 200;

/// Where nextest keeps the output of its last run: see `.config/nextest.toml`.
pub(crate) fn output_of_the_last_run() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace::root().join("target"), PathBuf::from);
    target.join("nextest/default/junit.xml")
}

/// Fails if the output of the last run tells the canary, or was not kept.
pub(crate) fn search() -> Result<()> {
    let path = output_of_the_last_run();
    let output =
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    check(&output).with_context(|| format!("in `{}`", path.display()))?;
    println!(
        "no secret of a test is told in {} KiB of output",
        output.len().div_ceil(1024)
    );
    Ok(())
}

fn check(output: &str) -> Result<()> {
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
            bail!("the test `{test}` tells what must not be told: {shown}");
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
        assert!(check(&output("nothing")).is_ok());
        let found = check(&output(&format!("TRACE semel: the order is {CANARY}")))
            .map_err(|error| error.to_string());
        assert!(
            found.is_err_and(|error| error.contains("`a::b`") && error.contains("TRACE semel"))
        );
    }

    #[test]
    fn output_that_was_not_kept_is_no_proof() {
        let found = check("<testsuite></testsuite>").map_err(|error| error.to_string());
        assert!(found.is_err_and(|error| error.contains("was not kept")));
    }
}
