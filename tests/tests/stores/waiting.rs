//! A caller waits for another's attempt when the server fails. It neither hangs nor polls all the
//! time, and once the server is back, it learns the attempt's outcome.

use crate::{
    charging::{Charges, charge, charge_slowly, charging},
    either::{Either, until},
};
use semel::{
    model::Answer,
    store::{Retention, Store, Version},
};
use semel_conformance::{entry, fresh_version, key};
use semel_servers::proxy::TcpProxy;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, task::JoinSet, time::sleep};

/// The number of waiters for the same operation.
const WAITERS: usize = 50;

/// For how long the server is away.
const OUTAGE: Duration = Duration::from_secs(3);

/// The limit on the cost of a second of an outage for all waiters together: connection attempts,
/// and this process's time.
const ATTEMPTS_A_SECOND: usize = 30;
const BUSY_AT_MOST: f64 = 0.3;

/// The time in which every waiter notices the server's return.
const RETURN: Duration = Duration::from_secs(10);

/// An entry that is waited for, and those that wait.
async fn begin_to_wait(store: &Arc<dyn Store>) -> (Version, JoinSet<()>) {
    let version = fresh_version();
    store
        .create(key(1), &entry(1), version, Retention::UntilRemoved)
        .await
        .unwrap();
    let mut waiters = JoinSet::new();
    for _ in 0..WAITERS {
        let store = Arc::clone(store);
        waiters.spawn(async move {
            store
                .wait_for_change(key(1), version, Duration::from_secs(60))
                .await
        });
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(
        waiters.try_join_next().map(|woken| woken.is_ok()),
        None,
        "nothing has changed"
    );
    (version, waiters)
}

/// The cost of an outage.
struct Cost {
    since: Instant,
    connections: usize,
    requests: usize,
    busy: Duration,
}

impl Cost {
    fn begin(wire: &TcpProxy) -> Self {
        Self {
            since: Instant::now(),
            connections: wire.connection_count(),
            requests: wire.request_count(),
            busy: busy(),
        }
    }

    /// Attempts a second, and the part of the time that this process worked.
    fn end(self, wire: &TcpProxy) -> (usize, f64) {
        let seconds = self.since.elapsed().as_secs_f64();
        let attempts =
            wire.connection_count() - self.connections + wire.request_count() - self.requests;
        (
            (attempts as f64 / seconds).ceil() as usize,
            (busy() - self.busy).as_secs_f64() / seconds,
        )
    }
}

/// For how long this process has worked.
fn busy() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

async fn an_outage_is_waited_out(mut server: Either) {
    let wire = server.wire();
    let store = server.open_by(&wire).await;
    let (version, waiters) = begin_to_wait(&store).await;
    server.end();
    let cost = Cost::begin(&wire);
    let asked = Instant::now();
    store
        .wait_for_change(key(1), version, Duration::from_millis(500))
        .await;
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "whoever waits for so long waits no longer: {:?}",
        asked.elapsed()
    );
    sleep(OUTAGE.saturating_sub(asked.elapsed())).await;
    let (attempts, busy) = cost.end(&wire);
    println!(
        "{attempts} attempts a second, and {:.0} % of a processor, for {WAITERS} waiters",
        busy * 100.0
    );
    assert!(
        attempts <= ATTEMPTS_A_SECOND,
        "{attempts} attempts a second"
    );
    assert!(busy <= BUSY_AT_MOST, "{busy} of a processor");
    server.start_again();
    let writer = server.open().await;
    writer
        .replace(
            key(1),
            version,
            &entry(2),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
        .unwrap();
    all_learn_of_it(waiters).await;
}

async fn all_learn_of_it(mut waiters: JoinSet<()>) {
    let all = async { while waiters.join_next().await.is_some() {} };
    tokio::time::timeout(RETURN, all)
        .await
        .expect("they learn of the change");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_postgres_waits_its_outage_out() {
    an_outage_is_waited_out(Either::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_redis_waits_its_outage_out() {
    an_outage_is_waited_out(Either::redis().await).await;
}

/// A network that lost its way says nothing. Waiters keep to their time, and learn of a change once it passes messages on.
async fn a_silence_is_waited_out(server: Either) {
    let wire = server.wire();
    let store = server.open_by(&wire).await;
    let (version, waiters) = begin_to_wait(&store).await;
    wire.pause();
    let cost = Cost::begin(&wire);
    let asked = Instant::now();
    store
        .wait_for_change(key(1), version, Duration::from_millis(500))
        .await;
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    let writer = server.open().await;
    writer
        .replace(
            key(1),
            version,
            &entry(2),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
        .unwrap();
    sleep(Duration::from_secs(1)).await;
    let (attempts, busy) = cost.end(&wire);
    println!(
        "{attempts} attempts a second, and {:.0} % of a processor",
        busy * 100.0
    );
    assert!(
        attempts <= ATTEMPTS_A_SECOND && busy <= BUSY_AT_MOST,
        "{attempts} attempts a second, {busy}"
    );
    wire.resume();
    all_learn_of_it(waiters).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_either_waits_a_silence_out() {
    a_silence_is_waited_out(Either::postgres().await).await;
    a_silence_is_waited_out(Either::redis().await).await;
}

/// Waiters without any pause are what the figures above are there to find.
#[tokio::test(flavor = "multi_thread")]
async fn control_who_looks_without_a_pause_shows() {
    let mut server = Either::redis().await;
    let wire = server.wire();
    let store = server.open_by(&wire).await;
    let look = async |time: Duration| {
        let cost = Cost::begin(&wire);
        while cost.since.elapsed() < time {
            let _ = store.get(key(1)).await;
        }
        cost.end(&wire)
    };
    let (attempts, _) = look(Duration::from_millis(500)).await;
    assert!(attempts > ATTEMPTS_A_SECOND, "{attempts} attempts a second");
    server.end();
    let (_, busy) = look(Duration::from_millis(500)).await;
    assert!(busy > BUSY_AT_MOST, "{busy} of a processor");
}

/// A caller waits for the same call of another host, and the server crashes and comes back meanwhile.
async fn a_waiting_caller_is_answered(mut server: Either) {
    let (host, wire) = (charging(server.open().await).await, server.wire());
    let (other, charges) = (
        charging(server.open_by(&wire).await).await,
        Charges::default(),
    );
    let (over, is_over) = oneshot::channel();
    let first = tokio::spawn({
        let charges = charges.clone();
        async move { charge_slowly(&host, 1, &charges, async { is_over.await.unwrap() }).await }
    });
    until("the first call", async || charges.of(1) == 1).await;
    let second = tokio::spawn({
        let charges = charges.clone();
        async move { charge(&other, 1, &charges).await }
    });
    sleep(Duration::from_millis(200)).await;
    server.end();
    sleep(Duration::from_secs(1)).await;
    server.start_again();
    over.send(()).unwrap();
    let first = first.await.unwrap();
    assert!(matches!(first, Ok(Answer::Executed { .. })), "{first:?}");
    let second = second.await.unwrap();
    assert!(matches!(second, Ok(Answer::Replayed { .. })), "{second:?}");
    assert_eq!(charges.of(1), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_waits_at_postgres_is_answered_after_its_crash() {
    a_waiting_caller_is_answered(Either::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_waits_at_redis_is_answered_after_its_crash() {
    a_waiting_caller_is_answered(Either::redis().await).await;
}
