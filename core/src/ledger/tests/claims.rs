//! What a claim is told, and when it may send.

use super::desk::*;
use crate::ledger::*;
use crate::model::*;

fn what(told: &ClaimReply) -> &'static str {
    match told {
        ClaimReply::Running {
            continuation: None, ..
        } => "running",
        ClaimReply::Running {
            continuation: Some(_),
            ..
        } => "running elsewhere",
        ClaimReply::InDoubt => "in doubt",
        ClaimReply::Held => "held",
        ClaimReply::Released { .. } => "released",
        ClaimReply::Landed => "landed",
        ClaimReply::Refused { replay_ms: Some(_) } => "refused for a while",
        ClaimReply::Refused { replay_ms: None } => "refused",
        ClaimReply::Undone => "undone",
        ClaimReply::Conflict => "conflict",
        ClaimReply::Expired { .. } => "expired",
        ClaimReply::BeingUndone { .. } => "being undone",
        ClaimReply::Alias { .. } => "elsewhere",
    }
}

fn answer(desk: &Desk, claim: &Claim) -> String {
    match desk.clone().claim(claim) {
        Reply::Granted(grant) => format!("sends {}.{}", grant.generation, grant.series),
        Reply::Told(told) => what(&told).to_owned(),
        Reply::MayLook { .. } => "looks".to_owned(),
    }
}

/// State, what the same content is told, what other content is told. `sends 1.2` is generation 1, series 2.
const TOLD: [(&str, &str, &str); 20] = [
    ("started", "running", "conflict"),
    ("waiting", "running elsewhere", "conflict"),
    ("in doubt", "in doubt", "conflict"),
    ("retrying", "running", "conflict"),
    ("looked at in doubt", "running", "conflict"),
    ("looked at held", "running", "conflict"),
    ("held", "held", "conflict"),
    ("held for two effects", "conflict", "conflict"),
    ("released by its owner", "sends 1.1", "sends 1.2"),
    ("released by a person", "sends 1.1", "conflict"),
    ("released by a timer", "sends 1.1", "conflict"),
    ("refused by its owner", "refused for a while", "sends 1.2"),
    ("refused by a person", "refused", "conflict"),
    ("landed", "landed", "conflict"),
    ("delivered", "sends 2.1", "sends 2.1"),
    ("being undone", "being undone", "being undone"),
    ("undone by a call", "undone", "sends 2.1"),
    ("undone by a person", "sends 2.1", "sends 2.1"),
    ("tombstone", "expired", "conflict"),
    ("alias", "elsewhere", "elsewhere"),
];

#[test]
fn each_state_tells_each_content_what_the_table_says() {
    for ((name, desk, _), (expected_name, same, other)) in every_state().iter().zip(TOLD) {
        assert_eq!(*name, expected_name);
        assert_eq!(answer(desk, &claim(4, 1)), same, "{name}, same content");
        assert_eq!(answer(desk, &claim(4, 3)), other, "{name}, other content");
    }
}

#[test]
fn a_first_claim_gets_generation_and_series_one_for_no_longer_than_its_lease() {
    let mut desk = Desk::new();
    let grant = desk.granted(&claim(1, 1));
    assert_eq!(
        (
            grant.generation,
            grant.series,
            grant.fence.number,
            grant.valid_ms
        ),
        (1, 1, 1, LEASE)
    );
    assert_eq!(desk.kept, Some(Retention::UntilRemoved));

    let mut short = claim(1, 1);
    short.terms.attempt_seconds = 5;
    assert_eq!(Desk::new().granted(&short).valid_ms, 5 * SECOND);
}

#[test]
fn a_refusal_is_replayed_for_its_window_to_the_millisecond() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    assert_eq!(
        desk.settle(&grant, &first, Effect::Refused),
        ClaimReply::Refused {
            replay_ms: Some(REFUSAL)
        }
    );
    desk.pass(REFUSAL - 1);
    assert_eq!(
        desk.told(&claim(2, 1)),
        ClaimReply::Refused { replay_ms: Some(1) }
    );
    let again = desk.pass(1).granted(&claim(2, 1));
    assert_eq!(
        (again.generation, again.series, again.fence.number),
        (1, 2, 2)
    );
}

#[test]
fn a_verdict_may_name_its_own_refusal_window() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    let mut told = settlement(&grant, &first, Effect::Refused);
    let verdict = Verdict {
        retry_after_ms: Some(2_500),
        ..Verdict::new(Effect::Refused, "slow down")
    };
    told.verdict = bound(
        &Outcome::failed("429"),
        &verdict,
        ServerErrorRule::ProveNothing,
    );
    desk.ask(&Command::Settle(Box::new(told))).unwrap();
    desk.pass(2_499);
    assert!(matches!(
        desk.told(&claim(2, 1)),
        ClaimReply::Refused { .. }
    ));
    desk.pass(1).granted(&claim(2, 1));
}

#[test]
fn a_call_without_effect_is_sent_again_once_the_delay_of_its_verdict_is_over() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    let mut told = settlement(&grant, &first, Effect::Absent);
    let verdict = Verdict {
        retry_after_ms: Some(2_500),
        ..Verdict::new(Effect::Absent, "slow down")
    };
    let limited = Outcome::failed("429");
    told.verdict = bound(&limited, &verdict, ServerErrorRule::ProveNothing);
    told.outcome = KeptOutcome::Whole(limited.clone());
    desk.ask(&Command::Settle(Box::new(told))).unwrap();
    desk.pass(500);
    assert_eq!(
        desk.told(&claim(2, 1)),
        ClaimReply::Released { wait_ms: 2_000 }
    );
    assert_eq!(
        desk.record().standing_outcome(),
        Some(&KeptOutcome::Whole(limited))
    );
    let other = desk.clone().granted(&claim(2, 2));
    assert_eq!(other.series, 2, "other content is another request");
    let mut decided = desk.clone();
    let release = Decision::Released { new_key: false };
    decided.decide(release).unwrap();
    decided.granted(&claim(2, 1));
    let again = desk.pass(2_000).granted(&claim(2, 1));
    assert_eq!((again.series, again.fence.number), (1, 2));
}

#[test]
fn a_clock_set_forward_or_back_never_shortens_a_refusal() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    desk.settle(&grant, &first, Effect::Refused);
    desk.now.wall_ms += 10 * REFUSAL;
    assert!(
        matches!(desk.told(&claim(2, 1)), ClaimReply::Refused { .. }),
        "set forward within a boot"
    );
    desk.now.wall_ms -= 20 * REFUSAL;
    desk.now.steady_ms += 10 * REFUSAL;
    assert!(
        matches!(desk.told(&claim(2, 1)), ClaimReply::Refused { .. }),
        "set back"
    );
}

#[test]
fn what_a_person_refused_stays_refused_until_a_person_releases_it() {
    let (_, mut desk, _) = every_state()
        .into_iter()
        .find(|(name, ..)| *name == "refused by a person")
        .unwrap();
    desk.pass(10 * REFUSAL);
    assert_eq!(
        desk.told(&claim(2, 1)),
        ClaimReply::Refused { replay_ms: None }
    );
    desk.decide(Decision::Released { new_key: false }).unwrap();
    assert_eq!(desk.told(&claim(2, 3)), ClaimReply::Conflict);
    assert_eq!(desk.granted(&claim(2, 1)).series, 1);
}

#[test]
fn an_outcome_that_lasts_until_delivery_is_replayed_until_it_was_taken() {
    let lasting = until_delivery(claim(1, 1));
    let mut desk = Desk::new();
    let grant = desk.granted(&lasting);
    desk.settle(&grant, &lasting, Effect::Landed);
    assert_eq!(desk.told(&claim(2, 1)), ClaimReply::Landed);
    desk.deliver().unwrap();
    assert_eq!(
        desk.granted(&claim(2, 1)).generation,
        2,
        "the record says how long it lasts, not the claim"
    );
}

#[test]
fn whoever_read_a_generation_before_its_delivery_never_gains_a_later_one() {
    let lasting = until_delivery(claim(1, 1));
    let waiting = Claim {
        read_undelivered: Some(1),
        ..until_delivery(claim(9, 1))
    };
    let mut desk = Desk::new();
    let grant = desk.granted(&lasting);
    desk.settle(&grant, &lasting, Effect::Landed);
    desk.deliver().unwrap();
    assert_eq!(desk.told(&waiting), ClaimReply::Landed);

    let second = until_delivery(claim(2, 1));
    let grant = desk.granted(&second);
    assert!(matches!(desk.told(&waiting), ClaimReply::Running { .. }));
    let mut released = desk.clone();
    released.settle(&grant, &second, Effect::Absent);
    assert!(
        matches!(released.told(&waiting), ClaimReply::Expired { .. }),
        "its own generation landed, so it sends nothing"
    );
    desk.settle(&grant, &second, Effect::Landed);
    desk.deliver().unwrap();
    assert!(matches!(desk.told(&waiting), ClaimReply::Expired { .. }));
}

#[test]
fn a_delivered_tombstone_lets_the_next_generation_begin() {
    let lasting = until_delivery(claim(1, 1));
    let mut desk = Desk::new();
    let grant = desk.granted(&lasting);
    desk.settle(&grant, &lasting, Effect::Landed);
    let mut undelivered = desk.clone();
    undelivered.ask(&Command::Age).unwrap();
    assert!(matches!(
        undelivered.told(&claim(2, 1)),
        ClaimReply::Expired { .. }
    ));
    desk.deliver().unwrap();
    desk.ask(&Command::Age).unwrap();
    assert_eq!(desk.granted(&claim(2, 1)).generation, 2);
}

#[test]
fn a_delivery_mark_names_its_generation_and_attempt_or_is_dropped() {
    let lasting = until_delivery(claim(1, 1));
    let mut desk = Desk::new();
    let grant = desk.granted(&lasting);
    desk.settle(&grant, &lasting, Effect::Landed);
    for (generation, attempt) in [(2, 1), (1, 2), (0, 1)] {
        let refused = desk.ask(&Command::Deliver {
            generation,
            attempt,
        });
        assert_eq!(broken(refused), Rule::DeliveryNamesItsOutcome);
    }
    assert_eq!(desk.told(&claim(2, 1)), ClaimReply::Landed);
}

#[test]
fn only_what_lasts_until_delivery_is_delivered() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let grant = desk.granted(&first);
    desk.settle(&grant, &first, Effect::Landed);
    assert!(matches!(desk.deliver(), Err(Refusal::NoRow { .. })));
}

#[test]
fn the_first_start_is_that_of_the_key_not_of_the_last_attempt() {
    let first = claim(1, 1);
    let mut desk = Desk::new();
    let begun = desk.now;
    let grant = desk.granted(&first);
    desk.pass(SECOND).settle(&grant, &first, Effect::Absent);
    let grant = desk.pass(SECOND).granted(&claim(2, 1));
    assert_eq!(
        desk.record().first_started,
        RecordTime::Earlier(begun),
        "same series, same key"
    );
    desk.pass(SECOND).settle(&grant, &first, Effect::Absent);
    desk.pass(SECOND).granted(&claim(3, 2));
    assert_eq!(
        desk.record().first_started,
        RecordTime::ThisWrite,
        "another series, another key"
    );
}
