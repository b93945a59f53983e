//! The end of a day: long after the last fault, an agent repeats every call of the day.

use super::report::Report;
use crate::{
    server::Server,
    shop::{Line as Entry, Shop, What},
    stories::{self, Customers, Line, Reply, Tools},
};
use semel::{
    ledger::StateLabel,
    model::Answer,
    store::{EntryQuery, PAGE_MAX, Store},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use tokio::task::JoinSet;

/// The number of concurrent repeats.
const AT_ONCE: usize = 32;

const STATES: [(StateLabel, &str); 10] = [
    (StateLabel::Running, "running"),
    (StateLabel::Waiting, "waiting"),
    (StateLabel::InDoubt, "in doubt"),
    (StateLabel::Probing, "probing"),
    (StateLabel::Held, "held"),
    (StateLabel::Released, "released"),
    (StateLabel::Refused, "refused"),
    (StateLabel::Landed, "landed"),
    (StateLabel::Undone, "undone"),
    (StateLabel::Tombstone, "landed, outcome not kept"),
];

/// Repeats every call, and notes the results in the report.
pub fn looked_after(shop: &Arc<Shop>, server: &Server, report: &mut Report) {
    let asked = told_by_the_journal(shop, report);
    shop.catch_up();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = server.direct().open_later().await;
        report.stuck = stuck(Arc::clone(&store), shop, asked).await;
        for (state, name) in STATES {
            report
                .records
                .insert(name.to_owned(), count(&*store, state).await);
        }
    });
    report.faults = shop.faults();
}

/// The calls of the agents, with cancelled bookings first, because a later booking is another
/// operation.
fn told_by_the_journal(shop: &Shop, report: &mut Report) -> Vec<What> {
    let mut asked = BTreeSet::new();
    for entry in shop.journal() {
        match entry {
            Entry::Asks(what) => {
                report.calls += 1;
                asked.insert((what.tool != "cancel", what));
            }
            Entry::Did { .. } => report.effects += 1,
            Entry::Told { told, .. } => *report.answers.entry(told.word).or_insert(0) += 1,
        }
    }
    report.operations = asked.len();
    asked.into_iter().map(|(_, what)| what).collect()
}

/// The operations that are still reported as running although no host runs them.
async fn stuck(store: Arc<dyn Store>, shop: &Arc<Shop>, asked: Vec<What>) -> Vec<What> {
    let line = Arc::clone(shop) as Arc<dyn Line>;
    let semel = stories::host(Arc::clone(&store), &Tools::load().await, &line)
        .await
        .unwrap();
    let customers = Customers::new(semel, &line, "", move || {
        std::future::ready(Arc::clone(&store))
    });
    let (cancelled, others): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(|what| what.tool == "cancel");
    let mut stuck = Vec::new();
    for asked in [cancelled, others] {
        let (left, mut asking) = (Arc::new(Mutex::new(asked)), JoinSet::new());
        for _ in 0..AT_ONCE {
            let (mut customer, left) = (customers.another(), Arc::clone(&left));
            asking.spawn(async move {
                let mut stuck = Vec::new();
                while let Some(what) = next(&left) {
                    let answer = customer.ask(&what, Reply::Heard).await.unwrap();
                    stuck.extend(matches!(answer, Answer::Running { .. }).then_some(what));
                }
                stuck
            });
        }
        stuck.extend(asking.join_all().await.concat());
    }
    stuck
}

fn next(left: &Mutex<Vec<What>>) -> Option<What> {
    left.lock().unwrap().pop()
}

async fn count(store: &dyn Store, state: StateLabel) -> usize {
    let mut query = EntryQuery {
        states: vec![state],
        limit: PAGE_MAX,
        ..EntryQuery::default()
    };
    let mut count = 0;
    loop {
        let page = store.list(&query).await.unwrap();
        count += page.keys.len();
        query.after = page.keys.last().copied();
        if !page.more || page.keys.is_empty() {
            return count;
        }
    }
}
