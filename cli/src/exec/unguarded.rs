//! A command in the modes `shadow` and `off`: it starts at once, and nothing that goes wrong with the ledger stops it.
//!
//! In shadow mode an observer opens ledger and policy while the command already runs. After the command has ended and
//! its output is written, the observer gets one more second. If that is too short, the observation is lost, and the
//! log says so.

use super::{ExecArgs, call_error, call_report::CallReport, run_command, signals::SignalListener};
use crate::{
    exit::{CommandError, ExitReason},
    setup,
};
use semel::{
    model::{Answer, Call, Outcome, ToolMode, UnguardedReason},
    runtime::{CallStep, Semel, Ticket, ToolRun},
};
use semel_config::{Config, ToolSetup};
use std::time::Duration;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

/// The time that the observer gets once the command has ended.
const OBSERVER_TIMEOUT: Duration = Duration::from_secs(1);

/// The call as the observer began it, with the host that observes.
type ObservedCall = (Semel, ToolRun);

pub(super) async fn run(
    config: Config,
    tool: ToolSetup,
    call: Call,
    args: &ExecArgs,
    signals: &mut SignalListener,
) -> Result<u8, CommandError> {
    let ticket = Ticket::unguarded(&call);
    let (why, observer) = if tool.mode == ToolMode::Shadow {
        let observer = tokio::spawn(begin_observing(config, tool, call));
        (UnguardedReason::Shadow, Some(observer))
    } else {
        (UnguardedReason::Off, None)
    };
    let result = run_command(&ticket, args, signals).await;
    let answer = Answer::Passed {
        why,
        outcome: result.outcome.clone(),
    };
    let exit_code = CallReport::unguarded(answer, result.end, result.was_written)
        .publish(args.output)
        .await;
    if let Some(observer) = observer
        && let Err(error) = finish_observing(observer, result.outcome, exit_code.is_ok()).await
    {
        tracing::warn!(why = error.message, "semel.shadow call is not recorded");
    }
    exit_code
}

/// Opens a host, and begins the call there as an observation.
async fn begin_observing(
    config: Config,
    tool: ToolSetup,
    call: Call,
) -> Result<ObservedCall, CommandError> {
    let host = config
        .open_tool_host(&setup::build_command_engine(&config)?, &tool, None)
        .await?;
    match host.begin(call).await.map_err(|error| call_error(&error))? {
        CallStep::Run(started) => Ok((host, *started)),
        CallStep::Answered(_) => {
            Err(ExitReason::Internal.error("the host answered a call that it only observes"))
        }
    }
}

/// Passes the command's outcome to the observer, and waits a moment until it is recorded.
async fn finish_observing(
    observer: JoinHandle<Result<ObservedCall, CommandError>>,
    outcome: Outcome,
    was_delivered: bool,
) -> Result<(), CommandError> {
    let timed_out = || ExitReason::Ledger.error(format!("not done within {OBSERVER_TIMEOUT:?}"));
    let started_at = Instant::now();
    let (host, call) = timeout(OBSERVER_TIMEOUT, observer)
        .await
        .map_err(|_| timed_out())?
        .map_err(|error| ExitReason::Internal.error(error))??;
    let answered = call
        .finish(outcome)
        .await
        .map_err(|error| call_error(&error))?;
    if let (_, Some(delivery)) = answered.into_parts()
        && was_delivered
    {
        delivery.acknowledge().await;
    }
    let time_left = OBSERVER_TIMEOUT.saturating_sub(started_at.elapsed());
    let is_recorded = host.wait_for_observations(time_left).await;
    // Dropping a store waits for its writer. This process ends now, whatever the writer still does.
    std::mem::forget(host);
    if is_recorded {
        Ok(())
    } else {
        Err(timed_out())
    }
}
