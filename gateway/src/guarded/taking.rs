//! Answers that were handed to a client, and when: a call made before that is owed the same, one made after it may be meant
//! anew.
//!
//! Where an outcome lasts until it is taken, only the order of things tells the two apart. An answer is written first, and
//! that it was taken is recorded after that. A call that was read before the answer left is owed it, however late its turn
//! comes ([`Semel::begin_owed`](semel::runtime::Semel::begin_owed)). One that was read after it waits for the record, or
//! it would be taken for a repeat.
//!
//! Absent: what other processes hand over on the same ledger, whose clients have not seen this one's answers.

use semel::model::Call;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How long a call waits for another one's record. A client that reads slowly must not hold up others for long.
const WAIT: Duration = Duration::from_secs(5);

/// How long an answer is remembered, and how many are: a call that was read before one has its turn long before that.
const KEPT: Duration = Duration::from_secs(10);
const KEPT_MAX: usize = 1 << 16;

/// Which calls are equal: those on behalf of one tenant, within one run, with the same tool and arguments.
type Equal = (String, Option<String>, String, String);

/// The answers that were handed over lately.
#[derive(Debug, Default)]
pub(super) struct Taking(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    latest: HashMap<Equal, Handed>,
    in_order: VecDeque<(Instant, Equal)>,
}

/// An answer that was handed over.
#[derive(Debug, Clone)]
struct Handed {
    since: Instant,
    generation: u32,
    /// Cancelled once it is recorded whether it was taken.
    recorded: CancellationToken,
}

impl Taking {
    /// From now on the answer to this call is on its way; whether it was taken is recorded when what is returned is dropped.
    pub(super) fn begin(&self, equal: Equal, generation: u32) -> OnItsWay {
        let handed = Handed {
            since: Instant::now(),
            generation,
            recorded: CancellationToken::new(),
        };
        let on_its_way = OnItsWay(handed.recorded.clone());
        let mut answers = self.open();
        answers.in_order.push_back((handed.since, equal.clone()));
        answers.latest.insert(equal, handed);
        answers.forget_old_ones();
        on_its_way
    }

    /// The generation whose outcome a call is owed that was read at `read`; none: it is not. Waits for the record of an
    /// answer that was handed over before.
    pub(super) async fn owed(&self, equal: &Equal, read: Instant) -> Option<u32> {
        let handed = self.open().latest.get(equal).cloned()?;
        if handed.since > read {
            return Some(handed.generation);
        }
        // Whoever waits no longer is told what stands.
        tokio::time::timeout(WAIT, handed.recorded.cancelled())
            .await
            .unwrap_or_default();
        None
    }

    fn open(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    fn forget_old_ones(&mut self) {
        let is_old = |at: &Instant| at.elapsed() > KEPT;
        while self.in_order.len() > KEPT_MAX
            || self.in_order.front().is_some_and(|(at, _)| is_old(at))
        {
            let Some((at, equal)) = self.in_order.pop_front() else {
                return;
            };
            // An equal call may have been answered since.
            if self
                .latest
                .get(&equal)
                .is_some_and(|handed| handed.since == at)
            {
                self.latest.remove(&equal);
            }
        }
    }
}

/// Which calls this one is equal to.
pub(super) fn equal(call: &Call) -> Equal {
    let run = call.run().map(|run| run.to_string());
    (
        call.tenant().to_string(),
        run,
        call.tool().to_owned(),
        call.canonical_arguments().to_owned(),
    )
}

/// An answer that is on its way.
#[derive(Debug)]
pub(super) struct OnItsWay(CancellationToken);

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(50);

    fn some_call() -> Equal {
        ("acme".to_owned(), None, "post".to_owned(), "{}".to_owned())
    }

    #[tokio::test]
    async fn a_call_read_before_the_answer_left_is_owed_it_even_once_that_was_taken() {
        let (taking, read) = (Taking::default(), Instant::now());
        assert_eq!(taking.owed(&some_call(), read).await, None);
        tokio::time::sleep(Duration::from_millis(1)).await;
        let on_its_way = taking.begin(some_call(), 3);
        assert_eq!(taking.owed(&some_call(), read).await, Some(3));
        drop(on_its_way);
        assert_eq!(taking.owed(&some_call(), read).await, Some(3));
    }

    #[tokio::test]
    async fn a_call_read_after_the_answer_left_waits_until_it_is_recorded() {
        let taking = Taking::default();
        let on_its_way = taking.begin(some_call(), 1);
        let read = Instant::now();
        assert!(
            timeout(SOON, taking.owed(&some_call(), read))
                .await
                .is_err()
        );
        let other = (
            "zenith".to_owned(),
            None,
            "post".to_owned(),
            "{}".to_owned(),
        );
        assert_eq!(timeout(SOON, taking.owed(&other, read)).await, Ok(None));
        drop(on_its_way);
        assert_eq!(
            timeout(SOON, taking.owed(&some_call(), read)).await,
            Ok(None)
        );
    }
}
