//! A store that fails is a store: with no fault set it keeps the contract, and with any it says what became of a call.

use super::*;
use semel_store::{Clock, MemoryStore, SettableClock};
use std::{ops::Range, sync::Arc};

fn failing(calls: Range<usize>, failure: InjectedFailure) -> Fixture {
    let clock = Arc::new(SettableClock::default());
    let inner = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let store = Arc::new(FailingStore::new(inner, calls, failure));
    let troubled = Arc::clone(&store);
    Fixture::new(store, clock).with_failures(move |begins| {
        if begins {
            troubled.count()
        } else {
            troubled.heal()
        }
    })
}

fn with_no_fault() -> Fixture {
    let mut on = failing(0..0, InjectedFailure::NotExecuted);
    on.fail = None;
    on
}

mod with_no_fault {
    use super::with_no_fault;
    crate::store_conformance!(with_no_fault);
}

fn says_which() -> &'static ConformanceCase {
    ConformanceCase::find("errors::an_error_says_whether_nothing_was_written")
}

#[test]
fn whichever_call_fails_the_error_says_which() {
    for failure in INJECTED_FAILURES {
        for first in [0, 1, 17, 63] {
            says_which().run(async { failing(first..first + 1, failure) });
            says_which().run(async { failing(first..usize::MAX, failure) });
        }
    }
}

/// The control: trouble that troubles nobody proves nothing, and the case says so.
#[test]
fn control_trouble_that_makes_no_call_fail_is_told() {
    let violation = says_which()
        .holds(async { failing(0..0, InjectedFailure::NotExecuted) })
        .unwrap_err();
    assert!(
        violation.details.contains("makes requests fail"),
        "{violation}"
    );
}
