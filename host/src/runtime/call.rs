//! One guarded call, in the order in which it travels.
//!
//! A [`driver`] performs what the guard decides: it claims, and gets a right to send ([`lease`], kept alive by
//! [`renewals`]). The caller uses that right up through a [`ticket`] and runs the tool. The driver settles the outcome,
//! [`answering`] turns the end of the call into an answer, and [`delivery`] records that a caller received it. An outcome
//! that arrives after its call was answered is recorded by [`late`].

pub(crate) mod driver;

pub(crate) mod lease;
pub(crate) mod renewals;

pub(crate) mod ticket;

pub(crate) mod answering;

pub(crate) mod delivery;

pub(crate) mod late;
