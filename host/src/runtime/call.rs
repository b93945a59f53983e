//! One guarded call, in the order in which it travels.
//!
//! [`opening`] turns the operation that a policy names into a claim. A [`driver`] performs what the guard decides: it
//! claims, and gets a right to send ([`lease`], kept alive by [`renewals`]). The caller uses that right up through a
//! [`ticket`], runs the tool and reports its outcome ([`run`]). The driver records it ([`settlement`]), [`answer`] turns
//! the end of the call into an answer, and [`delivery`] records that a caller received it. An outcome that arrives after
//! its call was answered is recorded by [`late_outcome`]. A call in shadow mode runs without a guard, and reports to an
//! observer ([`observed`]).

pub(crate) mod opening;

pub(crate) mod context;
pub(crate) mod driver;

pub(crate) mod lease;
pub(crate) mod renewals;

pub(crate) mod run;
pub(crate) mod ticket;

pub(crate) mod settlement;

pub(crate) mod answer;

pub(crate) mod delivery;

pub(crate) mod late_outcome;

#[cfg_attr(
    not(feature = "shadow"),
    expect(dead_code, reason = "only shadow mode observes calls")
)]
pub(crate) mod observed;

pub(crate) mod error;
