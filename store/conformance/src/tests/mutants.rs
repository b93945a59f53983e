//! Stores that are wrong in one thing each, and the case that is the first to show it. A case that shows nothing wrong is no
//! test: each has at least one such store.

mod contending;
mod keeping;
mod listing;
mod opening;
mod waiting;
mod writing;

use super::{
    wrong::{Answer, Ask, How, Told, Write, Wrong, fixture, refused},
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
                #[allow(unreachable_patterns, reason = "some do everything wrong")]
                right => $store.right(right).await,
            }
        })
    };
}
use wrong;

fn mutants() -> impl Iterator<Item = &'static Mutant> {
    [
        writing::MUTANTS,
        keeping::MUTANTS,
        listing::MUTANTS,
        waiting::MUTANTS,
        contending::MUTANTS,
        opening::MUTANTS,
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

fn first_breach(how: How) -> Option<ContractViolation> {
    CASES
        .iter()
        .find_map(|case| case.holds_on(&runtime(), async { fixture(how) }).err())
}

/// The control: what is only told about is done right.
#[test]
fn control_a_store_with_nothing_wrong_keeps_the_contract() {
    let right: How = wrong!(|store| {});
    assert_eq!(first_breach(right).map(|breach| breach.to_string()), None);
}

#[test]
fn each_wrong_store_is_shown_by_the_case_that_is_meant_for_it() {
    for (what, case, how) in mutants() {
        let breach =
            first_breach(*how).unwrap_or_else(|| panic!("no case shows a store that {what}"));
        assert_eq!(breach.case, *case, "a store that {what}: {breach}");
    }
}

#[test]
fn each_case_shows_a_wrong_store() {
    let shown: BTreeSet<&str> = mutants().map(|(_, case, _)| *case).collect();
    let idle: Vec<&str> = CASES
        .iter()
        .map(ConformanceCase::name)
        .filter(|case| !shown.contains(case))
        .collect();
    assert_eq!(idle, [] as [&str; 0], "these cases were never seen to fail");
}

#[test]
fn a_breach_tells_the_sentence_what_was_expected_and_what_came() {
    let (_, _, how) = mutants()
        .find(|(what, ..)| *what == "lists what is past its end")
        .unwrap();
    insta::assert_snapshot!(first_breach(*how).unwrap(), @r"
    the store does not keep its contract
            case: keeping::what_is_past_its_end_is_not_listed
        sentence: What is past its end is not listed.
           store: Wrong { .. }
    what is listed
        expected: [StoreKey(00000002…)]
            came: [StoreKey(00000001…), StoreKey(00000002…)]
    ");
}
