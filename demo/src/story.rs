//! The story: lost replies, two agents at once, a crash, and a charge that is cancelled and made again.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{io::Write as _, path::Path};
use tokio::process::Command;

use crate::{client::Client, process::Process, server::Counts};

/// A line of the story. A reader who closed the pipe ends it with an error, not with a panic.
macro_rules! say {
    ($($word:tt)*) => { writeln!(std::io::stdout(), $($word)*)? };
}

/// How many replies get lost at the most: as often as what is in doubt is sent again.
const LOST_MAX: u32 = 2;

/// A payment server, a ledger, and who talks to them.
struct Scene<'a> {
    server: &'a str,
    client: Client,
    ledger: &'a Path,
}

pub(crate) async fn tell(tries: u32) -> Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let ledger = folder.path().join("ledger.sqlite");
    let mut process = Process::start(&["server"])?;
    let server = process.line().await?;
    let scene = Scene {
        server: &server,
        client: Client::new(&server),
        ledger: &ledger,
    };

    say!("A payment server charges, and then its reply is lost. The agent tries again.\n");
    let without = scene.lost_replies_unguarded(tries).await?;
    let with = scene.lost_replies(tries).await?;
    let together = scene.two_at_once().await?;
    let crash = scene.crash().await?;
    let again = scene.cancel_and_charge_again().await?;
    table(&[without, with, together, crash, again])?;
    list(&ledger).await?;
    process.kill().await
}

/// One row of the closing table.
struct Row {
    what: &'static str,
    counts: Counts,
    answers: String,
}

impl Scene<'_> {
    fn agent(&self, tool: &str, args: &Value, more: &[&str]) -> Result<Process> {
        let (args, ledger) = (args.to_string(), self.ledger.to_string_lossy());
        let mut arguments = vec![
            "agent",
            "--server",
            self.server,
            "--tool",
            tool,
            "--args",
            &args,
        ];
        if !more.contains(&"--unguarded") {
            arguments.extend(["--ledger", &ledger]);
        }
        arguments.extend(more.iter().filter(|argument| **argument != "--unguarded"));
        Process::start(&arguments)
    }

    async fn row(&self, what: &'static str, order_id: &str, said: &[Value]) -> Result<Row> {
        let words: Vec<_> = said
            .iter()
            .filter_map(|said| said["answer"].as_str())
            .collect();
        Ok(Row {
            what,
            counts: self.client.counts(order_id).await?,
            answers: words.join(", "),
        })
    }

    async fn lost_replies_unguarded(&self, tries: u32) -> Result<Row> {
        let order = "order-1";
        self.client.lose(tries - 1).await?;
        let tries_text = tries.to_string();
        let said = self
            .agent(
                "charge_card",
                &charge(order),
                &["--unguarded", "--tries", &tries_text],
            )?
            .finish()
            .await?;
        let row = self
            .row("lost replies, without Semel", order, &said)
            .await?;
        say!("without Semel: {} charges", row.counts.charges);
        self.client
            .expect(
                order,
                Counts {
                    charges: tries,
                    ..Counts::default()
                },
            )
            .await?;
        Ok(row)
    }

    /// The server sees what is sent again under the same key; what the ledger knows is not sent at all.
    async fn lost_replies(&self, tries: u32) -> Result<Row> {
        let order = "order-2";
        let lost = LOST_MAX.min(tries - 1);
        self.client.lose(lost).await?;
        let tries_text = tries.to_string();
        let said = self
            .agent("charge_card", &charge(order), &["--tries", &tries_text])?
            .finish()
            .await?;
        let row = self.row("lost replies, with Semel", order, &said).await?;
        let by_ledger = u32::try_from(
            said.iter()
                .filter(|said| said["answer"] == "replayed")
                .count(),
        )?;
        self.client
            .expect(
                order,
                Counts {
                    charges: 1,
                    replays: lost,
                    cancelled: 0,
                },
            )
            .await?;
        ensure!(
            row.counts.replays + by_ledger == tries - 1,
            "not every other try was a replay: {}",
            row.answers
        );
        say!(
            "with Semel: 1 charge, {} replays",
            row.counts.replays + by_ledger
        );
        say!(
            "  ({} by the server under the same key, {by_ledger} by Semel's ledger)\n",
            row.counts.replays
        );
        Ok(row)
    }

    async fn two_at_once(&self) -> Result<Row> {
        let order = "order-3";
        let agents = [
            self.agent("charge_card", &charge(order), &[])?,
            self.agent("charge_card", &charge(order), &[])?,
        ];
        let mut said = Vec::new();
        for agent in agents {
            said.extend(agent.finish().await?);
        }
        say!("two agents at once, with Semel: {}", words(&said));
        self.client
            .expect(
                order,
                Counts {
                    charges: 1,
                    ..Counts::default()
                },
            )
            .await?;
        self.row("two agents at once", order, &said).await
    }

    async fn crash(&self) -> Result<Row> {
        let order = "order-4";
        let mut first = self.agent("charge_card", &charge(order), &["--stop-after-effect"])?;
        let stopped = first.said().await?;
        first.kill().await?;
        say!("\nkill -9 between the effect and its record: the operation is in doubt");
        let said = self
            .agent("charge_card", &charge(order), &[])?
            .finish()
            .await?;
        say!(
            "the agent starts again: {}, because the server knew the key",
            words(&said)
        );
        self.client
            .expect(
                order,
                Counts {
                    charges: 1,
                    replays: 1,
                    cancelled: 0,
                },
            )
            .await?;
        self.row(
            "kill -9, and again",
            order,
            &[&[stopped][..], &said].concat(),
        )
        .await
    }

    async fn cancel_and_charge_again(&self) -> Result<Row> {
        let order = "order-5";
        let first = self
            .agent("charge_card", &charge(order), &[])?
            .finish()
            .await?;
        let id = first
            .first()
            .and_then(|said| said.pointer("/returned/id")?.as_str())
            .context("no charge to cancel")?;
        let cancel = self
            .agent("cancel_charge", &json!({ "charge_id": id }), &[])?
            .finish()
            .await?;
        let again = self
            .agent("charge_card", &charge(order), &[])?
            .finish()
            .await?;
        let generation = again
            .first()
            .map(|said| said["generation"].clone())
            .unwrap_or_default();
        ensure!(
            generation == 2,
            "the charge after the cancel has generation {generation}, not 2"
        );
        say!(
            "\ncharged, cancelled, and charged again: the second charge is generation {generation}"
        );
        self.client
            .expect(
                order,
                Counts {
                    charges: 2,
                    replays: 0,
                    cancelled: 1,
                },
            )
            .await?;
        self.row(
            "cancelled, and charged again",
            order,
            &[first, cancel, again].concat(),
        )
        .await
    }
}

fn charge(order_id: &str) -> Value {
    json!({ "order_id": order_id, "amount": "25.00" })
}

fn words(said: &[Value]) -> String {
    said.iter()
        .filter_map(|said| said["answer"].as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn table(rows: &[Row]) -> Result<()> {
    say!(
        "\n{:<29} {:>7} {:>7} {:>9}  answers",
        "counted by the server",
        "charges",
        "replays",
        "cancelled"
    );
    for Row {
        what,
        counts,
        answers,
    } in rows
    {
        say!(
            "{what:<29} {:>7} {:>7} {:>9}  {answers}",
            counts.charges,
            counts.replays,
            counts.cancelled
        );
    }
    Ok(())
}

/// What the ledger holds, as its operator asks for it: by the command line itself.
async fn list(ledger: &Path) -> Result<()> {
    let semel =
        std::env::current_exe()?.with_file_name(format!("semel{}", std::env::consts::EXE_SUFFIX));
    let config = ledger.with_file_name("semel.toml");
    let name = ledger
        .file_name()
        .context("a ledger without a name")?
        .to_string_lossy();
    std::fs::write(&config, format!("[ledger]\nurl = \"sqlite:{name}\"\n"))?;
    say!("\n$ semel ledger list");
    let listed = Command::new(&semel)
        .args(["ledger", "list", "--config"])
        .arg(&config)
        .output()
        .await;
    let listed = listed.with_context(|| {
        format!(
            "cannot run `{}`: `cargo xtask demo` builds it",
            semel.display()
        )
    })?;
    ensure!(
        listed.status.success(),
        "`semel ledger list` failed: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    say!("{}", String::from_utf8_lossy(&listed.stdout).trim_end());
    Ok(())
}
