//! Any commands in any order, by anybody: nothing panics, and what is written holds together.

use super::desk::*;
use crate::ledger::*;
use crate::model::*;
use proptest::prelude::*;
use std::sync::Arc;

fn effects() -> impl Strategy<Value = Effect> {
    prop_oneof![
        Just(Effect::Landed),
        Just(Effect::Refused),
        Just(Effect::Absent),
        Just(Effect::Unknown)
    ]
}

fn claims() -> impl Strategy<Value = Claim> {
    let numbers = prop_oneof![Just(0), Just(1), Just(15), Just(3_600), Just(u32::MAX)];
    let targets = proptest::option::of(prop_oneof![
        Just(target(RepeatEffect::Replayed, Some(3_600))),
        Just(target(RepeatEffect::Effective, None)),
        Just(target(RepeatEffect::Harmless, Some(Target::FOR_EVER))),
    ]);
    let read = proptest::option::of(0..3_u32);
    (
        1..6_u8,
        1..3_u8,
        any::<bool>(),
        numbers,
        targets,
        read,
        any::<bool>(),
    )
        .prop_map(
            |(mark, content, lasts, seconds, target, read_undelivered, undoes)| {
                let mut claim = claim(mark, content);
                claim.terms.target = target;
                claim.terms.attempt_seconds = seconds;
                claim.read_undelivered = read_undelivered;
                claim.void_mark = undoes.then(|| generation(7, 1));
                if undoes {
                    claim.terms.undoing = true;
                    claim.named = vec![LivingOwners(vec![living(3, 1, 0)])];
                }
                if lasts { until_delivery(claim) } else { claim }
            },
        )
}

fn fences() -> impl Strategy<Value = Fence> {
    (1..5_u32, 1..6_u8).prop_map(|(number, mark)| Fence {
        number,
        nonce: nonce(mark),
    })
}

fn sights() -> impl Strategy<Value = ProbeReport> {
    prop_oneof![
        Just(FOUND()),
        proptest::option::of(prop_oneof![Just(0), Just(u64::MAX)])
            .prop_map(|rerun_after_ms| ProbeReport::NotFound { rerun_after_ms }),
        Just(ProbeReport::Again {
            reason: "too early".to_owned()
        }),
        Just(ProbeReport::Conflicting {
            reason: "another".to_owned()
        }),
    ]
}

fn decisions() -> impl Strategy<Value = Decision> {
    prop_oneof![
        Just(attested()),
        Just(Decision::Refused),
        any::<bool>().prop_map(|new_key| Decision::Released { new_key }),
        Just(Decision::Undone)
    ]
}

fn commands() -> impl Strategy<Value = Command> {
    let settle = (fences(), 1..4_u32, 1..4_u32, effects(), claims()).prop_map(
        |(fence, generation, series, effect, claim)| {
            let grant = Grant {
                fence,
                generation,
                series,
                valid_ms: 0,
                marks: Vec::new(),
                repeats: false,
            };
            Command::Settle(Box::new(settlement(&grant, &claim, effect)))
        },
    );
    let resolve =
        (1..6_u8, 1..5_u32, 1..3_u8, 0..4_u32).prop_map(|(mark, shown, digest, retries_max)| {
            Command::Resolve {
                nonce: nonce(mark),
                shown,
                call_digest: CallDigest::from_bytes([digest; 32]),
                retries_max,
                facts: Vec::new(),
            }
        });
    let askers = prop_oneof![Just(ProbeRequester::Caller), Just(ProbeRequester::Operator)];
    let look = (1..6_u8, 1..5_u32, askers).prop_map(|(mark, shown, asker)| Command::Look {
        nonce: nonce(mark),
        shown,
        asker,
        looks_max: 3,
    });
    let marks = (6..9_u8, 1..4_u32, any::<bool>());
    prop_oneof![
        4 => claims().prop_map(|claim| Command::Claim(Arc::new(claim))),
        6 => settle,
        2 => resolve,
        2 => look,
        2 => (1..6_u8, sights()).prop_map(|(mark, sight)| Command::Saw { nonce: nonce(mark), sight }),
        2 => (1..5_u32, decisions()).prop_map(|(shown, decision)| Command::Decide { shown, person: person(), decision }),
        1 => fences().prop_map(|fence| Command::Renew { fence }),
        1 => fences().prop_map(|fence| Command::Suspend { fence, continuation: "task".to_owned(), limit_seconds: 30 }),
        1 => (1..6_u8).prop_map(|mark| Command::Continue { continuation: "task".to_owned(), nonce: nonce(mark) }),
        1 => fences().prop_map(|fence| Command::Hold { fence, outcome: None, reason: "trapped".to_owned() }),
        1 => Just(Command::Expire),
        1 => (1..4_u32, 1..5_u32).prop_map(|(generation, attempt)| Command::Deliver { generation, attempt }),
        1 => marks.clone().prop_map(|(by, at, void)| Command::MarkUndoing {
            by: generation(by, 1), of: owner(3, at), void_mark: void.then(|| generation(7, 1)) }),
        1 => marks.prop_map(|(by, at, told_by_outcome)| Command::Undo { by: generation(by, 1), generation: at, told_by_outcome }),
        1 => Just(Command::UndoWritten { of: generation(3, 1) }),
        1 => Just(Command::Age),
        1 => Just(Command::Erase),
        1 => Just(Command::Rewrite),
    ]
}

/// How the clocks move before a command: on, back, or with another boot.
fn times() -> impl Strategy<Value = (i64, bool)> {
    (
        prop_oneof![
            Just(0),
            Just(1_000),
            Just(15_000),
            Just(700_000),
            Just(-20_000)
        ],
        prop::bool::weighted(0.05),
    )
}

fn move_clocks(desk: &mut Desk, ms: i64, reboots: bool) {
    desk.now.wall_ms = desk.now.wall_ms.saturating_add_signed(ms);
    desk.now.steady_ms = if reboots {
        0
    } else {
        desk.now.steady_ms + ms.unsigned_abs()
    };
    desk.now.boot = Boot(desk.now.boot.0 + u64::from(reboots));
}

fn holds_together(desk: &Desk) {
    let record = desk.record();
    let numbers = record
        .attempts
        .iter()
        .map(|attempt| attempt.fence.number)
        .collect::<Vec<_>>();
    assert!(
        numbers.is_sorted_by(|one, next| one < next),
        "numbers only grow: {numbers:?}"
    );
    let known = record
        .standing
        .is_none_or(|standing| numbers.contains(&standing));
    assert!(known, "what stands was made by an attempt of the record");
    let unsettled = !matches!(
        record.state.label(),
        StateLabel::Released
            | StateLabel::Refused
            | StateLabel::Landed
            | StateLabel::Undone
            | StateLabel::Tombstone
    );
    assert!(
        !unsettled || desk.kept == Some(Retention::UntilRemoved),
        "what is unsettled does not age"
    );
    let freed = matches!(record.state, State::Released { .. } | State::Refused { .. });
    assert!(
        !freed || record.landed_evidence().next().is_none(),
        "nothing is free that is known to have landed"
    );
    let entry = Entry::Operation(Box::new(record.clone()));
    assert_eq!(
        Entry::from_bytes(&entry.to_bytes().unwrap()).unwrap(),
        entry
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_commands_in_any_order_leave_a_record_that_holds_together(
        steps in prop::collection::vec((times(), commands()), 1..40),
    ) {
        let mut desk = Desk::new();
        for ((ms, reboots), command) in steps {
            move_clocks(&mut desk, ms, reboots);
            let before = desk.lies.as_ref().map(|(record, _)| (record.generation, record.series));
            match desk.ask(&command) {
                Ok(_) if desk.lies.is_some() => holds_together(&desk),
                Ok(_) => {}
                Err(refusal) => prop_assert!(refusal.to_string().contains(command.word())),
            }
            if let (Some(before), Some((record, _))) = (before, &desk.lies) {
                prop_assert!((record.generation, record.series) >= before, "keys are never used anew");
            }
        }
    }
}
