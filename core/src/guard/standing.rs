//! Without the right to send: what stands is what the caller gets.

use super::{Action, End, Guard, Reading};
use crate::ledger::{Reply, Told};

impl Guard {
    /// What stands is final for this call. What its own attempt came to goes with what is not settled.
    pub(super) fn finish_told(&mut self, reading: Reading) -> Action {
        match (&reading.reply, self.take_own()) {
            (Reply::Told(Told::Held | Told::InDoubt), own) => self.unsettled(reading, own),
            _ => self.finish(End::Told(reading)),
        }
    }
}
