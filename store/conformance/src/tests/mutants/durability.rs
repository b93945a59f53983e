//! Wrong after it was opened anew, and where its place is in trouble.

use super::*;

pub(super) const MUTANTS: &[Mutant] = &[
    (
        "forgets when it is closed",
        "durability::an_answer_survives_reopening",
        wrong!(|store| {
            Ask::Get(_) if store.is_anew => Ok(Answer::Got(None, store.place.now().await)),
        }),
    ),
    (
        "forgets ends when it is closed",
        "durability::an_answer_survives_reopening",
        wrong!(|store| {
            Ask::Get(key) if store.is_anew => {
                let last = store.place.history().last(key).map(|(_, stored)| stored.clone());
                Ok(Answer::Got(last, store.place.now().await))
            },
        }),
    ),
    (
        "forgets what was put off when it is closed",
        "durability::a_deferred_write_survives_reopening",
        wrong!(|store| {
            Ask::Get(key) if store.is_anew => {
                let mut told = store.right(Ask::Get(key)).await?;
                if let Some(stored) = told.parts().0
                    && store.place.history().put_off.contains(stored.version.as_bytes())
                {
                    return Ok(Answer::Got(None, store.place.now().await));
                }
                Ok(told)
            },
        }),
    ),
    (
        "begins another life whenever it is opened",
        "durability::reopening_keeps_the_incarnation",
        wrong!(|store| {
            ask if store.is_anew => {
                let mut told = store.right(ask).await?;
                if let Some(now) = told.parts().1 {
                    now.incarnation.0 = now.incarnation.0.wrapping_add(1);
                }
                Ok(told)
            },
        }),
    ),
    (
        "says that it did nothing where it wrote",
        "errors::an_error_says_whether_nothing_was_written",
        wrong!(|store| {
            ask @ Ask::Create(_) if store.is_troubled() => {
                store.place.carry_out(ask).await?;
                refused()
            },
        }),
    ),
    (
        "says that it wrote where it did nothing",
        "errors::an_error_says_whether_nothing_was_written",
        wrong!(|store| {
            Ask::Create(_) if store.is_troubled() => Ok(Answer::Created(CreateResult::Created(store.place.now().await))),
        }),
    ),
];
