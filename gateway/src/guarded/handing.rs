//! Handing an outcome over to a client, and saying that it was taken where that may be believed.

use super::{Guard, taking};
use crate::{link::Exchange, wire::Message};
use semel::{model::Call, runtime::Delivery};

/// An outcome that lasts until it is taken.
#[derive(Debug)]
pub(super) struct Lasting {
    pub(super) generation: u32,
    pub(super) delivery: Delivery,
}

impl Guard {
    /// Writes the response to `call`, and says that the outcome in it was taken, if it is one that lasts until then. Returns
    /// whether nothing is left to say.
    pub(super) async fn hand_over(
        &self,
        response: Message,
        call: &Call,
        lasting: Option<Lasting>,
        exchange: &Exchange,
    ) -> bool {
        let _on_its_way = lasting
            .as_ref()
            .map(|lasting| self.taking.begin(taking::equal(call), lasting.generation));
        let was_written = exchange.client.deliver(response).await.is_ok();
        let Some(Lasting { delivery, .. }) = lasting else {
            return true;
        };
        let is_taken = was_written && self.counts_as_taken(call.tool(), exchange);
        if is_taken {
            delivery.taken_soon().await;
        }
        is_taken
    }

    /// Whether what was written now is believed to be received.
    fn counts_as_taken(&self, tool: &str, exchange: &Exchange) -> bool {
        let within = self.config.tool(tool).taken_within;
        within.is_some_and(|within| exchange.began.elapsed() <= within)
            && !exchange.nobody_waits.is_cancelled()
    }
}
