//! From bytes to code: counted, checked against the contract, compiled on a thread of its own under a deadline.
//!
//! Compiled code is not kept on disk. Whoever keeps it does so in [`compile`], the only place where code comes into being.

use super::{
    census::{self, Census},
    contract,
    fault::LoadFault,
    limits::Limits,
};
use std::{sync::Arc, thread, time::Duration};
use tokio::{
    sync::{Semaphore, oneshot},
    time,
};
use wasmparser::Parser;
use wasmtime::component::Component;
use wit_component::ComponentEncoder;

/// The stack of a compiling thread. Parser and compiler call themselves as deep as types and code are nested.
const STACK_BYTES: usize = 16 << 20;

/// A component that may be run.
pub(super) struct Compiled {
    pub(super) component: Component,
    pub(super) census: Census,
    pub(super) from_module: bool,
}

/// Takes a component, or a plain module built for the contract, and compiles it.
///
/// # Errors
/// If it is no policy that this host can run within its limits.
pub(super) fn compiled(engine: &wasmtime::Engine, limits: &Limits, bytes: &[u8]) -> Result<Compiled, LoadFault> {
    let from_module = Parser::is_core_wasm(bytes);
    if !from_module && !Parser::is_component(bytes) {
        return Err(LoadFault::NotWebAssembly);
    }
    let census = census::take(bytes, limits)?;
    if from_module {
        if !census.marked {
            return Err(LoadFault::Module {
                reason: "nothing in it says that it was built for the contract".to_owned(),
            });
        }
        contract::refuse_imports(census.imports.iter())?;
        let bytes = component_of(bytes)?;
        return finish(engine, census::take(&bytes, limits)?, &bytes, from_module);
    }
    finish(engine, census, bytes, from_module)
}

fn finish(engine: &wasmtime::Engine, census: Census, bytes: &[u8], from_module: bool) -> Result<Compiled, LoadFault> {
    contract::check(&census)?;
    Ok(Compiled { component: compile(engine, bytes)?, census, from_module })
}

/// The component that a plain module was meant to become. The contract it was built for is in its custom sections.
fn component_of(module: &[u8]) -> Result<Vec<u8>, LoadFault> {
    let encode = || ComponentEncoder::default().validate(true).module(module)?.encode();
    encode().map_err(|error| LoadFault::Module { reason: format!("{error:#}") })
}

fn compile(engine: &wasmtime::Engine, component: &[u8]) -> Result<Component, LoadFault> {
    Component::from_binary(engine, component).map_err(|error| LoadFault::Malformed { reason: format!("{error:#}") })
}

/// Does `work` on a thread of its own, when there is a place for it, and waits for it until the deadline.
///
/// Work that misses its deadline cannot be stopped. It goes on, and keeps its place until it is done.
///
/// # Errors
/// Those of the work, or that it took too long or panicked.
pub(super) async fn apart<T: Send + 'static>(
    places: Arc<Semaphore>,
    deadline_seconds: u32,
    work: impl FnOnce() -> Result<T, LoadFault> + Send + 'static,
) -> Result<T, LoadFault> {
    let gave_up = |reason: &str| LoadFault::Compiler { reason: reason.to_owned() };
    let done = async {
        let place = places.acquire_owned().await.map_err(|_| gave_up("no thread for it"))?;
        let (sender, receiver) = oneshot::channel();
        let thread = thread::Builder::new().name("semel-compile".to_owned()).stack_size(STACK_BYTES);
        let started = thread.spawn(move || {
            let result = work();
            drop(place);
            // Who asked may have stopped waiting.
            let _ = sender.send(result);
        });
        started.map_err(|error| gave_up(&format!("no thread for it ({error})")))?;
        receiver.await.map_err(|_| gave_up("it panicked"))?
    };
    time::timeout(Duration::from_secs(u64::from(deadline_seconds)), done)
        .await
        .map_err(|_| LoadFault::Deadline { seconds: deadline_seconds })?
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, reason = "a test")]

    use super::*;
    use std::sync::mpsc;

    fn places(count: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(count))
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_at_the_deadline_and_the_work_keeps_its_place_until_it_is_done() {
        let places = places(1);
        let (end, wait) = mpsc::channel::<()>();
        let endless = apart(Arc::clone(&places), 7, move || {
            let _ = wait.recv();
            Ok(())
        });
        assert_eq!(endless.await, Err(LoadFault::Deadline { seconds: 7 }));
        let next = apart(Arc::clone(&places), 7, || Ok(()));
        assert_eq!(next.await, Err(LoadFault::Deadline { seconds: 7 }), "its place is taken");
        drop(end);
        let _place = places.acquire().await;
    }

    #[tokio::test]
    async fn a_compiler_that_panics_harms_nobody() {
        let places = places(1);
        let panicking = apart(Arc::clone(&places), 7, || -> Result<(), LoadFault> { panic!("this is meant to be") });
        assert!(matches!(panicking.await, Err(LoadFault::Compiler { .. })));
        assert_eq!(apart(places, 7, || Ok(17)).await, Ok(17));
    }
}
