//! The table of the ledger, row by row.
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

mod bounds;
mod claims;
mod desk;
mod doubt;
mod matrix;
mod people;
mod random;
mod settling;
mod undoing;
