//! An agent that wants one thing done, and tries again as agents do. Every try is one line of JSON on stdout.

use anyhow::{Context, Result};
use semel::{
    model::{Answer, Call, Outcome},
    runtime::{Begun, Semel},
};
use serde_json::{Value, json};
use std::{io::Write as _, path::PathBuf, time::Duration};

use crate::{client::Client, tools};

/// What an agent is to do.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the payment server is
    #[arg(long)]
    server: String,
    /// Where the ledger is; without one, nothing guards the calls
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// How often it tries
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

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let client = Client::new(&arguments.server);
    let args: Value = serde_json::from_str(&arguments.args).context("`--args`")?;
    match &arguments.ledger {
        None => unguarded(&client, &arguments, args).await,
        Some(path) => {
            let semel = tools::host(path).await?;
            for _ in 0..arguments.tries {
                say(&guarded(&semel, &client, &arguments, &args).await?)?;
            }
            Ok(())
        }
    }
}

/// Tries until an answer comes.
async fn unguarded(client: &Client, arguments: &Arguments, args: Value) -> Result<()> {
    for _ in 0..arguments.tries {
        let outcome = client
            .send(path_of(&arguments.tool), Vec::new(), args.clone())
            .await;
        let answered = matches!(outcome, Outcome::Returned(_));
        say(&json!({ "answer": if answered { "returned" } else { "no answer" } }))?;
        if answered {
            break;
        }
    }
    Ok(())
}

/// One try: what Semel lets run is sent once, and what it came to is told.
async fn guarded(
    semel: &Semel,
    client: &Client,
    arguments: &Arguments,
    args: &Value,
) -> Result<Value> {
    let call = Call::new(&arguments.tool, args.clone())?;
    let answered = match semel.begin(call).await? {
        Begun::Answered(answered) => *answered,
        Begun::Run(started) => {
            let ticket = started.ticket.clone();
            let body = Value::Object(ticket.arguments);
            let outcome = client
                .send(path_of(&arguments.tool), ticket.headers, body)
                .await;
            if arguments.stop_after_effect {
                say(&json!({ "answer": "stopped between the effect and its record" }))?;
                tokio::time::sleep(Duration::MAX).await;
            }
            started.finish(outcome).await?
        }
    };
    Ok(summary(&answered.answer))
}

fn summary(answer: &Answer) -> Value {
    let returned = match answer.outcome() {
        Some(Outcome::Returned(value)) => value.clone(),
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

fn say(line: &Value) -> Result<()> {
    println!("{line}");
    Ok(std::io::stdout().flush()?)
}
