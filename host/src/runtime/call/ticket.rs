//! What the caller of a guarded tool gets to send.

use crate::runtime::{call::context::CallContext, host::key_form};
use crate::{
    json::{self, JsonError, JsonMap},
    key::KeyError,
    ledger::Grant,
    model::{Call, KeyPlace},
    place::{self, KeyPlaceError, PlacedCall},
};
use std::fmt;

/// The permission to run a tool once, and the call to run. Its debug output contains neither the key nor arguments.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Ticket {
    /// The operation's name, or `None` for an unguarded call.
    pub operation: Option<String>,
    /// The downstream key, or `None` where nothing is guarded.
    pub key: Option<String>,
    /// The attempt's number, from 1; 0 where nothing is recorded.
    pub attempt: u32,
    /// True if this repeats a sending with an unknown effect.
    pub repeats: bool,
    /// The arguments, with the key where the target wants it.
    pub arguments: JsonMap,
    /// The same arguments as JSON text: as the agent wrote it, byte by byte, but for the key.
    pub arguments_json: String,
    /// Headers to send along.
    pub headers: Vec<(String, String)>,
    /// Metadata to send along.
    pub metadata: Vec<(String, String)>,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("operation", &self.operation)
            .field("attempt", &self.attempt)
            .field("repeats", &self.repeats)
            .finish_non_exhaustive()
    }
}

impl Ticket {
    /// Puts the ticket's headers into those of a request, in place of any of the same name in any case. Client libraries
    /// put a random key on each request, and under such a key every repeat is a new request.
    pub fn put_headers(&self, request: &mut Vec<(String, String)>) {
        request.retain(|(name, _)| {
            !self
                .headers
                .iter()
                .any(|(own, _)| own.eq_ignore_ascii_case(name))
        });
        request.extend_from_slice(&self.headers);
    }

    /// Returns a ticket for an unguarded call: the call unchanged.
    #[must_use]
    pub fn unguarded(call: &Call) -> Self {
        Self {
            operation: None,
            key: None,
            attempt: 0,
            repeats: false,
            arguments: call.arguments().clone(),
            arguments_json: call.arguments_json().into_owned(),
            headers: Vec::new(),
            metadata: Vec::new(),
        }
    }

    /// Returns the ticket for a granted attempt to send `call`, with the key where the target wants it.
    pub(super) fn for_attempt(
        context: &CallContext,
        call: &Call,
        grant: &Grant,
    ) -> Result<Self, TicketError> {
        let key = context
            .host
            .keys
            .downstream(&context.key, grant.generation, grant.series)
            .render(key_form(&context.terms))?;
        let places = context.target().map_or(&[][..], |target| &target.places);
        let PlacedCall {
            arguments_json,
            headers,
            metadata,
        } = place::put(places, &key, call)?;
        let arguments = if places.iter().any(is_argument) {
            json::parse_members(&arguments_json)?
        } else {
            call.arguments().clone()
        };
        Ok(Self {
            operation: Some(context.terms.operation.clone()),
            key: Some(key),
            attempt: grant.fence.number,
            repeats: grant.repeats,
            arguments,
            arguments_json,
            headers,
            metadata,
        })
    }
}

fn is_argument(place: &KeyPlace) -> bool {
    matches!(place, KeyPlace::Argument(_) | KeyPlace::Appended(_))
}

/// The reason why there is no ticket for a granted attempt. Claims are checked for it, so only a damaged record has one.
#[derive(Debug, thiserror::Error)]
pub(super) enum TicketError {
    #[error(transparent)]
    Form(#[from] KeyError),
    #[error(transparent)]
    Place(#[from] KeyPlaceError),
    #[error(transparent)]
    Arguments(#[from] JsonError),
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_header_of_the_same_name_is_replaced_however_it_is_spelt() {
        let call = Call::new("pay", serde_json::json!({})).unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let ticket = Ticket {
            headers: vec![header("Idempotency-Key", "ours")],
            ..Ticket::unguarded(&call)
        };
        let mut request = vec![
            header("idempotency-key", "random"),
            header("Accept", "*/*"),
            header("IDEMPOTENCY-KEY", "other"),
        ];
        ticket.put_headers(&mut request);
        assert_eq!(
            request,
            [header("Accept", "*/*"), header("Idempotency-Key", "ours")]
        );
    }
}
