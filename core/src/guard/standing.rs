//! Without the right to send: what stands is what the caller gets.

use super::{CallEnd, Guard, GuardAction, RecordReading};
use crate::ledger::{ClaimReply, Reply};

impl Guard {
    /// What stands is final for this call. What its own attempt came to goes with what is not settled.
    pub(super) fn finish_told(&mut self, reading: RecordReading) -> GuardAction {
        match (&reading.reply, self.take_own()) {
            (Reply::Told(ClaimReply::Held | ClaimReply::InDoubt), own) => {
                self.unsettled(reading, own)
            }
            _ => self.finish(CallEnd::Told(reading)),
        }
    }
}
