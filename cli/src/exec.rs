//! `semel exec`: guards any command.
//!
//! A first call costs about 9 ms more than the bare command, if the policy is in the cache. Half a millisecond of that
//! authenticates 1 MB of compiled code. Most of the rest is syncs of the ledger's file: the head of the write-ahead
//! log, two commits, and the checkpoint when the last connection closes.

mod call_report;
mod capture;
mod child;
mod command_prober;
mod message;
mod process_group;
mod signals;
mod stdout_value;
mod unguarded;

use crate::{
    common_args::{ConfigArgs, OutputFormat},
    exit::{CommandError, ExitReason, OrExit},
    output, setup,
};
use call_report::CallReport;
use child::{ChildCommand, CommandResult};
use command_prober::CommandProber;
use semel::{
    json::{JsonDocument, JsonLimits},
    model::{Call, Durability, Outcome, Run, Tenant, ToolMode},
    runtime::{CallError, CallStep, Prober, Semel, Ticket, ToolRun},
};
use semel_config::{Config, ToolSetup};
use signals::SignalListener;
use std::{
    ffi::OsString,
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

/// The longest wait for another caller.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// The time in which an interrupted call may still find out that it holds a claim, and release it.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs a command at most once per operation; repeats get the recorded result
///
/// The command gets the arguments on its stdin, as they are written but for the key, and a line end. Its environment holds `SEMEL_KEY`,
/// `SEMEL_ATTEMPT` and `SEMEL_OPERATION`. `SEMEL_KEY` is an idempotency key: send it along, so that the system behind
/// the command recognises repeats. A call that its policy does not guard has none of the three.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ExecArgs {
    /// Name of the tool, by which the configuration finds its policy
    #[arg(long, value_name = "NAME")]
    tool: String,
    /// Arguments of the call: one JSON object, or `-` to read it from stdin
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    args: String,
    /// Tenant for which the call is made [default: the configuration's, else `default`]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Agent run that makes the call
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Time limit of the command, such as 30s; at its end the command and its child processes are killed
    #[arg(long, value_name = "TIME", value_parser = parse_timeout)]
    timeout: Option<Duration>,
    /// Time to wait for another caller's attempt, up to 1h [default: the configuration's, else 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_wait)]
    wait: Option<Duration>,
    /// `enforce` guards the tool, `shadow` only records what a guard would do (see `semel ledger report`), `off` does
    /// neither [default: the configuration's, else enforce]
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    mode: Option<ToolMode>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Content of stdout: the command's output, or the answer as one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
    /// Command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The error of an argument, as the parser of the command line takes it.
type ArgumentError = Box<dyn std::error::Error + Send + Sync>;

fn parse_timeout(text: &str) -> Result<Duration, ArgumentError> {
    let timeout = humantime::parse_duration(text)?;
    if timeout.is_zero() {
        return Err("a command needs some time: write more than `0s`".into());
    }
    Ok(timeout)
}

fn parse_wait(text: &str) -> Result<Duration, ArgumentError> {
    let wait = humantime::parse_duration(text)?;
    if wait > WAIT_MAX {
        return Err("longer than `1h`: wait less, and call again".into());
    }
    Ok(wait)
}

fn parse_mode(text: &str) -> Result<ToolMode, String> {
    ToolMode::from_word(text).ok_or_else(|| "write `enforce`, `shadow` or `off`".to_owned())
}

const AFTER_HELP: &str = r#"Result of the command:
  exit 0             it returned, and landed
  another exit N     it failed with the code `exit-N`; its effect is unknown, unless the policy
                     has a rule for the code
  killed, timed out  no answer came; its effect is unknown
  it cannot start    nothing was sent (exit 126 or 127, as in a shell)

Its stdout is passed on as it comes, and the first 256 KiB are recorded: JSON as JSON, text as
text, anything else as {"$stdout": {"base64": "..."}}. If a JSON object is not in its shortest
form, its text is recorded beside it as "$stdout", so that a replay prints the same bytes. Its
stderr is passed on, and the last 16 KiB are recorded as the message of a failure.

A tool that no [[tool]] of the configuration matches is guarded by the policy `hints`: an equal
call is the same operation until its output was written.

SIGINT, SIGTERM and SIGHUP are passed on to the command (a second one kills it), and its outcome
is recorded. Before the command starts, they end semel with 128 plus the signal's number.

The exit code is the command's own or the recorded one, or one of 64 to 78 (see `semel --help`).
With --output json, the answer shows which of the two it is.

Example:
  semel exec --tool refund --args '{"order": 17}' -- ./refund.sh"#;

pub(crate) async fn run(args: ExecArgs) -> Result<u8, CommandError> {
    let format = args.output;
    let result = run_tool(args).await;
    if let (OutputFormat::Json, Err(error)) = (format, &result) {
        let object = serde_json::json!({ "error": error.message, "exit": error.reason.code() });
        output::write_line(&object.to_string())?;
    }
    result
}

async fn run_tool(args: ExecArgs) -> Result<u8, CommandError> {
    // From here on a signal must not end this process: a call may be in progress that has to be recorded.
    let mut signals = SignalListener::start()?;
    let config = setup::load_config(&args.config)?;
    let call = build_call(&args, &config)?;
    let mut setup = config.tool(&args.tool).clone();
    if let Some(wait) = args.wait {
        setup.allowance.wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    }
    setup.mode = args.mode.unwrap_or(setup.mode);
    match setup.mode {
        ToolMode::Enforce => run_guarded(&config, &setup, call, &args, &mut signals).await,
        ToolMode::Shadow | ToolMode::Off => {
            unguarded::run(config, setup, call, &args, &mut signals).await
        }
    }
}

async fn run_guarded(
    config: &Config,
    setup: &ToolSetup,
    call: Call,
    args: &ExecArgs,
    signals: &mut SignalListener,
) -> Result<u8, CommandError> {
    let prober = (!setup.probe_command.is_empty())
        .then(|| Arc::new(CommandProber::new(&setup.probe_command)) as Arc<dyn Prober>);
    let host = config
        .open_tool_host(&setup::build_command_engine(config)?, setup, prober)
        .await?;
    if host.durability() == Durability::Nothing {
        output::print_message(
            "the ledger is in memory and ends with this command, so no repeat is recognised: use a ledger in a file or \
             on a server",
        );
    }
    match begin_call(&host, call, signals).await? {
        FirstStep::Interrupted(signal) => Ok(signals::exit_code(signal)),
        FirstStep::Begun(CallStep::Answered(answered)) => {
            CallReport::without_run(*answered)
                .publish(args.output)
                .await
        }
        FirstStep::Begun(CallStep::Run(started)) => run_started(*started, args, signals).await,
    }
}

/// Builds the call that the arguments describe.
fn build_call(args: &ExecArgs, config: &Config) -> Result<Call, CommandError> {
    let limits = JsonLimits::default();
    let text = if args.args == "-" {
        read_stdin(limits.bytes)?
    } else {
        args.args.clone()
    };
    let arguments = JsonDocument::parse(&text, &limits)
        .map_err(|error| format!("the arguments (`--args`) cannot be used: {error}"))
        .or_exit(ExitReason::Refused)?;
    let tenant = match &args.tenant {
        Some(name) => Tenant::new(name).or_exit(ExitReason::Refused)?,
        None => config.tenant.clone(),
    };
    let call = Call::new(&args.tool, arguments)
        .or_exit(ExitReason::Refused)?
        .for_tenant(tenant);
    match &args.run {
        Some(id) => Ok(call.in_run(Run::new(id).or_exit(ExitReason::Refused)?)),
        None => Ok(call),
    }
}

fn read_stdin(bytes_max: usize) -> Result<String, CommandError> {
    let mut text = String::new();
    // One byte more than the limit, so that the parser sees a longer text and refuses it.
    io::stdin()
        .lock()
        .take(bytes_max as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("the arguments cannot be read from stdin: {error}"))
        .or_exit(ExitReason::Refused)?;
    Ok(text)
}

/// The first step of a guarded call.
enum FirstStep {
    Begun(CallStep),
    /// This signal came before the command was started.
    Interrupted(i32),
}

/// Begins the call, unless a signal ends the wait for another caller.
async fn begin_call(
    host: &Semel,
    call: Call,
    signals: &mut SignalListener,
) -> Result<FirstStep, CommandError> {
    let mut begin = std::pin::pin!(host.begin(call));
    let signal = tokio::select! {
        begun = &mut begin => return begun.map(FirstStep::Begun).map_err(|error| call_error(&error)),
        signal = signals.next_signal() => signal,
    };
    let interrupted = "interrupted before the command was started";
    output::print_message(interrupted);
    // The claim may have been granted in the same moment. Unreleased, it would leave the operation in doubt.
    if let Ok(Ok(CallStep::Run(started))) = tokio::time::timeout(RELEASE_TIMEOUT, begin).await {
        started
            .finish(Outcome::not_sent(interrupted))
            .await
            .map_err(|error| call_error(&error))?;
    }
    Ok(FirstStep::Interrupted(signal))
}

async fn run_started(
    started: ToolRun,
    args: &ExecArgs,
    signals: &mut SignalListener,
) -> Result<u8, CommandError> {
    let result = run_command(&started.ticket, args, signals).await;
    let answered = started
        .finish(result.outcome)
        .await
        .map_err(|error| call_error(&error))?;
    CallReport::of_run(answered, result.end, result.was_written)
        .publish(args.output)
        .await
}

/// Runs the command to its end.
async fn run_command(
    ticket: &Ticket,
    args: &ExecArgs,
    signals: &mut SignalListener,
) -> CommandResult {
    let forwards_stdout = args.output == OutputFormat::Text;
    match ChildCommand::spawn(&args.command, ticket, forwards_stdout) {
        Ok(child) => child.wait(args.timeout, signals).await,
        Err(not_started) => not_started,
    }
}

fn call_error(error: &CallError) -> CommandError {
    let reason = match error {
        CallError::Ledger(_) => ExitReason::Ledger,
        CallError::NoPolicy { .. } => ExitReason::Config,
        CallError::Policy(_) | CallError::Internal(_) => ExitReason::Internal,
    };
    reason.error(error)
}
