//! An agent's call is repeated, killed, delayed, lied to, decided upon and undone, in every order:
//! the charge is made at most once, or a person is asked. And each rule of the ledger is there for
//! a reason: without it, a promise breaks.
#![expect(
    clippy::print_stdout,
    reason = "the numbers of states are worth reading where a test fails"
)]

use semel_core::ledger::Rules;
use semel_model::{all_plans, check_plan, check_twins};

#[test]
fn every_plan_keeps_every_promise() {
    for plan in all_plans() {
        let check = check_plan(plan, Rules::ALL);
        println!("{}: {} states", check.plan, check.state_count);
        if let Some(counterexample) = check.counterexample {
            unreachable!("in `{}`:\n{counterexample}", check.plan);
        }
    }
}

#[test]
fn every_rule_is_needed() {
    for twin in check_twins() {
        println!("{}: {} states", twin.rule.name(), twin.state_count);
        assert!(
            twin.counterexample.is_some(),
            "nothing breaks without `{}`: {}",
            twin.rule.name(),
            twin.rule
        );
    }
}

#[test]
fn every_rule_has_its_plan() {
    let plans = all_plans();
    for rule in semel_core::ledger::Rule::ALL {
        assert!(
            plans.iter().any(|plan| plan.needed_rules.contains(rule)),
            "no plan needs `{}`",
            rule.name()
        );
    }
}
