//! A connection breaks within a message, after any of its bytes, in either direction. A store's
//! report about its write is true, or it says that it does not know, and a read shows it. A call
//! through a host runs its tool once, and is recorded. With `SEMEL_SOAK_CUTS=all`, calls to
//! PostgreSQL break after every byte, too.

use crate::{
    believing::{Belief, Believing},
    charging::{Charges, charge, charge_slowly, charging},
    either::Either,
};
use semel::{
    model::{Answer, RecordStatus, StoreKey},
    runtime::Semel,
    store::{CreateResult, ReplaceResult, Retention, Store, StoreError, Version},
};
use semel_conformance::{entry, fresh_version, key};
use semel_servers::proxy::{TcpProxy, TrafficDirection};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};
use tokio::{task::JoinSet, time::timeout};

/// The number of concurrent strands, each with every n-th byte.
const STRANDS: usize = 4;

/// The distance between two cuts of the controls, in bytes: an answer is short.
const CONTROL_STEPS: [(TrafficDirection, usize); 2] = [
    (TrafficDirection::Request, 29),
    (TrafficDirection::Reply, 3),
];

/// The write, and the reading of its answer.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Creation,
    Replacement,
}

/// Which store is asked, over which wire, and how the cuts are spread.
#[derive(Clone, Copy)]
struct Sweep {
    way: TrafficDirection,
    belief: Option<Belief>,
    step: usize,
}

/// All bytes of one way, and a store as it is.
fn every_byte(way: TrafficDirection) -> Sweep {
    Sweep {
        way,
        belief: None,
        step: STRANDS,
    }
}

/// Some bytes, and a store that believes something.
fn control(way: TrafficDirection, belief: Belief) -> Sweep {
    let step = CONTROL_STEPS.iter().find(|(of, _)| *of == way).unwrap().1;
    Sweep {
        way,
        belief: Some(belief),
        step: STRANDS * step,
    }
}

/// The results of all cuts.
#[derive(Debug, Default)]
struct Seen {
    cuts: usize,
    unknown: usize,
    /// Of what is unknown.
    written: usize,
    wrong: Vec<String>,
}

impl Seen {
    fn with(mut self, other: Self) -> Self {
        self.cuts += other.cuts;
        self.unknown += other.unknown;
        self.written += other.written;
        self.wrong.extend(other.wrong);
        self
    }
}

/// Another number each time.
fn fresh() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A wire to a server, the store behind it, and the same without the wire.
struct Line {
    wire: TcpProxy,
    store: Arc<dyn Store>,
    direct: Arc<dyn Store>,
}

impl Line {
    async fn to(server: &Either, belief: Option<Belief>) -> Self {
        let wire = server.wire();
        let inner = server.open_by(&wire).await;
        let store = match belief {
            Some(belief) => Arc::new(Believing { inner, belief }) as Arc<dyn Store>,
            None => inner,
        };
        let line = Self {
            wire,
            store,
            direct: server.open().await,
        };
        // So that the server knows all scripts, and one answer is all there is to cut.
        let (at, version) = (key(fresh()), fresh_version());
        line.direct
            .create(at, &entry(1), version, Retention::UntilRemoved)
            .await
            .unwrap();
        line.direct
            .replace(
                at,
                version,
                &entry(1),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await
            .unwrap();
        line
    }

    /// Waits until the store has a connection again.
    async fn holds(&self) {
        self.has_later(key(0), fresh_version()).await;
    }

    /// Returns true if the write is there once the store has a connection again.
    async fn has_later(&self, at: StoreKey, version: Version) -> bool {
        let begun = Instant::now();
        loop {
            if let Ok((stored, _)) = self.store.get(at).await {
                return stored.is_some_and(|stored| stored.version == version);
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "the server is not reached again"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn is_there(&self, at: StoreKey, version: Version) -> bool {
        self.direct
            .get(at)
            .await
            .unwrap()
            .0
            .is_some_and(|stored| stored.version == version)
    }
}

/// Has all strands go on until a message passes whole, and adds up what they saw.
async fn sweep<S: Future<Output = Seen> + Send + 'static>(strand: impl Fn(usize) -> S) -> Seen {
    let mut strands = JoinSet::new();
    (0..STRANDS).for_each(|first| drop(strands.spawn(strand(first))));
    strands
        .join_all()
        .await
        .into_iter()
        .fold(Seen::default(), Seen::with)
}

async fn cut_writes(server: &Arc<Either>, deed: Deed, how: Sweep) -> Seen {
    let seen = sweep(|first| {
        let server = Arc::clone(server);
        async move {
            let (line, mut seen) = (Line::to(&server, how.belief).await, Seen::default());
            for bytes in (first * (how.step / STRANDS)..).step_by(how.step) {
                if !line.cut_write(deed, how.way, bytes, &mut seen).await {
                    break;
                }
            }
            seen
        }
    });
    let seen = seen.await;
    println!(
        "{deed:?}, {:?}: {} cuts, {} unknown, {} of them written",
        how.way, seen.cuts, seen.unknown, seen.written
    );
    seen
}

impl Line {
    /// Writes over a wire that breaks after so many bytes. Whether it broke.
    async fn cut_write(
        &self,
        deed: Deed,
        way: TrafficDirection,
        bytes: usize,
        seen: &mut Seen,
    ) -> bool {
        let (at, version) = (key(fresh()), fresh_version());
        let expected = self.prepare(deed, at).await;
        self.holds().await;
        self.wire.cut_after(way, bytes);
        let told = self.write(at, expected, version).await;
        if !self.wire.cancel_cut() {
            assert!(matches!(told, Ok(true)), "nothing broke: {told:?}");
            return false;
        }
        seen.cuts += 1;
        let is_there = self.is_there(at, version).await;
        let is_so = match &told {
            Ok(is_written) => *is_written && is_there,
            Err(StoreError::NotExecuted(_)) => !is_there && !self.has_later(at, version).await,
            Err(StoreError::Unknown(_)) => {
                seen.unknown += 1;
                seen.written += usize::from(is_there);
                // A server continues with a message until it notices that the connection is gone:
                // the write may still happen.
                self.has_later(at, version).await || !is_there
            }
            Err(StoreError::Entry(_)) => false,
        };
        if !is_so {
            seen.wrong.push(format!(
                "{deed:?}, {way:?}, {bytes} bytes: {told:?}, and it is there: {is_there}"
            ));
        }
        true
    }

    async fn prepare(&self, deed: Deed, at: StoreKey) -> Option<Version> {
        match deed {
            Deed::Creation => None,
            Deed::Replacement => {
                let version = fresh_version();
                self.direct
                    .create(at, &entry(1), version, Retention::UntilRemoved)
                    .await
                    .unwrap();
                Some(version)
            }
        }
    }

    /// Writes, and returns true if the store reports it as written.
    async fn write(
        &self,
        at: StoreKey,
        expected: Option<Version>,
        version: Version,
    ) -> Result<bool, StoreError> {
        let (entry, keep) = (entry(2), Retention::UntilRemoved);
        Ok(match expected {
            None => matches!(
                self.store.create(at, &entry, version, keep).await?,
                CreateResult::Created(_)
            ),
            Some(expected) => {
                matches!(
                    self.store
                        .replace(at, expected, &entry, version, keep)
                        .await?,
                    ReplaceResult::Replaced(_)
                )
            }
        })
    }
}

/// Both writes, both ways, after every byte.
async fn writes_are_told_rightly(server: Arc<Either>) {
    for deed in [Deed::Creation, Deed::Replacement] {
        let there = cut_writes(&server, deed, every_byte(TrafficDirection::Request)).await;
        assert_eq!(there.wrong, <[String; 0]>::default());
        assert!(
            there.unknown > 200,
            "a request has some hundred bytes: {there:?}"
        );
        // Where the break of another connection takes it along, it may have been sent whole.
        assert!(
            there.written * 20 <= there.unknown,
            "a request without its end is not carried out: {there:?}"
        );
        let back = cut_writes(&server, deed, every_byte(TrafficDirection::Reply)).await;
        assert_eq!(back.wrong, <[String; 0]>::default());
        assert!(back.unknown >= 10, "an answer has some bytes: {back:?}");
        assert!(
            back.written * 10 >= back.unknown * 9,
            "what is answered is carried out: {back:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_tells_rightly_of_a_write_whose_connection_breaks() {
    writes_are_told_rightly(Arc::new(Either::postgres().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_tells_rightly_of_a_write_whose_connection_breaks() {
    writes_are_told_rightly(Arc::new(Either::redis().await)).await;
}

/// Stores that know no doubt say what is not so.
#[tokio::test(flavor = "multi_thread")]
async fn control_a_store_that_believes_something_instead_tells_wrongly() {
    for server in [Either::postgres().await, Either::redis().await].map(Arc::new) {
        for deed in [Deed::Creation, Deed::Replacement] {
            let beliefs = [
                (TrafficDirection::Reply, Belief::NotDone),
                (TrafficDirection::Reply, Belief::NeverAsked),
                (TrafficDirection::Request, Belief::Done),
            ];
            for (way, belief) in beliefs {
                let seen = cut_writes(&server, deed, control(way, belief)).await;
                assert!(
                    !seen.wrong.is_empty(),
                    "{belief:?} is not found out: {seen:?}"
                );
            }
        }
    }
}

/// Calls through a host over such wires, which break after every so many bytes, and asks another host about each call.
async fn cut_calls(server: &Arc<Either>, way: TrafficDirection, every: usize) -> Seen {
    let offset = UNIX_EPOCH.elapsed().unwrap().subsec_micros() as usize % every;
    let seen = sweep(|first| {
        let server = Arc::clone(server);
        async move {
            let (pair, mut seen) = (
                Pair::on(Line::to(&server, None).await).await,
                Seen::default(),
            );
            for bytes in (first * every + offset..).step_by(STRANDS * every) {
                if !pair.cut_call(way, bytes, &mut seen).await {
                    break;
                }
            }
            seen
        }
    });
    let seen = seen.await;
    println!(
        "calls, {way:?}: {} cuts, each {every}th byte from {offset} on",
        seen.cuts
    );
    seen
}

/// A host at the end of a wire, and another one without.
struct Pair {
    line: Line,
    host: Semel,
    other: Semel,
    charges: Charges,
}

impl Pair {
    async fn on(line: Line) -> Self {
        let (host, other) = (
            charging(Arc::clone(&line.store)).await,
            charging(Arc::clone(&line.direct)).await,
        );
        let pair = Self {
            line,
            host,
            other,
            charges: Charges::default(),
        };
        // The first call of a host notes in the ledger how long calls may matter.
        charge(&pair.host, fresh(), &pair.charges).await.unwrap();
        pair
    }

    /// Calls over a wire that breaks after so many bytes. Whether it broke.
    async fn cut_call(&self, way: TrafficDirection, bytes: usize, seen: &mut Seen) -> bool {
        let order = fresh();
        self.line.holds().await;
        self.line.wire.cut_after(way, bytes);
        let answer = charge(&self.host, order, &self.charges).await;
        if !self.line.wire.cancel_cut() {
            assert!(
                matches!(answer, Ok(Answer::Executed { .. })),
                "nothing broke: {answer:?}"
            );
            return false;
        }
        seen.cuts += 1;
        let repeated = charge(&self.other, order, &self.charges).await;
        let is_so = match &answer {
            Ok(Answer::Executed { about, .. })
                if matches!(about.recorded, RecordStatus::Yes(_)) =>
            {
                matches!(repeated, Ok(Answer::Replayed { .. }))
            }
            // Nothing ran, so the repeat is the first.
            Err(_) => matches!(repeated, Ok(Answer::Executed { .. })),
            Ok(_) => false,
        };
        let times = self.charges.of(order);
        if !is_so || times != 1 {
            seen.wrong.push(format!(
                "{bytes} bytes: {answer:?}, then {repeated:?}: charged {times} times"
            ));
        }
        true
    }
}

async fn calls_run_once(server: Arc<Either>, every: usize) {
    for (way, every, bytes) in [
        (TrafficDirection::Request, every, 1_000),
        (TrafficDirection::Reply, 1, 20),
    ] {
        let seen = cut_calls(&server, way, every).await;
        assert_eq!(seen.wrong, <[String; 0]>::default());
        assert!(
            seen.cuts * every > bytes,
            "a call has two messages: {} cuts",
            seen.cuts
        );
    }
}

/// A new connection to PostgreSQL costs 10 ms, so each run breaks some of the bytes, and another
/// run others.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_connection_to_postgres_breaks_runs_once_and_is_on_record() {
    let every = if std::env::var_os("SEMEL_SOAK_CUTS").is_some() {
        1
    } else {
        7
    };
    calls_run_once(Arc::new(Either::postgres().await), every).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_connection_to_redis_breaks_runs_once_and_is_on_record() {
    calls_run_once(Arc::new(Either::redis().await), 1).await;
}

/// The number of charges for an order if the claim is cut, and another host makes the same call
/// while the tool runs.
async fn charged_with_a_rival(server: &Either, belief: Option<Belief>) -> usize {
    let (pair, order) = (Pair::on(Line::to(server, belief).await).await, fresh());
    pair.line.holds().await;
    pair.line.wire.cut_after(TrafficDirection::Request, 40);
    let rival = async {
        let _waits_in_vain = timeout(
            Duration::from_millis(500),
            charge(&pair.other, order, &pair.charges),
        )
        .await;
    };
    let answer = charge_slowly(&pair.host, order, &pair.charges, rival).await;
    assert!(pair.line.wire.cancel_cut(), "{answer:?}");
    pair.charges.of(order)
}

/// A claim that is only believed to be written excludes no other host.
#[tokio::test(flavor = "multi_thread")]
async fn control_a_host_that_believes_in_its_claim_is_not_the_only_one() {
    for server in [Either::postgres().await, Either::redis().await] {
        assert_eq!(charged_with_a_rival(&server, None).await, 1);
        let mut charged = 1;
        // The cut may hit another connection that is made just then, and the claim arrives.
        for _try in 0..10 {
            charged = charged.max(charged_with_a_rival(&server, Some(Belief::Done)).await);
            if charged == 2 {
                break;
            }
        }
        assert_eq!(charged, 2);
    }
}
