//! `cargo xtask demo`: builds what it needs, then plays the incident.

use anyhow::Result;

use crate::{policies, test::cargo};

/// A payment server that charges and then loses its reply: with Semel and without.
#[derive(clap::Args)]
pub(crate) struct DemoArguments {
    /// Attempts that an agent makes to charge
    #[arg(long, default_value_t = 3)]
    tries: u32,
}

pub(crate) fn run(arguments: &DemoArguments) -> Result<()> {
    eprintln!("building; the first time takes some minutes");
    policies::build_all()?;
    let tries = arguments.tries.to_string();
    cargo(&[
        "run",
        "--quiet",
        "--package",
        "semel-demo",
        "--",
        "--tries",
        &tries,
    ])
}
