//! `semel ledger init`

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, Exit, OrExit},
    setup, talk,
};
use semel_config::{Config, LedgerPlace, OpenedStore, ServerPlace};
use semel_postgres::{PARTITIONS_MAX, PostgresSetup, PostgresStore, SetupResult};
use semel_redis::{RedisSetupResult, RedisStore};

/// Makes the ledger on its server, or brings it up to date.
///
/// It may be run as often as one likes, by a user who may make tables. Hosts need no such right: give `--grant-to` the
/// user as whom they connect. A ledger in a file needs no such step.
#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// Divide the table of a PostgreSQL ledger into so many parts, by hash of the key; only when it is made
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PARTITIONS_MAX)))]
    partitions: Option<u32>,
    /// Who may read and write a PostgreSQL ledger, besides who makes it
    #[arg(long, value_name = "USER")]
    grant_to: Vec<String>,
    /// Let a Redis ledger begin another life though it looks whole: after an older copy of its data was put back, or a
    /// record was lost
    #[arg(long)]
    renew: bool,
    #[command(flatten)]
    place: ConfigArgs,
}

pub(super) async fn run(options: InitArgs) -> Result<(), CommandError> {
    let config = setup::load_config(&options.place)?;
    let came_to = match &config.ledger {
        LedgerPlace::Postgres(place) => postgres(place, options).await?,
        LedgerPlace::Redis(place) => redis(place, &options).await?,
        LedgerPlace::Memory | LedgerPlace::Sqlite { .. } => local(&config, &options).await?,
    };
    talk::line(&format!("{}: {came_to}", config.ledger))
}

async fn postgres(place: &ServerPlace, options: InitArgs) -> Result<String, CommandError> {
    if options.renew {
        return Err(Exit::Usage.error("`--renew` is for a ledger in Redis: leave it out"));
    }
    let setup = PostgresSetup {
        partitions: options.partitions,
        grant_to: options.grant_to,
    };
    let set_up = PostgresStore::set_up(&place.to_server(), &setup)
        .await
        .or_exit(Exit::Ledger)?;
    Ok(match set_up {
        SetupResult::Created => "the ledger is made",
        SetupResult::Upgraded => "the ledger is brought up to date",
        SetupResult::Unchanged => "the ledger is there already",
    }
    .to_owned())
}

async fn redis(place: &ServerPlace, options: &InitArgs) -> Result<String, CommandError> {
    without_options_of_postgres(options)?;
    let server = place.to_server();
    let set_up = if options.renew {
        RedisStore::renew(&server).await
    } else {
        RedisStore::set_up(&server).await
    };
    Ok(match set_up.or_exit(Exit::Ledger)? {
        RedisSetupResult::Created => "the ledger is made".to_owned(),
        RedisSetupResult::Unchanged => "the ledger is there already".to_owned(),
        RedisSetupResult::Renewed { lost } => {
            format!("the ledger began another life; {lost} of its records are known to be lost")
        }
    })
}

/// Whoever opens such a ledger makes it.
async fn local(config: &Config, options: &InitArgs) -> Result<String, CommandError> {
    without_options_of_postgres(options)?;
    if options.renew {
        return Err(Exit::Usage.error("`--renew` is for a ledger in Redis: leave it out"));
    }
    OpenedStore::open(&config.ledger)
        .await
        .map(|_| "the ledger is there".to_owned())
        .map_err(Into::into)
}

fn without_options_of_postgres(options: &InitArgs) -> Result<(), CommandError> {
    if options.partitions.is_none() && options.grant_to.is_empty() {
        return Ok(());
    }
    Err(Exit::Usage
        .error("`--partitions` and `--grant-to` are for a ledger in PostgreSQL: leave them out"))
}
