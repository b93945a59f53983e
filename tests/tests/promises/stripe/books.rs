//! What Stripe does with a request, by its documents (see the policy for the pages): keys come after limits and
//! validation, the first answer of an execution is kept for 24 hours, and repeated whatever it was.

use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// For how long a key is recognised.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// The amount that was paid before the stories begin.
const PAID: u64 = 5_000;

/// The fault of the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks before Stripe reads it.
    RequestLost,
    /// It is done, and the connection breaks.
    ReplyLost,
    /// It is done, and answered with 500.
    FailsAfter,
    /// Nothing is done, and it is answered with 500.
    FailsBefore,
    /// Stripe's servers are not there: 503.
    NotReached,
    /// The account sends too much.
    Limited,
    /// Another request holds the object.
    Locked,
    /// The API key was withdrawn.
    NotAdmitted,
    /// The bank declines.
    Declined,
    /// The bank declines, and the connection breaks.
    DeclineLost,
    /// It is answered with 200, and the bank does not take the refund.
    RefundFails,
}

/// A form, by its fields as they were sent: `metadata[order_id]`.
pub type Form = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    pub replayed: bool,
}

#[derive(Debug)]
struct Kept {
    path: String,
    form: Form,
    at: Duration,
    /// None: it is still in progress.
    reply: Option<Reply>,
}

#[derive(Debug, Default)]
pub struct Books {
    now: Duration,
    pub faults: VecDeque<Fault>,
    /// Every key as it was sent, in its order; none where none was.
    pub keys: Vec<Option<String>>,
    pub statuses: Vec<u16>,
    kept: BTreeMap<String, Kept>,
    /// The objects that took effect, by kind.
    pub made: BTreeMap<&'static str, Vec<Value>>,
    given_back: BTreeMap<String, u64>,
}

/// The next step of a request.
pub enum Step {
    Answer(Reply),
    /// Carry it out, and record the reply under this key.
    Begin(Option<String>),
}

impl Books {
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Everything that comes before execution.
    pub fn admit(
        &mut self,
        path: &str,
        form: &Form,
        key: Option<String>,
        fault: Option<Fault>,
    ) -> Step {
        self.keys.push(key.clone());
        if let Some(refusal) = fault.and_then(refusal_before_validation) {
            return Step::Answer(refusal);
        }
        if let Some(invalid) = invalid(path, form) {
            return Step::Answer(invalid);
        }
        match key {
            None => Step::Begin(None),
            Some(key) => self.admit_key(path, form, key),
        }
    }

    /// Compares the request with an earlier one under the same key.
    fn admit_key(&mut self, path: &str, form: &Form, key: String) -> Step {
        let now = self.now;
        self.kept
            .retain(|_, kept| now.saturating_sub(kept.at) < KEPT);
        match self.kept.get(&key) {
            Some(kept) if kept.path != path || kept.form != *form => {
                let message =
                    "Keys for idempotent requests can only be used with the same parameters";
                Step::Answer(error(400, "idempotency_error", "", message))
            }
            Some(Kept { reply: None, .. }) => {
                let message = "There is currently another in-progress request using this key";
                Step::Answer(error(
                    409,
                    "idempotency_error",
                    "idempotency_key_in_use",
                    message,
                ))
            }
            Some(Kept {
                reply: Some(reply), ..
            }) => Step::Answer(Reply {
                replayed: true,
                ..reply.clone()
            }),
            None => {
                self.kept.insert(
                    key.clone(),
                    Kept {
                        path: path.to_owned(),
                        form: form.clone(),
                        at: now,
                        reply: None,
                    },
                );
                Step::Begin(Some(key))
            }
        }
    }

    /// Carries it out, and keeps what comes of it.
    pub fn carry_out(
        &mut self,
        path: &str,
        form: &Form,
        key: Option<String>,
        fault: Option<Fault>,
    ) -> Reply {
        let failed = || error(500, "api_error", "", "An error occurred on our end");
        let reply = match fault {
            Some(Fault::FailsBefore) => failed(),
            Some(Fault::FailsAfter) => {
                self.execute(path, form, None);
                failed()
            }
            // The object is looked at before anything is kept.
            Some(Fault::Locked) => {
                key.as_ref().and_then(|key| self.kept.remove(key));
                return error(
                    429,
                    "invalid_request_error",
                    "lock_timeout",
                    "This object cannot be accessed right now",
                );
            }
            Some(Fault::Declined | Fault::DeclineLost) => error(
                402,
                "card_error",
                "card_declined",
                "Your card was declined.",
            ),
            other => self.execute(path, form, other),
        };
        if let Some(kept) = key.and_then(|key| self.kept.get_mut(&key)) {
            kept.reply = Some(reply.clone());
        }
        reply
    }

    fn execute(&mut self, path: &str, form: &Form, fault: Option<Fault>) -> Reply {
        let parts: Vec<_> = path.trim_start_matches("/v1/").split('/').collect();
        match parts.as_slice() {
            ["refunds"] => self.refund(form, fault),
            ["charges"] => self.make("charge", "ch", form),
            ["payment_intents"] => self.make("payment_intent", "pi_new", form),
            ["transfers"] => self.make("transfer", "tr", form),
            ["payouts"] => self.make("payout", "po", form),
            [
                "payment_intents",
                id,
                done @ ("confirm" | "capture" | "cancel"),
            ] => {
                let done = if *done == "cancel" {
                    "cancellation"
                } else {
                    "completion"
                };
                let object = json!({ "id": id, "object": "payment_intent", "status": done });
                self.made.entry(done).or_default().push(object.clone());
                answer(object)
            }
            _ => error(404, "invalid_request_error", "", "Unrecognized request URL"),
        }
    }

    fn refund(&mut self, form: &Form, fault: Option<Fault>) -> Reply {
        let payment = ["payment_intent", "charge"]
            .iter()
            .find_map(|name| form.get(*name))
            .cloned()
            .unwrap();
        let back = self.given_back.entry(payment.clone()).or_default();
        let left = PAID - *back;
        let amount = form
            .get("amount")
            .map_or(left, |amount| amount.parse().unwrap());
        if amount == 0 || amount > left {
            let message =
                format!("Refund amount is greater than unrefunded amount on charge ({left})");
            return error(
                400,
                "invalid_request_error",
                "charge_already_refunded",
                &message,
            );
        }
        if fault == Some(Fault::RefundFails) {
            return answer(json!({ "id": "re_failed", "object": "refund", "status": "failed" }));
        }
        *back += amount;
        self.make("refund", "re", form)
    }

    fn make(&mut self, kind: &'static str, prefix: &str, form: &Form) -> Reply {
        let made = self.made.entry(kind).or_default();
        let object = json!({
            "id": format!("{prefix}_{}", made.len() + 1), "object": kind, "status": "succeeded", "amount": form.get("amount"),
        });
        made.push(object.clone());
        answer(object)
    }
}

/// The reply to a request that fails validation, which is not recorded.
fn invalid(path: &str, form: &Form) -> Option<Reply> {
    let named = |name: &str| form.get(name).is_some_and(|value| !value.is_empty());
    let problem = match path {
        "/v1/refunds" if !named("payment_intent") && !named("charge") => {
            Some("Missing required param: charge")
        }
        "/v1/charges" | "/v1/payment_intents" | "/v1/transfers" | "/v1/payouts"
            if !named("amount") =>
        {
            Some("Missing required param: amount")
        }
        _ if form
            .get("amount")
            .is_some_and(|amount| amount.parse::<u64>().is_err()) =>
        {
            Some("Invalid integer")
        }
        _ => None,
    };
    problem.map(|problem| error(400, "invalid_request_error", "parameter_invalid", problem))
}

fn answer(body: Value) -> Reply {
    Reply {
        status: 200,
        body,
        replayed: false,
    }
}

fn error(status: u16, kind: &str, code: &str, message: &str) -> Reply {
    let code = if code.is_empty() {
        Value::Null
    } else {
        json!(code)
    };
    let body = json!({ "error": { "type": kind, "code": code, "message": message } });
    Reply {
        status,
        body,
        replayed: false,
    }
}

/// The reply of a fault in which Stripe turns a request away before it reads the request.
fn refusal_before_validation(fault: Fault) -> Option<Reply> {
    match fault {
        Fault::NotReached => Some(error(503, "api_error", "", "unavailable")),
        Fault::Limited => Some(error(
            429,
            "rate_limit_error",
            "rate_limit",
            "too many requests",
        )),
        Fault::NotAdmitted => Some(error(
            401,
            "invalid_request_error",
            "api_key_expired",
            "expired",
        )),
        _ => None,
    }
}
