//! `semel ledger erase`: erases a tenant's content.

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, ExitReason, OrExit},
    output,
};
use semel::{
    model::Tenant,
    runtime::{ErasureReport, ErasureScope},
};

/// Erases a tenant's content: calls, outcomes, reasons, facts, identities, handles
///
/// Without `--yes`, prints only what it would erase. With `--yes`, erases it and then clears the ledger's file of
/// overwritten content, for which other writers wait. The fact that an operation landed stays, so that no repeat is sent:
/// it is answered `expired`. A handle undoes nothing any more. Operations that are running, in doubt or held are left:
/// decide them first. Prints the number of operations. Backups of the file are yours to erase.
#[derive(Debug, clap::Args)]
pub(crate) struct EraseArgs {
    /// Tenant to erase the content of
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// Erase it
    #[arg(long)]
    yes: bool,
    /// Remove the records altogether: a repeat is then a new operation, and is sent
    #[arg(long, requires = "yes")]
    with_records: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: EraseArgs) -> Result<(), CommandError> {
    let tenant = Tenant::new(&args.tenant).or_exit(ExitReason::Refused)?;
    let ledger = super::open_ledger(&args.config).await?;
    let extent = match (args.yes, args.with_records) {
        (false, _) => ErasureScope::DryRun,
        (true, false) => ErasureScope::Content,
        (true, true) => ErasureScope::Records,
    };
    if args.yes {
        // An operation with an expired lease must count as in doubt, not as running.
        ledger.sweep().await?;
    }
    let erased = ledger.erase(&tenant, extent).await?;
    print_summary(&tenant, extent, &erased);
    output::write_line(&erased.operations.to_string())
}

fn print_summary(tenant: &Tenant, extent: ErasureScope, erased: &ErasureReport) {
    let count = erased.operations;
    output::print_message(match extent {
        ErasureScope::DryRun => {
            format!(
                "the content of {count} operations of `{tenant}` would be erased: add `--yes` to erase it"
            )
        }
        ErasureScope::Content => {
            format!("the content of {count} operations of `{tenant}` is erased")
        }
        ErasureScope::Records => format!("{count} operations of `{tenant}` are removed"),
    });
    for (state, count) in &erased.left {
        output::print_message(format_args!("not erased: {count} {}", state.word()));
    }
    if erased.unreadable > 0 {
        output::print_message(format_args!(
            "not erased: {} that cannot be read here, see `semel doctor`",
            erased.unreadable
        ));
    }
}
