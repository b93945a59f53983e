//! What an engine is made of, when the defaults are not enough.

use super::{
    Engine, Shared,
    cache::CodeCache,
    code::EngineId,
    compiler::{Compiler, InProcess},
    fault::EngineFault,
    limits::Limits,
    places::Places,
    profile,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Builds an [`Engine`]; begun by [`Engine::builder`].
pub struct EngineBuilder {
    limits: Limits,
    compiler: Box<dyn Compiler>,
    cache: Option<CodeCache>,
    configures_once: bool,
    decided: Option<Decided>,
}

/// Who is told how long a decision took.
pub(super) type Decided = Box<dyn Fn(Duration) + Send + Sync>;

impl EngineBuilder {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            compiler: Box::new(InProcess),
            cache: None,
            configures_once: true,
            decided: None,
        }
    }

    /// With this compiler, such as a [`ChildCompiler`](super::ChildCompiler). Default: [`InProcess`].
    #[must_use]
    pub fn compiler(self, compiler: impl Compiler + 'static) -> Self {
        Self {
            compiler: Box::new(compiler),
            ..self
        }
    }

    /// Keeps compiled code between runs. Default: every process compiles for itself.
    #[must_use]
    pub fn cache(self, cache: CodeCache) -> Self {
        Self {
            cache: Some(cache),
            ..self
        }
    }

    /// Lets each instance take its settings in anew, which costs every decision the reading of them. Default: they are
    /// taken in once, and instances begin where that had come to, which costs a second compilation at load. For hosts
    /// that make a few decisions and end.
    #[must_use]
    pub fn configure_each_time(self) -> Self {
        Self {
            configures_once: false,
            ..self
        }
    }

    /// Tells how long each decision took, its wait for a place included. It is told in the thread that decides.
    #[must_use]
    pub fn on_decision(self, told: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self {
            decided: Some(Box::new(told)),
            ..self
        }
    }

    /// The engine.
    ///
    /// # Errors
    /// If a limit makes no sense, or this machine does not let an engine run.
    pub fn build(self) -> Result<Engine, EngineFault> {
        let Self {
            limits,
            compiler,
            cache,
            configures_once,
            decided,
        } = self;
        limits.check()?;
        let wasmtime = profile::engine(&limits)?;
        Ok(Engine(Arc::new(Shared {
            id: EngineId::of(&wasmtime),
            wasmtime,
            limits,
            places: Places::new(limits.decision.at_once),
            compilations: Arc::new(Semaphore::new(limits.load.compilations as usize)),
            compiler,
            cache,
            configures_once,
            decided,
        })))
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("limits", &self.limits)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
