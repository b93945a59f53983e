//! The plans, each with the rules that it shows to be needed.

use semel_core::{
    ledger::Rule,
    model::{OperationLifetime, RepeatEffect},
};

use crate::plan::{Advice, Knowledge, Plan, Wish};

/// Every plan.
#[must_use]
pub fn plans() -> Vec<Plan> {
    vec![
        callers(),
        memory(),
        retries(),
        effective_repeats(),
        other_noise(),
        clocks(),
        attempts(),
        continuations(),
        unsent_rounds(),
        refusals(),
        lies(),
        lies_until_delivery(),
        people(),
        careful_people(),
        probes(),
        held_looks(),
        timers(),
        deliveries(),
        late_deliveries(),
        losses(),
        undoing(),
        undoing_again(),
        undone_by_outcome(),
        ageing(),
    ]
}

fn callers() -> Plan {
    Plan {
        needs: &[Rule::ContentAgrees, Rule::LeaseEndIsDoubt],
        crashes: true,
        loses: true,
        unsent: true,
        ..Plan::of(
            "callers who crash, and tools that do not answer",
            &[1, 1, 2],
        )
    }
}

fn memory() -> Plan {
    Plan {
        needs: &[Rule::TargetRemembers, Rule::RetriesBounded],
        ticks: 4,
        target: Some((RepeatEffect::Replayed, Some(3))),
        advice: &[Advice::Retry],
        crashes: true,
        loses: true,
        reports: true,
        ..Plan::of("a target that forgets", &[1, 1])
    }
}

fn retries() -> Plan {
    Plan {
        needs: &[Rule::NoOtherUnresolved, Rule::FinalStands, Rule::OwnerOnly],
        ticks: 1,
        target: Some((RepeatEffect::Replayed, None)),
        attempt_ticks: 2,
        advice: &[Advice::Retry],
        crashes: true,
        loses: true,
        refuses: true,
        reports: true,
        mistakes: 1,
        ..Plan::of("retries beside late answers", &[1, 1])
    }
}

fn effective_repeats() -> Plan {
    Plan {
        needs: &[Rule::RepeatsAreHarmless],
        ticks: 2,
        target: Some((RepeatEffect::Effective, None)),
        advice: &[Advice::Retry],
        crashes: true,
        loses: true,
        reports: true,
        ..Plan::of("repeats that have effects", &[1, 1, 2])
    }
}

fn other_noise() -> Plan {
    let mut plan = Plan {
        needs: &[Rule::SameCallAgain],
        target: Some((RepeatEffect::Replayed, None)),
        advice: &[Advice::Retry],
        crashes: true,
        loses: true,
        ..Plan::of("the same with other noise", &[1])
    };
    plan.wishes.push(Wish {
        op: 0,
        content: 1,
        digest: 2,
    });
    plan
}

fn clocks() -> Plan {
    Plan {
        needs: &[Rule::ClockNeverGrants],
        ticks: 4,
        target: Some((RepeatEffect::Replayed, Some(3))),
        advice: &[Advice::Retry],
        crashes: true,
        loses: true,
        reboots: 1,
        set_back: true,
        ..Plan::of("a clock set back by a reboot", &[1, 1])
    }
}

fn attempts() -> Plan {
    Plan {
        needs: &[Rule::AttemptEnds],
        ticks: 3,
        lease_ticks: 2,
        attempt_ticks: 2,
        crashes: true,
        renews: true,
        ..Plan::of("leases renewed without end", &[1, 1])
    }
}

fn continuations() -> Plan {
    Plan {
        ticks: 2,
        attempt_ticks: 2,
        crashes: true,
        loses: true,
        reports: true,
        suspends: true,
        ..Plan::of("attempts that continue elsewhere", &[1, 1, 2])
    }
}

fn unsent_rounds() -> Plan {
    Plan {
        needs: &[Rule::RoundsProveNothing],
        ticks: 1,
        loses: true,
        suspends: true,
        rounds: true,
        ..Plan::of("rounds of which the next is never sent", &[1, 1])
    }
}

fn refusals() -> Plan {
    Plan {
        needs: &[Rule::RefusalIsReplayed, Rule::NewSeriesAfterRefusal],
        crashes: true,
        refuses: true,
        unsent: true,
        ..Plan::of("tools that turn away", &[1, 1, 2])
    }
}

fn lies() -> Plan {
    Plan {
        needs: &[
            Rule::SeriesAgrees,
            Rule::TwoEffectsStayHeld,
            Rule::EvidenceBarsRelease,
        ],
        refuses: true,
        lies: 1,
        reports: true,
        person: Some((Knowledge::None, 1)),
        sweeps: 1,
        ..Plan::of("a tool that says no and does it", &[1, 2, 2])
    }
}

fn lies_until_delivery() -> Plan {
    Plan {
        needs: &[Rule::EvidenceBarsSending],
        lies: 1,
        reports: true,
        until: OperationLifetime::Delivery,
        ticks: 0,
        ..Plan::of("a lie that comes out after the delivery", &[1, 2, 2])
    }
}

fn people() -> Plan {
    Plan {
        needs: &[Rule::PersonReleasesTheSame, Rule::PersonRefusalStands],
        ticks: 1,
        crashes: true,
        loses: true,
        reports: true,
        person: Some((Knowledge::None, 2)),
        ..Plan::of("people who decide without knowing", &[1, 2])
    }
}

fn careful_people() -> Plan {
    Plan {
        needs: &[Rule::LastAttemptShown],
        ticks: 2,
        target: Some((RepeatEffect::Replayed, None)),
        advice: &[Advice::Retry, Advice::Hold],
        crashes: true,
        loses: true,
        person: Some((Knowledge::True, 1)),
        ..Plan::of("people who look before they decide", &[1, 1])
    }
}

fn probes() -> Plan {
    Plan {
        needs: &[
            Rule::LookIsOwn,
            Rule::ProbesEndFirst,
            Rule::LooksBounded,
            Rule::RerunNeedsTheSwitch,
        ],
        ticks: 2,
        advice: &[Advice::Probe],
        crashes: true,
        loses: true,
        person: Some((Knowledge::True, 1)),
        sweeps: 1,
        ..Plan::of("probes beside people and the sweep", &[1, 1])
    }
}

fn held_looks() -> Plan {
    Plan {
        needs: &[Rule::HeldLooksAreAskedFor, Rule::HeldStaysHeld],
        crashes: true,
        loses: true,
        reports: true,
        refuses: true,
        sweeps: 1,
        mistakes: 1,
        timer: Some(0),
        ..Plan::of("looks at what is held", &[1, 1])
    }
}

fn timers() -> Plan {
    Plan {
        needs: &[Rule::RerunNeedsItsDelay],
        ticks: 3,
        advice: &[Advice::Probe],
        crashes: true,
        loses: true,
        timer: Some(2),
        ..Plan::of("a timed re-run", &[1, 1, 1])
    }
}

fn deliveries() -> Plan {
    Plan {
        needs: &[Rule::DeliveredFirst, Rule::ReadBeforeDelivery],
        ticks: 0,
        until: OperationLifetime::Delivery,
        crashes: true,
        unsent: true,
        ..Plan::of("outcomes that last until they are taken", &[1, 1, 1])
    }
}

fn late_deliveries() -> Plan {
    Plan {
        needs: &[Rule::GenerationAgrees, Rule::DeliveryNamesItsOutcome],
        ticks: 0,
        target: Some((RepeatEffect::Replayed, None)),
        advice: &[Advice::Retry],
        until: OperationLifetime::Delivery,
        loses: true,
        reports: true,
        ..Plan::of("delivery marks and answers that come late", &[1, 1, 1])
    }
}

fn losses() -> Plan {
    Plan {
        needs: &[Rule::KnownAttempt],
        ticks: 0,
        loses: true,
        reports: true,
        losses: 1,
        ..Plan::of("a ledger that lost the record", &[1, 1, 1])
    }
}

/// Calls that undo the first operation, beside calls of it.
fn undoers(name: &'static str, undoing: u8, calls: usize) -> Plan {
    let mut plan = Plan {
        ticks: 0,
        crashes: true,
        ..Plan::of(name, &vec![1; calls])
    };
    plan.wishes.extend((1..=undoing).map(|op| Wish {
        op,
        content: 9,
        digest: 9,
    }));
    plan
}

fn undoing() -> Plan {
    Plan {
        needs: &[Rule::OneUndoAtATime, Rule::UndoRestsOnItsMark],
        lies: 1,
        reports: true,
        ..undoers("two that undo the same", 2, 1)
    }
}

fn undoing_again() -> Plan {
    let mut plan = Plan {
        refuses: true,
        unsent: true,
        ..undoers("undoing, turned away and tried again", 2, 1)
    };
    plan.wishes.push(Wish {
        op: 1,
        content: 9,
        digest: 9,
    });
    plan
}

fn undone_by_outcome() -> Plan {
    Plan {
        needs: &[Rule::UndoNamesItsGeneration],
        undoes_beforehand: false,
        ..undoers("only the outcome tells what was undone", 1, 2)
    }
}

fn ageing() -> Plan {
    Plan {
        needs: &[Rule::OpenMarksDoNotAge, Rule::OnlyLandedUndoes],
        refuses: true,
        mistakes: 1,
        ages: true,
        ..undoers("what undoes, and ages", 1, 1)
    }
}
