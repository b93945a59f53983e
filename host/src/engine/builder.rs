//! What an engine is made of, when the defaults are not enough.

use super::{
    Engine, EngineState,
    cache::CodeCache,
    code::EngineId,
    compiler::{Compiler, InProcessCompiler},
    error::EngineError,
    limits::Limits,
    profile,
    slots::InstanceSlots,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Builds an [`Engine`]; begun by [`Engine::builder`].
pub struct EngineBuilder {
    limits: Limits,
    compiler: Box<dyn Compiler>,
    cache: Option<CodeCache>,
    snapshots_settings: bool,
    decided: Option<DecisionObserver>,
}

/// The callback that receives the duration of each decision.
pub(super) type DecisionObserver = Box<dyn Fn(Duration) + Send + Sync>;

impl EngineBuilder {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            compiler: Box::new(InProcessCompiler),
            cache: None,
            snapshots_settings: false,
            decided: None,
        }
    }

    /// With this compiler, such as a [`ChildCompiler`](super::ChildCompiler). Default: [`InProcessCompiler`].
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

    /// Configures a policy once, at load, and starts every decision from a snapshot of the configured instance.
    ///
    /// It is for processes that run long: loading takes twice as long, because the snapshot is compiled too, and each
    /// decision saves the reading of the settings (for `intent`, 16 of 28 µs). Default: every instance reads its
    /// settings again.
    #[must_use]
    pub fn snapshot_settings(self) -> Self {
        Self {
            snapshots_settings: true,
            ..self
        }
    }

    /// Calls back with the duration of each decision, its wait for a slot included, in the deciding thread.
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
    pub fn build(self) -> Result<Engine, EngineError> {
        let Self {
            limits,
            compiler,
            cache,
            snapshots_settings,
            decided,
        } = self;
        limits.check()?;
        let wasmtime = profile::new_engine(&limits)?;
        Ok(Engine(Arc::new(EngineState {
            id: EngineId::new(&wasmtime),
            wasmtime,
            limits,
            slots: InstanceSlots::new(limits.decision.at_once),
            compilations: Arc::new(Semaphore::new(limits.load.compilations as usize)),
            compiler,
            cache,
            snapshots_settings,
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
