//! Walking a plan, with all rules or with one less.

use semel_core::ledger::{Rule, Rules};
use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    plan::Plan,
    plans::plans,
    promise::Promise,
    town::{Deed, Town},
};

/// What a walk through a plan came to.
#[derive(Debug)]
pub struct Walk {
    /// The plan's name.
    pub plan: &'static str,
    /// How many states were seen.
    pub states: usize,
    /// The promise that broke, and the shortest story of it.
    pub broken: Option<(Promise, Vec<Deed>)>,
}

/// Walks every interleaving of a plan, until a promise breaks.
#[must_use]
pub fn walk(plan: Plan, rules: Rules) -> Walk {
    let name = plan.name;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let checker = Town { plan, rules }
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_bfs().join();
    let broken = checker
        .discoveries()
        .into_values()
        .min_by_key(|path| path.clone().into_actions().len());
    let broken = broken.and_then(|path| Some((path.last_state().broken?, path.into_actions())));
    Walk {
        plan: name,
        states: checker.unique_state_count(),
        broken,
    }
}

/// The ledger without one rule.
#[derive(Debug)]
pub struct Twin {
    /// The rule that it lacks.
    pub rule: Rule,
    /// How many states were seen.
    pub states: usize,
    /// The plan in which a promise broke, the promise, and the story; none: the rule is idle.
    pub caught: Option<(&'static str, Promise, Vec<Deed>)>,
}

/// Walks, for each rule, the plans that need it, without it.
pub fn twins() -> impl Iterator<Item = Twin> {
    Rule::ALL.iter().map(|rule| twin(*rule))
}

fn twin(rule: Rule) -> Twin {
    let mut states = 0;
    for plan in plans()
        .into_iter()
        .filter(|plan| plan.needs.contains(&rule))
    {
        let walk = walk(plan, Rules::without(rule));
        states += walk.states;
        if let Some((promise, story)) = walk.broken {
            return Twin {
                rule,
                states,
                caught: Some((walk.plan, promise, story)),
            };
        }
    }
    Twin {
        rule,
        states,
        caught: None,
    }
}
