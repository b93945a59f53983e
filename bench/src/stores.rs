//! A guarded call on a ledger in PostgreSQL or Redis. Its floor is the bare statements or scripts that it needs. The servers
//! run on the same cores as the callers, and each figure is measured in turn with its floor.

mod history;
mod postgres;
mod redis;

use crate::{callers, fixtures, results::ResultTable, sample::Sample};
use anyhow::{Context, Result, ensure};
use semel::{
    model::Call,
    runtime::Semel,
    store::{CreateResult, Retention, Store},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// The number of concurrent callers.
const CALLERS: usize = 64;

/// The time of one round, after which the floor has its turn.
const TURN: Duration = Duration::from_millis(1_500);

/// The number of rounds.
const TURNS: usize = 5;

/// The number of measured wake-ups.
const WAITS: usize = 40;

pub(crate) fn measure(rows: &mut ResultTable, folder: &Path) -> Result<()> {
    // PostgreSQL refuses to run as root, so servers run as another user.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    postgres::measure(rows, folder)?;
    redis::measure(rows, folder)
}

/// Measures a ledger with `length` settled operations, compared with a short one.
pub(crate) fn measure_history(rows: &mut ResultTable, folder: &Path, length: u32) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    history::measure(rows, folder, length)
}

/// A host with one guarded tool, on a ledger.
struct GuardedHost {
    runtime: Runtime,
    host: Semel,
}

impl GuardedHost {
    fn open(runtime: Runtime, store: Arc<dyn Store>) -> Result<Self> {
        let policy = fixtures::load_policy(
            &runtime,
            "intent",
            fixtures::refund_settings_without_handles(),
        )?;
        let host = fixtures::open_host(&runtime, store, policy)?;
        Ok(Self { runtime, host })
    }

    /// Returns the microseconds of an executed call of one caller, in a task of the runtime as in a server.
    fn time_one_caller(&self) -> Result<f64> {
        let host = self.host.clone();
        let calling = self.runtime.spawn(async move {
            let begun = Instant::now();
            let mut done = 0;
            while begun.elapsed() < TURN {
                fixtures::execute_call(&host, fixtures::new_call()?).await?;
                done += 1;
            }
            anyhow::Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(done))
        });
        self.runtime.block_on(calling)?
    }

    /// Returns the calls per second of concurrent callers. They repeat `call`, or make new calls.
    fn rate_of_callers(&self, call: Option<&Call>) -> Result<f64> {
        let done = callers::count_calls(&self.runtime, &self.host, CALLERS, TURN, call)?;
        Ok(done as f64 / TURN.as_secs_f64())
    }

    /// Makes a new call, and returns it once it is settled.
    fn settle_call(&self) -> Result<Call> {
        let call = fixtures::new_call()?;
        self.runtime
            .block_on(fixtures::execute_call(&self.host, call.clone()))?;
        Ok(call)
    }
}

/// Measures the milliseconds from the beginning of a write in one store until a waiter in another wakes.
fn time_wakeups(runtime: &Runtime, one: Arc<dyn Store>, other: Arc<dyn Store>) -> Result<Sample> {
    runtime.block_on(async {
        let key = semel_conformance::key(1);
        let mut version = semel_conformance::fresh_version();
        let created = one
            .create(
                key,
                &semel_conformance::entry(1),
                version,
                Retention::UntilRemoved,
            )
            .await?;
        ensure!(
            matches!(created, CreateResult::Created(_)),
            "the ledger is not fresh"
        );
        let mut waits = Vec::new();
        for number in 0..WAITS {
            let waiting = Arc::clone(&other);
            let waiter = tokio::spawn(async move {
                waiting
                    .wait_for_change(key, version, Duration::from_secs(10))
                    .await;
                Instant::now()
            });
            tokio::time::sleep(Duration::from_millis(100)).await;
            let next = semel_conformance::fresh_version();
            let written = Instant::now();
            let entry = semel_conformance::entry(u32::try_from(number)?);
            one.replace(key, version, &entry, next, Retention::UntilRemoved)
                .await?;
            waits.push((waiter.await? - written).as_secs_f64() * 1e3);
            version = next;
        }
        Ok(Sample::from_values(waits))
    })
}

/// Measures a work and its floor in turn. The first turn of each warms up and does not count.
fn measure_in_turn(
    mut work: impl FnMut() -> Result<f64>,
    mut floor: impl FnMut() -> Result<f64>,
) -> Result<[Sample; 2]> {
    let mut works = Vec::new();
    let mut floors = Vec::new();
    for turn in 0..=TURNS {
        let one = work()?;
        let other = floor()?;
        if turn > 0 {
            works.push(one);
            floors.push(other);
        }
    }
    Ok([Sample::from_values(works), Sample::from_values(floors)])
}

/// Returns the candidate with the highest rate.
fn highest_rate<T: Copy>(of: &[T], rate: impl Fn(T) -> Result<f64>) -> Result<T> {
    let mut best: Option<(T, f64)> = None;
    for one in of {
        let rate = rate(*one)?;
        best = best
            .filter(|(_, most)| *most >= rate)
            .or(Some((*one, rate)));
    }
    best.map(|(one, _)| one).context("nothing was compared")
}
