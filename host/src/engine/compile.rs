//! From bytes to code: found in the cache, or counted, held against the contract, and compiled; all on a thread of its
//! own, under a deadline that no clock of a runtime has a part in.

use super::{
    EngineState,
    cache::{ComponentFacts, EntryName},
    census, compiler,
    compiler::{CompileRequest, STACK_BYTES},
    contract,
    error::LoadError,
};
use parking_lot::Mutex;
use std::{
    borrow::Cow,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use tokio::sync::{Semaphore, oneshot};
use wasmparser::Parser;
use wasmtime::component::Component;
use wit_component::ComponentEncoder;

/// A component that may be run.
pub(super) struct CompiledComponent {
    pub(super) component: Component,
    pub(super) facts: ComponentFacts,
}

impl EngineState {
    /// Compiles a component, or a plain module built for the contract, unless its code is cached.
    ///
    /// # Errors
    /// If it is not a policy that this host can run within its limits.
    pub(super) fn compile_or_reuse(
        &self,
        bytes: &[u8],
        digest: [u8; 32],
    ) -> Result<CompiledComponent, LoadError> {
        let name = EntryName::new(digest, self.id, &self.limits);
        if let Some(compiled) = self.find_cached(&name) {
            return Ok(compiled);
        }
        let (bytes, facts) = self.check_component(bytes)?;
        self.compile_new(&bytes, &name, facts)
    }

    /// Compiles a component that is checked, or derived here from a checked one, unless its code is cached.
    ///
    /// # Errors
    /// If it cannot be compiled within the limits.
    pub(super) fn code_of(
        &self,
        component: &[u8],
        digest: [u8; 32],
        facts: ComponentFacts,
    ) -> Result<CompiledComponent, LoadError> {
        let name = EntryName::new(digest, self.id, &self.limits);
        self.find_cached(&name)
            .map_or_else(|| self.compile_new(component, &name, facts), Ok)
    }

    fn compile_new(
        &self,
        bytes: &[u8],
        name: &EntryName,
        facts: ComponentFacts,
    ) -> Result<CompiledComponent, LoadError> {
        let order = CompileRequest {
            component: bytes,
            limits: &self.limits,
            engine: self.id,
        };
        tracing::debug!(bytes = bytes.len(), "compiling a policy");
        let code = self.compiler.compile(&order)?;
        let component = code.ready(&self.wasmtime)?;
        // Cached only once it is loaded, so that no entry holds code that this engine refuses.
        if let Some(cache) = &self.cache {
            cache.keep(name, &facts, &code);
        }
        Ok(CompiledComponent { component, facts })
    }

    /// Returns the cached component. It was counted before it was cached: the limits are part of
    /// the name.
    fn find_cached(&self, name: &EntryName) -> Option<CompiledComponent> {
        let (facts, code) = self
            .cache
            .as_ref()?
            .find(name, u64::from(self.limits.load.code_bytes))?;
        let component = code.ready(&self.wasmtime).ok()?;
        Some(CompiledComponent { component, facts })
    }

    /// Checks the contents of a component or module against the limits and the contract, and returns a component.
    pub(super) fn check_component<'a>(
        &self,
        bytes: &'a [u8],
    ) -> Result<(Cow<'a, [u8]>, ComponentFacts), LoadError> {
        let from_module = Parser::is_core_wasm(bytes);
        if !from_module && !Parser::is_component(bytes) {
            return Err(LoadError::NotWebAssembly);
        }
        let mut census = census::take_census(bytes, &self.limits)?;
        let mut component = Cow::Borrowed(bytes);
        if from_module {
            if !census.marked {
                let reason = "nothing in it says that it was built for the contract".to_owned();
                return Err(LoadError::Module { reason });
            }
            contract::refuse_imports(census.imports.iter())?;
            component = Cow::Owned(component_of(bytes)?);
            // The encoder adds parts of its own, and the limits hold for what is compiled.
            census = census::take_census(&component, &self.limits)?;
        }
        contract::check(&census)?;
        Ok((
            component,
            ComponentFacts {
                census,
                from_module,
            },
        ))
    }
}

/// Returns the component of a plain module. The contract that the module was built for is in its custom sections.
fn component_of(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let encode = || {
        ComponentEncoder::default()
            .validate(true)
            .module(module)?
            .encode()
    };
    encode().map_err(|error| LoadError::Module {
        reason: format!("{error:#}"),
    })
}

/// A reply that is sent once: by the work or by the deadline, whichever is first.
struct FirstReply<T>(Arc<Mutex<Option<oneshot::Sender<T>>>>);

impl<T> FirstReply<T> {
    fn new(sender: oneshot::Sender<T>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    fn handle(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn send(&self, what: T) {
        let sender = self.0.lock().take();
        // The caller may have stopped waiting.
        let _ = sender.map(|sender| sender.send(what));
    }
}

/// Runs `work` on a thread of its own, once it has a permit, and waits for the result until the deadline.
///
/// Work that misses its deadline cannot be stopped from here. It goes on, and keeps its permit until it is done.
///
/// # Errors
/// Those of the work, or that it took too long or panicked.
pub(super) async fn run_on_thread<T: Send + 'static>(
    places: Arc<Semaphore>,
    deadline: Duration,
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let (sender, mut receiver) = oneshot::channel();
    let first = FirstReply::new(sender);
    let is_done = watch_deadline(deadline, first.handle())?;
    let place = tokio::select! {
        biased;
        place = places.acquire_owned() => place.map_err(|_| compiler::gave_up("no place for it"))?,
        late = &mut receiver => return late.unwrap_or_else(|_| Err(compiler::gave_up("its deadline is not watched"))),
    };
    let work = move || {
        let result = work();
        // Before the reply: a caller that has its reply may start the next work at once.
        drop((place, is_done));
        first.send(result);
    };
    spawn_thread("semel-compile", STACK_BYTES, work)?;
    receiver
        .await
        .unwrap_or_else(|_| Err(compiler::gave_up("it panicked")))
}

/// Replies with an error at the deadline, unless the returned sender is dropped before.
fn watch_deadline<T: Send + 'static>(
    deadline: Duration,
    first: FirstReply<Result<T, LoadError>>,
) -> Result<mpsc::Sender<()>, LoadError> {
    /// The thread only waits, and sends one reply.
    const WATCHING_STACK_BYTES: usize = 64 << 10;
    let (is_done, watched) = mpsc::channel();
    let watch = move || {
        if watched.recv_timeout(deadline) == Err(mpsc::RecvTimeoutError::Timeout) {
            let seconds = u32::try_from(deadline.as_secs()).unwrap_or(u32::MAX);
            first.send(Err(LoadError::Deadline { seconds }));
        }
    };
    spawn_thread("semel-deadline", WATCHING_STACK_BYTES, watch)?;
    Ok(is_done)
}

fn spawn_thread(
    name: &str,
    stack_bytes: usize,
    work: impl FnOnce() + Send + 'static,
) -> Result<(), LoadError> {
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .stack_size(stack_bytes)
        .spawn(work);
    thread
        .map(drop)
        .map_err(|error| compiler::gave_up(format!("no thread for it ({error})")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, reason = "a test")]

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_secs(60);

    fn places(count: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(count))
    }

    #[tokio::test]
    async fn who_waits_is_told_at_the_deadline_and_the_work_keeps_its_place_until_it_is_done() {
        let places = places(1);
        let (end, wait) = mpsc::channel::<()>();
        let endless = run_on_thread(Arc::clone(&places), SOON, move || {
            let _ = wait.recv();
            Ok(())
        });
        assert_eq!(endless.await, Err(LoadError::Deadline { seconds: 0 }));
        let next = run_on_thread(Arc::clone(&places), SOON, || Ok(()));
        assert_eq!(
            next.await,
            Err(LoadError::Deadline { seconds: 0 }),
            "its place is taken"
        );
        drop(end);
        let _place = places.acquire().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_brings_no_deadline_nearer() {
        let slow = run_on_thread(places(1), LATE, || {
            thread::sleep(Duration::from_millis(100));
            Ok(17)
        });
        assert_eq!(slow.await, Ok(17));
    }

    #[tokio::test]
    async fn a_compiler_that_panics_harms_nobody() {
        let places = places(1);
        let panicking = run_on_thread(Arc::clone(&places), LATE, || -> Result<(), LoadError> {
            panic!("this is meant to be")
        });
        assert!(matches!(panicking.await, Err(LoadError::Compiler { .. })));
        assert_eq!(run_on_thread(places, LATE, || Ok(17)).await, Ok(17));
    }
}
