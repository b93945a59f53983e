//! Loads policies and asks them.
//!
//! A policy is a WebAssembly component that imports nothing and answers in the words of `wit/policy.wit`. This module
//! takes its bytes, refuses what is not one, and makes decisions with what is: each by a fresh instance, within
//! [`Limits`] that hold whatever the component does. It is the only part of Semel that knows wasmtime, and no type of
//! wasmtime leaves it.
//!
//! Absent: files and names of policies (the caller reads the bytes), and any judgement of an
//! answer's meaning.
//!
//! **What it costs** (`cargo xtask bench`, two cores): a fresh instance that answers at once takes 6.5 µs, a quarter of it for
//! asking the kernel which pages the last one wrote. One derive takes `intent` 10.7 µs where the same code takes 5.8 µs
//! natively with its settings to read, and `hints` 11.4 µs beside 1.6 µs; two threads make 1.94 times as many as one.
//!
//! ```no_run
//! # async fn example(component: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! use semel::{engine::{Engine, Limits}, model::Call};
//! use serde_json::json;
//!
//! let engine = Engine::new(Limits::default())?;
//! let policy = engine.load(&component, json!({})).await?;
//! let derivation = policy.derive(&Call::new("refund", json!({ "order": 17 }))?)?;
//! # Ok(()) }
//! ```
//!
//! A host of its own takes more care: it compiles in a child that can be killed, and keeps the code between runs.
//!
//! ```no_run
//! use semel::engine::{ChildCompiler, CodeCache, Engine, Limits};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder(Limits::default())
//!     .compiler(ChildCompiler::of_this_program(["compile"])?)
//!     .cache(CodeCache::in_folder("/var/cache/my-host/code"))
//!     .build()?;
//! # Ok(()) }
//! ```

mod bindings;
mod budget;
mod builder;
mod cache;
mod census;
mod code;
mod compile;
mod compiler;
mod contract;
mod error;
mod exports;
mod inspection;
mod lift;
mod limits;
mod lower;
mod policy;
mod profile;
mod slots;
mod snapshot;

pub use builder::EngineBuilder;
pub use cache::{CacheError, CacheState, CodeCache};
pub use census::ComponentCensus;
pub use code::{EngineId, MachineCode};
pub use compiler::{
    ChildCompiler, CompileRequest, Compiler, InProcessCompiler, compile_for_parent,
};
pub use error::{EngineError, LoadError, PolicyError, PolicyErrorKind, PolicyFunction};
pub use inspection::PolicyInspection;
pub use limits::{DecisionLimits, Limits, LoadLimits};
pub use policy::Policy;

use crate::{
    json::{JsonValue, canonical},
    model::{PolicyDescription, PolicyDigest},
};
use budget::ResourceBudget;
use compile::CompiledComponent;
use exports::ContractExports;
use lift::AnswerMistake;
use policy::{LoadedPolicy, PolicyInstance, PolicyRunner};
use sha2::{Digest, Sha256};
use slots::InstanceSlots;
use snapshot::ConfiguredPolicy;
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use wasmtime::{Store, component::Linker};

/// Loads policies. Cheap to clone; all clones share one pool of memory and one set of limits.
#[derive(Clone)]
pub struct Engine(Arc<EngineState>);

/// The state that all policies of an engine share.
struct EngineState {
    wasmtime: wasmtime::Engine,
    /// The engine that machine code must be made for.
    id: EngineId,
    limits: Limits,
    slots: InstanceSlots,
    compilations: Arc<Semaphore>,
    compiler: Box<dyn Compiler>,
    cache: Option<CodeCache>,
    /// If set, a policy is configured once, at load, and its instances start from a snapshot.
    snapshots_settings: bool,
    /// The callback that receives the duration of each decision.
    decided: Option<builder::DecisionObserver>,
}

impl Engine {
    /// An engine within these limits, which compiles in this process and keeps no code.
    ///
    /// # Errors
    /// If a limit makes no sense, or this machine does not let an engine run.
    pub fn new(limits: Limits) -> Result<Self, EngineError> {
        Self::builder(limits).build()
    }

    /// An engine within these limits, with a compiler and a cache of one's choice.
    #[must_use]
    pub fn builder(limits: Limits) -> EngineBuilder {
        EngineBuilder::new(limits)
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Takes a component (or a plain module that was built for the contract) as a policy with these settings.
    ///
    /// It is compiled on a thread of its own, asked to describe itself, and given its settings once, so that what is
    /// wrong with them shows now.
    ///
    /// # Errors
    /// If the bytes are no policy, it refuses its settings, or it takes too long.
    pub async fn load(
        &self,
        bytes: &[u8],
        settings: impl Into<JsonValue>,
    ) -> Result<Policy, LoadError> {
        let settings = settings.into();
        self.run_on_thread(bytes, move |shared, bytes| shared.load(bytes, &settings))
            .await
    }

    /// Returns a component's description and contents, without giving it settings.
    ///
    /// # Errors
    /// If the bytes are no policy, or it takes too long.
    pub async fn inspect(
        &self,
        bytes: &[u8],
    ) -> Result<(PolicyDescription, PolicyInspection), LoadError> {
        let inspect = |shared: Arc<EngineState>, bytes: &[u8]| {
            let compiled = shared.compile_or_reuse(bytes, digest(bytes).finalize().into())?;
            let inspection = PolicyInspection::new(&compiled);
            shared.check_room(&inspection)?;
            Ok((shared.runner(&compiled)?.introduced()?.1, inspection))
        };
        self.run_on_thread(bytes, inspect).await
    }

    /// Works on a component on a thread of its own, with a deadline.
    async fn run_on_thread<T: Send + 'static>(
        &self,
        bytes: &[u8],
        work: impl FnOnce(Arc<EngineState>, &[u8]) -> Result<T, LoadError> + Send + 'static,
    ) -> Result<T, LoadError> {
        let limits = &self.0.limits.load;
        let found = bytes.len() as u64;
        let limit = u64::from(limits.component_bytes);
        if found > limit {
            return Err(LoadError::TooLarge {
                what: "bytes",
                found,
                limit,
                name: "component-bytes",
            });
        }
        // Copied, since work that misses its deadline goes on after the caller has left.
        let shared = Arc::clone(&self.0);
        let bytes = bytes.to_vec();
        let places = Arc::clone(&self.0.compilations);
        let deadline = Duration::from_secs(u64::from(limits.deadline_seconds));
        compile::run_on_thread(places, deadline, move || work(shared, &bytes)).await
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

impl EngineState {
    fn load(self: Arc<Self>, bytes: &[u8], settings: &JsonValue) -> Result<Policy, LoadError> {
        let settings = canonical(settings);
        let found = settings.len() as u64;
        let limit = u64::from(self.limits.load.settings_bytes);
        if found > limit {
            return Err(LoadError::TooLarge {
                what: "bytes of settings",
                found,
                limit,
                name: "settings-bytes",
            });
        }
        let digest = digest(bytes);
        let once = self
            .snapshots_settings
            .then(|| snapshot::configured(&self, bytes, &settings))
            .transpose()?
            .flatten();
        if let Some(ConfiguredPolicy {
            runner,
            description,
            inspection,
            warnings,
        }) = once
        {
            let digest = with_settings(digest, &settings);
            return Ok(Policy(Arc::new(LoadedPolicy {
                runner,
                settings: None,
                description,
                digest,
                inspection,
                warnings,
            })));
        }
        let compiled = self.compile_or_reuse(bytes, digest.clone().finalize().into())?;
        let inspection = PolicyInspection::new(&compiled);
        self.check_room(&inspection)?;
        let (runner, description) = self.runner(&compiled)?.introduced()?;
        let warnings = runner.take_settings(&mut runner.start()?, &settings)?;
        let digest = with_settings(digest, &settings);
        Ok(Policy(Arc::new(LoadedPolicy {
            runner,
            settings: Some(settings),
            description,
            digest,
            inspection,
            warnings,
        })))
    }

    fn runner(self: Arc<Self>, compiled: &CompiledComponent) -> Result<PolicyRunner, LoadError> {
        let linked = Linker::new(&self.wasmtime).instantiate_pre(&compiled.component);
        let pre = linked.map_err(|error| LoadError::Contract {
            reason: format!("{error:#}"),
        })?;
        Ok(PolicyRunner {
            shared: self,
            pre,
            exports: ContractExports::new(&compiled.component)?,
            name: "unnamed".to_owned(),
        })
    }

    /// Checks that an instance can start within the limits.
    fn check_room(&self, needs: &PolicyInspection) -> Result<(), LoadError> {
        let limits = &self.limits.decision;
        let wanted = [
            (
                "bytes of memory at the start",
                needs.memory_bytes,
                limits.memory_bytes,
                "memory-bytes",
            ),
            (
                "memories",
                u64::from(needs.memories),
                u64::from(limits.memories),
                "memories",
            ),
            (
                "table entries",
                needs.table_elements,
                u64::from(limits.table_elements),
                "table-elements",
            ),
            (
                "tables",
                u64::from(needs.tables),
                u64::from(limits.tables),
                "tables",
            ),
        ];
        let over = wanted
            .into_iter()
            .find(|(_, found, limit, _)| found > limit);
        over.map_or(Ok(()), |(what, found, limit, name)| {
            Err(LoadError::TooLarge {
                what,
                found,
                limit,
                name,
            })
        })
    }

    /// Creates the store of one instance, with its limits.
    fn store(&self) -> Result<Store<ResourceBudget>, PolicyErrorKind> {
        let limits = &self.limits.decision;
        let mut store = Store::new(&self.wasmtime, ResourceBudget::within(limits));
        store.limiter(|room| room);
        store.set_hostcall_fuel(limits.answer_bytes as usize);
        store
            .set_fuel(limits.fuel)
            .map_err(|error| PolicyErrorKind::NoInstance {
                reason: format!("{error:#}"),
            })?;
        Ok(store)
    }
}

impl PolicyRunner {
    /// Lets the policy say what it is. From then on faults call it by its name.
    fn introduced(mut self) -> Result<(Self, PolicyDescription), LoadError> {
        let mut running = self.start()?;
        let fits = self.exports.check(&running.instance, &mut running.store);
        fits.map_err(|error| LoadError::Contract {
            reason: format!("{error:#}"),
        })?;
        let description = self
            .describe(&mut running)?
            .map_err(|AnswerMistake(what)| LoadError::Description { what })?;
        drop(running);
        self.name.clone_from(&description.name);
        Ok((self, description))
    }

    /// Lets the policy take in its settings, as it does when it is loaded, and returns its warnings.
    fn take_settings(
        &self,
        running: &mut PolicyInstance<'_>,
        settings: &str,
    ) -> Result<Vec<String>, LoadError> {
        self.configure(running, settings)
            .map_err(|fault| match fault {
                PolicyError {
                    policy,
                    kind: PolicyErrorKind::Refused { message },
                    ..
                } => LoadError::Settings { policy, message },
                other => LoadError::Policy(other),
            })
    }
}

/// The digest of a component, to be gone on with.
fn digest(component: &[u8]) -> Sha256 {
    with_part(Sha256::new_with_prefix(b"semel policy 1\n"), component)
}

fn with_settings(component: Sha256, settings: &str) -> PolicyDigest {
    PolicyDigest::from_bytes(with_part(component, settings.as_bytes()).finalize().into())
}

fn with_part(digest: Sha256, part: &[u8]) -> Sha256 {
    digest
        .chain_update((part.len() as u64).to_be_bytes())
        .chain_update(part)
}
