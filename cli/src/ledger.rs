//! `semel ledger`: the operator's commands on the ledger.

mod decide;
mod erase;
mod init;
mod list;
mod purge;
mod record_view;
mod report;
mod reseal;
mod show;
mod statement;
mod trust;

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, ExitReason},
    setup,
};
use clap::Subcommand;
use semel::runtime::{Ledger, LookUpError, LookUpResult, RecordView};

/// Inspects and maintains the ledger, and records a person's decisions
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    Init(init::InitArgs),
    List(list::ListArgs),
    Show(show::ShowArgs),
    Decide(decide::DecideArgs),
    Purge(purge::PurgeArgs),
    Report(report::ReportArgs),
    Erase(erase::EraseArgs),
    Reseal(reseal::ResealArgs),
    Trust(trust::TrustArgs),
}

pub(crate) async fn run(command: LedgerCommand) -> Result<(), CommandError> {
    match command {
        LedgerCommand::Init(args) => init::run(args).await,
        LedgerCommand::List(args) => list::run(args).await,
        LedgerCommand::Show(args) => show::run(args).await,
        LedgerCommand::Decide(args) => decide::run(args).await,
        LedgerCommand::Purge(args) => purge::run(args).await,
        LedgerCommand::Report(args) => report::run(args).await,
        LedgerCommand::Erase(args) => erase::run(args).await,
        LedgerCommand::Reseal(args) => reseal::run(args).await,
        LedgerCommand::Trust(args) => trust::run(args).await,
    }
}

async fn open_ledger(args: &ConfigArgs) -> Result<Ledger, CommandError> {
    Ok(setup::load_config(args)?.open_ledger().await?)
}

/// Finds the one record with this key, or with a key that begins so.
async fn find_record(ledger: &Ledger, id: &str) -> Result<RecordView, CommandError> {
    let found = ledger.look_up(id).await.map_err(|error| match error {
        LookUpError::NoName(_) => ExitReason::NotFound.error(error),
        LookUpError::Ledger(error) => error.into(),
    })?;
    match found {
        LookUpResult::Record(listed) => Ok(*listed),
        LookUpResult::NotFound => Err(ExitReason::NotFound.error(format!(
            "there is no record `{id}`: see `semel ledger list`"
        ))),
        LookUpResult::Ambiguous(count) => Err(ExitReason::NotFound.error(format!(
            "{count} records begin with `{id}`: give more digits"
        ))),
    }
}
