//! Delivery of an outcome to a client, and its acknowledgement in the ledger.

use super::{ToolGuard, delivery_log};
use crate::{layer::RequestContext, wire::Message};
use semel::{model::Call, runtime::Delivery};
use std::time::Duration;

/// The time within which the answer of an operation that may be undone, or undoes, must be written to count as received,
/// where the operator sets none. Without receipt, what was undone could never be done again.
const UNDO_TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// An outcome that is kept until its delivery is acknowledged.
#[derive(Debug)]
pub(super) struct PendingDelivery {
    pub(super) generation: u32,
    pub(super) delivery: Delivery,
}

impl ToolGuard {
    /// Sends the response to `call`, and acknowledges a pending delivery. Returns whether nothing
    /// is left to acknowledge.
    pub(super) async fn deliver_response(
        &self,
        response: Message,
        call: &Call,
        pending: Option<PendingDelivery>,
        context: &RequestContext,
    ) -> bool {
        let Some(pending) = pending else {
            // Without a pending delivery nothing depends on the client's receipt.
            let _ = context.client.send_and_confirm(response).await;
            return true;
        };
        // Until this is dropped, an equal call waits for the record of the delivery.
        let _in_progress = self
            .delivery_log
            .begin(delivery_log::call_identity(call), pending.generation);
        let is_written = context.client.send_and_confirm(response).await.is_ok();
        let is_delivered =
            is_written && self.counts_as_delivered(call.tool(), &pending.delivery, context);
        if is_delivered {
            pending.delivery.acknowledge_deferred().await;
        }
        is_delivered
    }

    /// Returns whether a response that was just written counts as received.
    fn counts_as_delivered(
        &self,
        tool: &str,
        delivery: &Delivery,
        context: &RequestContext,
    ) -> bool {
        let within = match self.config.tool(tool).taken_within {
            Some(within) => within,
            // Only the operator lets equal calls run again because an answer was written.
            None if delivery.ends_operation() => return false,
            None => UNDO_TAKEN_WITHIN,
        };
        context.began.elapsed() <= within && !context.cancellation.is_cancelled()
    }
}
