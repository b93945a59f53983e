//! Finding out about what is in doubt.

use super::desk::*;
use crate::ledger::*;
use crate::model::*;

fn in_doubt(first: &Claim) -> Desk {
    let mut desk = Desk::new();
    desk.granted(first);
    desk.pass(LEASE).ask(&Command::Expire).unwrap();
    desk
}

#[test]
fn what_is_in_doubt_is_sent_again_only_while_the_target_remembers() {
    let first = claim(1, 1);
    let last_ms = MEMORY - MARGIN - ATTEMPT - LEASE - 1;
    let mut desk = in_doubt(&first);
    let retry = desk.retry_of(&first, 2);
    desk.pass(last_ms + 1);
    assert_eq!(
        broken(desk.clone().ask(&retry)),
        Rule::TargetRemembers,
        "the margin is not touched"
    );
    desk.now.wall_ms -= 1;
    desk.now.steady_ms -= 1;
    let right = granted(desk.ask(&retry).unwrap());
    assert_eq!(
        (right.valid_ms, right.repeats, right.fence.number),
        (1, true, 2),
        "and is sent in time or not at all"
    );
}

#[test]
fn what_is_sent_again_well_in_time_has_a_whole_lease() {
    let first = claim(1, 1);
    let mut desk = in_doubt(&first);
    assert_eq!(desk.retried(&first, 3).valid_ms, LEASE);
}

#[test]
fn a_short_memory_keeps_two_seconds_of_margin() {
    let mut first = claim(1, 1);
    first.terms.target = Some(target(RepeatEffect::Replayed, Some(100)));
    let mut desk = in_doubt(&first);
    let retry = desk.retry_of(&first, 2);
    desk.pass(100 * SECOND - 2 * SECOND - ATTEMPT - LEASE);
    assert_eq!(broken(desk.clone().ask(&retry)), Rule::TargetRemembers);
    desk.now.wall_ms -= 1;
    desk.now.steady_ms -= 1;
    desk.ask(&retry).unwrap();
}

#[test]
fn each_condition_of_sending_again_is_needed() {
    let first = claim(1, 1);
    let refused = |claim: &Claim, change: &dyn Fn(&mut Desk, &mut Command)| {
        let mut desk = in_doubt(claim);
        let mut retry = desk.retry_of(claim, 2);
        change(&mut desk, &mut retry);
        broken(desk.ask(&retry))
    };
    let with_target = |target| {
        let mut claim = first.clone();
        claim.terms.target = target;
        claim
    };
    let none = |_: &mut Desk, _: &mut Command| {};
    assert_eq!(refused(&with_target(None), &none), Rule::RepeatsAreHarmless);
    let effective = with_target(Some(target(RepeatEffect::Effective, Some(3_600))));
    assert_eq!(refused(&effective, &none), Rule::RepeatsAreHarmless);
    let undocumented = with_target(Some(target(RepeatEffect::Replayed, None)));
    assert_eq!(refused(&undocumented, &none), Rule::TargetRemembers);
    let stale = |_: &mut Desk, retry: &mut Command| {
        if let Command::Resolve { shown, .. } = retry {
            *shown = 0;
        }
    };
    assert_eq!(refused(&first, &stale), Rule::LastAttemptShown);
    let noise = |_: &mut Desk, retry: &mut Command| {
        if let Command::Resolve { call_digest, .. } = retry {
            *call_digest = CallDigest::from_bytes([9; 32]);
        }
    };
    assert_eq!(refused(&first, &noise), Rule::SameCallAgain);
    let spent = |_: &mut Desk, retry: &mut Command| {
        if let Command::Resolve { retries_max, .. } = retry {
            *retries_max = 0;
        }
    };
    assert_eq!(refused(&first, &spent), Rule::RetriesBounded);
}

#[test]
fn a_target_that_never_forgets_is_asked_again_at_any_time() {
    let mut first = claim(1, 1);
    first.terms.target = Some(target(RepeatEffect::Harmless, Some(Target::FOR_EVER)));
    let mut desk = in_doubt(&first);
    desk.pass(100 * MEMORY);
    assert_eq!(desk.retried(&first, 2).valid_ms, LEASE);
}

#[test]
fn retries_are_counted_for_each_key() {
    let first = claim(1, 1);
    let mut desk = in_doubt(&first);
    for mark in 2..4 {
        let right = desk.retried(&first, mark);
        desk.settle(&right, &first, Effect::Unknown);
    }
    let third = desk.retry_of(&first, 5);
    assert_eq!(broken(desk.ask(&third)), Rule::RetriesBounded);
}

#[test]
fn a_clock_that_went_back_grants_nothing() {
    let first = claim(1, 1);
    let mut desk = in_doubt(&first);
    let retry = desk.retry_of(&first, 2);
    desk.now.wall_ms -= 1;
    assert_eq!(
        broken(desk.clone().ask(&retry)),
        Rule::ClockNeverGrants,
        "behind the last write"
    );
    // Another boot, whose wall clock is behind the first sending; a write by that clock does not hide it.
    let mut desk = Desk::new();
    desk.granted(&first);
    desk.now.boot = Boot(2);
    desk.now.wall_ms -= 2 * MEMORY;
    desk.ask(&Command::Expire).unwrap();
    desk.pass(SECOND);
    assert_eq!(
        broken(desk.ask(&retry)),
        Rule::ClockNeverGrants,
        "behind the first sending"
    );
}

#[test]
fn a_look_takes_no_fence_and_is_its_makers_own() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    desk.pass(LEASE);
    assert_eq!(
        desk.look(5, ProbeRequester::Caller).unwrap(),
        Reply::MayLook { valid_ms: LEASE }
    );
    assert_eq!(
        desk.record().last_attempt().unwrap().fence,
        grant.fence,
        "the attempt is unchanged"
    );
    assert_eq!(broken(desk.saw(6, NOTHING)), Rule::LookIsOwn);
    assert_eq!(
        desk.settle(&grant, &first, Effect::Landed),
        ClaimReply::Landed,
        "the writer may still know"
    );
    assert!(matches!(desk.saw(5, NOTHING), Err(Refusal::NoRow { .. })));
}

#[test]
fn looks_are_counted_and_bounded() {
    let mut desk = in_doubt(&claim(1, 1));
    for _ in 0..3 {
        desk.look(5, ProbeRequester::Caller).unwrap();
        desk.saw(
            5,
            ProbeReport::Again {
                reason: "too early".to_owned(),
            },
        )
        .unwrap();
    }
    assert_eq!(
        broken(desk.look(5, ProbeRequester::Caller)),
        Rule::LooksBounded
    );
    desk.look(5, ProbeRequester::Operator).unwrap();
}

#[test]
fn a_probe_that_found_nothing_holds_unless_the_switch_and_its_delay_allow_it() {
    let after = |rerun_after_ms: Option<u64>| {
        let mut desk = in_doubt(&claim(1, 1));
        desk.look(5, ProbeRequester::Caller).unwrap();
        desk.saw(5, ProbeReport::NotFound { rerun_after_ms })
            .unwrap();
        desk.label()
    };
    assert_eq!(after(None), StateLabel::Held);
    assert_eq!(after(Some(LEASE + 1)), StateLabel::Held);
    assert_eq!(after(Some(LEASE)), StateLabel::Released);
}

#[test]
fn a_clock_that_went_back_does_not_end_the_delay_of_a_timed_rerun() {
    let mut desk = in_doubt(&claim(1, 1));
    desk.look(5, ProbeRequester::Caller).unwrap();
    desk.now.wall_ms -= 1;
    desk.saw(
        5,
        ProbeReport::NotFound {
            rerun_after_ms: Some(0),
        },
    )
    .unwrap();
    assert_eq!(desk.label(), StateLabel::Held);
}

#[test]
fn what_is_held_is_looked_at_when_asked_and_leads_back_to_held() {
    let held = || {
        let mut desk = in_doubt(&claim(1, 1));
        desk.look(5, ProbeRequester::Caller).unwrap();
        desk.saw(5, NOTHING).unwrap();
        desk
    };
    assert_eq!(
        broken(held().look(6, ProbeRequester::Caller)),
        Rule::HeldLooksAreAskedFor
    );
    for sight in [
        ProbeReport::NotFound {
            rerun_after_ms: Some(0),
        },
        ProbeReport::Again {
            reason: "too early".to_owned(),
        },
        ProbeReport::Conflicting {
            reason: "another".to_owned(),
        },
    ] {
        let mut desk = held();
        desk.look(6, ProbeRequester::Operator).unwrap();
        desk.saw(6, sight).unwrap();
        assert_eq!(desk.label(), StateLabel::Held);
    }
    let mut desk = held();
    desk.look(6, ProbeRequester::Operator).unwrap();
    desk.pass(LEASE).ask(&Command::Expire).unwrap();
    assert_eq!(
        desk.label(),
        StateLabel::Held,
        "a look that ends by itself leads back, too"
    );
}

#[test]
fn what_owners_said_during_a_look_is_heeded_at_its_end() {
    let first = claim(1, 1);
    for sight in [
        Some(NOTHING),
        Some(ProbeReport::Again {
            reason: "too early".to_owned(),
        }),
        None,
    ] {
        let mut desk = Desk::new();
        let grant = desk.granted(&first);
        desk.pass(LEASE).look(5, ProbeRequester::Caller).unwrap();
        desk.settle(&grant, &first, Effect::Absent);
        match sight {
            Some(sight) => desk.saw(5, sight).unwrap(),
            None => desk.pass(LEASE).ask(&Command::Expire).unwrap(),
        };
        assert_eq!(desk.label(), StateLabel::Released);
    }
}

#[test]
fn what_a_probe_found_is_confirmed_by_the_late_answer_without_another_outcome() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    desk.pass(LEASE).look(5, ProbeRequester::Caller).unwrap();
    desk.saw(5, FOUND()).unwrap();
    let told = desk.record().standing_outcome().cloned();
    desk.settle(&grant, &first, Effect::Landed);
    assert_eq!(
        desk.record().standing_outcome().cloned(),
        told,
        "every repeat gets the same outcome"
    );
    assert!(desk.record().evidence.is_empty());
}
