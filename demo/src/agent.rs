//! An agent that wants one thing done, and tries again as agents do. Every try is one line of JSON on stdout.

use anyhow::{Context, Result};
use semel::{
    model::{Answer, Call, Outcome},
    runtime::{CallStep, Semel},
};
use serde_json::{Value, json};
use std::{io::Write as _, path::PathBuf, time::Duration};

use crate::{client::ShopClient, tools};

/// Play an agent
#[derive(clap::Args)]
pub(crate) struct AgentArguments {
    /// The URL of the payment server
    #[arg(long)]
    server: String,
    /// The file of the ledger; without one, the calls are unguarded
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// The number of attempts
    #[arg(long, default_value_t = 1)]
    tries: u32,
    /// Stop for ever between the effect and its record, to be killed there
    #[arg(long)]
    stop_after_effect: bool,
    /// The tool
    #[arg(long)]
    tool: String,
    /// Its arguments, as JSON
    #[arg(long)]
    args: String,
}

pub(crate) async fn run(arguments: AgentArguments) -> Result<()> {
    let client = ShopClient::new(&arguments.server);
    let args: Value = serde_json::from_str(&arguments.args).context("`--args`")?;
    match &arguments.ledger {
        None => charge_unguarded(&client, &arguments, args).await,
        Some(path) => {
            let semel = tools::open_host(path).await?;
            for _ in 0..arguments.tries {
                print_report(&charge_guarded(&semel, &client, &arguments, &args).await?)?;
            }
            Ok(())
        }
    }
}

/// Tries until an answer comes.
async fn charge_unguarded(
    client: &ShopClient,
    arguments: &AgentArguments,
    args: Value,
) -> Result<()> {
    for _ in 0..arguments.tries {
        let outcome = client
            .send(path_of(&arguments.tool), Vec::new(), args.to_string())
            .await;
        let answered = matches!(outcome, Outcome::Returned(_));
        print_report(&json!({ "answer": if answered { "returned" } else { "no answer" } }))?;
        if answered {
            break;
        }
    }
    Ok(())
}

/// One attempt under Semel: sends at most once, and reports the outcome.
async fn charge_guarded(
    semel: &Semel,
    client: &ShopClient,
    arguments: &AgentArguments,
    args: &Value,
) -> Result<Value> {
    let call = Call::new(&arguments.tool, args.clone())?;
    let answered = match semel.begin(call).await? {
        CallStep::Answered(answered) => *answered,
        CallStep::Run(started) => {
            let ticket = started.ticket.clone();
            let body = ticket.arguments_json;
            let outcome = client
                .send(path_of(&arguments.tool), ticket.headers, body)
                .await;
            if arguments.stop_after_effect {
                print_report(&json!({ "answer": "stopped between the effect and its record" }))?;
                tokio::time::sleep(Duration::MAX).await;
            }
            started.finish(outcome).await?
        }
    };
    let (answer, delivery) = answered.into_parts();
    // From here on the agent has the answer, so what is cancelled later may be charged again.
    if let Some(delivery) = delivery {
        delivery.acknowledge().await;
    }
    Ok(summarise(&answer))
}

fn summarise(answer: &Answer) -> Value {
    let returned = match answer.outcome() {
        Some(Outcome::Returned(value)) => value.deserialize_into().unwrap_or_default(),
        _ => Value::Null,
    };
    json!({
        "answer": answer.word(),
        "generation": answer.about().map(|about| about.generation),
        "attempt": answer.about().map(|about| about.attempt),
        "returned": returned,
    })
}

fn path_of(tool: &str) -> &'static str {
    if tool == "charge_card" {
        "/charges"
    } else {
        "/cancel"
    }
}

fn print_report(line: &Value) -> Result<()> {
    println!("{line}");
    Ok(std::io::stdout().flush()?)
}
