//! The answers that were sent to clients lately. An equal call that was made before such an answer
//! gets the same answer; a call made after it may be intended as a new operation.
//!
//! Where an outcome is kept until delivery, only the order of events distinguishes the two. An
//! answer is written first, and its delivery is recorded after that. A call that was read before
//! the answer was sent gets that answer, however late its turn comes
//! ([`Semel::begin_before_delivery`](semel::runtime::Semel::begin_before_delivery)). A call that
//! was read after it waits for the record, or it would pass for a repeat.
//!
//! Absent: deliveries by other processes on the same ledger. Their clients have not seen this
//! process's answers.

use parking_lot::Mutex;
use semel::model::Call;
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// The longest wait for the record of another call's delivery. A client that reads slowly must not
/// hold up others for long.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);

/// The time for which an answer is remembered. A call that was read before it has its turn long
/// before that.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// The most answers that are remembered.
const KEPT_MAX: usize = 1 << 16;

/// The parts in which equal calls agree: tenant, run, tool and arguments.
type CallIdentity = (String, Option<String>, String, String);

/// The answers that were sent lately.
#[derive(Debug, Default)]
pub(super) struct DeliveryLog(Mutex<RecentDeliveries>);

#[derive(Debug, Default)]
struct RecentDeliveries {
    latest: HashMap<CallIdentity, SentAnswer>,
    in_order: VecDeque<(Instant, CallIdentity)>,
}

/// An answer that was sent.
#[derive(Debug, Clone)]
struct SentAnswer {
    sent_at: Instant,
    generation: u32,
    /// Cancelled once the ledger says whether it was delivered.
    recorded: CancellationToken,
}

impl DeliveryLog {
    /// Notes that the answer to this call is on its way. Dropping the returned value notes that its
    /// delivery is recorded.
    pub(super) fn begin(&self, identity: CallIdentity, generation: u32) -> DeliveryInProgress {
        let answer = SentAnswer {
            sent_at: Instant::now(),
            generation,
            recorded: CancellationToken::new(),
        };
        let in_progress = DeliveryInProgress(answer.recorded.clone());
        let mut deliveries = self.0.lock();
        deliveries
            .in_order
            .push_back((answer.sent_at, identity.clone()));
        deliveries.latest.insert(identity, answer);
        deliveries.drop_old();
        in_progress
    }

    /// Returns the generation of the outcome that is pending for a call that was read at `read_at`.
    /// If none is, waits until the last answer before it is recorded.
    pub(super) async fn pending_generation(
        &self,
        identity: &CallIdentity,
        read_at: Instant,
    ) -> Option<u32> {
        let answer = self.0.lock().latest.get(identity).cloned()?;
        if answer.sent_at > read_at {
            return Some(answer.generation);
        }
        // After the timeout the call is answered by what is recorded then.
        let _ = tokio::time::timeout(RECORD_TIMEOUT, answer.recorded.cancelled()).await;
        None
    }
}

impl RecentDeliveries {
    fn drop_old(&mut self) {
        let is_old = |at: &Instant| at.elapsed() > KEPT_FOR;
        while self.in_order.len() > KEPT_MAX
            || self.in_order.front().is_some_and(|(at, _)| is_old(at))
        {
            let Some((at, identity)) = self.in_order.pop_front() else {
                return;
            };
            // An equal call may have been answered since.
            let is_latest = self
                .latest
                .get(&identity)
                .is_some_and(|answer| answer.sent_at == at);
            if is_latest {
                self.latest.remove(&identity);
            }
        }
    }
}

/// Returns what calls equal to this one agree in.
pub(super) fn call_identity(call: &Call) -> CallIdentity {
    let run = call.run().map(|run| run.to_string());
    (
        call.tenant().to_string(),
        run,
        call.tool().to_owned(),
        call.canonical_arguments().to_owned(),
    )
}

/// A delivery that is not recorded so far.
#[derive(Debug)]
pub(super) struct DeliveryInProgress(CancellationToken);

impl Drop for DeliveryInProgress {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(50);

    fn some_call() -> CallIdentity {
        ("acme".to_owned(), None, "post".to_owned(), "{}".to_owned())
    }

    #[tokio::test]
    async fn a_call_read_before_the_answer_was_sent_gets_it_even_after_its_delivery() {
        let log = DeliveryLog::default();
        let read = Instant::now();
        assert_eq!(log.pending_generation(&some_call(), read).await, None);
        tokio::time::sleep(Duration::from_millis(1)).await;
        let in_progress = log.begin(some_call(), 3);
        assert_eq!(log.pending_generation(&some_call(), read).await, Some(3));
        drop(in_progress);
        assert_eq!(log.pending_generation(&some_call(), read).await, Some(3));
    }

    #[tokio::test]
    async fn a_call_read_after_the_answer_was_sent_waits_until_it_is_recorded() {
        let log = DeliveryLog::default();
        let in_progress = log.begin(some_call(), 1);
        let read = Instant::now();
        assert!(
            timeout(SOON, log.pending_generation(&some_call(), read))
                .await
                .is_err()
        );
        let other = (
            "zenith".to_owned(),
            None,
            "post".to_owned(),
            "{}".to_owned(),
        );
        assert_eq!(
            timeout(SOON, log.pending_generation(&other, read)).await,
            Ok(None)
        );
        drop(in_progress);
        assert_eq!(
            timeout(SOON, log.pending_generation(&some_call(), read)).await,
            Ok(None)
        );
    }
}
