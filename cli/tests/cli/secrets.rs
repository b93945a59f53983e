//! The log of `semel` holds no secret: neither arguments nor outcomes nor secrets of the
//! configuration.

use crate::workshop::{CHARGE, CommandOutput, Workshop};

/// `cargo xtask test` looks for it in the output of all tests.
const CANARY: &str = concat!("kept-quiet-", "8d1f0c5e");

/// The lines of a log, which have a time and a level. Messages to the caller are not among them.
fn logged(done: &CommandOutput) -> Vec<&str> {
    let levels = [" TRACE ", " DEBUG ", " INFO ", " WARN ", " ERROR "];
    done.stderr
        .lines()
        .filter(|line| levels.iter().any(|level| line.contains(level)))
        .collect()
}

#[test]
fn neither_arguments_nor_outcomes_nor_settings_nor_secrets_are_logged() {
    let secrets = "[keys]\nsecret_env = \"KEY\"\n[sealing]\ncurrent = \"a\"\n\
        [[sealing.key]]\nid = \"a\"\nsecret_file = \"sealing\"\n";
    let charge = CHARGE.replace("\"declined\"", &format!("\"{CANARY}-in-settings\""));
    let shop = Workshop::new(&format!("{secrets}{charge}"));
    shop.write("sealing", &format!("{CANARY}-the-sealing-key-of-the-shop"));
    let mut lines = 0;
    for (mode, amount, script) in [
        (
            "enforce",
            1,
            format!("echo {CANARY}-out; echo {CANARY}-err >&2"),
        ),
        ("enforce", 1, String::new()),
        ("enforce", 2, String::new()),
        ("shadow", 1, format!("echo {CANARY}-out; exit 3")),
        ("off", 1, format!("echo {CANARY}-out; exit 3")),
    ] {
        let args = format!("{{\"order\": \"{CANARY}-order\", \"amount\": {amount}}}");
        let mut command = shop.exec_command("charge", &args, &["--mode", mode], &script);
        command
            .env("SEMEL_LOG", "trace")
            .env("KEY", format!("{CANARY}-the-secret-of-all-keys"));
        let done = CommandOutput::from(command.output().unwrap());
        let logged = logged(&done);
        lines += logged.len();
        let told = logged.iter().filter(|line| line.contains(CANARY)).count();
        assert_eq!(told, 0, "of {} lines ({mode}, {amount})", logged.len());
        for secret in ["the-sealing-key", "the-secret-of-all", "in-settings"] {
            assert!(
                !done.stderr.contains(secret) && !done.stdout.contains(secret),
                "{secret} ({mode}, {amount})"
            );
        }
    }
    assert!(lines > 3, "the control: something is logged");
    for words in [
        &["doctor"][..],
        &["ledger", "reseal"],
        &["ledger", "report"],
        &["ledger", "purge"],
    ] {
        let mut command = shop.semel(words);
        command
            .env("SEMEL_LOG", "trace")
            .env("KEY", format!("{CANARY}-the-secret-of-all-keys"));
        let done = CommandOutput::from(command.output().unwrap());
        assert!(!(done.stderr + &done.stdout).contains(CANARY), "{words:?}");
    }
}
