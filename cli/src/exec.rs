//! `semel exec`: guards any command.
//!
//! What a first call costs over the bare command, with the policy's code in the cache: some 9 ms, in which the tag over
//! 1 MB of code takes half a millisecond, and the syncs of a ledger that nobody else has open: the head of its log, two
//! commits, and the log's move into the file at the end.

mod beside;
mod child;
mod conclusion;
mod group;
mod pass_on;
mod recorded;
mod signals;

use crate::{
    common_args::{ConfigArgs, OutputFormat},
    exit::{CommandError, Exit, OrExit},
    setup, talk,
};
use child::{Ran, Running};
use conclusion::Conclusion;
use semel::{
    json::{self, JsonLimits},
    model::{Call, Durability, Outcome, Run, Tenant, ToolMode},
    runtime::{CallError, CallStep, Semel, Ticket, ToolRun},
};
use semel_config::Config;
use signals::Signals;
use std::{
    ffi::OsString,
    io::{self, Read},
    time::Duration,
};

/// The longest wait for another caller.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// How long a call that a signal ends may take to find out whether it holds a claim.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Runs a command at most once per operation; repeats get the recorded result.
///
/// The command gets the arguments on its stdin, as one line of JSON, and in its environment `SEMEL_KEY` (the key under
/// which the system behind it recognises repeats: send it along), `SEMEL_ATTEMPT` and `SEMEL_OPERATION`. A call that its
/// policy lets pass has none of the three.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ExecArgs {
    /// The tool's name, by which the configuration finds its policy
    #[arg(long, value_name = "NAME")]
    tool: String,
    /// The arguments: one JSON object, or `-` to read it from stdin
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    args: String,
    /// On whose behalf [default: the configuration's, else `default`]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The run of the agent that makes the call
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// How long the command may run, such as 30s; then it is killed with all that it started
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
    /// How long to wait for another caller's attempt, up to 1h [default: the configuration's, else 10s]
    #[arg(long, value_name = "TIME", value_parser = wait)]
    wait: Option<Duration>,
    /// Whether the tool is guarded, only watched (see `semel ledger report`), or left alone [default: the configuration's,
    /// else enforce]
    #[arg(long, value_name = "MODE", value_parser = mode)]
    mode: Option<ToolMode>,
    #[command(flatten)]
    place: ConfigArgs,
    /// What stdout is: the command's own, or the answer as one JSON object
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    output: OutputFormat,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn timeout(written: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(written).map_err(|error| error.to_string())?;
    if timeout.is_zero() {
        Err("a command needs some time: write more than `0s`".to_owned())
    } else {
        Ok(timeout)
    }
}

fn wait(written: &str) -> Result<Duration, String> {
    let wait = humantime::parse_duration(written).map_err(|error| error.to_string())?;
    if wait > WAIT_MAX {
        Err("that is longer than `1h`: call again instead".to_owned())
    } else {
        Ok(wait)
    }
}

fn mode(written: &str) -> Result<ToolMode, String> {
    ToolMode::from_word(written).ok_or_else(|| "there are enforce, shadow and off".to_owned())
}

const AFTER_HELP: &str = r#"What the command comes to:
  exit 0             it returned, and landed
  another exit N     it failed with the code `exit-N`: its effect is unknown, unless the policy
                     has a rule for it
  killed, timed out  no answer came: its effect is unknown
  it cannot start    nothing was sent (exit 126 or 127, as in a shell)

Its stdout is passed on as it comes, and the first 256 KiB are recorded: JSON as JSON, text as
text, anything else as {"$stdout": {"base64": "..."}}. An object in another layout than the
shortest has its text beside it, as "$stdout", so that a replay prints the same bytes. Its
stderr is passed on; the last 2 KiB are a failure's message.

A tool that no [[tool]] of the configuration matches is guarded by the policy `hints`: an equal
call is the same operation until its output was written out.

SIGINT, SIGTERM and SIGHUP are passed on to the command (a second one kills it), and what came of
it is recorded. Before the command is started they end semel with 128 and the signal's number.

The exit code is the command's own or the recorded one, or one of 64 to 78 as `semel --help` tells;
--output json tells them apart.

Example:
  semel exec --tool refund --args '{"order": 17}' -- ./refund.sh"#;

pub(crate) async fn run(options: ExecArgs) -> Result<u8, CommandError> {
    let output = options.output;
    let concluded = guarded(options).await;
    if let (OutputFormat::Json, Err(stop)) = (output, &concluded) {
        talk::line(
            &serde_json::json!({ "error": stop.message, "exit": stop.exit.code() }).to_string(),
        )?;
    }
    concluded
}

async fn guarded(options: ExecArgs) -> Result<u8, CommandError> {
    let mut signals = Signals::listen()?;
    let config = setup::load_config(&options.place)?;
    let call = call(&options, &config)?;
    let mut setup = config.tool(&options.tool).clone();
    if let Some(wait) = options.wait {
        setup.allowance.wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    }
    setup.mode = options.mode.unwrap_or(setup.mode);
    if setup.mode != ToolMode::Enforce {
        return beside::run(config, setup, call, &options, &mut signals).await;
    }
    let host = config
        .open_tool_host(&setup::command_engine(&config)?, &setup)
        .await?;
    if host.durability() == Durability::Nothing {
        talk::say(
            "the ledger lives in memory, so nothing is remembered once this command has ended",
        );
    }
    match begin(&host, call, &mut signals).await? {
        Step::Interrupted(signal) => Ok(signals::exit_code(signal)),
        Step::Begun(CallStep::Answered(answered)) => {
            Conclusion::told(*answered).tell(options.output).await
        }
        Step::Begun(CallStep::Run(started)) => run_it(*started, &options, &mut signals).await,
    }
}

/// The call that was typed.
fn call(options: &ExecArgs, config: &Config) -> Result<Call, CommandError> {
    let limits = JsonLimits::default();
    let written = if options.args == "-" {
        from_stdin(limits.bytes)?
    } else {
        options.args.clone()
    };
    let arguments = json::parse(&written, &limits)
        .map_err(|fault| format!("the arguments (`--args`) cannot be used: {fault}"))
        .or_exit(Exit::Refused)?;
    let tenant = options
        .tenant
        .as_ref()
        .map(Tenant::new)
        .transpose()
        .or_exit(Exit::Refused)?;
    let run = options
        .run
        .as_ref()
        .map(Run::new)
        .transpose()
        .or_exit(Exit::Refused)?;
    let call = Call::new(&options.tool, arguments).or_exit(Exit::Refused)?;
    let call = call.for_tenant(tenant.unwrap_or_else(|| config.tenant.clone()));
    Ok(run.into_iter().fold(call, Call::in_run))
}

/// One byte more than the limit is enough to show that it is over.
fn from_stdin(bytes_max: usize) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = io::stdin()
        .lock()
        .take(bytes_max as u64 + 1)
        .read_to_string(&mut text);
    read.map_err(|error| format!("the arguments cannot be read from stdin: {error}"))
        .or_exit(Exit::Refused)?;
    Ok(text)
}

enum Step {
    Begun(CallStep),
    /// By this signal, while nothing was claimed.
    Interrupted(i32),
}

/// Begins the call. A signal ends the wait for another caller; a right that was gained all the same is given back.
async fn begin(host: &Semel, call: Call, signals: &mut Signals) -> Result<Step, CommandError> {
    let mut begun = std::pin::pin!(host.begin(call));
    let signal = tokio::select! {
        begun = &mut begun => return begun.map(Step::Begun).map_err(|error| failed(&error)),
        signal = signals.next() => signal,
    };
    talk::say("interrupted before the command was started");
    if let Ok(Ok(CallStep::Run(started))) = tokio::time::timeout(LAST_MOMENT, begun).await {
        let unsent = Outcome::not_sent("interrupted before the command was started");
        started
            .finish(unsent)
            .await
            .map_err(|error| failed(&error))?;
    }
    Ok(Step::Interrupted(signal))
}

async fn run_it(
    started: ToolRun,
    options: &ExecArgs,
    signals: &mut Signals,
) -> Result<u8, CommandError> {
    let Ran {
        outcome,
        ending,
        was_written,
    } = ran(&started.ticket, options, signals).await;
    let answered = started
        .finish(outcome)
        .await
        .map_err(|error| failed(&error))?;
    Conclusion::ran(answered, ending, was_written)
        .tell(options.output)
        .await
}

/// Runs the command to its end.
async fn ran(ticket: &Ticket, options: &ExecArgs, signals: &mut Signals) -> Ran {
    let passes = options.output == OutputFormat::Text;
    match Running::start(&options.command, ticket, passes) {
        Ok(running) => running.finish(options.timeout, signals).await,
        Err(ran) => ran,
    }
}

fn failed(error: &CallError) -> CommandError {
    let exit = match error {
        CallError::Ledger(_) => Exit::Ledger,
        CallError::NoPolicy { .. } => Exit::Config,
        CallError::Policy(_) | CallError::Internal(_) => Exit::Internal,
    };
    exit.error(error)
}
