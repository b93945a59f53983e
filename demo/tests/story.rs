//! The demo tells what it claims, for any number of tries.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

fn tell(tries: &str) -> String {
    let told = Command::new(env!("CARGO_BIN_EXE_semel-demo"))
        .args(["--tries", tries])
        .output()
        .unwrap();
    let said = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{said}");
    said
}

#[test]
fn three_tries_are_three_charges_without_semel_and_one_with_it() {
    let said = tell("3");
    assert!(
        said.lines().any(|line| line == "without Semel: 3 charges"),
        "{said}"
    );
    assert!(
        said.lines()
            .any(|line| line == "with Semel: 1 charge, 2 replays"),
        "{said}"
    );
    let listed = said.split("$ semel ledger list").nth(1).unwrap();
    assert_eq!(
        listed
            .lines()
            .filter(|line| line.contains("landed"))
            .count(),
        5,
        "{said}"
    );
}

#[test]
fn five_tries_are_five_charges_without_semel_and_one_with_it() {
    let said = tell("5");
    assert!(
        said.lines().any(|line| line == "without Semel: 5 charges"),
        "{said}"
    );
    assert!(
        said.lines()
            .any(|line| line == "with Semel: 1 charge, 4 replays"),
        "{said}"
    );
}
