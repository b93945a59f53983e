//! Ledgers on servers. A mistyped URL, a missing permission and a lost connection are each reported
//! with a cure, and a command does not run unless its claim is recorded.

mod midway;
mod postgres;
mod redis;

use crate::workshop::{CHARGE, CommandOutput, EFFECT, Workshop};

pub(crate) const ORDER: &str = r#"{"order": 17, "amount": 10}"#;

/// A workshop with a ledger at this URL.
fn shop_at(url: &str) -> Workshop {
    let shop = Workshop::new("");
    shop.write(
        "semel.toml",
        &format!("[ledger]\nurl = \"{url}\"\n{CHARGE}"),
    );
    shop
}

/// Returns the refusal of a guarded command, which must equal that of `ledger list` and `doctor`.
/// Nothing runs.
fn refusal(shop: &Workshop) -> String {
    let guarded = shop.exec("charge", ORDER, EFFECT);
    assert_eq!(shop.effects(), 0, "{guarded:?}");
    assert_eq!(guarded.stdout, "");
    let listed = shop.run(&["ledger", "list"]);
    assert_eq!(
        (listed.exit, &listed.stderr),
        (guarded.exit, &guarded.stderr)
    );
    assert_eq!(shop.run(&["doctor"]).exit, guarded.exit);
    exit_and_message(&guarded)
}

/// The exit code and the message.
fn exit_and_message(done: &CommandOutput) -> String {
    format!("{}: {}", done.exit, done.stderr.trim_end())
}

/// Refusals, one per line, for a snapshot.
struct Refusals {
    /// The values that differ between runs, each with its replacement.
    varies: Vec<(String, &'static str)>,
    lines: Vec<String>,
}

impl Refusals {
    fn new(port: u16) -> Self {
        Self {
            varies: vec![(port.to_string(), "PORT")],
            lines: Vec::new(),
        }
    }

    fn add(&mut self, what: &str, refusal: &str) {
        let mut line = format!("{what}: {refusal}");
        for (value, replacement) in &self.varies {
            line = line.replace(value, replacement);
        }
        self.lines.push(line);
    }

    /// Adds the refusal of a ledger at this URL.
    fn add_at(&mut self, what: &str, url: &str) {
        let shop = shop_at(url);
        let config = shop.path("semel.toml").display().to_string();
        self.add(what, &refusal(&shop).replace(&config, "semel.toml"));
    }

    fn into_text(self) -> String {
        self.lines.join("\n")
    }
}

/// Uses a new ledger, and checks it with `semel doctor`, whose output must contain these parts.
fn assert_ledger_works(shop: &Workshop, doctor: &[&str]) {
    shop.exec("charge", ORDER, &format!("{EFFECT} echo done"))
        .assert_stdout(0, "done\n");
    shop.exec("charge", ORDER, &format!("{EFFECT} echo again"))
        .assert_stdout(0, "done\n");
    assert_eq!((shop.effects(), shop.keys().len()), (1, 1));
    let report = shop.run(&["doctor"]);
    assert_eq!(report.exit, 0, "{report:?}");
    for part in doctor.iter().chain(&["latency", "clock", "1 landed"]) {
        assert!(report.stdout.contains(part), "{part} {report:?}");
    }
    let trust = [
        "ledger",
        "trust",
        "--who",
        "ada",
        "--why",
        "the agents were off",
    ];
    shop.run(&trust)
        .assert_stdout(0, "the ledger was not in quarantine: nothing changed\n");
}
