//! `cargo xtask twins`: for each rule of the ledger, what the model checker finds without it.

use anyhow::Result;

use crate::test::cargo;

/// Walk the ledger without each of its rules, and print the promise that breaks.
#[derive(clap::Args)]
pub(crate) struct TwinsArguments {
    /// Walk the plans with all rules instead, and print how many states each has.
    #[arg(long)]
    plans: bool,
}

pub(crate) fn run(arguments: &TwinsArguments) -> Result<()> {
    let run = ["run", "--quiet", "--package", "semel-model"];
    let plans = ["--", "--plans"];
    cargo(
        if arguments.plans {
            [run.as_slice(), &plans].concat()
        } else {
            run.to_vec()
        }
        .as_slice(),
    )
}
