//! Undoing, and ageing.

use super::desk::*;
use crate::ledger::*;
use crate::model::*;

/// An operation with a handle that landed at the present time.
fn landed() -> Desk {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    let mut landing = settlement(&grant, &first, Effect::Landed);
    landing.handles = vec!["charge/1".to_owned()];
    desk.ask(&Command::Settle(Box::new(landing))).unwrap();
    desk
}

fn mark(by: u8) -> Command {
    Command::MarkUndoing {
        by: generation(by, 1),
        of: owner(0, 1),
        void_mark: None,
    }
}

fn undo(by: u8, at: u32, told_by_outcome: bool) -> Command {
    Command::Undo {
        by: generation(by, 1),
        generation: at,
        told_by_outcome,
    }
}

/// A claim of an operation that undoes what these owners landed, under one handle.
fn undoing(mark: u8, owners: Vec<LivingOwner>) -> Claim {
    let mut claim = claim(mark, 1);
    claim.terms.undoing = true;
    claim.named = vec![LivingOwners(owners)];
    claim
}

/// An undoing operation that landed at the present time, with the grant of its first attempt.
fn undone(claim: &Claim) -> (Desk, Grant) {
    let mut desk = Desk::new();
    let grant = desk.granted(claim);
    desk.settle(&grant, claim, Effect::Landed);
    (desk, grant)
}

#[test]
fn one_operation_at_a_time_undoes_and_a_void_mark_may_be_replaced() {
    let mut desk = landed();
    desk.ask(&mark(7)).unwrap();
    desk.ask(&mark(7)).unwrap();
    assert_eq!(broken(desk.ask(&mark(8))), Rule::OneUndoAtATime);
    let over = |void: OperationGeneration| Command::MarkUndoing {
        by: generation(8, 1),
        of: owner(0, 1),
        void_mark: Some(void),
    };
    for stale in [generation(6, 1), generation(7, 2)] {
        assert_eq!(broken(desk.ask(&over(stale))), Rule::OneUndoAtATime);
    }
    desk.ask(&over(generation(7, 1))).unwrap();
    assert_eq!(
        desk.told(&claim(2, 1)),
        ClaimReply::BeingUndone {
            by: generation(8, 1)
        }
    );
    let past_the_mark = Claim {
        void_mark: Some(generation(8, 1)),
        ..claim(2, 1)
    };
    assert_eq!(desk.told(&past_the_mark), ClaimReply::Landed);
}

#[test]
fn a_mark_names_the_landing_it_closes() {
    let mut desk = landed();
    let of = |nonce_mark: u8| Command::MarkUndoing {
        by: generation(7, 1),
        of: HandleOwner {
            nonce: nonce(nonce_mark),
            ..owner(0, 1)
        },
        void_mark: None,
    };
    assert_eq!(broken(desk.ask(&of(2))), Rule::UndoNamesItsGeneration);
    desk.ask(&of(1)).unwrap();
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
    desk.deliver().unwrap();
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
fn what_was_undone_before_its_outcome_was_taken_is_replayed_once_more() {
    let mut desk = landed();
    desk.ask(&mark(7)).unwrap();
    desk.ask(&undo(7, 1, false)).unwrap();
    assert_eq!(desk.told(&claim(2, 1)), ClaimReply::Undone);
    assert_eq!(desk.told(&claim(3, 1)), ClaimReply::Undone, "not taken yet");
    assert_eq!(desk.clone().granted(&claim(4, 2)).generation, 2);
    desk.deliver().unwrap();
    let waited = Claim {
        read_undelivered: Some(1),
        ..claim(4, 1)
    };
    assert_eq!(desk.told(&waited), ClaimReply::Undone);
    assert_eq!(desk.granted(&claim(5, 1)).generation, 2);
}

#[test]
fn what_only_the_outcome_tells_needs_no_mark_and_reaches_a_tombstone() {
    let mut desk = landed();
    desk.deliver().unwrap();
    desk.ask(&Command::Age).unwrap();
    desk.ask(&undo(7, 1, true)).unwrap();
    assert_eq!(desk.granted(&claim(2, 1)).generation, 2);
}

#[test]
fn a_claim_takes_the_single_living_owner_of_each_handle() {
    let targets = |named: Vec<Vec<LivingOwner>>| {
        let mut claim = undoing(1, Vec::new());
        claim.named = named.into_iter().map(LivingOwners).collect();
        Desk::new().granted(&claim).marks
    };
    let target = |mark, at| UndoTarget {
        of: owner(mark, at),
        settled: false,
    };
    assert_eq!(targets(vec![vec![living(3, 2, 0)]]), [target(3, 2)]);
    assert_eq!(targets(vec![Vec::new()]), []);
    assert_eq!(
        targets(vec![vec![living(3, 1, 0), living(4, 1, 0)]]),
        [],
        "a name with two owners means neither"
    );
    let one = || vec![living(3, 1, 0)];
    assert_eq!(
        targets(vec![one(), one(), vec![living(4, 1, 0)]]),
        [target(3, 1), target(4, 1)],
        "one landing under two names is one"
    );
}

#[test]
fn an_undo_is_sent_again_only_for_what_was_granted_after_it_ended() {
    let first = undoing(1, vec![living(3, 1, 0)]);
    let (mut desk, _) = undone(&first);
    let later = |mark| undoing(mark, vec![living(3, 2, SECOND)]);
    desk.pass(2 * SECOND);
    assert_eq!(desk.told(&later(2)), ClaimReply::Landed, "not settled");
    desk.ask(&Command::UndoWritten {
        of: generation(3, 1),
    })
    .unwrap();
    assert_eq!(desk.told(&later(2)), ClaimReply::Landed, "not taken");
    desk.deliver().unwrap();
    for named in [Vec::new(), vec![living(3, 1, 0)], vec![living(4, 1, 0)]] {
        assert_eq!(desk.told(&undoing(2, named)), ClaimReply::Landed);
    }
    let mut elsewhere = living(3, 2, SECOND);
    elsewhere.granted.boot = Boot(2);
    assert_eq!(
        desk.told(&undoing(2, vec![elsewhere])),
        ClaimReply::Landed,
        "the order of two boots is unsure within a minute"
    );
    elsewhere.granted.wall_ms += 60 * SECOND;
    assert_eq!(
        desk.clone()
            .granted(&undoing(2, vec![elsewhere]))
            .generation,
        2
    );
    let waited = Claim {
        read_undelivered: Some(1),
        ..later(2)
    };
    assert_eq!(desk.told(&waited), ClaimReply::Landed);
    let grant = desk.granted(&later(3));
    assert_eq!((grant.generation, grant.series), (2, 1));
    assert_eq!(
        grant.marks,
        [UndoTarget {
            of: owner(3, 2),
            settled: false
        }]
    );
}

#[test]
fn two_names_that_were_done_again_open_an_undo_that_takes_neither() {
    let (mut desk, _) = undone(&undoing(1, Vec::new()));
    desk.deliver().unwrap();
    let both = vec![living(3, 1, SECOND), living(4, 1, SECOND)];
    let grant = desk.pass(2 * SECOND).granted(&undoing(2, both));
    assert_eq!((grant.generation, grant.marks), (2, Vec::new()));
}

#[test]
fn a_refused_undo_is_sent_at_once_where_there_is_something_new_to_undo() {
    let first = undoing(1, vec![living(3, 1, 0)]);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    desk.settle(&grant, &first, Effect::Refused);
    desk.pass(2 * SECOND);
    assert!(matches!(
        desk.told(&undoing(2, vec![living(3, 1, 0)])),
        ClaimReply::Refused { .. }
    ));
    let grant = desk.granted(&undoing(3, vec![living(3, 2, SECOND)]));
    assert_eq!((grant.generation, grant.series), (1, 2));
    assert_eq!(grant.marks.first().map(|mark| mark.of), Some(owner(3, 2)));
}

#[test]
fn a_person_opens_an_undo_again() {
    let (mut desk, _) = undone(&undoing(1, vec![living(3, 1, 0)]));
    let named = || vec![living(4, 1, 0)];
    desk.ask(&Command::UndoWritten {
        of: generation(3, 1),
    })
    .unwrap();
    assert_eq!(desk.told(&undoing(2, named())), ClaimReply::Landed);
    desk.decide(Decision::Undone).unwrap();
    let grant = desk.granted(&undoing(3, named()));
    assert_eq!(grant.generation, 2);
    assert_eq!(grant.marks.first().map(|mark| mark.of), Some(owner(4, 1)));
}

#[test]
fn a_mark_means_what_the_attempt_that_made_it_takes() {
    let of = generation(3, 1);
    let first = undoing(1, vec![living(3, 1, 0)]);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    assert_eq!(desk.record().mark_meaning(1, of), MarkMeaning::Open);
    desk.settle(&grant, &first, Effect::Absent);
    assert_eq!(desk.record().mark_meaning(1, of), MarkMeaning::Void);
    // The next attempt finds nothing to undo. Its landing must not close what the first one marked.
    let second = undoing(2, Vec::new());
    let grant = desk.granted(&second);
    desk.settle(&grant, &second, Effect::Landed);
    assert_eq!(desk.record().mark_meaning(1, of), MarkMeaning::Void);
    let (desk, _) = undone(&first);
    assert_eq!(desk.record().mark_meaning(1, of), MarkMeaning::Undone);
    assert_eq!(
        desk.record().mark_meaning(1, generation(3, 2)),
        MarkMeaning::Void
    );
    assert_eq!(desk.record().mark_meaning(2, of), MarkMeaning::Void);
}

#[test]
fn an_outcome_undoes_what_landed_before_its_attempt_was_granted() {
    let granted = living(9, 1, 10 * SECOND).granted;
    let undone = |owners: Vec<LivingOwner>| undone_by_outcome(&[LivingOwners(owners)], granted);
    assert_eq!(undone(vec![living(3, 1, SECOND)]), [generation(3, 1)]);
    assert_eq!(undone(vec![living(3, 1, 10 * SECOND)]), [], "unsure");
    assert_eq!(undone(vec![living(3, 1, 11 * SECOND)]), []);
    assert_eq!(
        undone(vec![living(3, 1, SECOND), living(4, 1, SECOND)]),
        [],
        "a name with two owners"
    );
}

#[test]
fn a_handle_lists_each_owner_once_and_no_more_than_its_limit() {
    let mut handle = Handle::new(Tenant::default());
    for at in 1..=64 {
        handle = handle.with_owner(owner(3, at)).unwrap();
        assert_eq!(handle.with_owner(owner(3, at)), None);
    }
    assert_eq!(handle.with_owner(owner(3, 65)), None);
    let handle = handle.without(|owner| owner.of.generation < 64);
    assert_eq!(handle.owners, [owner(3, 64)]);
}

#[test]
fn what_still_has_to_write_its_undo_is_kept() {
    let undoing = undoing(1, vec![living(3, 1, 0)]);
    let written = Command::UndoWritten {
        of: generation(3, 1),
    };
    for effect in [Effect::Landed, Effect::Refused, Effect::Absent] {
        let mut desk = Desk::new();
        let grant = desk.granted(&undoing);
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

#[test]
fn a_record_stays_while_a_mark_of_an_earlier_attempt_leads_to_it() {
    let first = undoing(1, vec![living(3, 1, 0)]);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    desk.settle(&grant, &first, Effect::Absent);
    let second = undoing(2, Vec::new());
    let grant = desk.granted(&second);
    desk.settle(&grant, &second, Effect::Landed);
    assert_eq!(desk.kept, Some(Retention::UntilRemoved));
    assert_eq!(broken(desk.ask(&Command::Age)), Rule::OpenMarksDoNotAge);
    desk.deliver().unwrap();
    let done_again = undoing(3, vec![living(3, 1, SECOND)]);
    assert_eq!(desk.pass(2 * SECOND).granted(&done_again).generation, 2);
}
