//! Work that is carried out whether or not its caller still waits for it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::runtime::Handle;

/// Work in the caller's own task, which costs no hand-over. Dropped before it is done, it goes on in a task of its own.
///
/// A future that is kept without being polled is held up. Nothing is lost by that: the lease is
/// renewed elsewhere.
pub struct RunToCompletion<Work: Future<Output: Send> + Send + 'static> {
    /// None once it is done.
    work: Option<Pin<Box<Work>>>,
    runtime: Handle,
}

impl<Work: Future<Output: Send> + Send + 'static> RunToCompletion<Work> {
    /// Within a tokio runtime, which is where it may have to go on.
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
        // Work that panicked is not started again.
        let left = self.work.take().filter(|_| !std::thread::panicking());
        if let Some(work) = left {
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
    async fn what_is_dropped_goes_on() {
        let done = Arc::new(Notify::new());
        let tell = Arc::clone(&done);
        let work = RunToCompletion::new(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            tell.notify_one();
        });
        assert!(
            tokio::time::timeout(Duration::from_millis(1), work)
                .await
                .is_err()
        );
        done.notified().await;
    }

    #[tokio::test]
    async fn what_is_awaited_is_done_here() {
        let here = tokio::spawn(async {
            RunToCompletion::new(async { tokio::task::id() }).await == tokio::task::id()
        });
        assert_eq!(here.await.ok(), Some(true));
    }
}
