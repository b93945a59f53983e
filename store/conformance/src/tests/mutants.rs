//! Stores with one defect each, and the first case that fails on each of them. Every case has at
//! least one such store, which proves that it can fail.

mod concurrency;
mod conditional_writes;
mod durability;
mod listing;
mod notification;
mod retention;

use super::{
    wrong_store::{Answer, Ask, How, Told, Write, Wrong, fixture, refused},
    *,
};
use semel_core::{ledger::Entry, model::StoreKey};
use semel_store::{
    CreateResult, EntryQuery, KeyPage, RemoveResult, ReplaceResult, Retention, Store, StoredEntry,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{
    runtime::{Builder, Runtime},
    task::yield_now,
    time::sleep,
};

/// A wrong store: what it does, the case that is the first to show it, and how it does it.
type Mutant = (&'static str, &'static str, How);

/// What a wrong store does with some of what it is asked; with all else it does what is right.
macro_rules! wrong {
    (|$store:ident| { $($form:pat $(if $guard:expr)? => $told:expr,)* }) => {
        |$store, ask| Box::pin(async move {
            match ask {
                $($form $(if $guard)? => $told,)*
                #[allow(unreachable_patterns, reason = "a store that does everything wrong leaves nothing for this arm")]
                right => $store.right(right).await,
            }
        })
    };
}
use wrong;

fn mutants() -> impl Iterator<Item = &'static Mutant> {
    [
        conditional_writes::MUTANTS,
        retention::MUTANTS,
        listing::MUTANTS,
        notification::MUTANTS,
        concurrency::MUTANTS,
        durability::MUTANTS,
    ]
    .into_iter()
    .flatten()
}

/// One thread whose time passes by itself: what is waited for in vain takes no time.
fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

fn first_violation(how: How) -> Option<ContractViolation> {
    CASES
        .iter()
        .find_map(|case| case.holds_on(&runtime(), async { fixture(how) }).err())
}

/// The control: what is only told about is done right.
#[test]
fn control_a_store_with_nothing_wrong_keeps_the_contract() {
    let right: How = wrong!(|store| {});
    assert_eq!(
        first_violation(right).map(|violation| violation.to_string()),
        None
    );
}

#[test]
fn each_wrong_store_fails_the_case_meant_for_it() {
    for (what, case, how) in mutants() {
        let violation =
            first_violation(*how).unwrap_or_else(|| panic!("no case shows a store that {what}"));
        assert_eq!(violation.case, *case, "a store that {what}: {violation}");
    }
}

#[test]
fn each_case_fails_on_a_wrong_store() {
    let shown: BTreeSet<&str> = mutants().map(|(_, case, _)| *case).collect();
    let idle: Vec<&str> = CASES
        .iter()
        .map(ConformanceCase::name)
        .filter(|case| !shown.contains(case))
        .collect();
    assert_eq!(idle, [] as [&str; 0], "these cases were never seen to fail");
}

#[test]
fn a_violation_shows_the_sentence_and_both_answers() {
    let (_, _, how) = mutants()
        .find(|(what, ..)| *what == "lists what is past its end")
        .unwrap();
    insta::assert_snapshot!(first_violation(*how).unwrap(), @r"
    the store violates its contract
            case: retention::an_expired_entry_is_not_listed
        sentence: An expired entry is not listed.
           store: Wrong { .. }
    the list
        expected: [StoreKey(00000002…)]
          actual: [StoreKey(00000001…), StoreKey(00000002…)]
    ");
}
