//! Logs are read by many, kept for long, and sent to strangers. What a customer ordered, what it came to and under
//! which key is not for them, also where the ledger fails, the policy traps, or the call is refused.

use crate::{
    assemble::Guest,
    failing::{Failing, Failure},
    world::{charging, host, intent, load, memory},
};
use semel::{
    runtime::{Semel, Tool},
    store::Store,
    words::{Call, Outcome},
};
use serde_json::json;
use std::{
    io::Write,
    sync::{Arc, Mutex},
};

const ARGUMENT: &str = "canary-in-an-argument";
const OUTCOME: &str = "canary-in-an-outcome";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

async fn story(semel: &Semel) -> Vec<String> {
    let mut keys = Vec::new();
    for amount in [json!(10), json!(10), json!(11), json!(ARGUMENT)] {
        let call = Call::new("charge", json!({ "order_id": ARGUMENT, "amount": amount, "note": ARGUMENT })).unwrap();
        let run = |ticket: semel::runtime::Ticket| {
            keys.extend(ticket.key);
            async { Outcome::failed(OUTCOME) }
        };
        // Whatever it comes to: nothing of it may be told.
        let _ = semel.call(call, run).await;
    }
    keys
}

#[tokio::test(start_paused = true)]
async fn neither_arguments_nor_outcomes_nor_keys() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    // For this thread only, which is the one that all tasks of this test run in.
    let _guard = tracing::subscriber::set_default(subscriber.finish());

    let trapping = Guest::lean().with("derive", "(return (i32.const 1280))").with("judge", "(unreachable)");
    let away = Failing::new(1..usize::MAX, Failure::UnknownAndLost);
    let hosts = [
        host(memory(), intent(charging()).await).await,
        host(memory(), Tool::new(load(&trapping.component(), json!({})).await)).await,
        host(Arc::clone(&away) as Arc<dyn Store>, intent(charging()).await).await,
    ];
    away.count();
    let mut secrets = vec![ARGUMENT.to_owned(), OUTCOME.to_owned()];
    for semel in &hosts {
        secrets.extend(story(semel).await);
    }
    let text = log.text();
    for told in ["semel.call", "semel.tool", "semel.answer", "refused", "held"] {
        assert!(text.contains(told), "the log does not tell `{told}`:\n{text}");
    }
    for secret in secrets {
        assert!(!text.contains(&secret), "the log tells `{secret}`:\n{text}");
    }
}
