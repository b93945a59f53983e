//! The story: lost replies, two agents at once, a crash, and a charge that is cancelled and made again.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{io::Write as _, path::Path};
use tokio::process::Command;

use crate::{client::ShopClient, process::AgentProcess, server::OrderCounts};

/// A line of the story. A closed pipe ends it with an error, not with a panic.
macro_rules! say {
    ($($word:tt)*) => { writeln!(std::io::stdout(), $($word)*)? };
}

/// The most lost replies: the number of times an operation in doubt is sent again.
const LOST_MAX: u32 = 2;

/// A payment server, a ledger, and their clients.
struct DemoScene<'a> {
    server: &'a str,
    client: ShopClient,
    ledger: &'a Path,
}

pub(crate) async fn tell_story(tries: u32) -> Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let ledger = folder.path().join("ledger.sqlite");
    let mut process = AgentProcess::start(&["server"])?;
    let server = process.read_line().await?;
    let scene = DemoScene {
        server: &server,
        client: ShopClient::new(&server),
        ledger: &ledger,
    };

    say!("A payment server charges, and then its reply is lost. The agent tries again.\n");
    let without = scene.lost_replies_unguarded(tries).await?;
    let with = scene.lost_replies(tries).await?;
    let together = scene.two_at_once().await?;
    let crash = scene.play_crash().await?;
    let again = scene.cancel_and_charge_again().await?;
    print_table(&[without, with, together, crash, again])?;
    list_ledger(&ledger).await?;
    process.kill().await
}

/// One row of the closing table.
struct StoryRow {
    what: &'static str,
    counts: OrderCounts,
    answers: String,
}

impl DemoScene<'_> {
    fn agent(&self, tool: &str, args: &Value, more: &[&str]) -> Result<AgentProcess> {
        let args = args.to_string();
        let ledger = self.ledger.to_string_lossy();
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
        AgentProcess::start(&arguments)
    }

    async fn print_row(
        &self,
        what: &'static str,
        order_id: &str,
        said: &[Value],
    ) -> Result<StoryRow> {
        let words: Vec<_> = said
            .iter()
            .filter_map(|said| said["answer"].as_str())
            .collect();
        Ok(StoryRow {
            what,
            counts: self.client.counts(order_id).await?,
            answers: words.join(", "),
        })
    }

    async fn lost_replies_unguarded(&self, tries: u32) -> Result<StoryRow> {
        let order = "order-1";
        self.client.lose_replies(tries - 1).await?;
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
            .print_row("lost replies, without Semel", order, &said)
            .await?;
        say!("without Semel: {} charges", row.counts.charges);
        self.client
            .expect(
                order,
                OrderCounts {
                    charges: tries,
                    ..OrderCounts::default()
                },
            )
            .await?;
        Ok(row)
    }

    /// The server sees what is sent again under the same key; what the ledger knows is not sent at all.
    async fn lost_replies(&self, tries: u32) -> Result<StoryRow> {
        let order = "order-2";
        let lost = LOST_MAX.min(tries - 1);
        self.client.lose_replies(lost).await?;
        let tries_text = tries.to_string();
        let said = self
            .agent("charge_card", &charge(order), &["--tries", &tries_text])?
            .finish()
            .await?;
        let row = self
            .print_row("lost replies, with Semel", order, &said)
            .await?;
        let by_ledger = u32::try_from(
            said.iter()
                .filter(|said| said["answer"] == "replayed")
                .count(),
        )?;
        self.client
            .expect(
                order,
                OrderCounts {
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

    async fn two_at_once(&self) -> Result<StoryRow> {
        let order = "order-3";
        let agents = [
            self.agent("charge_card", &charge(order), &[])?,
            self.agent("charge_card", &charge(order), &[])?,
        ];
        let mut said = Vec::new();
        for agent in agents {
            said.extend(agent.finish().await?);
        }
        say!("two agents at once, with Semel: {}", count_words(&said));
        self.client
            .expect(
                order,
                OrderCounts {
                    charges: 1,
                    ..OrderCounts::default()
                },
            )
            .await?;
        self.print_row("two agents at once", order, &said).await
    }

    async fn play_crash(&self) -> Result<StoryRow> {
        let order = "order-4";
        let mut first = self.agent("charge_card", &charge(order), &["--stop-after-effect"])?;
        let stopped = first.next_report().await?;
        first.kill().await?;
        say!("\nkill -9 between the effect and its record: the operation is in doubt");
        let said = self
            .agent("charge_card", &charge(order), &[])?
            .finish()
            .await?;
        say!(
            "the agent starts again: {}, because the server knew the key",
            count_words(&said)
        );
        self.client
            .expect(
                order,
                OrderCounts {
                    charges: 1,
                    replays: 1,
                    cancelled: 0,
                },
            )
            .await?;
        self.print_row(
            "kill -9, and again",
            order,
            &[&[stopped][..], &said].concat(),
        )
        .await
    }

    async fn cancel_and_charge_again(&self) -> Result<StoryRow> {
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
                OrderCounts {
                    charges: 2,
                    replays: 0,
                    cancelled: 1,
                },
            )
            .await?;
        self.print_row(
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

fn count_words(said: &[Value]) -> String {
    said.iter()
        .filter_map(|said| said["answer"].as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn print_table(rows: &[StoryRow]) -> Result<()> {
    say!(
        "\n{:<29} {:>7} {:>7} {:>9}  answers",
        "counted by the server",
        "charges",
        "replays",
        "cancelled"
    );
    for StoryRow {
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

/// Prints the content of the ledger as its operator gets it: by the command line itself.
async fn list_ledger(ledger: &Path) -> Result<()> {
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
