//! Two agents make the same call at the same time: one charge.

use crate::workshop::{CHARGE, CommandOutput, EFFECT, Workshop};

const ORDER: &str = r#"{"order": 17, "amount": 10}"#;

#[test]
fn of_callers_at_the_same_time_one_runs_and_all_get_what_it_printed() {
    let shop = Workshop::new(CHARGE);
    let script = format!("{EFFECT} sleep 0.3; echo $SEMEL_KEY");
    let callers: Vec<_> = (0..4)
        .map(|_| shop.start("charge", ORDER, &["--wait", "60s"], &script))
        .collect();
    let done: Vec<_> = callers
        .into_iter()
        .map(|caller| CommandOutput::from(caller.wait_with_output().unwrap()))
        .collect();
    assert_eq!(shop.effects(), 1, "{done:?}");
    assert!(
        done.iter()
            .all(|one| one.exit == 0 && one.stdout == done[0].stdout && !one.stdout.is_empty()),
        "{done:?}"
    );
}

#[test]
fn who_does_not_wait_is_told_that_it_runs() {
    let shop = Workshop::new(CHARGE);
    let mut owner = shop.start(
        "charge",
        ORDER,
        &[],
        "echo yes > started; until [ -e go ]; do sleep 0.05; done",
    );
    shop.wait_for("started");
    shop.exec_with("charge", ORDER, &["--wait", "0s"], EFFECT)
        .assert_message(75, "running: another attempt at `charge`");
    shop.write("go", "");
    assert!(owner.wait().unwrap().success());
    assert_eq!(shop.effects(), 0);
}
