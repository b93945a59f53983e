//! Logs have many readers, are kept for long, and are sent to strangers. They must not hold a
//! customer's order, its result or its key, whatever happens to the call: also if the ledger fails,
//! the policy traps, the record is sealed under another key, or the host only observes. The same
//! holds for a program that logs a value with `{:?}`.

use crate::{
    assemble::Guest,
    world::{CANARY, charging, failing, host, intent, load, log, memory, policy, use_ledger, with},
};
use semel::{
    key::{KeyMode, KeyScheme, Secret},
    ledger::{Decision, KeptOutcome, Person},
    model::{
        Answer, Call, Failure as Failed, Field, Operation, OperationLifetime, Outcome, Probe,
        ProbeVerdict, Run, Scope, Tenant, ToolMode,
    },
    runtime::{CallStep, ErasureScope, Semel, Tool},
    store::{SealingKey, SealingKeys, SealingStore, Store},
};
use semel_config::{Config, Environment};
use semel_conformance::{FailingStore, InjectedFailure};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// One test logs this on purpose: see `xtask/src/canaries.rs`.
const WITNESS: &str = concat!("told-aloud-", "8d1f0c5e");

fn told_in(what: &str) -> String {
    format!("{CANARY} in {what}")
}

/// A tool whose settings hold the canary, too.
async fn talkative() -> Tool {
    let verdicts = json!([
        { "when": { "code": "card_declined" }, "effect": "refused", "reason": told_in("settings") },
        { "when": { "code": "busy" }, "effect": "absent", "reason": told_in("settings") },
    ]);
    let mut tool = intent(with(charging(), json!({ "verdict": verdicts }))).await;
    tool.allowance.wait_ms = 0;
    Tool {
        keep_identity: true,
        ..tool
    }
}

fn call(order: &str, amount: Value) -> Call {
    let order = told_in(&format!("the argument {order}"));
    let call = Call::new(
        "charge",
        json!({ "order_id": order, "amount": amount, "note": told_in("noise") }),
    )
    .unwrap();
    call.with_fact("agent", json!(told_in("a fact")))
}

fn landed() -> Outcome {
    Outcome::returned(json!({ "id": told_in("an outcome") }))
}

fn failed(code: &str) -> Outcome {
    Outcome::Failed(Failed {
        message: told_in("an error"),
        code: Some(code.to_owned()),
        ..Failed::default()
    })
}

/// Everything that may become of a call. Says what was answered, and the keys that went out.
async fn story(semel: &Semel) -> (BTreeSet<&'static str>, Vec<String>) {
    let (mut words, mut keys) = (BTreeSet::new(), Vec::new());
    let mut note = |answer: Result<Answer, semel::runtime::CallError>| {
        // The `Debug` output of a value must not hold it, either.
        assert!(!format!("{answer:?}").contains(CANARY), "{answer:?}");
        words.extend(answer.ok().map(|answer| answer.word()));
    };
    let silent = || Outcome::no_answer(told_in("a silence"));
    let calls = [
        ("1", json!(10), landed()),
        ("1", json!(10), landed()),
        ("1", json!(11), landed()),
        ("2", json!(10), failed("card_declined")),
        ("2", json!(10), landed()),
        ("3", json!(10), failed("busy")),
        ("4", json!(10), silent()),
        ("4", json!(10), landed()),
        ("5", json!(told_in("content")), landed()),
    ];
    for (order, amount, outcome) in calls {
        let run = |ticket: semel::runtime::Ticket| {
            assert!(!format!("{ticket:?}").contains(CANARY), "{ticket:?}");
            keys.extend(ticket.key);
            let outcome = outcome.clone();
            async { outcome }
        };
        note(semel.call(call(order, amount), run).await);
    }
    // Two at the same time, one of which goes away.
    let first = semel.begin(call("6", json!(10))).await;
    note(
        semel
            .call(call("6", json!(10)), |_| async { landed() })
            .await,
    );
    if let Ok(CallStep::Run(started)) = first {
        assert!(!format!("{started:?}").contains(CANARY), "{started:?}");
        note(
            started
                .finish(landed())
                .await
                .map(|answered| answered.into_parts().0),
        );
    }
    drop(semel.begin(call("7", json!(10))).await);
    operate(semel).await;
    note(
        semel
            .call(call("1", json!(10)), |_| async { landed() })
            .await,
    );
    semel.wait_for_observations(Duration::from_secs(30)).await;
    (words, keys)
}

/// Runs the operator's commands on the ledger. None of them may log the canary.
async fn operate(semel: &Semel) {
    let ledger = semel.ledger();
    for listed in ledger.list(None, &[], 100).await.unwrap_or_default() {
        assert!(!format!("{listed:?}").contains(CANARY), "{listed:?}");
        let person = Person {
            who: told_in("a name"),
            why: told_in("a ground"),
        };
        let decision = Decision::Landed {
            outcome: Some(KeptOutcome::Whole(landed())),
            handles: vec![told_in("a handle")],
        };
        let shown = listed
            .record
            .last_attempt()
            .map_or(0, |last| last.fence.number);
        let _ = ledger.decide(listed.key, shown, person, decision).await;
    }
    let _ = ledger.sweep().await;
    let _ = ledger.look_up(&told_in("a name of a record")).await;
    let _ = ledger.forget_outcomes(Duration::ZERO).await;
    let _ = ledger.report(Duration::from_secs(3_600)).await;
    let _ = ledger
        .erase(&Tenant::default(), ErasureScope::Content)
        .await;
}

fn sealed(inner: &Arc<dyn Store>, id: &str) -> Arc<dyn Store> {
    let secret = told_in(&format!("the secret of {id}, which is long enough"));
    let keys = SealingKeys::new(SealingKey::new(id, secret.as_bytes()).unwrap());
    Arc::new(SealingStore::new(Arc::clone(inner), keys))
}

/// Hosts with every kind of tool and ledger; the last one loses its ledger once `away` counts.
async fn hosts_of_every_kind(away: &Arc<FailingStore>) -> Vec<Semel> {
    let trapping = Guest::lean()
        .with("derive", "(return (i32.const 1280))")
        .with("judge", "(unreachable)");
    let refusing = Guest::lean().with("derive", "(unreachable)");
    let trapping = Tool::new(load(&trapping.component(), json!({})).await);
    let refusing = Tool::new(load(&refusing.component(), json!({})).await);
    let inner = memory();
    let watched = Tool {
        mode: ToolMode::Shadow,
        ..talkative().await
    };
    let keyed = KeyScheme::new(
        KeyMode::Enforce,
        Some(Secret::new(told_in("the secret of all keys").as_bytes()).unwrap()),
    );
    vec![
        host(memory(), talkative().await).await,
        host(memory(), trapping).await,
        host(memory(), refusing).await,
        host(memory(), Tool::new(policy("hints", json!({})).await)).await,
        host(memory(), watched.clone()).await,
        host(
            memory(),
            Tool {
                mode: ToolMode::Off,
                ..watched
            },
        )
        .await,
        host(sealed(&inner, "a"), talkative().await).await,
        host(sealed(&inner, "b"), talkative().await).await,
        Semel::builder(memory())
            .keys(keyed)
            .default_tool(talkative().await)
            .open()
            .await
            .unwrap(),
        host(Arc::clone(away) as Arc<dyn Store>, talkative().await).await,
    ]
}

#[tokio::test]
async fn neither_arguments_nor_outcomes_nor_settings_nor_keys_nor_secrets() {
    log();
    tracing::info!("{WITNESS}");
    let away = failing(0..usize::MAX, InjectedFailure::NotExecuted);
    // It takes the claim, and no settlement.
    let lost = failing(1..usize::MAX, InjectedFailure::NotExecuted);
    let losing = host(Arc::clone(&lost) as Arc<dyn Store>, talkative().await).await;
    use_ledger(&losing).await;
    lost.count();
    let unheard = |_| async { Outcome::no_answer(told_in("a silence")) };
    let unsettled = losing.call(call("1", json!(10)), unheard).await.unwrap();
    let hosts = hosts_of_every_kind(&away).await;
    let mut words = BTreeSet::from([unsettled.word()]);
    let mut secrets = vec![CANARY.to_owned()];
    for (at, semel) in hosts.iter().enumerate() {
        assert!(!format!("{semel:?}").contains(CANARY), "host {at}");
        if at == hosts.len() - 1 {
            away.count();
        }
        let (answered, keys) = story(semel).await;
        words.extend(answered);
        secrets.extend(keys);
    }
    let all = [
        "conflict", "executed", "expired", "held", "in doubt", "passed", "refused", "replayed",
        "running",
    ];
    assert_eq!(
        words,
        BTreeSet::from(all),
        "the story tells of every answer"
    );
    let text = log();
    for told in [
        WITNESS,
        "semel.call",
        "semel.tool",
        "semel.answer",
        "semel.shadow",
        "refused",
        "held",
    ] {
        assert!(text.contains(told), "the log does not tell `{told}`");
    }
    for secret in secrets {
        assert_eq!(
            text.matches(&secret).count(),
            0,
            "a secret is told in {}",
            line_with(&text, &secret)
        );
    }
}

/// The line that holds the secret, with the secret removed.
fn line_with(text: &str, secret: &str) -> String {
    text.lines()
        .find(|line| line.contains(secret))
        .unwrap_or_default()
        .replace(secret, "[secret]")
}

/// The control: a leak is found.
#[tokio::test]
async fn control_a_leak_is_found() {
    log();
    tracing::debug!("planted-{}", 4711);
    assert_eq!(log().matches("planted-4711").count(), 1);
    assert!(
        log()
            .lines()
            .any(|line| line.contains("DEBUG") && line.contains("planted-4711"))
    );
}

/// The `Debug` output of a configuration with secrets.
fn debug_of_configuration() -> String {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "[[tool]]\nmatch = \"charge\"\nsettings = {{ token = \"{CANARY}\" }}\n\
         [keys]\nsecret_env = \"KEY\"\n[sealing]\ncurrent = \"a\"\n[[sealing.key]]\nid = \"a\"\nsecret_env = \"KEY\"\n"
    );
    std::fs::write(folder.path().join("semel.toml"), settings).unwrap();
    let secret = told_in("a secret, which is long enough to be one");
    let variables = [("KEY", secret.as_str()), ("SEMEL_LEDGER", "memory:")]
        .map(|(k, v)| (k.to_owned(), v.into()));
    let around = Environment {
        variables: variables.into(),
        folder: folder.path().to_owned(),
    };
    let config = Config::load(None, &around).unwrap();
    assert!(
        json!(config.tool("charge").settings)
            .to_string()
            .contains(CANARY),
        "the control"
    );
    format!("{config:?} {around:?}")
}

#[test]
fn who_prints_a_value_prints_no_secret() {
    let field = || {
        vec![Field {
            name: "order".to_owned(),
            value: json!(told_in("a field")).into(),
        }]
    };
    let operation = Operation {
        name: Some("charge".to_owned()),
        identity: field(),
        content: field(),
        scope: Scope::Tenant,
        until: OperationLifetime::Window,
        window_seconds: 1,
        attempt_seconds: 1,
        target: None,
        undoes: vec![told_in("a handle")],
    };
    let printed = [
        format!(
            "{:?}",
            call("1", json!(told_in("content"))).in_run(Run::new("run").unwrap())
        ),
        format!(
            "{:?} {:?} {:?}",
            landed(),
            failed(&told_in("a code")),
            Outcome::no_answer(told_in("a silence"))
        ),
        format!("{operation:?}"),
        format!(
            "{:?}",
            Probe {
                tool: "get".to_owned(),
                arguments: json!({ "id": told_in("a probe") }).into()
            }
        ),
        format!(
            "{:?} {:?}",
            ProbeVerdict::Landed(json!(told_in("a finding")).into()),
            ProbeVerdict::Conflicting(told_in("a finding"))
        ),
        format!(
            "{:?}",
            Person {
                who: told_in("a name"),
                why: told_in("a ground")
            }
        ),
        debug_of_configuration(),
        format!("{:?}", KeptOutcome::Whole(landed())),
    ];
    for printed in printed {
        assert!(
            !printed.contains(CANARY),
            "{}",
            printed.replace(CANARY, "[secret]")
        );
    }
}
