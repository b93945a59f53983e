//! Errors, and the state that they leave. For stores whose fixture can make requests fail.

use super::*;
use super::{concurrency::call_concurrently, expectation::expect_eq, notification::LONG};
use semel_store::{CreateResult, RemoveResult, ReplaceResult, Retention, StoreError};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// The knowledge that a write's answer gives its caller.
#[derive(Debug)]
enum WriteKnowledge {
    Written,
    NotWritten,
    Unknown,
}

impl WriteKnowledge {
    /// Interprets an answer: an error, or whether the write was executed.
    fn from_answer(answer: Result<bool, StoreError>) -> Self {
        match answer {
            Ok(true) => Self::Written,
            Ok(false) | Err(StoreError::NotExecuted(_) | StoreError::Entry(_)) => Self::NotWritten,
            Err(StoreError::Unknown(_)) => Self::Unknown,
        }
    }
}

/// A write: the key's number, the version before, the version after an executed write, the caller's
/// knowledge, and true if the answer was an error.
type TestedWrite = (u32, Option<Version>, Option<Version>, WriteKnowledge, bool);

/// An error says whether certainly nothing was written; a failed group commit is unknown for all
/// its members.
pub(crate) async fn an_error_says_whether_nothing_was_written(on: Fixture) {
    let Some(fail) = &on.fail else { return };
    let mut versions = Vec::new();
    for number in 0..64 {
        // A third of the keys is created, a third replaced, and a third removed.
        versions.push(if number % 3 == 0 {
            None
        } else {
            Some(on.create(key(number), &entry(number)).await)
        });
    }
    fail(true);
    let writes: Vec<TestedWrite> = call_concurrently(&[Arc::clone(&on.store)], |store, number| {
        let before = versions.get(number as usize).copied().flatten();
        async move { write(&*store, number, before).await }
    })
    .await;
    fail(false);
    let errors = writes.iter().filter(|(.., is_error)| *is_error).count();
    expect_eq(
        "whether the fixture makes requests fail",
        &(errors > 0),
        &true,
    );
    for (number, before, after, knowledge, _) in writes {
        let found = read_again(&on, number).await;
        let possible = match knowledge {
            WriteKnowledge::Written => vec![after],
            WriteKnowledge::NotWritten => vec![before],
            WriteKnowledge::Unknown => vec![before, after],
        };
        if !possible.contains(&found) {
            expectation::fail(
                &format!("the entry at the key, after the answer {knowledge:?}"),
                &format!("one of {possible:?}"),
                &found,
            );
        }
    }
}

async fn write(
    store: &dyn semel_store::Store,
    number: u32,
    before: Option<Version>,
) -> TestedWrite {
    let new = fresh_version();
    let kept = Retention::UntilRemoved;
    let (after, answer) = match (number % 3, before) {
        (1, Some(before)) => {
            let replaced = store
                .replace(key(number), before, &entry(number), new, kept)
                .await;
            (
                Some(new),
                replaced.map(|replaced| matches!(replaced, ReplaceResult::Replaced(_))),
            )
        }
        (_, Some(before)) => {
            let removed = store.remove(key(number), before).await;
            (
                None,
                removed.map(|removed| matches!(removed, RemoveResult::Removed)),
            )
        }
        (_, None) => {
            let created = store.create(key(number), &entry(number), new, kept).await;
            (
                Some(new),
                created.map(|created| matches!(created, CreateResult::Created(_))),
            )
        }
    };
    let is_error = answer.is_err();
    (
        number,
        before,
        after,
        WriteKnowledge::from_answer(answer),
        is_error,
    )
}

/// Returns the version at the key, once the store reads again.
async fn read_again(on: &Fixture, number: u32) -> Option<Version> {
    let reading = async {
        loop {
            match on.store.get(key(number)).await {
                Ok((stored, _)) => return stored.map(|stored| stored.version),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    expect!(timeout(LONG, reading).await, Ok(found) => found, "whether the store reads again after the failures")
}
