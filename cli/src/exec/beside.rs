//! Running a command without a guard: at once, whatever becomes of who watches it.
//!
//! Ledger and policy are set up while the command runs already. Once it has ended and its answer is told, the observer
//! has a moment to finish; what cannot be recorded by then is lost, and only the log tells.

use super::{ExecArgs, child::Ran, conclusion::Conclusion, failed, ran};
use crate::{
    exit::{CommandError, Exit},
    setup,
};
use semel::{
    model::{Answer, Call, Outcome, ToolMode, UnguardedReason},
    runtime::{CallStep, Semel, Ticket, ToolRun},
};
use semel_config::{Config, ToolSetup};
use std::time::Duration;
use tokio::task::JoinHandle;

use super::signals::Signals;

/// How long the command's caller waits for the observer, once the command has ended.
const OBSERVED_WITHIN: Duration = Duration::from_secs(1);

type Watching = JoinHandle<Result<(Semel, ToolRun), CommandError>>;

pub(super) async fn run(
    config: Config,
    tool: ToolSetup,
    call: Call,
    options: &ExecArgs,
    signals: &mut Signals,
) -> Result<u8, CommandError> {
    let ticket = Ticket::unguarded(&call);
    let (why, watching) = match tool.mode {
        ToolMode::Shadow => (
            UnguardedReason::Shadow,
            Some(tokio::spawn(watch(config, tool, call))),
        ),
        ToolMode::Off | ToolMode::Enforce => (UnguardedReason::Off, None),
    };
    let Ran {
        outcome,
        ending,
        was_written,
    } = ran(&ticket, options, signals).await;
    let answer = Answer::Passed {
        why,
        outcome: outcome.clone(),
    };
    let told = Conclusion::unguarded(answer, ending, was_written)
        .tell(options.output)
        .await;
    if let Some(watching) = watching
        && let Err(stop) = observe(watching, outcome, told.is_ok()).await
    {
        tracing::warn!(why = stop.message, "semel.shadow call is not recorded");
    }
    told
}

/// Sets a host up, and has it watch the call.
async fn watch(
    config: Config,
    tool: ToolSetup,
    call: Call,
) -> Result<(Semel, ToolRun), CommandError> {
    let host = config
        .open_tool_host(&setup::command_engine(&config)?, &tool)
        .await?;
    match host.begin(call).await.map_err(|error| failed(&error))? {
        CallStep::Run(started) => Ok((host, *started)),
        CallStep::Answered(_) => Err(Exit::Internal.error("a watched call was answered")),
    }
}

/// Tells the observer what the command came to, and gives it a moment.
async fn observe(watching: Watching, outcome: Outcome, taken: bool) -> Result<(), CommandError> {
    let late = || Exit::Ledger.error(format!("it was not done within {OBSERVED_WITHIN:?}"));
    let begun = tokio::time::Instant::now();
    let watching = tokio::time::timeout(OBSERVED_WITHIN, watching)
        .await
        .map_err(|_| late())?;
    let (host, started) = watching.map_err(|error| Exit::Internal.error(error))??;
    let (_, delivery) = started
        .finish(outcome)
        .await
        .map_err(|error| failed(&error))?
        .into_parts();
    if let Some(delivery) = delivery.filter(|_| taken) {
        delivery.acknowledge().await;
    }
    let is_recorded = host
        .wait_for_observations(OBSERVED_WITHIN.saturating_sub(begun.elapsed()))
        .await;
    // A store that is dropped waits for its writer, and this process is about to end anyway.
    std::mem::forget(host);
    if is_recorded { Ok(()) } else { Err(late()) }
}
