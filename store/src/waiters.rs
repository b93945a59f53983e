//! Those that wait in this process for a key to change.

use semel_core::model::StoreKey;
use std::{pin::pin, time::Duration};
use tokio::{sync::Notify, time::timeout};

/// How many bells there are. Keys share them, so their number does not grow with that of the keys, and a waiter is
/// sometimes woken for nothing.
pub const NOTIFIER_SLOTS: usize = 64;

/// How long whoever waits sleeps before he looks by himself: news of what other processes change may be lost, or there are
/// none. Each sleep is twice the one before, so nobody asks a server without rest, be it that it fails.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub at_most: Duration,
}

impl Backoff {
    /// For what changes in this process alone.
    pub const UNTIL_RUNG: Self = Self {
        first: Duration::MAX,
        at_most: Duration::MAX,
    };
}

/// Those that wait in this process for a key to change.
#[derive(Debug)]
pub struct ChangeNotifier {
    bells: [Notify; NOTIFIER_SLOTS],
    spare: Notify,
}

impl Default for ChangeNotifier {
    fn default() -> Self {
        Self::new()
    }
}

impl ChangeNotifier {
    /// Returns an empty set of waiters.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bells: [const { Notify::const_new() }; NOTIFIER_SLOTS],
            spare: Notify::const_new(),
        }
    }

    /// Which bell rings when the key changes.
    pub fn slot_for_key(key: StoreKey) -> usize {
        // Keys are digests, so any byte of them spreads evenly.
        let [first, ..] = key.as_bytes();
        usize::from(*first) % NOTIFIER_SLOTS
    }

    /// Returns once the key has changed, or after `at_most`: which of them makes no difference, the caller looks again.
    /// Whether it has changed is asked at once, whenever its bell rings, and after each pause.
    pub async fn wait_until_changed<Looked: Future<Output = bool> + Send>(
        &self,
        key: StoreKey,
        at_most: Duration,
        pauses: Backoff,
        has_changed: impl Fn() -> Looked + Send + Sync,
    ) {
        let change = async {
            let mut pause = pauses.first;
            loop {
                // Listening begins before the look, so that no change falls between the two.
                let mut rung = pin!(self.bell(key).notified());
                rung.as_mut().enable();
                if has_changed().await {
                    return;
                }
                let _ = timeout(pause, rung).await;
                pause = pauses.at_most.min(pause.saturating_mul(2));
            }
        };
        let _ = timeout(at_most, change).await;
    }

    /// What rings when the key changes.
    fn bell(&self, key: StoreKey) -> &Notify {
        self.bells
            .get(Self::slot_for_key(key))
            .unwrap_or(&self.spare)
    }

    /// Wakes those that wait for the key.
    pub fn notify(&self, key: StoreKey) {
        self.bell(key).notify_waiters();
    }

    /// Wakes those of one bell.
    pub fn notify_slot(&self, number: usize) {
        self.bells
            .get(number)
            .unwrap_or(&self.spare)
            .notify_waiters();
    }

    /// Wakes everybody.
    pub fn notify_all(&self) {
        self.bells.iter().for_each(Notify::notify_waiters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const KEY: StoreKey = StoreKey::from_bytes([7; 32]);
    const PAUSES: Backoff = Backoff {
        first: Duration::from_millis(20),
        at_most: Duration::from_millis(320),
    };

    /// How often somebody looks who waits so long for what never changes.
    async fn looks(waiters: &ChangeNotifier, at_most: Duration) -> usize {
        let looks = AtomicUsize::new(0);
        let look = || {
            looks.fetch_add(1, Ordering::SeqCst);
            std::future::ready(false)
        };
        waiters.wait_until_changed(KEY, at_most, PAUSES, look).await;
        looks.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_no_change_looks_ever_more_seldom() {
        let looks = looks(&ChangeNotifier::new(), Duration::from_secs(32)).await;
        assert!((100..=106).contains(&looks), "{looks} looks in 32 seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bell_wakes_before_the_pause_is_over() {
        let waiters = ChangeNotifier::new();
        let begun = tokio::time::Instant::now();
        let change = || async { begun.elapsed() >= Duration::from_millis(1_001) };
        let ring = async {
            tokio::time::sleep(Duration::from_millis(1_001)).await;
            waiters.notify(KEY);
        };
        tokio::join!(
            waiters.wait_until_changed(KEY, Duration::from_secs(60), PAUSES, change),
            ring
        );
        assert!(
            begun.elapsed() < Duration::from_millis(1_005),
            "{:?}",
            begun.elapsed()
        );
    }
}
