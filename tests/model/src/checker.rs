//! Checks of a plan, with all rules of the ledger or without one.

use semel_core::ledger::{Rule, Rules};
use stateright::{Checker, HasDiscoveries, Model};
use std::fmt;

use crate::{
    action::ModelAction, model::LedgerModel, plan::TestPlan, plans::all_plans,
    property::SafetyProperty,
};

/// A sequence of actions that violates a property.
#[derive(Debug)]
pub struct Counterexample {
    /// The plan that allows the actions.
    pub plan: &'static str,
    /// The property that the last action violates.
    pub property: SafetyProperty,
    /// The actions from the initial state. The search is breadth-first, so few actions are
    /// superfluous.
    pub actions: Vec<ModelAction>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "    violated: {}", self.property.sentence())?;
        for (index, action) in self.actions.iter().enumerate() {
            write!(f, "\n    {:>3}. {action:?}", index + 1)?;
        }
        Ok(())
    }
}

/// The result of checking one plan.
#[derive(Debug)]
pub struct PlanCheck {
    /// The plan's name.
    pub plan: &'static str,
    /// The number of distinct states that were explored.
    pub state_count: usize,
    /// The violation; none: every property holds in every reachable state.
    pub counterexample: Option<Counterexample>,
}

/// Explores every interleaving of a plan, until a property is violated.
#[must_use]
pub fn check_plan(plan: TestPlan, rules: Rules) -> PlanCheck {
    let name = plan.name;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let checker = LedgerModel { plan, rules }
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    // Threads may find several violations before they stop.
    let shortest = checker
        .discoveries()
        .into_values()
        .min_by_key(|path| path.clone().into_actions().len());
    let counterexample = shortest.and_then(|path| {
        Some(Counterexample {
            plan: name,
            property: path.last_state().violated?,
            actions: path.into_actions(),
        })
    });
    PlanCheck {
        plan: name,
        state_count: checker.unique_state_count(),
        counterexample,
    }
}

/// The result of checking the ledger without one rule.
#[derive(Debug)]
pub struct RuleTwin {
    /// The rule that this twin lacks.
    pub rule: Rule,
    /// The number of distinct states that were explored in all plans.
    pub state_count: usize,
    /// The violation; none: no plan shows that the rule is needed.
    pub counterexample: Option<Counterexample>,
}

/// Checks the twin of each rule.
pub fn check_twins() -> impl Iterator<Item = RuleTwin> {
    Rule::ALL.iter().map(|rule| check_twin(*rule))
}

/// Checks the plans that need `rule` without it, until one has a counterexample.
fn check_twin(rule: Rule) -> RuleTwin {
    let mut twin = RuleTwin {
        rule,
        state_count: 0,
        counterexample: None,
    };
    for plan in all_plans() {
        if !plan.needed_rules.contains(&rule) {
            continue;
        }
        let check = check_plan(plan, Rules::without(rule));
        twin.state_count += check.state_count;
        if check.counterexample.is_some() {
            twin.counterexample = check.counterexample;
            break;
        }
    }
    twin
}
