//! `semel ledger`: what an operator sees of the ledger, and decides.

mod decide;
mod erase;
mod init;
mod list;
mod purge;
mod report;
mod reseal;
mod show;
mod summary;
mod trust;

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, Exit},
    setup,
};
use clap::Subcommand;
use semel::runtime::{Ledger, LookUpError, LookUpResult, RecordView};

/// Makes the ledger on a server; lists, shows, decides, reports, clears, erases and seals what is recorded.
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
        LedgerCommand::Init(options) => init::run(options).await,
        LedgerCommand::List(options) => list::run(options).await,
        LedgerCommand::Show(options) => show::run(options).await,
        LedgerCommand::Decide(options) => decide::run(options).await,
        LedgerCommand::Purge(options) => purge::run(options).await,
        LedgerCommand::Report(options) => report::run(options).await,
        LedgerCommand::Erase(options) => erase::run(options).await,
        LedgerCommand::Reseal(options) => reseal::run(options).await,
        LedgerCommand::Trust(options) => trust::run(options).await,
    }
}

async fn open(place: &ConfigArgs) -> Result<Ledger, CommandError> {
    Ok(setup::load_config(place)?.open_ledger().await?)
}

/// The one record that is named so.
async fn find(ledger: &Ledger, id: &str) -> Result<RecordView, CommandError> {
    let found = ledger.look_up(id).await.map_err(|error| match error {
        LookUpError::NoName(_) => Exit::NotFound.error(error),
        LookUpError::Ledger(error) => error.into(),
    })?;
    match found {
        LookUpResult::Record(listed) => Ok(*listed),
        LookUpResult::NotFound => Err(Exit::NotFound.error(format!(
            "there is no record `{id}`: see `semel ledger list`"
        ))),
        LookUpResult::Ambiguous(count) => {
            Err(Exit::NotFound.error(format!("`{id}` names {count} records: give more digits")))
        }
    }
}
