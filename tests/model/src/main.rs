//! Prints, for each rule of the ledger, what breaks without it. `--plans` walks the plans with all rules instead.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use semel_core::ledger::Rules;
use semel_model::{plans, twins, walk};
use std::process::ExitCode;

fn main() -> ExitCode {
    let kept = if std::env::args().any(|argument| argument == "--plans") {
        print_plans()
    } else {
        print_twins()
    };
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_plans() -> bool {
    let mut kept = true;
    for plan in plans() {
        let begun = std::time::Instant::now();
        let walk = walk(plan, Rules::ALL);
        let verdict = walk
            .broken
            .as_ref()
            .map_or("holds", |(promise, _)| promise.sentence());
        println!(
            "{:<48} {:>9} states  {:>6.1} s  {verdict}",
            walk.plan,
            walk.states,
            begun.elapsed().as_secs_f32()
        );
        if let Some((_, story)) = walk.broken {
            println!("    {story:?}");
            kept = false;
        }
    }
    kept
}

fn print_twins() -> bool {
    let mut all_caught = true;
    for twin in twins() {
        let (rule, states) = (twin.rule.name(), twin.states);
        match &twin.caught {
            Some((_, promise, _)) => println!(
                "{rule:<24} {states:>8} states  caught   {}",
                promise.sentence()
            ),
            None => println!(
                "{rule:<24} {states:>8} states  MISSED   {}",
                twin.rule.sentence()
            ),
        }
        all_caught &= twin.caught.is_some();
    }
    all_caught
}
