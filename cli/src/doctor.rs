//! `semel doctor`: whether the set-up would work, told line by line.

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, Exit, OrExit},
    setup, talk,
};
use semel::{
    engine::{CacheState, CodeCache, Engine},
    ledger::StateLabel,
    model::ToolMode,
    runtime::Ledger,
    store::ServerReport,
};
use semel_config::{Config, OpenedStore, ToolSetup};

/// Checks the configuration, the policies and the ledger.
///
/// Makes the ledger where it is missing. Sends nothing, and decides nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    place: ConfigArgs,
}

pub(crate) async fn run(options: DoctorArgs) -> Result<(), CommandError> {
    let config = setup::load_config(&options.place)?;
    let file = config.file.as_ref().map_or_else(
        || "none found: the defaults hold".to_owned(),
        |file| file.display().to_string(),
    );
    told("config", &file)?;
    told("tenant", config.tenant.as_str())?;
    let policies = policies(&config).await;
    told("cache", &cache(&config))?;
    let ledger = ledger(&config).await;
    if let Err(stop) = &ledger {
        told("ledger", &format!("unusable: {}", stop.message))?;
    }
    policies.and(ledger)
}

/// Where compiled policies are kept. A cache that cannot be used costs time, and is no mistake.
fn cache(config: &Config) -> String {
    let Some(folder) = &config.cache else {
        return "none: each run compiles its policy".to_owned();
    };
    match CodeCache::in_folder(folder).state() {
        Ok(CacheState { entries, bytes }) => {
            format!(
                "{}: {entries} policies compiled, {} KiB",
                folder.display(),
                bytes.div_ceil(1024)
            )
        }
        Err(fault) => format!("not used: {fault}"),
    }
}

fn told(name: &str, value: &str) -> Result<(), CommandError> {
    talk::line(&format!("{name:<12}{}", talk::plain(value, 1000)))
}

/// Each policy with its settings; all are tried before the first mistake ends the command.
async fn policies(config: &Config) -> Result<(), CommandError> {
    let engine = setup::command_engine(config)?;
    let mut first_mistake = Ok(());
    for setup in config.setups() {
        if let Err(stop) = policy(&engine, setup).await {
            told("policy", &format!("unusable: {}", stop.message))?;
            first_mistake = first_mistake.and(Err(stop));
        }
    }
    first_mistake
}

async fn policy(engine: &Engine, setup: &ToolSetup) -> Result<(), CommandError> {
    let policy = setup.load_policy(engine).await?;
    let description = policy.description();
    let mode = match setup.mode {
        ToolMode::Enforce => String::new(),
        other => format!("; mode {}", other.word()),
    };
    let place = setup
        .defined_at
        .as_ref()
        .map_or_else(|| "the default".to_owned(), ToString::to_string);
    told(
        "policy",
        &format!(
            "{} {}, digest {} ({place}{mode})",
            description.name,
            description.version,
            short(&policy.digest().to_hex())
        ),
    )
}

fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

async fn ledger(config: &Config) -> Result<(), CommandError> {
    told("ledger", &config.ledger.to_string())?;
    let bare = OpenedStore::open(&config.ledger).await?;
    bare.check_file()?;
    if let Some(report) = bare.server_report() {
        server(&report)?;
    }
    let store = bare.into_store();
    told("durability", &store.durability().to_string())?;
    let keys = config.key_scheme();
    let secret = keys.secret_id().map_or_else(
        || "plain digests".to_owned(),
        |id| format!("made with the secret `{id}`"),
    );
    told("keys", &secret)?;
    told("sealing", &sealing(config).await?)?;
    told(
        "operations",
        &counts(&config.open_ledger_in(store).await?).await?,
    )
}

/// What the level rests on, how long a question takes, and how the clocks differ.
fn server(report: &ServerReport) -> Result<(), CommandError> {
    let named = |(name, value): &(&str, String)| {
        if value.is_empty() {
            format!("{name} is empty")
        } else {
            format!("{name} {value}")
        }
    };
    told(
        "server",
        &report
            .settings
            .iter()
            .map(named)
            .collect::<Vec<_>>()
            .join(", "),
    )?;
    told(
        "latency",
        &format!("{:.1} ms", report.latency.as_secs_f64() * 1e3),
    )?;
    let ms = report.clock_ahead_ms.unsigned_abs();
    let side = if report.clock_ahead_ms < 0 {
        "behind"
    } else {
        "ahead of"
    };
    told(
        "clock",
        &format!("the server's is {ms} ms {side} this machine's"),
    )
}

/// Under which keys records are sealed, and how many under which.
async fn sealing(config: &Config) -> Result<String, CommandError> {
    let Some(store) = config.open_sealing_store().await? else {
        return Ok("none: records are in the clear".to_owned());
    };
    let counts = store.count().await.or_exit(Exit::Ledger)?;
    let current = config
        .sealing
        .as_ref()
        .map_or("", |keys| keys.current().id());
    let sealed = counts
        .sealed
        .iter()
        .map(|(id, count)| format!(", {count} under `{id}`"))
        .collect::<String>();
    Ok(format!(
        "under the key `{current}`; {} records in the clear{sealed}",
        counts.open
    ))
}

async fn counts(ledger: &Ledger) -> Result<String, CommandError> {
    let mut counts = Vec::new();
    for state in [
        StateLabel::Running,
        StateLabel::InDoubt,
        StateLabel::Held,
        StateLabel::Landed,
    ] {
        let listed = ledger.list(None, &[state], usize::MAX).await?;
        counts.push(format!("{} {}", listed.len(), state.word()));
    }
    Ok(counts.join(", "))
}
