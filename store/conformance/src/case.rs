//! The cases by name, and how one is run.

use super::*;
use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
};
use tokio::runtime::{Builder, Runtime};

/// A case: a sentence of the contract, and what shows whether a store keeps to it.
#[derive(Clone, Copy)]
pub struct ConformanceCase {
    name: &'static str,
    /// The file that it stands in.
    source: &'static str,
    try_out: fn(Fixture) -> Pin<Box<dyn Future<Output = ()>>>,
}

impl ConformanceCase {
    /// The case of this name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn find(name: &str) -> &'static Self {
        CASES
            .iter()
            .find(|case| case.name == name)
            .expect("a case is asked for by its name")
    }

    /// Its name: the group, and the function in it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it asks of a store, as its function says.
    #[must_use]
    pub fn sentence(&self) -> String {
        let function = self.name.rsplit("::").next().unwrap_or(self.name);
        let begin = format!("pub async fn {function}(");
        let before = self
            .source
            .lines()
            .take_while(|line| !line.starts_with(&begin));
        let lines: Vec<&str> = before.collect();
        let mut words: Vec<&str> = lines
            .iter()
            .rev()
            .map_while(|line| line.strip_prefix("/// "))
            .collect();
        words.reverse();
        words.join(" ")
    }

    /// Whether the store of this fixture, which is fresh, keeps to it.
    ///
    /// # Errors
    /// If it does not.
    pub fn holds(&self, fixture: impl Future<Output = Fixture>) -> Result<(), ContractViolation> {
        self.holds_on(&on_two_threads(), fixture)
    }

    /// As [`Self::holds`], on this runtime.
    pub(super) fn holds_on(
        &self,
        runtime: &Runtime,
        fixture: impl Future<Output = Fixture>,
    ) -> Result<(), ContractViolation> {
        let on = runtime.block_on(fixture);
        let store = format!("{:?}", on.store);
        let tried = catch_unwind(AssertUnwindSafe(|| runtime.block_on((self.try_out)(on))));
        tried.map_err(|told| ContractViolation {
            case: self.name,
            sentence: self.sentence(),
            store,
            told: words(&*told),
        })
    }

    /// Tries it on the store of this fixture, which is fresh.
    ///
    /// # Panics
    /// If the store does not keep to it: with the sentence, what was expected, and what came.
    pub fn run(&self, fixture: impl Future<Output = Fixture>) {
        if let Err(breach) = self.holds(fixture) {
            panic!("{breach}");
        }
    }
}

impl fmt::Debug for ConformanceCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A store that does not keep to a sentence of the contract.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the store does not keep its contract\n        case: {case}\n    sentence: {sentence}\n       store: {store}\n{told}"
)]
pub struct ContractViolation {
    /// The name of the case.
    pub case: &'static str,
    /// What the case asks.
    pub sentence: String,
    /// Which store.
    pub store: String,
    /// What was expected, and what came.
    pub told: String,
}

fn words(told: &(dyn Any + Send)) -> String {
    let text = told
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| told.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without words").to_owned()
}

fn on_two_threads() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts")
}

/// Runs this on a runtime with two threads.
pub fn run(future: impl Future<Output = ()>) {
    on_two_threads().block_on(future);
}

/// Every case, for whoever runs them on stores that cost something to make.
pub const CASES: &[ConformanceCase] = crate::store_conformance!(@every table);

/// Makes a test of each case, for the stores that this function or closure makes: `store_conformance!(fixture)`.
#[macro_export]
macro_rules! store_conformance {
    (@every $($what:tt)*) => {
        $crate::store_conformance! { @$($what)*;
            writing::a_creation_writes_where_nothing_lies,
            writing::a_creation_finds_what_lies_and_leaves_it,
            writing::a_replacement_takes_the_place_of_the_version_it_expects,
            writing::a_replacement_of_another_version_writes_nothing,
            writing::a_replacement_of_nothing_creates_nothing,
            writing::a_replacement_put_off_is_there_for_whoever_asks,
            writing::a_replacement_put_off_leaves_another_version,
            writing::a_removal_takes_the_version_it_expects,
            writing::a_removal_of_another_version_removes_nothing,
            writing::the_store_writes_the_times,
            writing::a_clock_set_back_shows,
            writing::entries_come_back_as_they_went_in,
            writing::one_key_is_not_another,
            writing::an_entry_up_to_the_limit_comes_back_as_it_went_in,
            writing::what_is_too_large_is_refused_or_kept_whole,
            versions::a_version_never_recurs,
            versions::a_version_is_any_value,
            versions::a_write_asked_for_again_finds_itself,
            keeping::what_is_past_its_end_is_absent,
            keeping::what_is_past_its_end_is_not_listed,
            keeping::each_write_states_anew_how_long,
            keeping::what_is_created_anew_has_an_end_of_its_own,
            keeping::a_replacement_put_off_states_how_long,
            keeping::no_end_is_too_far,
            keeping::a_loss_shows_as_another_incarnation,
            clearing::a_purge_drops_only_what_is_past_its_end,
            clearing::a_scrub_changes_no_answer,
            clearing::a_scrub_leaves_nothing_of_what_is_gone,
            listing::every_match_is_listed_in_the_order_of_keys,
            listing::what_was_replaced_is_listed_as_what_it_is_now,
            listing::pages_follow_each_other_without_gap,
            listing::no_page_is_longer_than_the_longest,
            listing::pages_are_complete_while_others_write,
            listing::what_is_due_is_listed,
            listing::after_a_reboot_every_lease_is_due,
            listing::a_wall_clock_set_back_hides_nothing_due,
            waiting::a_replacement_wakes_those_that_wait,
            waiting::a_replacement_put_off_wakes_those_that_wait,
            waiting::a_removal_wakes_those_that_wait,
            waiting::nobody_waits_for_what_has_changed_already,
            waiting::nobody_waits_for_what_is_past_its_end,
            waiting::nobody_waits_longer_than_agreed,
            contending::of_many_creations_one_wins,
            contending::of_many_removals_one_wins,
            contending::no_replacement_is_lost,
            contending::no_answer_runs_ahead_of_a_read,
            contending::a_call_begun_is_carried_out_unawaited,
            sharing::what_one_writes_another_finds,
            sharing::of_several_that_write_one_wins,
            sharing::a_change_by_one_wakes_those_that_wait_at_another,
            opening::what_was_answered_is_there_when_it_is_opened_anew,
            opening::what_was_put_off_is_there_when_it_is_opened_anew,
            opening::it_is_the_same_life_when_it_is_opened_anew,
            erring::an_error_says_whether_certainly_nothing_was_written,
        }
    };
    (@table; $($group:ident::$case:ident,)*) => {
        &[$(ConformanceCase {
            name: concat!(stringify!($group), "::", stringify!($case)),
            source: include_str!(concat!(stringify!($group), ".rs")),
            try_out: |on| Box::pin($group::$case(on)),
        },)*]
    };
    (@tests $fixture:expr; $($group:ident::$case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                let name = concat!(stringify!($group), "::", stringify!($case));
                $crate::ConformanceCase::find(name).run(async { ($fixture)() });
            }
        )*
    };
    ($fixture:expr) => {
        $crate::store_conformance! { @every tests $fixture }
    };
}
