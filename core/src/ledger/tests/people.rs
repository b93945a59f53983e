//! What a person decides.

use super::desk::*;
use crate::ledger::*;
use crate::model::*;

#[test]
fn a_decision_rests_on_the_last_attempt() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let one = desk.granted(&first);
    desk.settle(&one, &first, Effect::Unknown);
    let two = desk.retried(&first, 2);
    desk.settle(&two, &first, Effect::Unknown);
    let stale = Command::Decide {
        shown: 1,
        person: person(),
        decision: Decision::Released { new_key: false },
    };
    assert_eq!(broken(desk.ask(&stale)), Rule::LastAttemptShown);
    desk.decide(Decision::Released { new_key: false }).unwrap();
}

#[test]
fn a_look_that_ended_meanwhile_does_not_void_a_decision_but_a_running_one_delays_it() {
    let mut desk = Desk::new();
    desk.granted(&claim(1, 1));
    desk.pass(LEASE).look(5, ProbeRequester::Caller).unwrap();
    assert_eq!(
        broken(desk.decide(Decision::Released { new_key: false })),
        Rule::ProbesEndFirst
    );
    desk.saw(5, NOTHING).unwrap();
    desk.decide(Decision::Released { new_key: false }).unwrap();
}

/// A vendor keeps its error for a key, and would repeat it to every retry.
#[test]
fn a_person_may_ask_for_a_new_key() {
    let first = claim(1, 1);
    for new_key in [false, true] {
        let mut desk = Desk::new();
        let one = desk.granted(&first);
        desk.settle(&one, &first, Effect::Unknown);
        desk.decide(Decision::Released { new_key }).unwrap();
        let again = desk.granted(&claim(2, 1));
        assert_eq!(again.series, one.series + u32::from(new_key));
        assert_eq!(again.generation, one.generation);
    }
}

#[test]
fn a_landing_under_the_old_key_beside_the_new_one_is_for_a_person() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let one = desk.granted(&first);
    desk.settle(&one, &first, Effect::Unknown);
    desk.decide(Decision::Released { new_key: true }).unwrap();
    desk.granted(&claim(2, 1));
    desk.settle(&one, &first, Effect::Landed);
    assert!(matches!(
        desk.state(),
        State::Held {
            two_effects: true,
            ..
        }
    ));
}

#[test]
fn landed_evidence_outweighs_a_person() {
    let first = claim(1, 1);
    for decision in [Decision::Released { new_key: false }, Decision::Refused] {
        let mut desk = Desk::new();
        let grant = desk.granted(&first);
        desk.settle(&grant, &first, Effect::Unknown);
        desk.decide(decision).unwrap();
        assert_eq!(
            desk.settle(&grant, &first, Effect::Landed),
            ClaimReply::Landed
        );
    }
}

#[test]
fn a_person_attests_with_an_outcome_and_handles() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    desk.settle(&grant, &first, Effect::Unknown);
    let outcome = KeptOutcome::Whole(outcome(Effect::Landed, "charged"));
    let handles = vec!["charge/1".to_owned()];
    desk.decide(Decision::Landed {
        outcome: Some(outcome.clone()),
        handles: handles.clone(),
    })
    .unwrap();
    assert_eq!(
        (desk.record().standing_outcome(), &desk.record().handles),
        (Some(&outcome), &handles)
    );
    assert!(matches!(
        desk.state(),
        State::Landed {
            via: LandingSource::Person(_),
            ..
        }
    ));
}

#[test]
fn only_what_landed_is_said_to_be_undone() {
    for (name, mut desk, _) in every_state() {
        let landed = matches!(name, "landed" | "delivered" | "being undone");
        assert_eq!(desk.decide(Decision::Undone).is_ok(), landed, "{name}");
    }
}
