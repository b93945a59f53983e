//! Compilers: this process, a child process, or one of the embedder's.

mod child;
mod descriptors;
mod inside;
mod message;

pub use child::ChildCompiler;
pub use inside::compile_for_parent;

use super::{
    code::{EngineId, MachineCode},
    error::LoadError,
    limits::Limits,
    profile,
};
use std::fmt;

/// The stack of a compiling thread. Parser and compiler call themselves as deep as types and code are nested.
pub(super) const STACK_BYTES: usize = 16 << 20;

/// A request to compile a component for an engine.
pub struct CompileRequest<'a> {
    pub(super) component: &'a [u8],
    pub(super) limits: &'a Limits,
    pub(super) engine: EngineId,
}

impl CompileRequest<'_> {
    /// The component. It was counted and held against the contract; whether it is *valid* only a compiler finds out.
    #[must_use]
    pub fn component(&self) -> &[u8] {
        self.component
    }

    /// The limits of the engine.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.limits
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> EngineId {
        self.engine
    }
}

impl fmt::Debug for CompileRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("bytes", &self.component.len())
            .field("engine", &self.engine)
            .finish()
    }
}

/// Turns a component into machine code.
///
/// It is called on a thread of its own, with a stack that suits a compiler, and may take its time:
/// the caller gets an error at the engine's deadline. It must not keep a slot for ever; see
/// [`LoadLimits`](super::LoadLimits) for its limits.
pub trait Compiler: Send + Sync {
    /// Compiles.
    ///
    /// # Errors
    /// If the component is not valid, or compiling it takes more than it may.
    fn compile(&self, order: &CompileRequest<'_>) -> Result<MachineCode, LoadError>;
}

/// Compiles in this process.
///
/// Only the counts of [`LoadLimits`](super::LoadLimits) bound its cost; it cannot be stopped once
/// it runs. For policies by strangers, take [`ChildCompiler`].
#[derive(Debug, Clone, Copy, Default)]
pub struct InProcessCompiler;

impl Compiler for InProcessCompiler {
    fn compile(&self, order: &CompileRequest<'_>) -> Result<MachineCode, LoadError> {
        let engine = profile::new_compiling_engine(order.limits)
            .map_err(|fault| gave_up(fault.to_string()))?;
        if EngineId::new(&engine) != order.engine {
            return Err(gave_up("it is set up otherwise than the engine that asks"));
        }
        let code = engine.precompile_component(order.component);
        code.map(MachineCode::vouched_for)
            .map_err(|error| LoadError::Malformed {
                reason: format!("{error:#}"),
            })
    }
}

pub(super) fn gave_up(reason: impl Into<String>) -> LoadError {
    LoadError::Compiler {
        reason: reason.into(),
    }
}
