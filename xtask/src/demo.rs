//! `cargo xtask demo`: builds what it needs, then tells the incident.

use anyhow::Result;

use crate::{policies, test::cargo};

/// A payment server that charges and then loses its reply: with Semel and without.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often an agent tries to charge
    #[arg(long, default_value_t = 3)]
    tries: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    eprintln!("building; the first time takes some minutes");
    policies::all()?;
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
