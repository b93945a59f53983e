//! What errors mean. For stores whose fixture can bring trouble.

use super::*;
use super::{contending::from_all_sides, expecting::expect_eq, waiting::LONG};
use semel_store::{CreateResult, RemoveResult, ReplaceResult, Retention, StoreError};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// What the caller of a write may rest on.
#[derive(Debug)]
enum Told {
    Written,
    NotWritten,
    Unknown,
}

impl Told {
    /// What an answer tells that is an error, or says whether it was written.
    fn by(answer: Result<bool, StoreError>) -> Self {
        match answer {
            Ok(true) => Self::Written,
            Ok(false) | Err(StoreError::NotExecuted(_) | StoreError::Entry(_)) => Self::NotWritten,
            Err(StoreError::Unknown(_)) => Self::Unknown,
        }
    }
}

/// A write: where, what lay there, what lies there if it was carried out, what its caller was told, and whether that was an
/// error.
type Write = (u32, Option<Version>, Option<Version>, Told, bool);

/// An error says whether certainly nothing was written; a failed group commit is unknown for all its members.
pub async fn an_error_says_whether_certainly_nothing_was_written(on: Fixture) {
    let Some(trouble) = &on.trouble else { return };
    let mut lying = Vec::new();
    for number in 0..64 {
        // A third of the keys is to be created, a third replaced, and a third removed.
        lying.push(if number % 3 == 0 {
            None
        } else {
            Some(on.put(key(number), &entry(number)).await)
        });
    }
    trouble(true);
    let writes: Vec<Write> = from_all_sides(&[Arc::clone(&on.store)], |store, number| {
        let before = lying.get(number as usize).copied().flatten();
        async move { write(&*store, number, before).await }
    })
    .await;
    trouble(false);
    let errors = writes.iter().filter(|(.., is_error)| *is_error).count();
    expect_eq(
        "whether the trouble that the fixture brings makes calls fail",
        &(errors > 0),
        &true,
    );
    for (number, before, after, told, _) in writes {
        let found = read_again(&on, number).await;
        let possible = match told {
            Told::Written => vec![after],
            Told::NotWritten => vec![before],
            Told::Unknown => vec![before, after],
        };
        if !possible.contains(&found) {
            expecting::fail(
                &format!("what lies there, where the caller was told {told:?}"),
                &format!("one of {possible:?}"),
                &found,
            );
        }
    }
}

async fn write(store: &dyn semel_store::Store, number: u32, before: Option<Version>) -> Write {
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
    (number, before, after, Told::by(answer), is_error)
}

/// What lies there once the store reads again.
async fn read_again(on: &Fixture, number: u32) -> Option<Version> {
    let reading = async {
        loop {
            match on.store.get(key(number)).await {
                Ok((stored, _)) => return stored.map(|stored| stored.version),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    expect!(timeout(LONG, reading).await, Ok(found) => found, "whether the store reads once the trouble is over")
}
