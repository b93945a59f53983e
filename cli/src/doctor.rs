//! `semel doctor`: checks a set-up, and prints one line for each part of it.

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, ExitReason, OrExit},
    output, setup,
};
use semel::{
    engine::{CacheState, CodeCache, Engine},
    ledger::StateLabel,
    model::ToolMode,
    runtime::Ledger,
    store::ServerReport,
};
use semel_config::{Config, OpenedStore, ToolSetup};

/// The digits of a policy's digest that a line shows.
const DIGEST_DIGITS_SHOWN: usize = 12;

/// Checks the configuration, the policies and the ledger
///
/// Creates a ledger file that does not exist yet. Sends no call, and decides about none.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) async fn run(args: DoctorArgs) -> Result<(), CommandError> {
    let config = setup::load_config(&args.config)?;
    let file = config.file.as_ref().map_or_else(
        || "no file found: defaults apply".to_owned(),
        |file| file.display().to_string(),
    );
    print_row("config", &file)?;
    print_row("tenant", config.tenant.as_str())?;
    // A mistake in a policy does not hide one in the ledger: both are checked, and the first decides the exit code.
    let policies = check_policies(&config).await;
    print_row("cache", &describe_cache(&config))?;
    let ledger = check_ledger(&config).await;
    if let Err(error) = &ledger {
        print_row("ledger", &format!("unusable: {}", error.message))?;
    }
    policies.and(ledger)
}

fn print_row(name: &str, value: &str) -> Result<(), CommandError> {
    output::write_line(&format!("{name:<12}{}", output::single_line(value, 1000)))
}

/// Describes the cache of compiled policies. An unusable one costs time and is no failure.
fn describe_cache(config: &Config) -> String {
    let Some(folder) = &config.cache else {
        return "off: each run compiles its policy".to_owned();
    };
    match CodeCache::in_folder(folder).state() {
        Ok(CacheState { entries, bytes }) => format!(
            "{}: {entries} compiled policies, {} KiB",
            folder.display(),
            bytes.div_ceil(1024)
        ),
        Err(error) => format!("not used: {error}"),
    }
}

/// Checks every policy with its settings, and returns the first failure.
async fn check_policies(config: &Config) -> Result<(), CommandError> {
    let engine = setup::build_command_engine(config)?;
    let mut first_failure = Ok(());
    for setup in config.setups() {
        if let Err(error) = check_policy(&engine, setup).await {
            print_row("policy", &format!("unusable: {}", error.message))?;
            first_failure = first_failure.and(Err(error));
        }
    }
    first_failure
}

async fn check_policy(engine: &Engine, setup: &ToolSetup) -> Result<(), CommandError> {
    let policy = setup.load_policy(engine).await?;
    let description = policy.description();
    let mode = match setup.mode {
        ToolMode::Enforce => String::new(),
        other => format!("; mode {}", other.word()),
    };
    let origin = setup
        .defined_at
        .as_ref()
        .map_or_else(|| "the default".to_owned(), ToString::to_string);
    let digest: String = policy
        .digest()
        .to_hex()
        .chars()
        .take(DIGEST_DIGITS_SHOWN)
        .collect();
    print_row(
        "policy",
        &format!(
            "{} {}, digest {digest} ({origin}{mode})",
            description.name, description.version
        ),
    )?;
    for warning in policy.warnings() {
        print_row("warning", &format!("{origin}: {warning}"))?;
    }
    Ok(())
}

async fn check_ledger(config: &Config) -> Result<(), CommandError> {
    print_row("ledger", &config.ledger.to_string())?;
    let opened = OpenedStore::open(&config.ledger).await?;
    opened.check_file()?;
    if let Some(report) = opened.server_report() {
        print_server_report(&report)?;
    }
    let store = opened.into_store();
    print_row("durability", &store.durability().to_string())?;
    let keys = config.key_scheme();
    let key_scheme = keys.secret_id().map_or_else(
        || "plain digests".to_owned(),
        |id| format!("made with the secret `{id}`"),
    );
    print_row("keys", &key_scheme)?;
    print_row("sealing", &describe_sealing(config).await?)?;
    let ledger = config.open_ledger_in(store).await?;
    print_row("operations", &count_operations(&ledger).await?)
}

/// Prints the server's settings that its durability depends on, its latency, and the difference of the clocks.
fn print_server_report(report: &ServerReport) -> Result<(), CommandError> {
    let describe_setting = |(name, value): &(&str, String)| {
        if value.is_empty() {
            format!("{name} is empty")
        } else {
            format!("{name} {value}")
        }
    };
    let settings: Vec<_> = report.settings.iter().map(describe_setting).collect();
    print_row("server", &settings.join(", "))?;
    let latency_ms = report.latency.as_secs_f64() * 1e3;
    print_row("latency", &format!("{latency_ms:.1} ms"))?;
    let difference_ms = report.clock_ahead_ms.unsigned_abs();
    let direction = if report.clock_ahead_ms < 0 {
        "behind"
    } else {
        "ahead of"
    };
    print_row(
        "clock",
        &format!("the server's is {difference_ms} ms {direction} this machine's"),
    )
}

/// Describes the sealing keys by the number of records under each.
async fn describe_sealing(config: &Config) -> Result<String, CommandError> {
    let Some(store) = config.open_sealing_store().await? else {
        return Ok("off: records are unencrypted".to_owned());
    };
    let counts = store.count().await.or_exit(ExitReason::Ledger)?;
    let current = config
        .sealing
        .as_ref()
        .map_or("", |keys| keys.current().id());
    let sealed: String = counts
        .sealed
        .iter()
        .map(|(id, count)| format!(", {count} under `{id}`"))
        .collect();
    Ok(format!(
        "under the key `{current}`; {} unencrypted records{sealed}",
        counts.open
    ))
}

async fn count_operations(ledger: &Ledger) -> Result<String, CommandError> {
    let mut counts = Vec::new();
    for state in [
        StateLabel::Running,
        StateLabel::InDoubt,
        StateLabel::Held,
        StateLabel::Landed,
    ] {
        let operations = ledger.list(None, &[state], usize::MAX).await?;
        counts.push(format!("{} {}", operations.len(), state.word()));
    }
    Ok(counts.join(", "))
}
