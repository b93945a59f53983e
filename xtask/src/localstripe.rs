//! `cargo xtask localstripe`: installs localstripe, a third-party fake of Stripe, for the tests that need it.

use anyhow::Result;

use crate::{installed, workspace};

/// The cure where it cannot be installed.
const CURE: &str = "install python3 with its modules venv and pip (Debian: `apt-get install python3-venv`), make sure that \
                    pip reaches PyPI, then run `cargo xtask localstripe`";

/// Install localstripe, at pinned versions, into target/localstripe.
#[derive(clap::Args)]
pub(crate) struct LocalstripeArguments {}

pub(crate) fn run(_: &LocalstripeArguments) -> Result<()> {
    prepare()
}

/// Installs it, unless it is there as it should be.
pub(crate) fn prepare() -> Result<()> {
    let list = workspace::root().join("tests/localstripe/requirements.txt");
    let folder = workspace::root().join("target/localstripe");
    installed::unless_there(&list, &folder, installed::by_pip, CURE)
}
