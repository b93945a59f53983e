//! A long past is cut, and never what may still matter.

use super::desk::*;
use crate::ledger::*;
use crate::model::*;

#[test]
fn attempts_that_are_resolved_go_first_and_unresolved_ones_never() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let one = desk.granted(&first);
    desk.settle(&one, &first, Effect::Unknown);
    for _ in 0..100 {
        desk.decide(Decision::Released { new_key: false }).unwrap();
        let next = desk.granted(&first);
        desk.settle(&next, &first, Effect::Absent);
    }
    assert!(desk.record().attempts.len() <= 64);
    assert_eq!(desk.record().attempts.first().unwrap().fence, one.fence);
    assert_eq!(
        desk.label(),
        StateLabel::InDoubt,
        "the first one may still have taken effect"
    );

    let mut desk = Desk::new();
    for _ in 0..100 {
        let next = desk.granted(&first);
        desk.settle(&next, &first, Effect::Unknown);
        desk.decide(Decision::Released { new_key: false }).unwrap();
    }
    assert_eq!(desk.record().attempts.len(), 100);
}

#[test]
fn an_attempt_cut_from_an_earlier_generation_settles_nothing_when_it_lands() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let one = desk.granted(&first);
    desk.settle(&one, &first, Effect::Unknown);
    desk.decide(attested()).unwrap();
    for _ in 0..70 {
        desk.decide(Decision::Undone).unwrap();
        let next = desk.granted(&first);
        desk.settle(&next, &first, Effect::Landed);
    }
    desk.decide(Decision::Undone).unwrap();
    desk.granted(&first);
    assert!(
        desk.record()
            .attempts
            .iter()
            .all(|attempt| attempt.fence != one.fence)
    );
    assert!(matches!(
        desk.settle(&one, &first, Effect::Landed),
        ClaimReply::Running { .. }
    ));
}
