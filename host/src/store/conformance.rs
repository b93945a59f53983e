//! What every store must do: a case for each sentence of the contract of [`Store`].
//!
//! A store runs them all by [`store_conformance!`](crate::store_conformance) in a test module of its own. Absent: what
//! only a store itself can bring about, such as a commit that fails, a full disk or a second process.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a case that fails panics, as tests do"
)]

pub mod alike;
pub mod contending;
pub mod keeping;
pub mod listing;
mod samples;
pub mod waiting;
pub mod writing;

use super::{Clock, Created, Keep, Moment, SettableClock, Store, Stored, Version};
use crate::{ledger::Entry, words::StoreKey};
use std::{any::Any, fmt, pin::Pin, sync::Arc, time::Duration};

pub use samples::{any_key, entry, handle, key, odd_entries, operation, tenant};

/// A store to be tried: fresh, empty, and by a clock that can be set.
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The clock that it goes by.
    pub clock: Arc<SettableClock>,
    /// Whether it tells boots apart and has a clock that nobody sets; else its steady time repeats the wall time.
    pub is_steady: bool,
    /// Makes the store lose what it acknowledged; none: it does not, as long as its place is there.
    pub lose: Option<Box<dyn Fn() + Send + Sync>>,
    /// Whatever must live as long as the store does, such as its folder.
    pub place: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("store", &self.store).field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Fixture {
    /// Time passes.
    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Writes the entry where nothing lies, to be kept, and tells its version.
    pub async fn put(&self, key: StoreKey, entry: &Arc<Entry>) -> Version {
        self.put_for(key, entry, Keep::UntilRemoved).await
    }

    /// Writes the entry where nothing lies, to be kept for so long, and tells its version.
    pub async fn put_for(&self, key: StoreKey, entry: &Arc<Entry>, keep: Keep) -> Version {
        let version = fresh_version();
        let created = self.store.create(key, entry, version, keep).await;
        assert!(matches!(created, Ok(Created::Created(_))), "nothing should lie at {key:?}: {created:?}");
        version
    }

    /// What lies at the key.
    pub async fn at(&self, key: StoreKey) -> Option<Stored> {
        self.store.get(key).await.expect("a store at work reads").0
    }

    /// The time of the store, as it tells it on a miss.
    pub async fn now(&self) -> crate::words::Stamp {
        let (nothing, now) = self.store.get(any_key()).await.expect("a store at work reads");
        assert_eq!(nothing, None, "nothing lies at a key that nobody used");
        now
    }

    /// The stamp that the clock shows now, in this life of the store.
    pub async fn stamp(&self) -> crate::words::Stamp {
        self.moment().stamp(self.now().await.incarnation)
    }

    /// What a store of this kind makes of the moment that the clock shows.
    fn moment(&self) -> Moment {
        let shown = self.clock.now();
        if self.is_steady { shown } else { Moment::of_wall(shown.wall_ms) }
    }
}

/// A version that no other write has.
#[must_use]
pub fn fresh_version() -> Version {
    Version::fresh().expect("the machine gives randomness")
}

/// Runs one case on a runtime with two threads.
pub fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime starts").block_on(case);
}

/// A case: its name, and what it does with a store.
pub type Case = (&'static str, for<'f> fn(&'f Fixture) -> Pin<Box<dyn Future<Output = ()> + 'f>>);

/// Every case, for whoever runs them on stores that cost something to make.
pub const CASES: &[Case] = crate::store_conformance!(@every table);

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
            writing::a_version_of_a_removed_entry_is_not_taken_for_the_new_one,
            writing::the_store_writes_the_times,
            writing::a_clock_set_back_shows,
            writing::entries_come_back_as_they_went_in,
            writing::one_key_is_not_another,
            keeping::what_is_past_its_end_is_absent,
            keeping::each_write_states_anew_how_long,
            keeping::no_end_is_too_far,
            keeping::a_purge_drops_only_what_is_past_its_end,
            keeping::a_loss_shows_as_another_incarnation,
            listing::every_match_is_listed_in_the_order_of_keys,
            listing::pages_follow_each_other_without_gap,
            listing::what_is_due_is_listed,
            listing::after_a_reboot_every_lease_is_due,
            listing::a_wall_clock_set_back_hides_nothing_due,
            waiting::a_replacement_wakes_those_that_wait,
            waiting::a_removal_wakes_those_that_wait,
            waiting::nobody_waits_for_what_has_changed_already,
            waiting::nobody_waits_longer_than_agreed,
            contending::of_many_creations_one_wins,
            contending::no_replacement_is_lost,
            contending::no_answer_runs_ahead_of_a_read,
            contending::a_call_begun_is_carried_out_unawaited,
        }
    };
    (@table; $($group:ident::$case:ident,)*) => {
        &[$((concat!(stringify!($group), "::", stringify!($case)), |on| Box::pin($group::$case(on))),)*]
    };
    (@tests $fixture:expr; $($group:ident::$case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                $crate::store::conformance::run(async {
                    $crate::store::conformance::$group::$case(&($fixture)()).await;
                });
            }
        )*
    };
    ($fixture:expr) => {
        $crate::store_conformance! { @every tests $fixture }
    };
}
