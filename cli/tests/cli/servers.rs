//! Ledgers on servers, as whoever sets one up or guards a command meets them: what is typed wrong, what the server does not let
//! happen, and what goes wrong in the middle of it is told with its cure, and the command does not run where nothing is on record.

mod midway;
mod postgres;
mod redis;

use crate::workshop::{CHARGE, Done, EFFECT, Workshop};

pub(crate) const ORDER: &str = r#"{"order": 17, "amount": 10}"#;

/// A workshop whose ledger is there.
fn shop_at(url: &str) -> Workshop {
    let shop = Workshop::new("");
    shop.write(
        "semel.toml",
        &format!("[ledger]\nurl = \"{url}\"\n{CHARGE}"),
    );
    shop
}

/// What a guarded command, a list and a look at the set-up are refused with, which is the same. Nothing runs.
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
    told(&guarded)
}

/// An exit code and what was said.
fn told(done: &Done) -> String {
    format!("{}: {}", done.exit, done.stderr.trim_end())
}

/// Refusals, line by line, to be looked at together.
struct Refusals {
    /// What is another one each time, and what stands in for it.
    varies: Vec<(String, &'static str)>,
    told: Vec<String>,
}

impl Refusals {
    fn of(port: u16) -> Self {
        Self {
            varies: vec![(port.to_string(), "PORT")],
            told: Vec::new(),
        }
    }

    fn add(&mut self, what: &str, told: &str) {
        let told = self
            .varies
            .iter()
            .fold(told.to_owned(), |told, (found, name)| {
                told.replace(found, name)
            });
        self.told.push(format!("{what}: {told}"));
    }

    /// What the ledger at this URL is refused with.
    fn add_at(&mut self, what: &str, url: &str) {
        let shop = shop_at(url);
        let config = shop.path("semel.toml").display().to_string();
        self.add(what, &refusal(&shop).replace(&config, "semel.toml"));
    }

    fn all(self) -> String {
        self.told.join("\n")
    }
}

/// Made, used and looked at: what holds for either server. `semel doctor` tells this of it.
fn is_used_as_ever(shop: &Workshop, doctor: &[&str]) {
    shop.exec("charge", ORDER, &format!("{EFFECT} echo done"))
        .printed(0, "done\n");
    shop.exec("charge", ORDER, &format!("{EFFECT} echo again"))
        .printed(0, "done\n");
    assert_eq!((shop.effects(), shop.keys().len()), (1, 1));
    let told = shop.run(&["doctor"]);
    assert_eq!(told.exit, 0, "{told:?}");
    for part in doctor.iter().chain(&["latency", "clock", "1 landed"]) {
        assert!(told.stdout.contains(part), "{part} {told:?}");
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
        .printed(0, "calls are sent as ever: nothing was withheld\n");
}
