//! The plans, each with the rules that it shows to be needed.
//!
//! A call's content is a number: equal numbers are equal calls, which one operation must not send
//! twice.

use semel_core::{
    ledger::Rule,
    model::{OperationLifetime, RepeatEffect},
};

use crate::plan::{
    PersonKnowledge, PlannedCall, PlannedPerson, RecoveryAdvice, TargetBehavior, TestPlan,
    UndoSetup,
};
use crate::state::OperationIndex;

/// A target that replays its answer to a repeated key for ever.
const REPLAYING_TARGET: TargetBehavior = TargetBehavior {
    repeats: RepeatEffect::Replayed,
    memory_ticks: None,
};

/// A target that replays its answer for 3 ticks.
const FORGETFUL_TARGET: TargetBehavior = TargetBehavior {
    repeats: RepeatEffect::Replayed,
    memory_ticks: Some(3),
};

/// Every plan.
#[must_use]
pub fn all_plans() -> Vec<TestPlan> {
    vec![
        crashes_and_timeouts(),
        forgetful_target(),
        retries_and_late_answers(),
        repeats_with_effects(),
        equal_content_other_call(),
        clock_set_back(),
        endless_renewals(),
        continued_attempts(),
        unsent_continuation(),
        refused_requests(),
        false_refusals(),
        false_refusal_after_delivery(),
        uninformed_people(),
        informed_people(),
        concurrent_probes(),
        probes_of_held(),
        timed_rerun(),
        lifetime_until_delivery(),
        late_acknowledgements(),
        lost_record(),
        concurrent_undos(),
        refused_undo(),
        undeclared_undo(),
        aging_undo(),
        repeated_undo(),
        late_landing_beside_undo(),
        undo_of_what_was_not_received(),
        handle_with_two_owners(),
    ]
}

fn crashes_and_timeouts() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::ContentAgrees, Rule::LeaseEndIsDoubt],
        calls_crash: true,
        messages_get_lost: true,
        sending_fails: true,
        ..TestPlan::without_faults(
            "callers that crash and targets that do not answer",
            &[1, 1, 2],
        )
    }
}

fn forgetful_target() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::TargetRemembers, Rule::RetriesBounded],
        ticks: 4,
        target: Some(FORGETFUL_TARGET),
        advice: &[RecoveryAdvice::Retry],
        calls_crash: true,
        messages_get_lost: true,
        outcomes_come_late: true,
        ..TestPlan::without_faults("a target that forgets", &[1, 1])
    }
}

fn retries_and_late_answers() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::NoOtherUnresolved, Rule::FinalStands, Rule::OwnerOnly],
        ticks: 1,
        target: Some(REPLAYING_TARGET),
        attempt_ticks: 2,
        advice: &[RecoveryAdvice::Retry],
        calls_crash: true,
        messages_get_lost: true,
        target_refuses: true,
        outcomes_come_late: true,
        mistakes_max: 1,
        ..TestPlan::without_faults("retries beside late answers", &[1, 1])
    }
}

fn repeats_with_effects() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::RepeatsAreHarmless],
        ticks: 2,
        target: Some(TargetBehavior {
            repeats: RepeatEffect::Effective,
            memory_ticks: None,
        }),
        advice: &[RecoveryAdvice::Retry],
        calls_crash: true,
        messages_get_lost: true,
        outcomes_come_late: true,
        ..TestPlan::without_faults("repeats that have effects", &[1, 1, 2])
    }
}

fn equal_content_other_call() -> TestPlan {
    let mut plan = TestPlan {
        needed_rules: &[Rule::SameCallAgain],
        target: Some(REPLAYING_TARGET),
        advice: &[RecoveryAdvice::Retry],
        calls_crash: true,
        messages_get_lost: true,
        ..TestPlan::without_faults("an equal call that differs in ignored parts", &[1])
    };
    plan.calls.push(PlannedCall {
        operation: 0,
        content: 1,
        digest: 2,
    });
    plan
}

fn clock_set_back() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::ClockNeverGrants],
        ticks: 4,
        target: Some(FORGETFUL_TARGET),
        advice: &[RecoveryAdvice::Retry],
        calls_crash: true,
        messages_get_lost: true,
        reboots_max: 1,
        reboot_sets_clock_back: true,
        ..TestPlan::without_faults("a clock set back by a reboot", &[1, 1])
    }
}

fn endless_renewals() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::AttemptEnds],
        ticks: 3,
        lease_ticks: 2,
        attempt_ticks: 2,
        calls_crash: true,
        leases_renew: true,
        ..TestPlan::without_faults("leases renewed without end", &[1, 1])
    }
}

fn continued_attempts() -> TestPlan {
    TestPlan {
        ticks: 2,
        attempt_ticks: 2,
        calls_crash: true,
        messages_get_lost: true,
        outcomes_come_late: true,
        attempts_suspend: true,
        ..TestPlan::without_faults("attempts that continue elsewhere", &[1, 1, 2])
    }
}

fn unsent_continuation() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::RoundsProveNothing],
        ticks: 1,
        messages_get_lost: true,
        attempts_suspend: true,
        first_round_takes_effect: true,
        ..TestPlan::without_faults("a continuation that is never sent", &[1, 1])
    }
}

fn refused_requests() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::RefusalIsReplayed, Rule::NewSeriesAfterRefusal],
        calls_crash: true,
        target_refuses: true,
        sending_fails: true,
        ..TestPlan::without_faults("a target that refuses", &[1, 1, 2])
    }
}

fn false_refusals() -> TestPlan {
    TestPlan {
        needed_rules: &[
            Rule::SeriesAgrees,
            Rule::TwoEffectsStayHeld,
            Rule::EvidenceBarsRelease,
        ],
        target_refuses: true,
        false_refusals_max: 1,
        outcomes_come_late: true,
        person: Some(PlannedPerson {
            knowledge: PersonKnowledge::None,
            decisions_max: 1,
        }),
        sweep_probes_max: 1,
        ..TestPlan::without_faults("a target that refuses and executes", &[1, 2, 2])
    }
}

fn false_refusal_after_delivery() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::EvidenceBarsSending],
        false_refusals_max: 1,
        outcomes_come_late: true,
        lifetime: OperationLifetime::Delivery,
        ticks: 0,
        ..TestPlan::without_faults("a false refusal that shows after the delivery", &[1, 2, 2])
    }
}

fn uninformed_people() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::PersonReleasesTheSame, Rule::PersonRefusalStands],
        ticks: 1,
        calls_crash: true,
        messages_get_lost: true,
        outcomes_come_late: true,
        person: Some(PlannedPerson {
            knowledge: PersonKnowledge::None,
            decisions_max: 2,
        }),
        ..TestPlan::without_faults("people who decide without knowing", &[1, 2])
    }
}

fn informed_people() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::LastAttemptShown],
        ticks: 2,
        target: Some(REPLAYING_TARGET),
        advice: &[RecoveryAdvice::Retry, RecoveryAdvice::Hold],
        calls_crash: true,
        messages_get_lost: true,
        person: Some(PlannedPerson {
            knowledge: PersonKnowledge::Complete,
            decisions_max: 1,
        }),
        ..TestPlan::without_faults("people who examine before they decide", &[1, 1])
    }
}

fn concurrent_probes() -> TestPlan {
    TestPlan {
        needed_rules: &[
            Rule::LookIsOwn,
            Rule::ProbesEndFirst,
            Rule::LooksBounded,
            Rule::RerunNeedsTheSwitch,
        ],
        ticks: 2,
        advice: &[RecoveryAdvice::Probe],
        calls_crash: true,
        messages_get_lost: true,
        person: Some(PlannedPerson {
            knowledge: PersonKnowledge::Complete,
            decisions_max: 1,
        }),
        sweep_probes_max: 1,
        ..TestPlan::without_faults("probes beside people and the sweep", &[1, 1])
    }
}

fn probes_of_held() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::HeldLooksAreAskedFor, Rule::HeldStaysHeld],
        calls_crash: true,
        messages_get_lost: true,
        outcomes_come_late: true,
        target_refuses: true,
        sweep_probes_max: 1,
        mistakes_max: 1,
        rerun_ticks: Some(0),
        ..TestPlan::without_faults("probes of held operations", &[1, 1])
    }
}

fn timed_rerun() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::RerunNeedsItsDelay],
        ticks: 3,
        advice: &[RecoveryAdvice::Probe],
        calls_crash: true,
        messages_get_lost: true,
        rerun_ticks: Some(2),
        ..TestPlan::without_faults("a timed re-run", &[1, 1, 1])
    }
}

fn lifetime_until_delivery() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::DeliveredFirst, Rule::ReadBeforeDelivery],
        ticks: 0,
        lifetime: OperationLifetime::Delivery,
        calls_crash: true,
        sending_fails: true,
        ..TestPlan::without_faults("outcomes that last until their delivery", &[1, 1, 1])
    }
}

fn late_acknowledgements() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::GenerationAgrees, Rule::DeliveryNamesItsOutcome],
        ticks: 0,
        target: Some(REPLAYING_TARGET),
        advice: &[RecoveryAdvice::Retry],
        lifetime: OperationLifetime::Delivery,
        messages_get_lost: true,
        outcomes_come_late: true,
        ..TestPlan::without_faults("late answers and delivery acknowledgements", &[1, 1, 1])
    }
}

fn lost_record() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::KnownAttempt],
        ticks: 0,
        messages_get_lost: true,
        outcomes_come_late: true,
        record_losses_max: 1,
        ..TestPlan::without_faults("a ledger that lost the record", &[1, 1, 1])
    }
}

/// A plan with so many operations that undo operation 0, beside `calls` of operation 0 itself.
fn plan_with_undo(name: &'static str, undo_operations: u8, calls: usize) -> TestPlan {
    let mut plan = TestPlan {
        ticks: 0,
        calls_crash: true,
        ..TestPlan::without_faults(name, &vec![1; calls])
    };
    plan.calls.extend((1..=undo_operations).map(undoing_call));
    plan
}

fn undoing_call(operation: OperationIndex) -> PlannedCall {
    PlannedCall {
        operation,
        content: 9,
        digest: 9,
    }
}

fn concurrent_undos() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::OneUndoAtATime, Rule::UndoRestsOnItsMark],
        false_refusals_max: 1,
        outcomes_come_late: true,
        ..plan_with_undo("two operations that undo the same one", 2, 1)
    }
}

fn refused_undo() -> TestPlan {
    let mut plan = TestPlan {
        target_refuses: true,
        sending_fails: true,
        ..plan_with_undo("an undo that is refused and tried again", 2, 1)
    };
    plan.calls.push(undoing_call(1));
    plan
}

fn undeclared_undo() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::UndoNamesItsGeneration],
        undo_is_declared: false,
        ..plan_with_undo("an undo that only its outcome reports", 1, 2)
    }
}

fn aging_undo() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::OpenMarksDoNotAge, Rule::OnlyLandedUndoes],
        target_refuses: true,
        mistakes_max: 1,
        records_age: true,
        ..plan_with_undo("an undo whose record ages", 1, 1)
    }
}

fn repeated_undo() -> TestPlan {
    let mut plan = TestPlan {
        needed_rules: &[Rule::UndoingIsReplayed],
        ticks: 1,
        setup: UndoSetup::Absent,
        lease_ticks: 2,
        attempt_ticks: 2,
        calls_crash: false,
        ..plan_with_undo("an undo beside and after what it undoes", 1, 2)
    };
    plan.calls.push(undoing_call(1));
    plan
}

fn late_landing_beside_undo() -> TestPlan {
    let mut plan = TestPlan {
        needed_rules: &[Rule::HandlesOpenInOrder],
        ticks: 1,
        setup: UndoSetup::Absent,
        messages_get_lost: true,
        outcomes_come_late: true,
        target_refuses: true,
        ..plan_with_undo("a late landing beside its undo", 1, 1)
    };
    plan.calls.push(undoing_call(1));
    plan
}

fn undo_of_what_was_not_received() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::UndoneIsReplayed],
        setup: UndoSetup::Landed,
        ..plan_with_undo("an undo of what no program received", 1, 2)
    }
}

fn handle_with_two_owners() -> TestPlan {
    TestPlan {
        needed_rules: &[Rule::OneLivingOwner],
        has_other_owner: true,
        ..plan_with_undo("a handle with two owners", 1, 1)
    }
}
