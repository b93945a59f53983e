//! Work that is completed even if its caller drops it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::runtime::Handle;

/// A future that runs in its caller's task, at no extra cost. If it is dropped before its end, it
/// continues in a task of its own.
///
/// A future that is kept but not polled makes no progress. Nothing is lost by that: leases are
/// renewed in another task.
pub struct RunToCompletion<Work: Future<Output: Send> + Send + 'static> {
    /// `None` once it is completed.
    work: Option<Pin<Box<Work>>>,
    runtime: Handle,
}

impl<Work: Future<Output: Send> + Send + 'static> RunToCompletion<Work> {
    /// Wraps a future. It must be called in a tokio runtime, where a dropped future continues.
    pub fn new(work: Work) -> Self {
        Self {
            work: Some(Box::pin(work)),
            runtime: Handle::current(),
        }
    }
}

impl<Work: Future<Output: Send> + Send + 'static> Future for RunToCompletion<Work> {
    type Output = Work::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Work::Output> {
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<Work: Future<Output: Send> + Send + 'static> Drop for RunToCompletion<Work> {
    fn drop(&mut self) {
        // A future that panicked must not be polled again.
        if let Some(work) = self.work.take()
            && !std::thread::panicking()
        {
            self.runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, time::Duration};
    use tokio::sync::Notify;

    #[tokio::test(start_paused = true)]
    async fn a_dropped_future_continues() {
        let done = Arc::new(Notify::new());
        let notify = Arc::clone(&done);
        let work = RunToCompletion::new(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            notify.notify_one();
        });
        assert!(
            tokio::time::timeout(Duration::from_millis(1), work)
                .await
                .is_err()
        );
        done.notified().await;
    }

    #[tokio::test]
    async fn an_awaited_future_runs_in_its_callers_task() {
        let here = tokio::spawn(async {
            RunToCompletion::new(async { tokio::task::id() }).await == tokio::task::id()
        });
        assert_eq!(here.await.ok(), Some(true));
    }
}
