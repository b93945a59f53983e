//! Whatever is asked in whatever order, the ledger in a file answers as the one in memory does: some 6,000 steps.

use super::*;
use crate::{
    ledger::{State, StateLabel},
    store::{
        MemoryStore, Moment,
        conformance::{handle, key, operation, tenant},
    },
    words::Incarnation,
};
use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::TestCaseResult};

#[derive(Debug, Clone)]
enum Step {
    Create { key: u32, entry: Arc<Entry>, keep: Keep },
    Replace { key: u32, version: Which, entry: Arc<Entry>, keep: Keep },
    Remove { key: u32, version: Which },
    Get { key: u32 },
    List(Query),
    Purge { at_most: usize },
    Pass { ms: u64 },
    SetBack { ms: u64 },
    Reboot,
}

/// Which of the versions ever written at a key, counted from the last.
type Which = usize;

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..3_u32;
    let version = || prop_oneof![5 => Just(0_usize), 1 => 0..4_usize];
    prop_oneof![
        5 => (key(), entry(), keep()).prop_map(|(key, entry, keep)| Step::Create { key, entry, keep }),
        5 => (key(), version(), entry(), keep())
            .prop_map(|(key, version, entry, keep)| Step::Replace { key, version, entry, keep }),
        2 => (key(), version()).prop_map(|(key, version)| Step::Remove { key, version }),
        3 => key().prop_map(|key| Step::Get { key }),
        3 => query().prop_map(Step::List),
        // All or none: which go first is each store's own affair, and shows if the clock is set back afterwards.
        1 => select(vec![0, 100]).prop_map(|at_most| Step::Purge { at_most }),
        2 => (0..30_000_u64).prop_map(|ms| Step::Pass { ms }),
        1 => (0..30_000_u64).prop_map(|ms| Step::SetBack { ms }),
        1 => Just(Step::Reboot),
    ]
}

fn entry() -> impl Strategy<Value = Arc<Entry>> {
    let reason = || "a sample".to_owned();
    let states = vec![
        State::Started,
        State::InDoubt { reason: reason() },
        State::Held { reason: reason(), two_effects: true },
        State::Waiting { continuation: reason(), limit_seconds: 10 },
        State::Undone { by: None },
    ];
    let of = || select(vec!["acme", "zenith"]);
    prop_oneof![
        (of(), select(states)).prop_map(|(of, state)| operation(of, state)),
        (of(), any::<u32>()).prop_map(|(of, generation)| handle(of, generation)),
    ]
}

fn keep() -> impl Strategy<Value = Keep> {
    let seconds = prop_oneof![8 => 0..40_u64, 1 => Just(u64::MAX), 1 => Just(u64::MAX / 1000)];
    prop_oneof![Just(Keep::UntilRemoved), seconds.prop_map(Keep::Seconds)]
}

fn query() -> impl Strategy<Value = Query> {
    let of = option::of(select(vec!["acme", "zenith", "nobody"]).prop_map(tenant));
    let after = option::of((0..3_u32).prop_map(key));
    (of, vec(select(&StateLabel::ALL[..]), 0..3), any::<bool>(), after, 0..4_usize)
        .prop_map(|(tenant, states, due, after, limit)| Query { tenant, states, due, after, limit })
}

/// Both stores, and the versions that were written at each key.
struct Pair {
    clock: Arc<SettableClock>,
    stores: [(Arc<dyn Store>, Incarnation); 2],
    versions: [Vec<Version>; 3],
    writes: u128,
    _folder: TempDir,
}

impl Pair {
    async fn new() -> Self {
        let (clock, folder) = (Arc::new(SettableClock::default()), folder());
        let shared = || Arc::clone(&clock) as Arc<dyn Clock>;
        let file = SqliteStore::open_with_clock(ledger_in(&folder), shared()).unwrap();
        let both: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::with_clock(shared())), Arc::new(file)];
        let mut stores = Vec::new();
        for store in both {
            let incarnation = store.get(key(0)).await.unwrap().1.incarnation;
            stores.push((store, incarnation));
        }
        let stores = stores.try_into().unwrap();
        Self { clock, stores, versions: Default::default(), writes: 0, _folder: folder }
    }

    /// What each store answers, in words that do not tell the stores apart.
    async fn both(&self, ask: impl AsyncFn(&dyn Store) -> String) -> [String; 2] {
        let [(one, its), (other, others)] = &self.stores;
        let blind = |answer: String, incarnation: &Incarnation| answer.replace(&format!("{incarnation:?}"), "…");
        [blind(ask(&**one).await, its), blind(ask(&**other).await, others)]
    }

    /// A version for the next write, and the one that is meant by `which`.
    fn versions(&mut self, key: u32, which: Which) -> (Version, Version) {
        self.writes += 1;
        let (new, written) = (Version::from_bytes(self.writes.to_be_bytes()), &mut self.versions[key as usize]);
        let meant = written.iter().rev().nth(which).copied().unwrap_or(new);
        written.push(new);
        (new, meant)
    }

    async fn take(&mut self, step: &Step) -> [String; 2] {
        match step {
            Step::Create { key: number, entry, keep } => {
                let (new, _) = self.versions(*number, 0);
                self.both(async |store| format!("{:?}", store.create(key(*number), entry, new, *keep).await)).await
            }
            Step::Replace { key: number, version, entry, keep } => {
                let (new, meant) = self.versions(*number, *version);
                self.both(async |store| format!("{:?}", store.replace(key(*number), meant, entry, new, *keep).await))
                    .await
            }
            Step::Remove { key: number, version } => {
                let (_, meant) = self.versions(*number, *version);
                self.both(async |store| format!("{:?}", store.remove(key(*number), meant).await)).await
            }
            Step::Get { key: number } => self.both(async |store| format!("{:?}", store.get(key(*number)).await)).await,
            Step::List(query) => self.both(async |store| format!("{:?}", store.list(query).await)).await,
            Step::Purge { at_most } => self.both(async |store| format!("{:?}", store.purge(*at_most).await)).await,
            Step::Pass { ms } => self.set(|clock, _| clock.advance(Duration::from_millis(*ms))),
            Step::SetBack { ms } => self.set(|clock, now| clock.set_wall_ms(now.wall_ms.saturating_sub(*ms))),
            Step::Reboot => self.set(|clock, _| clock.reboot()),
        }
    }

    fn set(&self, set: impl FnOnce(&SettableClock, Moment)) -> [String; 2] {
        set(&self.clock, self.clock.now());
        [String::new(), String::new()]
    }
}

async fn answer_alike(steps: Vec<Step>) -> TestCaseResult {
    let mut pair = Pair::new().await;
    for step in &steps {
        let [memory, file] = pair.take(step).await;
        prop_assert_eq!(memory, file, "after {:?}", step);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_answer_alike(steps in vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(answer_alike(steps))?;
    }
}
