//! The effect that Stripe's answers imply, and the recovery of operations in doubt.

use semel_guest::{Attempt, Call, Derivation, Recovery, Value, Verdict, careful};

use crate::answer::{StripeAnswer, StripeError};
use crate::api::{self, Endpoint};

/// After this long a caller that was turned away for coming too often may come again. Stripe asks for more each time.
const LIMITED_MS: u32 = 2_000;

/// For so long a request that Stripe did not admit is answered from the ledger: a key that was mended should soon count.
const NOT_ADMITTED_MS: u32 = 60_000;

/// So many answers of 500 under one key are one that Stripe has kept, and will give again.
const SERVER_ERRORS_KEPT: usize = 2;

/// Returns the verdict on the last attempt.
pub(crate) fn judge(
    endpoint: Option<&Endpoint>,
    call: &Call,
    attempts: &[Attempt],
) -> Result<Verdict, String> {
    let last = attempts.last().ok_or("there is no attempt to judge")?;
    match StripeAnswer::new(&last.outcome) {
        None => careful::judge(attempts),
        Some(StripeAnswer::Error(error)) => {
            let meaning = ErrorMeaning::verdict_by(&error);
            let verdict = meaning.verdict(&error).or_delay_of(&last.outcome);
            Ok(meaning.with_usual_delay(verdict))
        }
        Some(StripeAnswer::Object(object)) => Ok(verdict_of_object(endpoint, call, &object)),
    }
}

/// The meaning of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorMeaning {
    /// It was turned away before anything was done, and Stripe keeps nothing of it.
    ForLater,
    /// It was not admitted: the API key is wrong, or may not do this.
    NotAdmitted,
    /// It was carried out as far as it went, and declined. Stripe gives the same answer again.
    Declined,
    /// The key belongs to another request, which may have taken effect.
    AnotherRequest,
    /// The same request is in progress.
    UnderWay,
    /// It failed on Stripe's side, and may have taken effect before.
    OnItsSide,
    /// Unknown.
    Nothing,
}

impl ErrorMeaning {
    /// The code decides before the status, and the status before the type: a type never makes a 5xx safer.
    fn verdict_by(error: &StripeError) -> Self {
        if error.has_type("idempotency_key_in_use") {
            return Self::UnderWay;
        }
        match (error.status, error.kind.as_deref()) {
            (Some(500), _) => Self::OnItsSide,
            // Of a server that could not be reached Stripe keeps nothing: its own libraries ask again.
            (Some(501..), _) => Self::Nothing,
            (_, Some("idempotency_error")) => Self::AnotherRequest,
            (Some(425 | 429), _) => Self::ForLater,
            (Some(401 | 403), _) => Self::NotAdmitted,
            // Timed out, in conflict, or failed beyond Stripe.
            (Some(408 | 409 | 424), _) => Self::Nothing,
            (None, _) if error.has_type("lock_timeout") || error.has_type("rate_limit") => {
                Self::ForLater
            }
            (None, Some("rate_limit_error")) => Self::ForLater,
            (None, Some("authentication_error")) => Self::NotAdmitted,
            (None, Some("api_error")) => Self::OnItsSide,
            (Some(400..=499), _) | (None, Some("card_error" | "invalid_request_error")) => {
                Self::Declined
            }
            _ => Self::Nothing,
        }
    }

    /// Adds the delay after which another try may help, unless Stripe asked for one.
    fn with_usual_delay(self, verdict: Verdict) -> Verdict {
        match (self, verdict.retry_after_ms) {
            (Self::ForLater, None) => verdict.retry_after_ms(LIMITED_MS),
            (Self::NotAdmitted, None) => verdict.retry_after_ms(NOT_ADMITTED_MS),
            _ => verdict,
        }
    }

    fn verdict(self, error: &StripeError) -> Verdict {
        let told = error.reported_error();
        match self {
            Self::ForLater => Verdict::absent(told),
            Self::NotAdmitted | Self::Declined => Verdict::refused(told),
            Self::AnotherRequest | Self::UnderWay | Self::OnItsSide | Self::Nothing => {
                Verdict::unknown(told)
            }
        }
    }
}

/// Returns the verdict of an answer without an error. Only the object of the operation shows that it landed: a proxy's
/// page, an empty answer or another object shows nothing.
fn verdict_of_object(endpoint: Option<&Endpoint>, call: &Call, object: &Value) -> Verdict {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let kind = endpoint.map(Endpoint::object);
    let Some(id) = text("id").filter(|id| api::is_object(kind, text("object"), id)) else {
        let object = kind.unwrap_or("object");
        return Verdict::unknown("the answer does not show Stripe's ".to_owned() + object);
    };
    let endpoint = endpoint.filter(|endpoint| !endpoint.undoes);
    if let Some(status) =
        endpoint.and_then(|endpoint| failed_status(endpoint, call, text("status")))
    {
        return Verdict::refused("Stripe shows ".to_owned() + id + " as " + status);
    }
    let landed = Verdict::landed("Stripe did it");
    match endpoint.and_then(|endpoint| endpoint.makes) {
        Some(kind) => landed.handle(kind.to_owned() + "/" + id),
        None => landed,
    }
}

/// Returns the status of an object that shows that nothing took effect.
fn failed_status<'a>(endpoint: &Endpoint, call: &Call, status: Option<&'a str>) -> Option<&'a str> {
    // A payment intent that is only created waits for its payment method. One that was confirmed has lost it again.
    let was_confirmed =
        endpoint.name == api::CONFIRM || call.get("/confirm") == Some(&Value::Bool(true));
    status.filter(|status| match *status {
        "failed" | "canceled" => true,
        "requires_payment_method" => was_confirmed,
        _ => false,
    })
}

/// Returns the recovery of an operation in doubt. Without an answer the same is sent again under
/// the same key; an answer that Stripe has kept would only be replayed.
pub(crate) fn recover(derivation: &Derivation, attempts: &[Attempt]) -> Result<Recovery, String> {
    let last = attempts.last().ok_or("there is no attempt to recover")?;
    let Some(StripeAnswer::Error(error)) = StripeAnswer::new(&last.outcome) else {
        return careful::recover(derivation, attempts);
    };
    let kept = match ErrorMeaning::verdict_by(&error) {
        ErrorMeaning::AnotherRequest => Some("the key belongs to a request with other parameters"),
        ErrorMeaning::Declined => {
            Some("Stripe declines the repeat; the outcome of the first request is unknown")
        }
        ErrorMeaning::OnItsSide if server_errors(&last.key, attempts) >= SERVER_ERRORS_KEPT => {
            Some("Stripe keeps this answer for the key and reconciles the request itself")
        }
        _ => None,
    };
    match kept {
        Some(why) => Ok(Recovery::Hold(
            why.to_owned() + ": " + &error.reported_error(),
        )),
        None => careful::recover(derivation, attempts),
    }
}

fn server_errors(key: &str, attempts: &[Attempt]) -> usize {
    let answered = attempts.iter().filter(|attempt| attempt.key == key);
    answered
        .filter(|attempt| match StripeAnswer::new(&attempt.outcome) {
            Some(StripeAnswer::Error(error)) => {
                ErrorMeaning::verdict_by(&error) == ErrorMeaning::OnItsSide
            }
            _ => false,
        })
        .count()
}
