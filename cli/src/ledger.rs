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
    args::Where,
    exit::{Exit, Stop},
    setup,
};
use clap::Subcommand;
use semel::runtime::{Found, Ledger, Listed, LookUpError};

/// Makes the ledger on a server; lists, shows, decides, reports, clears, erases and seals what is recorded.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Options),
    List(list::Options),
    Show(show::Options),
    Decide(decide::Options),
    Purge(purge::Options),
    Report(report::Options),
    Erase(erase::Options),
    Reseal(reseal::Options),
    Trust(trust::Options),
}

pub(crate) async fn run(command: Command) -> Result<(), Stop> {
    match command {
        Command::Init(options) => init::run(options).await,
        Command::List(options) => list::run(options).await,
        Command::Show(options) => show::run(options).await,
        Command::Decide(options) => decide::run(options).await,
        Command::Purge(options) => purge::run(options).await,
        Command::Report(options) => report::run(options).await,
        Command::Erase(options) => erase::run(options).await,
        Command::Reseal(options) => reseal::run(options).await,
        Command::Trust(options) => trust::run(options).await,
    }
}

async fn open(place: &Where) -> Result<Ledger, Stop> {
    setup::ledger(&setup::config(place)?).await
}

/// The one record that is named so.
async fn find(ledger: &Ledger, id: &str) -> Result<Listed, Stop> {
    let found = ledger.find(id).await.map_err(|error| match error {
        LookUpError::NoName(_) => Exit::NotFound.stop(error),
        LookUpError::Ledger(error) => setup::broken(&error),
    })?;
    match found {
        Found::One(listed) => Ok(*listed),
        Found::None => Err(Exit::NotFound.stop(format!(
            "there is no record `{id}`: see `semel ledger list`"
        ))),
        Found::Several(count) => {
            Err(Exit::NotFound.stop(format!("`{id}` names {count} records: give more digits")))
        }
    }
}
