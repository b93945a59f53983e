//! Concurrent callers of one host.

use crate::fixtures;
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

/// Returns the number of calls that the callers complete in this time. They repeat `call`, or make new calls.
pub(crate) fn count_calls(
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
            Some(call) => fixtures::replay_call(&host, call.clone()).await?,
            None => fixtures::execute_call(&host, fixtures::new_call()?).await?,
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
