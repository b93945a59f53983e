//! `semel ledger init`: creates a ledger on a server.

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, ExitReason, OrExit},
    output, setup,
};
use semel_config::{Config, LedgerPlace, OpenedStore, ServerPlace};
use semel_postgres::{PARTITIONS_MAX, PostgresSetup, PostgresStore, SetupResult};
use semel_redis::{RedisSetupResult, RedisStore};

/// Creates the ledger on its server, or upgrades its schema
///
/// It is safe to run repeatedly, and needs the right to create tables. Hosts need no such right: name their user with
/// `--grant-to`. A ledger in a file needs no such step.
#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// Number of partitions of a PostgreSQL ledger, by hash of the key; has an effect only when the ledger is created
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PARTITIONS_MAX)))]
    partitions: Option<u32>,
    /// User to permit to read and write a PostgreSQL ledger, besides its owner; repeatable
    #[arg(long, value_name = "USER")]
    grant_to: Vec<String>,
    /// Give a Redis ledger that looks intact a new incarnation: after an older copy of its data was restored, or a record
    /// was lost
    #[arg(long)]
    renew: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: InitArgs) -> Result<(), CommandError> {
    let config = setup::load_config(&args.config)?;
    let result = match &config.ledger {
        LedgerPlace::Postgres(place) => init_postgres(place, args).await?,
        LedgerPlace::Redis(place) => init_redis(place, &args).await?,
        LedgerPlace::Memory | LedgerPlace::Sqlite { .. } => open_local(&config, &args).await?,
    };
    output::write_line(&format!("{}: {result}", config.ledger))
}

async fn init_postgres(place: &ServerPlace, args: InitArgs) -> Result<String, CommandError> {
    refuse_redis_options(&args)?;
    let setup = PostgresSetup {
        partitions: args.partitions,
        grant_to: args.grant_to,
    };
    let result = PostgresStore::set_up(&place.to_server(), &setup)
        .await
        .or_exit(ExitReason::Ledger)?;
    Ok(match result {
        SetupResult::Created => "the ledger is created",
        SetupResult::Upgraded => "the ledger's schema is upgraded",
        SetupResult::Unchanged => "the ledger exists already",
    }
    .to_owned())
}

async fn init_redis(place: &ServerPlace, args: &InitArgs) -> Result<String, CommandError> {
    refuse_postgres_options(args)?;
    let server = place.to_server();
    let result = if args.renew {
        RedisStore::renew(&server).await
    } else {
        RedisStore::set_up(&server).await
    };
    Ok(match result.or_exit(ExitReason::Ledger)? {
        RedisSetupResult::Created => "the ledger is created".to_owned(),
        RedisSetupResult::Unchanged => "the ledger exists already".to_owned(),
        RedisSetupResult::Renewed { lost } => {
            format!("the ledger has a new incarnation; {lost} of its records are known to be lost")
        }
    })
}

/// Opens a ledger in a file or in memory, which creates it.
async fn open_local(config: &Config, args: &InitArgs) -> Result<String, CommandError> {
    refuse_postgres_options(args)?;
    refuse_redis_options(args)?;
    OpenedStore::open(&config.ledger).await?;
    Ok("the ledger is ready".to_owned())
}

fn refuse_postgres_options(args: &InitArgs) -> Result<(), CommandError> {
    if args.partitions.is_none() && args.grant_to.is_empty() {
        return Ok(());
    }
    Err(ExitReason::Usage
        .error("`--partitions` and `--grant-to` are for a ledger in PostgreSQL: leave them out"))
}

fn refuse_redis_options(args: &InitArgs) -> Result<(), CommandError> {
    if !args.renew {
        return Ok(());
    }
    Err(ExitReason::Usage.error("`--renew` is for a ledger in Redis: leave it out"))
}
