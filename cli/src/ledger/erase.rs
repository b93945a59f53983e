//! `semel ledger erase`

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, Exit, OrExit},
    talk,
};
use semel::{
    model::Tenant,
    runtime::{ErasureReport, ErasureScope},
};

/// Erases what the ledger tells of a tenant: calls, outcomes, reasons, facts, identities, handles.
///
/// Says what it would erase, and erases it with `--yes`; then it clears the ledger's file of what was overwritten, while
/// which other writers wait. That operations landed stays, so that no repeat is sent: it is answered *expired*. What was
/// undoable by a handle no longer is. What is running, in doubt or held is left: decide it first. Prints how many
/// operations it is about. Backups of the file are yours to erase.
#[derive(Debug, clap::Args)]
pub(crate) struct EraseArgs {
    /// Whose
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// Erase it
    #[arg(long)]
    yes: bool,
    /// Remove the records altogether: then a repeat is a new operation, and is sent
    #[arg(long, requires = "yes")]
    with_records: bool,
    #[command(flatten)]
    place: ConfigArgs,
}

pub(super) async fn run(options: EraseArgs) -> Result<(), CommandError> {
    let tenant = Tenant::new(&options.tenant).or_exit(Exit::Refused)?;
    let ledger = super::open(&options.place).await?;
    if options.yes {
        ledger.sweep().await?;
    }
    let how = match (options.yes, options.with_records) {
        (false, _) => ErasureScope::DryRun,
        (true, false) => ErasureScope::Content,
        (true, true) => ErasureScope::Records,
    };
    let erased = ledger.erase(&tenant, how).await?;
    tell(&tenant, how, &erased);
    talk::line(&erased.operations.to_string())
}

fn tell(tenant: &Tenant, how: ErasureScope, erased: &ErasureReport) {
    let done = match how {
        ErasureScope::DryRun => "would be erased; erase it with `--yes`",
        ErasureScope::Content => "is erased",
        ErasureScope::Records => "is erased, and the records are gone",
    };
    talk::say(format_args!(
        "what {} operations of `{tenant}` tell {done}",
        erased.operations
    ));
    for (state, count) in &erased.left {
        talk::say(format_args!("left as it is: {count} {}", state.word()));
    }
    if erased.unreadable > 0 {
        talk::say(format_args!(
            "left as it is: {} that cannot be read here, see `semel doctor`",
            erased.unreadable
        ));
    }
}
