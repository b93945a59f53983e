//! The cases by name, and the way to run one.

use super::*;
use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
};
use tokio::runtime::{Builder, Runtime};

/// A test of one sentence of the contract.
#[derive(Clone, Copy)]
pub struct ConformanceCase {
    name: &'static str,
    /// The text of the file with its function.
    source: &'static str,
    function: fn(Fixture) -> Pin<Box<dyn Future<Output = ()>>>,
}

impl ConformanceCase {
    /// Returns the case with this name.
    ///
    /// # Panics
    ///
    /// If there is no case of this name.
    #[must_use]
    pub fn find(name: &str) -> &'static Self {
        CASES
            .iter()
            .find(|case| case.name == name)
            .expect("there is a case of this name")
    }

    /// Returns its name: the group, and the function in it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the sentence of the contract that it tests: the doc comment of its function.
    #[must_use]
    pub fn sentence(&self) -> String {
        let function = self.name.rsplit("::").next().unwrap_or(self.name);
        let begin = format!("pub(crate) async fn {function}(");
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

    /// Runs the case on the fresh store of `fixture`, and reports a violation as an error.
    ///
    /// # Errors
    ///
    /// If the store violates the sentence.
    pub fn holds(&self, fixture: impl Future<Output = Fixture>) -> Result<(), ContractViolation> {
        self.holds_on(&on_two_threads(), fixture)
    }

    /// Runs the case as [`Self::holds`] does, on this runtime.
    pub(super) fn holds_on(
        &self,
        runtime: &Runtime,
        fixture: impl Future<Output = Fixture>,
    ) -> Result<(), ContractViolation> {
        let on = runtime.block_on(fixture);
        let store = format!("{:?}", on.store);
        let tried = catch_unwind(AssertUnwindSafe(|| runtime.block_on((self.function)(on))));
        tried.map_err(|payload| ContractViolation {
            case: self.name,
            sentence: self.sentence(),
            store,
            details: panic_message(&*payload),
        })
    }

    /// Runs the case on the fresh store of `fixture`.
    ///
    /// # Panics
    /// If the store violates the sentence: with the sentence, the expected answer, and the actual
    /// one.
    pub fn run(&self, fixture: impl Future<Output = Fixture>) {
        if let Err(violation) = self.holds(fixture) {
            panic!("{violation}");
        }
    }
}

impl fmt::Debug for ConformanceCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A violation of a sentence of the contract.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the store violates its contract\n        case: {case}\n    sentence: {sentence}\n       store: {store}\n{details}"
)]
pub struct ContractViolation {
    /// The name of the case.
    pub case: &'static str,
    /// The sentence of the contract.
    pub sentence: String,
    /// The debug text of the store.
    pub store: String,
    /// The expected answer, and the actual one.
    pub details: String,
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("the case panicked without a message")
        .to_owned()
}

fn on_two_threads() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts")
}

/// Runs a future on a runtime with two threads.
pub fn run(future: impl Future<Output = ()>) {
    on_two_threads().block_on(future);
}

/// All cases, for stores that are expensive to create, or opened by an async function.
pub const CASES: &[ConformanceCase] = crate::store_conformance!(@every table);

/// Generates a test for each case, on the stores of this function or closure:
/// `store_conformance!(fixture)`.
#[macro_export]
macro_rules! store_conformance {
    (@every $($what:tt)*) => {
        $crate::store_conformance! { @$($what)*;
            conditional_writes::a_creation_writes_an_absent_entry,
            conditional_writes::a_creation_leaves_an_existing_entry,
            conditional_writes::a_replacement_replaces_the_expected_version,
            conditional_writes::a_replacement_of_another_version_writes_nothing,
            conditional_writes::a_replacement_of_an_absent_entry_writes_nothing,
            conditional_writes::a_deferred_replacement_is_visible_at_once,
            conditional_writes::a_deferred_replacement_leaves_another_version,
            conditional_writes::a_removal_removes_the_expected_version,
            conditional_writes::a_removal_of_another_version_removes_nothing,
            conditional_writes::the_store_stamps_each_write,
            conditional_writes::a_clock_set_back_is_visible,
            conditional_writes::entries_are_returned_as_written,
            conditional_writes::keys_that_differ_in_a_byte_are_different,
            conditional_writes::an_entry_up_to_the_limit_is_returned_as_written,
            conditional_writes::an_entry_over_the_limit_is_refused_or_stored_whole,
            versions::a_version_never_recurs,
            versions::any_value_is_a_version,
            versions::a_repeated_write_finds_its_own_version,
            retention::an_expired_entry_is_absent,
            retention::an_expired_entry_is_not_listed,
            retention::each_write_sets_the_retention,
            retention::a_recreated_entry_has_its_own_retention,
            retention::a_deferred_replacement_sets_the_retention,
            retention::any_retention_is_accepted,
            retention::a_loss_changes_the_incarnation,
            cleanup::a_purge_drops_only_expired_entries,
            cleanup::a_scrub_changes_no_answer,
            cleanup::a_scrub_leaves_no_trace_of_removed_entries,
            listing::every_match_is_listed_in_the_order_of_keys,
            listing::a_replaced_entry_is_listed_by_its_new_state,
            listing::pages_follow_each_other_without_gap,
            listing::no_page_exceeds_the_maximum,
            listing::pages_are_complete_while_others_write,
            listing::due_entries_are_listed,
            listing::after_a_reboot_every_lease_is_due,
            listing::a_wall_clock_set_back_hides_no_due_entry,
            notification::a_replacement_wakes_waiters,
            notification::a_deferred_replacement_wakes_waiters,
            notification::a_removal_wakes_waiters,
            notification::no_waiter_waits_for_a_past_change,
            notification::no_waiter_waits_for_an_expired_entry,
            notification::no_waiter_waits_past_its_limit,
            concurrency::of_many_creations_one_wins,
            concurrency::of_many_removals_one_wins,
            concurrency::no_replacement_is_lost,
            concurrency::a_read_after_a_write_finds_it,
            concurrency::a_dropped_request_is_carried_out,
            sharing::a_write_is_visible_to_other_stores,
            sharing::of_several_stores_that_write_one_wins,
            sharing::a_change_wakes_waiters_of_other_stores,
            durability::an_answer_survives_reopening,
            durability::a_deferred_write_survives_reopening,
            durability::reopening_keeps_the_incarnation,
            errors::an_error_says_whether_nothing_was_written,
        }
    };
    (@table; $($group:ident::$case:ident,)*) => {
        &[$(ConformanceCase {
            name: concat!(stringify!($group), "::", stringify!($case)),
            source: include_str!(concat!(stringify!($group), ".rs")),
            function: |on| Box::pin($group::$case(on)),
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
