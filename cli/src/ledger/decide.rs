//! `semel ledger decide`

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, Exit, OrExit},
    talk,
};
use clap::ValueEnum;
use semel::{
    json::{self, JsonLimits},
    ledger::{Decision, KeptOutcome, Person},
    model::Outcome,
};

/// The longest name, reason or handle, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// The most handles.
const HANDLES_MAX: usize = 64;

/// Writes what a person found out about an operation that is held or in doubt.
///
/// Look at the system behind the tool first: the decision stands, and every repeat is answered by it.
#[derive(Debug, clap::Args)]
pub(crate) struct DecideArgs {
    /// The key that an answer or `list` shows, or at least its first 8 digits
    #[arg(value_name = "ID")]
    id: String,
    /// What became of it
    #[arg(value_enum)]
    decision: Word,
    /// Who says so
    #[arg(long, value_name = "NAME")]
    who: String,
    /// On what ground
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// What the tool would have returned; only with `landed`
    #[arg(long, value_name = "JSON")]
    outcome: Option<String>,
    /// A name by which later calls may undo it; only with `landed`; may be given again
    #[arg(long, value_name = "NAME")]
    handle: Vec<String>,
    /// The attempt that the decision rests on [default: the last one]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    #[command(flatten)]
    place: ConfigArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Word {
    /// It took effect: repeats get its outcome
    Landed,
    /// It took no effect, and is not to be sent
    Refused,
    /// It took no effect, and the same call may be sent again
    Release,
    /// It took effect, and was undone since
    Undone,
}

pub(super) async fn run(options: DecideArgs) -> Result<(), CommandError> {
    let decision = decision(&options)?;
    let person = Person {
        who: text("--who", &options.who)?,
        why: text("--why", &options.why)?,
    };
    let ledger = super::open(&options.place).await?;
    let listed = super::find(&ledger, &options.id).await?;
    let shown = options.attempt.unwrap_or_else(|| {
        listed
            .record
            .last_attempt()
            .map_or(0, |last| last.fence.number)
    });
    let decided = ledger.decide(listed.key, shown, person, decision).await;
    decided?;
    let now = ledger.read(listed.key).await?;
    let state = now.map_or("removed", |listed| listed.record.state.label().word());
    talk::line(&format!("{}\t{state}", listed.downstream))
}

fn decision(options: &DecideArgs) -> Result<Decision, CommandError> {
    let of_landed = options.outcome.is_some() || !options.handle.is_empty();
    if of_landed && options.decision != Word::Landed {
        return Err(Exit::Usage.error(
            "`--outcome` and `--handle` say what landed: leave them out, or decide `landed`",
        ));
    }
    if options.handle.len() > HANDLES_MAX {
        return Err(Exit::Usage.error(format!("more than {HANDLES_MAX} handles: name fewer")));
    }
    Ok(match options.decision {
        Word::Landed => Decision::Landed {
            outcome: options.outcome.as_deref().map(outcome).transpose()?,
            handles: options
                .handle
                .iter()
                .map(|handle| text("--handle", handle))
                .collect::<Result<_, _>>()?,
        },
        Word::Refused => Decision::Refused,
        Word::Release => Decision::Released,
        Word::Undone => Decision::Undone,
    })
}

fn outcome(written: &str) -> Result<KeptOutcome, CommandError> {
    let value = json::parse(written, &JsonLimits::default());
    let value = value
        .map_err(|fault| format!("the outcome cannot be used: {fault}"))
        .or_exit(Exit::Refused)?;
    Ok(KeptOutcome::Whole(Outcome::Returned(value)))
}

pub(super) fn text(option: &str, written: &str) -> Result<String, CommandError> {
    let text = written.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.contains(char::is_control) {
        let message = format!("`{option}` takes one line of 1 to {TEXT_BYTES_MAX} bytes");
        return Err(Exit::Usage.error(message));
    }
    Ok(text.to_owned())
}
