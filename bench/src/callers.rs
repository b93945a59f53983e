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

/// How many calls so many callers make in this time: `call` again and again, or such as nobody made before.
pub(crate) fn make(
    runtime: &Runtime,
    host: &Semel,
    callers: usize,
    during: Duration,
    call: Option<&Call>,
) -> Result<u64> {
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
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
