//! `semel ledger reseal`

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, Exit, OrExit},
    setup, talk,
};
use semel::store::ResealReport;

/// How often the whole ledger is gone through while others change what was to be sealed.
const ROUNDS_MAX: u32 = 10;

/// Seals under the current key what is in the clear or sealed under an older one.
///
/// Callers go on meanwhile. Once it ends with 0 and every host seals under the current key, an older key can be dropped.
/// Prints how many records it sealed.
#[derive(Debug, clap::Args)]
pub(crate) struct ResealArgs {
    #[command(flatten)]
    place: ConfigArgs,
}

pub(super) async fn run(options: ResealArgs) -> Result<(), CommandError> {
    let config = setup::load_config(&options.place)?;
    let store = config.open_sealing_store().await?;
    let store = store
        .ok_or("no sealing key is set up: name one in `[sealing]`")
        .or_exit(Exit::Config)?;
    let mut resealed = 0;
    for _ in 0..ROUNDS_MAX {
        let round = round(&store).await?;
        resealed += round.resealed;
        if round.left == 0 {
            talk::line(&resealed.to_string())?;
            return whole(&round);
        }
    }
    talk::line(&resealed.to_string())?;
    Err(Exit::Running.error(
        "others write under another key, or a clock went back: see to that, and do it again",
    ))
}

/// Once through the whole ledger.
async fn round(store: &semel::store::SealingStore) -> Result<ResealReport, CommandError> {
    let mut sum = ResealReport::default();
    loop {
        let page = store.reseal(sum.next).await.or_exit(Exit::Ledger)?;
        sum.resealed += page.resealed;
        sum.left += page.left;
        sum.damaged += page.damaged;
        for (id, count) in page.no_key {
            *sum.no_key.entry(id).or_default() += count;
        }
        sum.next = page.next;
        if sum.next.is_none() {
            return Ok(sum);
        }
    }
}

fn whole(round: &ResealReport) -> Result<(), CommandError> {
    for (id, count) in &round.no_key {
        talk::say(format_args!(
            "{count} records are sealed under the key `{id}`, which is not set up here"
        ));
    }
    if round.damaged > 0 {
        talk::say(format_args!(
            "{} records do not open: see `semel ledger list`",
            round.damaged
        ));
    }
    if round.no_key.is_empty() && round.damaged == 0 {
        return Ok(());
    }
    Err(Exit::Config.error("some records were left as they are: no key may be dropped yet"))
}
