//! What an attempt came to, as its owner tells it, in time or late.

use super::desk::*;
use crate::ledger::*;
use crate::model::*;

#[test]
fn a_lease_ends_on_its_millisecond_and_leaves_doubt() {
    let mut desk = Desk::new();
    desk.granted(&claim(1, 1));
    desk.pass(LEASE - 1);
    assert_eq!(
        desk.told(&claim(2, 1)),
        ClaimReply::Running {
            continuation: None,
            lease_ms: 1
        }
    );
    assert!(matches!(
        desk.ask(&Command::Expire),
        Err(Refusal::NoRow { .. })
    ));
    desk.pass(1);
    assert_eq!(desk.told(&claim(2, 1)), ClaimReply::InDoubt);
    assert_eq!(
        desk.label(),
        StateLabel::InDoubt,
        "the first reader writes it"
    );
}

#[test]
fn a_renewal_prolongs_the_lease_but_never_past_the_attempts_time() {
    let mut desk = Desk::new();
    let grant = desk.granted(&claim(1, 1));
    let renew = Command::Renew { fence: grant.fence };
    for _ in 0..5 {
        desk.pass(10 * SECOND).ask(&renew).unwrap();
    }
    assert_eq!(
        desk.told(&claim(2, 1)),
        ClaimReply::Running {
            continuation: None,
            lease_ms: 10 * SECOND
        }
    );
    desk.pass(ATTEMPT - 50 * SECOND);
    assert!(desk.ask(&renew).is_err());
    assert_eq!(desk.told(&claim(2, 1)), ClaimReply::InDoubt);
}

#[test]
fn another_boot_ends_every_lease_but_not_a_wait_with_a_limit_of_its_own() {
    let mut desk = Desk::new();
    let grant = desk.granted(&claim(1, 1));
    let mut waiting = desk.clone();
    let suspend = Command::Suspend {
        fence: grant.fence,
        continuation: "task".to_owned(),
        limit_seconds: 3_600,
    };
    waiting.ask(&suspend).unwrap();
    for desk in [&mut desk, &mut waiting] {
        desk.now.boot = Boot(2);
        desk.now.steady_ms = 5;
        desk.now.wall_ms += SECOND;
    }
    assert_eq!(desk.told(&claim(2, 1)), ClaimReply::InDoubt);
    let left = 3_599 * SECOND;
    assert_eq!(
        waiting.told(&claim(2, 1)),
        ClaimReply::Running {
            continuation: Some("task".to_owned()),
            lease_ms: left
        }
    );
    waiting.now.wall_ms += left;
    assert_eq!(waiting.told(&claim(2, 1)), ClaimReply::InDoubt);
}

#[test]
fn a_lease_is_only_its_owners_to_renew_suspend_or_hold() {
    let mut desk = Desk::new();
    desk.granted(&claim(1, 1));
    let fence = Fence {
        number: 1,
        nonce: nonce(2),
    };
    assert_eq!(broken(desk.ask(&Command::Renew { fence })), Rule::OwnerOnly);
    let suspend = Command::Suspend {
        fence,
        continuation: "x".to_owned(),
        limit_seconds: 1,
    };
    assert_eq!(broken(desk.ask(&suspend)), Rule::OwnerOnly);
    let hold = Command::Hold {
        fence,
        outcome: None,
        reason: "trapped".to_owned(),
    };
    assert!(matches!(desk.ask(&hold), Err(Refusal::NoRow { .. })));
}

#[test]
fn a_continuation_is_a_new_right_of_the_same_attempt() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    let suspend = Command::Suspend {
        fence: grant.fence,
        continuation: "task".to_owned(),
        limit_seconds: 3_600,
    };
    desk.ask(&suspend).unwrap();
    // A late word of the suspended sending must not pass for one of the continuation.
    desk.settle(&grant, &first, Effect::Absent);
    let foreign = Command::Continue {
        continuation: "another".to_owned(),
        nonce: nonce(3),
    };
    assert!(matches!(desk.ask(&foreign), Err(Refusal::NoRow { .. })));
    let go_on = Command::Continue {
        continuation: "task".to_owned(),
        nonce: nonce(3),
    };
    let right = granted(desk.ask(&go_on).unwrap());
    assert_eq!(
        (right.fence, right.valid_ms),
        (
            Fence {
                number: 1,
                nonce: nonce(3)
            },
            LEASE
        )
    );
    assert_eq!(
        desk.record().last_attempt().unwrap().known,
        KnownEffect::Open
    );
    assert!(desk.ask(&go_on).is_err(), "it is used up");
    desk.settle(&right, &first, Effect::Landed);
    assert_eq!(desk.label(), StateLabel::Landed);
}

#[test]
fn no_later_round_proves_that_an_earlier_one_had_no_effect() {
    let first = claim(1, 1);
    let suspended = || {
        let mut desk = Desk::new();
        let grant = desk.granted(&first);
        let suspend = Command::Suspend {
            fence: grant.fence,
            continuation: "task".to_owned(),
            limit_seconds: 3_600,
        };
        desk.ask(&suspend).unwrap();
        let go_on = Command::Continue {
            continuation: "task".to_owned(),
            nonce: nonce(3),
        };
        let right = granted(desk.ask(&go_on).unwrap());
        (desk, right)
    };
    let (mut unsent, right) = suspended();
    unsent.settle(&right, &first, Effect::Absent);
    assert_eq!(unsent.label(), StateLabel::InDoubt);
    let (mut declined, right) = suspended();
    declined.settle(&right, &first, Effect::Refused);
    assert_eq!(
        declined.label(),
        StateLabel::Refused,
        "a definite refusal is one of the whole"
    );
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    desk.settle(&grant, &first, Effect::Absent);
    assert_eq!(
        desk.label(),
        StateLabel::Released,
        "the control: of one round it is a proof"
    );
}

#[test]
fn a_landing_counts_however_late() {
    for (name, mut desk, grant) in every_state() {
        let landed = settlement(&grant, &claim(1, 1), Effect::Landed);
        desk.pass(10 * LEASE)
            .ask(&Command::Settle(Box::new(landed)))
            .unwrap();
        let known = desk
            .record()
            .attempts
            .iter()
            .find(|attempt| attempt.fence == grant.fence)
            .unwrap()
            .known;
        assert_eq!(known, KnownEffect::Landed, "{name}");
        let two_effects = matches!(
            desk.state(),
            State::Held {
                two_effects: true,
                ..
            }
        );
        let settled = matches!(
            desk.label(),
            StateLabel::Landed | StateLabel::Undone | StateLabel::Tombstone | StateLabel::Alias
        );
        assert!(
            settled || two_effects,
            "{name} became {}",
            desk.label().word()
        );
    }
}

#[test]
fn what_stands_is_not_unlearned_by_a_later_word_that_knows_less() {
    let first = claim(1, 1);
    for (effect, then) in [
        (Effect::Landed, Effect::Unknown),
        (Effect::Landed, Effect::Absent),
        (Effect::Refused, Effect::Unknown),
        (Effect::Absent, Effect::Unknown),
        (Effect::Landed, Effect::Landed),
    ] {
        let mut desk = Desk::new();
        let grant = desk.granted(&first);
        desk.settle(&grant, &first, effect);
        let before = desk.state().clone();
        let kept = desk.record().attempts.clone();
        let mut later = settlement(&grant, &first, then);
        later.outcome = KeptOutcome::Whole(Outcome::failed("something else"));
        desk.pass(SECOND)
            .ask(&Command::Settle(Box::new(later)))
            .unwrap();
        assert_eq!(desk.state(), &before, "{effect:?}, then {then:?}");
        assert_eq!(
            desk.record().last_attempt().unwrap().outcome,
            kept.last().unwrap().outcome,
            "{effect:?}, then {then:?}"
        );
    }
}

#[test]
fn a_later_attempt_settles_nothing_but_a_landing_while_an_earlier_one_is_unresolved() {
    let first = claim(1, 1);
    for effect in [Effect::Refused, Effect::Absent] {
        let mut desk = Desk::new();
        let one = desk.granted(&first);
        desk.settle(&one, &first, Effect::Unknown);
        let two = desk.retried(&first, 2);
        assert_eq!(desk.settle(&two, &first, effect), ClaimReply::InDoubt);
        let told = desk.settle(&one, &first, effect);
        let resolved = matches!(
            told,
            ClaimReply::Released { .. } | ClaimReply::Refused { .. }
        );
        assert!(
            resolved,
            "now that both are known to be without effect: {told:?}"
        );
    }
}

#[test]
fn a_landing_under_an_earlier_key_is_for_a_person() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let one = desk.granted(&first);
    desk.settle(&one, &first, Effect::Absent);
    let other = claim(2, 2);
    let two = desk.granted(&other);
    assert_eq!(desk.settle(&one, &first, Effect::Landed), ClaimReply::Held);
    let evidence = desk.record().evidence.first().unwrap();
    assert_eq!(
        (evidence.series, evidence.content),
        (1, first.terms.content),
        "with its own content"
    );
    assert!(evidence.outcome.is_some(), "and its own outcome");
    assert_eq!(desk.settle(&two, &other, Effect::Refused), ClaimReply::Held);
    assert_eq!(
        broken(desk.decide(Decision::Released { new_key: false })),
        Rule::EvidenceBarsRelease
    );
    assert_eq!(
        broken(desk.decide(Decision::Refused)),
        Rule::EvidenceBarsRelease
    );
    assert_eq!(
        broken(desk.look(5, ProbeRequester::Operator)),
        Rule::TwoEffectsStayHeld
    );
    desk.decide(attested()).unwrap();
    assert_eq!(desk.told(&claim(3, 2)), ClaimReply::Landed);
}

#[test]
fn two_landings_under_one_key_are_one_effect_where_the_target_recognised_the_second() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let one = desk.granted(&first);
    desk.settle(&one, &first, Effect::Unknown);
    let two = desk.retried(&first, 2);
    assert_eq!(
        desk.settle(&two, &first, Effect::Landed),
        ClaimReply::Landed
    );
    assert_eq!(
        desk.settle(&one, &first, Effect::Landed),
        ClaimReply::Landed
    );
    assert_eq!(desk.record().standing, Some(2));
    assert!(desk.record().evidence.is_empty());
}

#[test]
fn a_second_effect_beside_what_stands_bars_the_next_generation_until_a_person_weighed_it() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let one = desk.granted(&first);
    desk.settle(&one, &first, Effect::Absent);
    let other = claim(2, 2);
    let two = desk.granted(&other);
    desk.settle(&two, &other, Effect::Landed);
    assert_eq!(
        desk.settle(&one, &first, Effect::Landed),
        ClaimReply::Landed,
        "what is final stands"
    );
    assert_eq!(desk.record().landed_evidence().count(), 1);
    desk.ask(&Command::MarkUndoing {
        by: generation(7, 1),
        of: HandleOwner {
            nonce: nonce(2),
            ..owner(0, 1)
        },
        void_mark: None,
    })
    .unwrap();
    desk.ask(&Command::Undo {
        by: generation(7, 1),
        generation: 1,
        told_by_outcome: false,
    })
    .unwrap();
    assert_eq!(
        desk.told(&claim(3, 2)),
        ClaimReply::Held,
        "the other effect was not undone"
    );
    desk.decide(Decision::Undone).unwrap();
    assert_eq!(desk.granted(&claim(3, 2)).generation, 2);
}

#[test]
fn a_landing_of_an_earlier_generation_settles_nothing() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let one = desk.granted(&first);
    desk.settle(&one, &first, Effect::Unknown);
    let two = desk.retried(&first, 2);
    desk.settle(&two, &first, Effect::Landed);
    desk.decide(Decision::Undone).unwrap();
    desk.granted(&claim(3, 1));
    assert!(matches!(
        desk.settle(&one, &first, Effect::Landed),
        ClaimReply::Running { .. }
    ));
    assert_eq!(desk.record().landed_evidence().count(), 0);
    assert_eq!(desk.record().evidence.first().unwrap().generation, 1);
    desk.settle(&one, &first, Effect::Landed);
    assert_eq!(desk.record().evidence.len(), 1, "told twice, kept once");
}

#[test]
fn what_landed_by_an_attempt_that_the_record_does_not_know_withholds() {
    let mut desk = Desk::new();
    let grant = desk.granted(&claim(1, 1));
    let stranger = Grant {
        fence: Fence {
            number: 1,
            nonce: nonce(9),
        },
        ..grant
    };
    let unknown = settlement(&stranger, &claim(9, 1), Effect::Absent);
    assert_eq!(
        broken(desk.ask(&Command::Settle(Box::new(unknown)))),
        Rule::KnownAttempt
    );
    assert_eq!(
        desk.settle(&stranger, &claim(9, 1), Effect::Landed),
        ClaimReply::Held
    );
    assert!(matches!(
        desk.state(),
        State::Held {
            two_effects: true,
            ..
        }
    ));
}

#[test]
fn a_settlement_without_a_record_writes_it_anew_and_says_so() {
    let first = claim(1, 1);
    let grant = Desk::new().granted(&first);
    let mut desk = Desk::new();
    assert_eq!(
        desk.settle(&grant, &first, Effect::Landed),
        ClaimReply::Landed
    );
    assert!(desk.record().rewritten);
    assert_eq!(desk.told(&claim(2, 1)), ClaimReply::Landed);

    // What else there was is gone with the record, so no word of its absence settles anything, told once or twice.
    let mut desk = Desk::new();
    for _ in 0..2 {
        assert_eq!(
            desk.settle(&grant, &first, Effect::Absent),
            ClaimReply::InDoubt
        );
    }
    desk.look(8, ProbeRequester::Caller).unwrap();
    desk.saw(
        8,
        ProbeReport::Again {
            reason: "too early".to_owned(),
        },
    )
    .unwrap();
    assert_eq!(desk.label(), StateLabel::InDoubt);
    let retry = desk.retry_of(&first, 2);
    assert_eq!(
        broken(desk.ask(&retry)),
        Rule::TargetRemembers,
        "the start of the target's memory is unknown"
    );
}

#[test]
fn a_held_attempt_keeps_its_real_outcome() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    let real = KeptOutcome::Whole(outcome(Effect::Landed, "charged"));
    let hold = Command::Hold {
        fence: grant.fence,
        outcome: Some(real.clone()),
        reason: "the policy trapped".to_owned(),
    };
    assert_eq!(desk.ask(&hold).unwrap(), Reply::Told(ClaimReply::Held));
    desk.decide(attested()).unwrap();
    assert_eq!(desk.record().standing_outcome(), Some(&real));
}
