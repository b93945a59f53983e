//! `semel ledger reseal`: encrypts all records under the current sealing key.

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, ExitReason, OrExit},
    output, setup,
};
use semel::store::{ResealReport, SealingStore};

/// The limit on passes over the ledger. Another one is needed while hosts still write under an older key.
const PASSES_MAX: u32 = 10;

/// Encrypts records under the current sealing key that are unencrypted or under an older one
///
/// Calls continue while it runs. After it ended with 0 and every host uses the current key, older keys can be removed from
/// the configuration. Prints the number of records that it encrypted.
#[derive(Debug, clap::Args)]
pub(crate) struct ResealArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: ResealArgs) -> Result<(), CommandError> {
    let config = setup::load_config(&args.config)?;
    let store = config
        .open_sealing_store()
        .await?
        .ok_or("no sealing key is configured: name one in `[sealing]`")
        .or_exit(ExitReason::Config)?;
    let mut resealed = 0;
    for _ in 0..PASSES_MAX {
        let pass = reseal_ledger(&store).await?;
        resealed += pass.resealed;
        if pass.left == 0 {
            output::write_line(&resealed.to_string())?;
            return check_unresealed(&pass);
        }
    }
    output::write_line(&resealed.to_string())?;
    Err(ExitReason::Running.error(
        "some records still change under another key: configure the current key on every host, check the clocks, and \
         run it again",
    ))
}

/// Passes over the whole ledger once, page by page.
async fn reseal_ledger(store: &SealingStore) -> Result<ResealReport, CommandError> {
    let mut sum = ResealReport::default();
    loop {
        let page = store.reseal(sum.next).await.or_exit(ExitReason::Ledger)?;
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

/// Fails if a pass met records that it could not decrypt.
fn check_unresealed(pass: &ResealReport) -> Result<(), CommandError> {
    for (id, count) in &pass.no_key {
        output::print_message(format_args!(
            "{count} records are sealed under the key `{id}`, which is not configured here"
        ));
    }
    if pass.damaged > 0 {
        output::print_message(format_args!(
            "{} records cannot be decrypted: see `semel ledger list`",
            pass.damaged
        ));
    }
    if pass.no_key.is_empty() && pass.damaged == 0 {
        return Ok(());
    }
    Err(ExitReason::Config.error("some records were not resealed: remove no key yet"))
}
