//! Prints the property that breaks without each rule of the ledger. `--plans` checks each plan with
//! all rules instead.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use semel_core::ledger::Rules;
use semel_model::{all_plans, check_plan, check_twins};
use std::process::ExitCode;

fn main() -> ExitCode {
    let is_correct = if std::env::args().any(|argument| argument == "--plans") {
        print_plans()
    } else {
        print_twins()
    };
    if is_correct {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Returns true if every property holds in every plan.
fn print_plans() -> bool {
    let mut all_hold = true;
    for plan in all_plans() {
        let begun = std::time::Instant::now();
        let check = check_plan(plan, Rules::ALL);
        let result = match check.counterexample {
            Some(_) => "VIOLATED",
            None => "holds",
        };
        println!(
            "{:<52} {:>9} states  {:>6.1} s  {result}",
            check.plan,
            check.state_count,
            begun.elapsed().as_secs_f32()
        );
        if let Some(counterexample) = check.counterexample {
            println!("{counterexample}");
            all_hold = false;
        }
    }
    all_hold
}

/// Returns true if every twin has a counterexample.
fn print_twins() -> bool {
    let mut all_caught = true;
    for twin in check_twins() {
        let rule = twin.rule.name();
        let states = twin.state_count;
        match &twin.counterexample {
            Some(found) => println!(
                "{rule:<24} {states:>8} states  caught   {}",
                found.property.sentence()
            ),
            None => println!(
                "{rule:<24} {states:>8} states  MISSED   {}",
                twin.rule.sentence()
            ),
        }
        all_caught &= twin.counterexample.is_some();
    }
    all_caught
}
