//! `semel ledger decide`: records a person's decision about an operation.

use super::statement::{PersonArgs, parse_line};
use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, ExitReason, OrExit},
    output,
};
use clap::ValueEnum;
use semel::{
    json::{self, JsonLimits},
    ledger::{Decision, KeptOutcome},
    model::Outcome,
};

/// The limit on the handles of one operation.
const HANDLES_MAX: usize = 64;

/// Records a person's decision about an operation that is held or in doubt
///
/// Check the system behind the tool first: the decision is recorded, and every repeat is answered by it.
#[derive(Debug, clap::Args)]
pub(crate) struct DecideArgs {
    /// Key from an answer or from `list`, or at least its first 8 digits
    #[arg(value_name = "ID")]
    id: String,
    /// Effect of the operation, as the person found it
    #[arg(value_enum)]
    decision: DecisionKind,
    #[command(flatten)]
    person: PersonArgs,
    /// Result that the tool would have returned; only with `landed`
    #[arg(long, value_name = "JSON")]
    outcome: Option<String>,
    /// Name by which later calls may undo the operation; only with `landed`; repeatable
    #[arg(long, value_name = "NAME")]
    handle: Vec<String>,
    /// Send under another idempotency key, where the system behind the tool keeps its answer to the present one; only with
    /// `release`
    #[arg(long)]
    new_key: bool,
    /// Number of the attempt that the person examined [default: the last one]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DecisionKind {
    /// It took effect: repeats get its outcome
    Landed,
    /// It had no effect, and must not be sent
    Refused,
    /// It had no effect, and the same call may be sent again
    Release,
    /// It took effect, and was undone since
    Undone,
}

pub(super) async fn run(args: DecideArgs) -> Result<(), CommandError> {
    let decision = to_decision(&args)?;
    let person = args.person.to_person()?;
    let ledger = super::open_ledger(&args.config).await?;
    let listed = super::find_record(&ledger, &args.id).await?;
    let last_attempt = listed.record.last_attempt();
    let examined = args
        .attempt
        .unwrap_or_else(|| last_attempt.map_or(0, |attempt| attempt.fence.number));
    ledger
        .decide(listed.key, examined, person, decision)
        .await?;
    let decided = ledger.read(listed.key).await?;
    let state = decided.map_or("removed", |decided| decided.record.state.label().word());
    output::write_line(&format!("{}\t{state}", listed.downstream))
}

fn to_decision(args: &DecideArgs) -> Result<Decision, CommandError> {
    let has_outcome = args.outcome.is_some() || !args.handle.is_empty();
    if has_outcome && args.decision != DecisionKind::Landed {
        return Err(ExitReason::Usage.error(
            "`--outcome` and `--handle` describe what landed: leave them out, or decide `landed`",
        ));
    }
    if args.new_key && args.decision != DecisionKind::Release {
        return Err(ExitReason::Usage.error(
            "`--new-key` is for a call that is sent again: leave it out, or decide `release`",
        ));
    }
    if args.handle.len() > HANDLES_MAX {
        return Err(ExitReason::Usage.error(format!(
            "`--handle` is given more than {HANDLES_MAX} times: name fewer handles"
        )));
    }
    Ok(match args.decision {
        DecisionKind::Landed => Decision::Landed {
            outcome: args.outcome.as_deref().map(parse_outcome).transpose()?,
            handles: args
                .handle
                .iter()
                .map(|handle| parse_line("--handle", handle))
                .collect::<Result<_, _>>()?,
        },
        DecisionKind::Refused => Decision::Refused,
        DecisionKind::Release => Decision::Released {
            new_key: args.new_key,
        },
        DecisionKind::Undone => Decision::Undone,
    })
}

fn parse_outcome(text: &str) -> Result<KeptOutcome, CommandError> {
    let value = json::parse(text, &JsonLimits::default())
        .map_err(|error| format!("the outcome (`--outcome`) cannot be used: {error}"))
        .or_exit(ExitReason::Refused)?;
    Ok(KeptOutcome::Whole(Outcome::Returned(value)))
}
