//! Notification of the tasks of this process that wait for a key to change.

use crate::Backoff;
use semel_core::model::StoreKey;
use std::{pin::pin, time::Duration};
use tokio::{sync::Notify, time::timeout};

/// The number of slots that all keys share. It does not grow with the keys, so a waiter is
/// sometimes woken by a change of another key.
pub const NOTIFIER_SLOTS: usize = 64;

/// Wakes the tasks of this process that wait for a key to change.
#[derive(Debug)]
pub struct ChangeNotifier {
    slots: [Notify; NOTIFIER_SLOTS],
    /// Stands in for a slot out of range, so that no access panics.
    spare: Notify,
}

impl Default for ChangeNotifier {
    fn default() -> Self {
        Self::new()
    }
}

impl ChangeNotifier {
    /// Creates a notifier without waiters.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: [const { Notify::const_new() }; NOTIFIER_SLOTS],
            spare: Notify::const_new(),
        }
    }

    /// Returns the slot of a key.
    pub fn slot_for_key(key: StoreKey) -> usize {
        // Keys are digests, so any byte of them spreads evenly.
        let [first, ..] = key.as_bytes();
        usize::from(*first) % NOTIFIER_SLOTS
    }

    /// Returns once the key has changed, or after `at_most`; the caller reads again in both cases.
    ///
    /// It calls `has_changed` at once, at each notification, and after each pause of `polling`: a
    /// change by another process may send no notification, or lose it.
    pub async fn wait_until_changed<Answer: Future<Output = bool> + Send>(
        &self,
        key: StoreKey,
        at_most: Duration,
        polling: Backoff,
        has_changed: impl Fn() -> Answer + Send + Sync,
    ) {
        let change = async {
            for pause in polling.pauses() {
                // It listens before it polls, so that no change falls between the two.
                let mut notified = pin!(self.slot_at(Self::slot_for_key(key)).notified());
                notified.as_mut().enable();
                if has_changed().await {
                    return;
                }
                let _ = timeout(pause, notified).await;
            }
        };
        let _ = timeout(at_most, change).await;
    }

    /// Wakes the waiters of a key.
    pub fn notify(&self, key: StoreKey) {
        self.notify_slot(Self::slot_for_key(key));
    }

    /// Wakes the waiters of a slot.
    pub fn notify_slot(&self, slot: usize) {
        self.slot_at(slot).notify_waiters();
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.slots.iter().for_each(Notify::notify_waiters);
    }

    fn slot_at(&self, slot: usize) -> &Notify {
        self.slots.get(slot).unwrap_or(&self.spare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const KEY: StoreKey = StoreKey::from_bytes([7; 32]);
    const POLLING: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(320));

    /// Counts the polls of a wait for a key that never changes.
    async fn polls_within(notifier: &ChangeNotifier, at_most: Duration) -> usize {
        let polls = AtomicUsize::new(0);
        let poll = || {
            polls.fetch_add(1, Ordering::SeqCst);
            std::future::ready(false)
        };
        notifier
            .wait_until_changed(KEY, at_most, POLLING, poll)
            .await;
        polls.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_finds_no_change_polls_ever_more_seldom() {
        let polls = polls_within(&ChangeNotifier::new(), Duration::from_secs(32)).await;
        assert!((100..=106).contains(&polls), "{polls} polls in 32 seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn a_notification_wakes_before_the_pause_is_over() {
        let notifier = ChangeNotifier::new();
        let begun = tokio::time::Instant::now();
        let change = || async { begun.elapsed() >= Duration::from_millis(1_001) };
        let notification = async {
            tokio::time::sleep(Duration::from_millis(1_001)).await;
            notifier.notify(KEY);
        };
        tokio::join!(
            notifier.wait_until_changed(KEY, Duration::from_secs(60), POLLING, change),
            notification
        );
        assert!(
            begun.elapsed() < Duration::from_millis(1_005),
            "{:?}",
            begun.elapsed()
        );
    }
}
