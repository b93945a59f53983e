//! Many callers at once.

use crate::world;
use anyhow::Result;
use semel::{model::Call, runtime::Semel};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Runtime;

/// Returns the calls that so many callers make in this time: `call` repeatedly, or calls that are new.
pub(crate) fn make(
    runtime: &Runtime,
    host: &Semel,
    callers: usize,
    during: Duration,
    call: Option<&Call>,
) -> Result<u64> {
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            runtime.spawn(keep_calling(
                host.clone(),
                call.cloned(),
                Arc::clone(&stop),
                Arc::clone(&done),
            ))
        })
        .collect();
    std::thread::sleep(during);
    let counted = done.load(Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        runtime.block_on(caller)??;
    }
    Ok(counted)
}

async fn keep_calling(
    host: Semel,
    call: Option<Call>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        match &call {
            Some(call) => world::replay(&host, call.clone()).await?,
            None => world::execute(&host, world::fresh_call()?).await?,
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
