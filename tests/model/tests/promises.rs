//! An agent's call is repeated, killed, delayed, lied to, decided upon and undone, in every order: the charge is made
//! once, or somebody knows. And each rule of the ledger is there for a reason: without it, a promise breaks.
#![expect(
    clippy::print_stdout,
    reason = "what was walked is worth reading where a test fails"
)]

use semel_core::ledger::Rules;
use semel_model::{plans, twins, walk};

#[test]
fn every_plan_keeps_every_promise() {
    for plan in plans() {
        let walk = walk(plan, Rules::ALL);
        println!("{}: {} states", walk.plan, walk.states);
        if let Some((promise, story)) = walk.broken {
            unreachable!(
                "in `{}`, it is not so that {}: {story:?}",
                walk.plan,
                promise.sentence()
            );
        }
    }
}

#[test]
fn every_rule_is_needed() {
    for twin in twins() {
        println!("{}: {} states", twin.rule.name(), twin.states);
        assert!(
            twin.caught.is_some(),
            "nothing breaks without `{}`: {}",
            twin.rule.name(),
            twin.rule
        );
    }
}

#[test]
fn every_rule_has_its_plan() {
    let plans = plans();
    for rule in semel_core::ledger::Rule::ALL {
        assert!(
            plans.iter().any(|plan| plan.needs.contains(rule)),
            "no plan needs `{}`",
            rule.name()
        );
    }
}
