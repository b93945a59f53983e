//! `semel ledger init`

use crate::{
    args::Where,
    exit::{Exit, OrStop, Stop},
    setup::{self, Bare},
    talk,
};
use semel::{
    config::{Config, LedgerPlace, ServerPlace},
    store::{PARTITIONS_MAX, PostgresSetup, PostgresStore, SetUp},
};

/// Makes the ledger on its server, or brings it up to date.
///
/// It may be run as often as one likes, by a user who may make tables. Hosts need no such right: give `--grant-to` the
/// user as whom they connect. A ledger in a file needs no such step.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Divide the table of a PostgreSQL ledger into so many parts, by hash of the key; only when it is made
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PARTITIONS_MAX)))]
    partitions: Option<u32>,
    /// Who may read and write a PostgreSQL ledger, besides who makes it
    #[arg(long, value_name = "USER")]
    grant_to: Vec<String>,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn run(options: Options) -> Result<(), Stop> {
    let config = setup::config(&options.place)?;
    let came_to = match &config.ledger {
        LedgerPlace::Postgres(place) => postgres(place, options).await?,
        _ => local(&config, &options).await?,
    };
    talk::line(&format!("{}: {came_to}", config.ledger))
}

async fn postgres(place: &ServerPlace, options: Options) -> Result<&'static str, Stop> {
    let setup = PostgresSetup { partitions: options.partitions, grant_to: options.grant_to };
    let set_up = PostgresStore::set_up(&setup::server(place), &setup).await.or_stop(Exit::Ledger)?;
    Ok(match set_up {
        SetUp::Made => "the ledger is made",
        SetUp::Updated => "the ledger is brought up to date",
        SetUp::Found => "the ledger is there already",
    })
}

/// Whoever opens such a ledger makes it.
async fn local(config: &Config, options: &Options) -> Result<&'static str, Stop> {
    if options.partitions.is_some() || !options.grant_to.is_empty() {
        return Err(Exit::Usage.stop("`--partitions` and `--grant-to` are for a ledger in PostgreSQL: leave them out"));
    }
    Bare::open(config).await.map(|_| "the ledger is there")
}
