//! All states times all commands: what the table allows, at a glance.

use super::desk::*;
use crate::ledger::*;
use crate::model::Effect;
use std::sync::Arc;

/// What each command by its rightful party comes to: the next state, `=` for the same one, `-` where the table has no
/// such row, `x` where a rule forbids it.
const TABLE: &str = "\
started: same =, other =, renew =, suspend waiting, +landed landed, +refused refused, +absent released, +unknown in-doubt, hold held, rewrite =
waiting: same =, other =, continue running, +landed landed, +refused =, +absent =, +unknown =, !landed landed, !refused refused, !released released, rewrite =
in doubt: same =, other =, +landed landed, +refused refused, +absent released, +unknown =, hold held, resolve running, look probing, asked probing, !landed landed, !refused refused, !released released, rewrite =
retrying: same =, other =, renew =, +landed landed, +refused in-doubt, +absent in-doubt, +unknown in-doubt, hold held, rewrite =
looked at in doubt: same =, other =, +landed landed, +refused =, +absent =, +unknown =, found landed, nothing held, again in-doubt, conflict held, !landed x, !refused x, !released x, !undone x, rewrite =
looked at held: same =, other =, +landed landed, +refused =, +absent =, +unknown =, found landed, nothing held, again held, conflict held, !landed x, !refused x, !released x, !undone x, rewrite =
held: same =, other =, +landed landed, +refused refused, +absent released, +unknown =, look x, asked probing, !landed landed, !refused refused, !released released, rewrite =
held for two effects: same =, other =, +landed =, +refused =, +absent =, +unknown =, look x, asked x, !landed landed, !refused x, !released x, rewrite =
released by its owner: same running, other running, +landed landed, +refused =, +absent =, +unknown =, erase =, rewrite =
released by a person: same running, other =, +landed landed, +refused =, +absent =, +unknown =, erase =, rewrite =
released by a timer: same running, other =, +landed landed, +refused =, +absent =, +unknown =, erase =, rewrite =
refused by its owner: same =, other running, +landed landed, +refused =, +absent =, +unknown =, !released released, erase =, rewrite =
refused by a person: same =, other =, +landed landed, +refused =, +absent =, +unknown =, !released released, erase =, rewrite =
landed: same =, other =, +landed =, +refused =, +absent =, +unknown =, !undone undone, mark =, undo x, age tombstone, erase tombstone, rewrite =
delivered: same running, other running, +landed =, +refused =, +absent =, +unknown =, !undone undone, deliver =, mark =, undo x, age tombstone, erase tombstone, rewrite =
being undone: same =, other =, +landed =, +refused =, +absent =, +unknown =, !undone undone, mark =, undo undone, age x, erase x, rewrite =
undone: same running, other running, +landed =, +refused =, +absent =, +unknown =, undo =, erase =, rewrite =
tombstone: same =, other =, +landed =, +refused =, +absent =, +unknown =, undo x, erase =, rewrite =
alias: same =, other =, +landed =, +refused =, +absent =, +unknown =, rewrite =
";

fn cell(desk: &Desk, command: &Command) -> String {
    let before = desk.label();
    let mut desk = desk.clone();
    match desk.ask(command) {
        Err(Refusal::Rule { .. }) => "x".to_owned(),
        Err(_) => "-".to_owned(),
        Ok(Reply::MayLook { .. } | Reply::Granted(_) | Reply::Told(_))
            if desk.label() != before =>
        {
            desk.label().word().to_owned()
        }
        Ok(Reply::Granted(_)) => "sends".to_owned(),
        Ok(_) => "=".to_owned(),
    }
}

fn commands(desk: &Desk, grant: &Grant) -> Vec<(&'static str, Command)> {
    let first = claim(1, 1);
    let shown = desk.record().last_attempt().unwrap().fence.number;
    let fence = grant.fence;
    let settle = |effect| Command::Settle(Box::new(settlement(grant, &first, effect)));
    let decide = |decision| Command::Decide {
        shown,
        person: person(),
        decision,
    };
    let look = |asker| Command::Look {
        nonce: nonce(5),
        shown,
        asker,
        looks_max: 3,
    };
    let saw = |sight| Command::Saw {
        nonce: nonce(9),
        sight,
    };
    vec![
        ("same", Command::Claim(Arc::new(claim(4, 1)))),
        ("other", Command::Claim(Arc::new(claim(4, 3)))),
        ("renew", Command::Renew { fence }),
        (
            "suspend",
            Command::Suspend {
                fence,
                continuation: "task-2".to_owned(),
                limit_seconds: 60,
            },
        ),
        (
            "continue",
            Command::Continue {
                continuation: "task-1".to_owned(),
                nonce: nonce(4),
            },
        ),
        ("+landed", settle(Effect::Landed)),
        ("+refused", settle(Effect::Refused)),
        ("+absent", settle(Effect::Absent)),
        ("+unknown", settle(Effect::Unknown)),
        (
            "hold",
            Command::Hold {
                fence,
                outcome: None,
                reason: "trapped".to_owned(),
            },
        ),
        ("expire", Command::Expire),
        ("resolve", desk.retry_of(&first, 4)),
        ("look", look(ProbeRequester::Caller)),
        ("asked", look(ProbeRequester::Operator)),
        ("found", saw(FOUND())),
        ("nothing", saw(NOTHING)),
        (
            "again",
            saw(ProbeReport::Again {
                reason: "too early".to_owned(),
            }),
        ),
        (
            "conflict",
            saw(ProbeReport::Conflicting {
                reason: "another one".to_owned(),
            }),
        ),
        ("!landed", decide(attested())),
        ("!refused", decide(Decision::Refused)),
        ("!released", decide(Decision::Released)),
        ("!undone", decide(Decision::Undone)),
        (
            "deliver",
            Command::Deliver {
                generation: desk.record().generation,
                attempt: desk.record().landed_attempt(),
            },
        ),
        (
            "mark",
            Command::MarkUndoing {
                by: key(7),
                generation: desk.record().generation,
                void_mark: None,
            },
        ),
        (
            "undo",
            Command::Undo {
                by: key(7),
                generation: desk.record().generation,
                told_by_outcome: false,
            },
        ),
        ("age", Command::Age),
        ("erase", Command::Erase),
        ("rewrite", Command::Rewrite),
    ]
}

fn table() -> String {
    let mut lines = vec![];
    for (name, desk, grant) in every_state() {
        let cells = commands(&desk, &grant)
            .iter()
            .map(|(word, command)| (*word, cell(&desk, command)))
            .collect::<Vec<_>>();
        let said = cells
            .iter()
            .filter(|(_, cell)| cell != "-")
            .map(|(word, cell)| format!("{word} {cell}"));
        lines.push(format!("{name}: {}\n", said.collect::<Vec<_>>().join(", ")));
    }
    lines.concat()
}

#[test]
fn the_whole_table_is_as_it_was_agreed() {
    assert_eq!(table(), TABLE, "\n{}", table());
}

#[test]
fn without_a_record_only_a_claim_and_a_settlement_have_a_meaning() {
    let (_, desk, grant) = every_state().swap_remove(0);
    for (word, command) in commands(&desk, &grant) {
        let asked = Desk::new().ask(&command);
        let has_meaning = matches!(command, Command::Claim(_) | Command::Settle(_));
        assert_eq!(asked.is_ok(), has_meaning, "{word}");
        if let Err(refusal) = asked {
            assert!(
                refusal
                    .to_string()
                    .ends_with("needs a record, and there is none"),
                "{refusal}"
            );
        }
    }
}
