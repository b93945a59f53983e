//! A guarded call on ledgers that servers keep, beside the bare statements or scripts that it needs. The servers are started
//! here, on the same cores as the callers, and each figure is measured in turn with its floor.

mod history;
mod postgres;
mod redis;

use crate::{callers, row::Rows, sample::Sample, world};
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

/// The number of callers where there are many.
const CALLERS: usize = 64;

/// The time of a round before its floor has its turn, and the number of rounds.
const TURN: Duration = Duration::from_millis(1_500);
const TURNS: usize = 5;

/// The number of waits.
const WAITS: usize = 40;

pub(crate) fn measure(rows: &mut Rows, folder: &Path) -> Result<()> {
    // Servers are started as another user.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    postgres::measure(rows, folder)?;
    redis::measure(rows, folder)
}

/// Measures a ledger with so many settled operations, beside a short one.
pub(crate) fn measure_history(rows: &mut Rows, folder: &Path, length: u32) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    history::measure(rows, folder, length)
}

/// A host on a ledger.
struct Guarded {
    runtime: Runtime,
    host: Semel,
}

impl Guarded {
    fn on(runtime: Runtime, store: Arc<dyn Store>) -> Result<Self> {
        let policy = world::policy(&runtime, "intent", world::refunding_without_handles())?;
        let host = world::host(&runtime, store, policy)?;
        Ok(Self { runtime, host })
    }

    /// Returns the microseconds of an executed call of one caller, in a task as a server has them.
    fn alone(&self) -> Result<f64> {
        let host = self.host.clone();
        let calling = self.runtime.spawn(async move {
            let begun = Instant::now();
            let mut done = 0;
            while begun.elapsed() < TURN {
                world::execute(&host, world::fresh_call()?).await?;
                done += 1;
            }
            anyhow::Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(done))
        });
        self.runtime.block_on(calling)?
    }

    /// Returns the calls per second of many callers: `call` repeatedly, or calls that are new.
    fn crowd(&self, call: Option<&Call>) -> Result<f64> {
        let done = callers::make(&self.runtime, &self.host, CALLERS, TURN, call)?;
        Ok(done as f64 / TURN.as_secs_f64())
    }

    /// A call that is settled.
    fn settled(&self) -> Result<Call> {
        let call = world::fresh_call()?;
        self.runtime
            .block_on(world::execute(&self.host, call.clone()))?;
        Ok(call)
    }
}

/// Milliseconds from before a settlement is asked for in one store until a waiter of another has woken.
fn wakings(runtime: &Runtime, one: Arc<dyn Store>, other: Arc<dyn Store>) -> Result<Sample> {
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
        Ok(Sample::of(waits))
    })
}

/// Something, and its floor, in turn. The first turn of each is not counted.
fn in_turn(
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
    Ok([Sample::of(works), Sample::of(floors)])
}

/// Which of these does most in a second.
fn best<T: Copy>(of: &[T], rate: impl Fn(T) -> Result<f64>) -> Result<T> {
    let mut best: Option<(T, f64)> = None;
    for one in of {
        let rate = rate(*one)?;
        best = best
            .filter(|(_, most)| *most >= rate)
            .or(Some((*one, rate)));
    }
    best.map(|(one, _)| one).context("nothing was compared")
}
