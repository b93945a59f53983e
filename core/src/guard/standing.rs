//! Without the right to send: the caller gets the recorded state.

use super::{CallEnd, Guard, GuardAction, RecordReading};
use crate::ledger::{ClaimReply, Reply};

impl Guard {
    /// The recorded state is final for this call. The outcome of its own attempt goes with an
    /// unsettled state.
    pub(super) fn finish_told(&mut self, reading: RecordReading) -> GuardAction {
        match (&reading.reply, self.take_own()) {
            (Reply::Told(ClaimReply::Held | ClaimReply::InDoubt), own) => {
                self.finish_unsettled(reading, own)
            }
            _ => self.finish_call(CallEnd::Told(reading)),
        }
    }
}
