//! The matrix of all states and commands, which `docs/ledger.md` prints.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

use super::desk::*;
use crate::ledger::*;
use crate::model::Effect;
use std::sync::Arc;

/// The page with the printed matrix, beside the crate in the repository.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ledger.md");

/// The lines between which the page holds the matrix.
const BEGIN: &str = "<!-- matrix: UPDATE_LEDGER_PAGE=1 writes it -->\n";
const END: &str = "<!-- end of the matrix -->\n";

/// The tables of the page: a heading, and how many commands each holds, in the order of [`commands`].
const GROUPS: [(&str, usize); 6] = [
    ("Claims and leases", 5),
    ("Settlements", 5),
    ("Recovery", 7),
    ("Decisions", 4),
    ("Delivery and undoing", 3),
    ("Retention", 3),
];

fn cell(desk: &Desk, command: &Command) -> String {
    let before = desk.label();
    let mut desk = desk.clone();
    match desk.ask(command) {
        Err(Refusal::Rule { .. }) => "forbidden".to_owned(),
        Err(_) => "–".to_owned(),
        Ok(Reply::Granted(_)) if matches!(command, Command::Claim(_)) => "granted".to_owned(),
        Ok(_) if desk.label() != before => desk.label().word().to_owned(),
        Ok(Reply::Told(reply)) if matches!(command, Command::Claim(_)) => {
            reply_word(&reply).to_owned()
        }
        Ok(_) => "same state".to_owned(),
    }
}

/// The reply to a claim that gets no right to send, as the page names it.
fn reply_word(reply: &ClaimReply) -> &'static str {
    match reply {
        ClaimReply::Running { .. } => "reply: running",
        ClaimReply::InDoubt => "reply: in doubt",
        ClaimReply::Held => "reply: held",
        ClaimReply::Released { .. } => "reply: released",
        ClaimReply::Landed => "reply: landed",
        ClaimReply::Refused { .. } => "reply: refused",
        ClaimReply::Undone => "reply: undone",
        ClaimReply::Conflict => "reply: conflict",
        ClaimReply::Expired { .. } => "reply: expired",
        ClaimReply::BeingUndone { .. } => "reply: being undone",
        ClaimReply::Alias { .. } => "reply: alias",
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
        ("claim, same content", Command::Claim(Arc::new(claim(4, 1)))),
        (
            "claim, other content",
            Command::Claim(Arc::new(claim(4, 3))),
        ),
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
        ("settle: landed", settle(Effect::Landed)),
        ("settle: refused", settle(Effect::Refused)),
        ("settle: absent", settle(Effect::Absent)),
        ("settle: unknown", settle(Effect::Unknown)),
        (
            "hold",
            Command::Hold {
                fence,
                outcome: None,
                reason: "trapped".to_owned(),
            },
        ),
        ("send again", desk.retry_of(&first, 4)),
        ("probe, by a caller", look(ProbeRequester::Caller)),
        ("probe, by an operator", look(ProbeRequester::Operator)),
        ("report: found", saw(FOUND())),
        ("report: not found", saw(NOTHING)),
        (
            "report: again",
            saw(ProbeReport::Again {
                reason: "too early".to_owned(),
            }),
        ),
        (
            "report: conflict",
            saw(ProbeReport::Conflicting {
                reason: "another one".to_owned(),
            }),
        ),
        ("decide: landed", decide(attested())),
        ("decide: refused", decide(Decision::Refused)),
        (
            "decide: released",
            decide(Decision::Released { new_key: false }),
        ),
        ("decide: undone", decide(Decision::Undone)),
        (
            "deliver",
            Command::Deliver {
                generation: desk.record().generation,
                attempt: desk.record().landed_attempt(),
            },
        ),
        (
            "mark undoing",
            Command::MarkUndoing {
                by: generation(7, 1),
                of: HandleOwner {
                    of: generation(0, desk.record().generation),
                    nonce: desk.record().landed_nonce().unwrap(),
                },
                void_mark: None,
            },
        ),
        (
            "undo",
            Command::Undo {
                by: generation(7, 1),
                generation: desk.record().generation,
                told_by_outcome: false,
            },
        ),
        ("age", Command::Age),
        ("erase", Command::Erase),
        ("rewrite", Command::Rewrite),
        // The page leaves this one out: no lease of these states is over.
        ("lease end", Command::Expire),
    ]
}

/// Renders the matrix as the page prints it.
fn rendered_matrix() -> String {
    let states = every_state();
    let (_, any_desk, any_grant) = &states[0];
    let headings: Vec<&str> = commands(any_desk, any_grant)
        .iter()
        .map(|(heading, _)| *heading)
        .collect();
    assert_eq!(
        headings.len() - 1,
        GROUPS.iter().map(|(_, count)| count).sum::<usize>(),
        "each command but the last stands in a group"
    );
    let mut text = String::new();
    let mut first = 0;
    for (group, count) in GROUPS {
        let columns = first..first + count;
        text.push_str(&format!("\n### {group}\n\n"));
        text.push_str(&row("state", headings[columns.clone()].iter().copied()));
        text.push_str(&row("---", headings[columns.clone()].iter().map(|_| "---")));
        for (state, desk, grant) in &states {
            let cells: Vec<String> = commands(desk, grant)[columns.clone()]
                .iter()
                .map(|(_, command)| cell(desk, command))
                .collect();
            text.push_str(&row(state, cells.iter().map(String::as_str)));
        }
        first += count;
    }
    text.push('\n');
    text
}

fn row<'a>(first: &str, cells: impl Iterator<Item = &'a str>) -> String {
    let mut text = format!("| {first} |");
    for cell in cells {
        text.push_str(&format!(" {cell} |"));
    }
    text.push('\n');
    text
}

#[test]
fn the_whole_table_is_as_it_was_agreed() {
    let page = std::fs::read_to_string(PAGE).expect("docs/ledger.md lies beside the crate");
    let begin = page.find(BEGIN).expect("the page marks the matrix") + BEGIN.len();
    let end = page.find(END).expect("the page ends the matrix");
    let matrix = rendered_matrix();
    if std::env::var_os("UPDATE_LEDGER_PAGE").is_some() {
        let updated = [&page[..begin], &matrix, &page[end..]].concat();
        std::fs::write(PAGE, updated).unwrap();
        return;
    }
    assert_eq!(
        &page[begin..end],
        matrix,
        "docs/ledger.md differs: run this test with UPDATE_LEDGER_PAGE=1, then read the difference"
    );
}

#[test]
fn no_lease_ends_before_its_time() {
    for (state, desk, _) in every_state() {
        assert_eq!(cell(&desk, &Command::Expire), "–", "{state}");
    }
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
