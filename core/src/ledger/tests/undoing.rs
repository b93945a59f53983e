//! Undoing, and ageing.

use super::desk::*;
use crate::ledger::*;
use crate::model::*;

fn landed() -> Desk {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    desk.settle(&grant, &first, Effect::Landed);
    desk
}

fn mark(by: u8) -> Command {
    Command::MarkUndoing {
        by: key(by),
        generation: 1,
        void_mark: None,
    }
}

fn undo(by: u8, generation: u32, told_by_outcome: bool) -> Command {
    Command::Undo {
        by: key(by),
        generation,
        told_by_outcome,
    }
}

#[test]
fn one_operation_at_a_time_undoes_and_a_void_mark_may_be_replaced() {
    let mut desk = landed();
    desk.ask(&mark(7)).unwrap();
    desk.ask(&mark(7)).unwrap();
    assert_eq!(broken(desk.ask(&mark(8))), Rule::OneUndoAtATime);
    let stale = Command::MarkUndoing {
        by: key(8),
        generation: 1,
        void_mark: Some(key(6)),
    };
    assert_eq!(broken(desk.ask(&stale)), Rule::OneUndoAtATime);
    desk.ask(&Command::MarkUndoing {
        by: key(8),
        generation: 1,
        void_mark: Some(key(7)),
    })
    .unwrap();
    assert_eq!(
        desk.told(&claim(2, 1)),
        ClaimReply::BeingUndone { by: key(8) }
    );
    let past_the_mark = Claim {
        void_mark: Some(key(8)),
        ..claim(2, 1)
    };
    assert_eq!(desk.told(&past_the_mark), ClaimReply::Landed);
}

#[test]
fn a_mark_is_written_even_where_it_stands() {
    let mut desk = landed();
    desk.ask(&mark(7)).unwrap();
    let present = desk.lies.as_ref().map(|(record, written)| PresentRecord {
        record,
        written: *written,
    });
    assert!(apply(present, &mark(7), desk.now).unwrap().write.is_some());
}

#[test]
fn an_undo_closes_its_own_generation_on_its_own_mark() {
    let mut desk = landed();
    assert_eq!(
        broken(desk.ask(&undo(7, 1, false))),
        Rule::UndoRestsOnItsMark
    );
    desk.ask(&mark(7)).unwrap();
    assert_eq!(
        broken(desk.ask(&undo(8, 1, false))),
        Rule::UndoRestsOnItsMark
    );
    assert_eq!(
        broken(desk.ask(&undo(7, 2, false))),
        Rule::UndoNamesItsGeneration
    );
    assert_eq!(
        desk.ask(&undo(7, 1, false)).unwrap(),
        Reply::Told(ClaimReply::Undone)
    );
    assert_eq!(
        desk.ask(&undo(7, 1, false)).unwrap(),
        Reply::Told(ClaimReply::Undone),
        "written twice, the same"
    );
    desk.granted(&claim(2, 1));
    assert_eq!(
        broken(desk.ask(&undo(7, 1, true))),
        Rule::UndoNamesItsGeneration
    );
    assert_eq!(broken(desk.ask(&mark(7))), Rule::UndoNamesItsGeneration);
}

#[test]
fn what_only_the_outcome_tells_needs_no_mark_and_reaches_a_tombstone() {
    let mut desk = landed();
    desk.ask(&Command::Age).unwrap();
    desk.ask(&undo(7, 1, true)).unwrap();
    assert_eq!(desk.granted(&claim(2, 1)).generation, 2);
}

#[test]
fn what_still_has_to_write_its_undo_is_kept() {
    let mut undoing = claim(1, 1);
    undoing.terms.undoes = vec![UndoTarget {
        of: generation(3, 1),
        settled: false,
    }];
    let written = Command::UndoWritten {
        of: generation(3, 1),
    };
    for effect in [Effect::Landed, Effect::Refused, Effect::Absent] {
        let mut desk = Desk::new();
        let grant = desk.granted(&undoing);
        assert_eq!(grant.marks, undoing.terms.undoes);
        assert_eq!(broken(desk.ask(&written)), Rule::OnlyLandedUndoes);
        desk.settle(&grant, &undoing, effect);
        assert_eq!(
            desk.kept,
            Some(Retention::UntilRemoved),
            "{effect:?}: a mark that leads nowhere holds for good"
        );
        if effect == Effect::Landed {
            assert_eq!(broken(desk.ask(&Command::Age)), Rule::OpenMarksDoNotAge);
            desk.ask(&written).unwrap();
            assert_eq!(desk.kept, Some(Retention::Seconds(86_400)));
            desk.ask(&Command::Age).unwrap();
        }
    }
}

#[test]
fn what_only_the_outcome_tells_is_kept_until_it_is_written() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    let mut cancelled = settlement(&grant, &first, Effect::Landed);
    cancelled.undid = vec![generation(3, 1)];
    desk.ask(&Command::Settle(Box::new(cancelled))).unwrap();
    assert_eq!(desk.kept, Some(Retention::UntilRemoved));
    desk.ask(&Command::UndoWritten {
        of: generation(3, 1),
    })
    .unwrap();
    assert_eq!(
        (desk.kept, desk.record().undid.len()),
        (Some(Retention::Seconds(86_400)), 0)
    );
}

#[test]
fn what_is_settled_is_kept_for_its_window_and_no_shorter_than_the_target_remembers() {
    let kept = |target: Option<Target>| {
        let mut claim = claim(1, 1);
        claim.terms.target = target;
        let mut desk = Desk::new();
        let grant = desk.granted(&claim);
        desk.settle(&grant, &claim, Effect::Landed);
        desk.kept.unwrap()
    };
    assert_eq!(kept(None), Retention::Seconds(86_400));
    assert_eq!(
        kept(Some(target(RepeatEffect::Replayed, Some(3_600)))),
        Retention::Seconds(86_400)
    );
    assert_eq!(
        kept(Some(target(RepeatEffect::Replayed, Some(100_000)))),
        Retention::Seconds(100_000)
    );
    assert_eq!(
        kept(Some(target(RepeatEffect::Replayed, None))),
        Retention::UntilRemoved,
        "kept until the operator says"
    );
    assert_eq!(
        kept(Some(target(RepeatEffect::Replayed, Some(Target::FOR_EVER)))),
        Retention::UntilRemoved
    );
    let by_nature = Target {
        places: Vec::new(),
        ..target(RepeatEffect::Harmless, Some(Target::FOR_EVER))
    };
    assert_eq!(kept(Some(by_nature)), Retention::Seconds(86_400));
    let elsewhere = Target {
        places: Vec::new(),
        ..target(RepeatEffect::Replayed, Some(100_000))
    };
    assert_eq!(kept(Some(elsewhere)), Retention::Seconds(100_000));
}

#[test]
fn nothing_unsettled_ever_ages() {
    for (name, desk, _) in every_state() {
        let settled = matches!(
            desk.label(),
            StateLabel::Released | StateLabel::Refused | StateLabel::Undone
        ) || matches!(name, "landed" | "delivered" | "tombstone");
        // An alias is made by hand here.
        if name != "alias" {
            assert_eq!(
                matches!(desk.kept, Some(Retention::Seconds(_))),
                settled,
                "{name}"
            );
        }
        let ages = matches!(name, "landed" | "delivered");
        assert_eq!(desk.clone().ask(&Command::Age).is_ok(), ages, "{name}");
    }
}

#[test]
fn a_tombstone_counts_its_window_from_the_landing_and_tells_of_it() {
    let mut desk = landed();
    let since = desk.now;
    desk.pass(3_600 * SECOND).ask(&Command::Age).unwrap();
    assert_eq!(desk.kept, Some(Retention::Seconds(86_400 - 3_600)));
    assert_eq!(
        desk.told(&claim(2, 1)),
        ClaimReply::Expired { landed: since }
    );
    assert!(desk.record().standing_outcome().is_none());
    desk.now.wall_ms -= 7_200 * SECOND;
    let mut younger = landed();
    younger.now.wall_ms -= 1;
    assert_eq!(broken(younger.ask(&Command::Age)), Rule::ClockNeverGrants);
}
