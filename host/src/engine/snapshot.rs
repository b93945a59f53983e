//! A component as it is once it took its settings in, so that no decision has to take them in again.
//!
//! wasmtime's own pre-initialiser does the work: the component is rewritten so that its memories and globals can be
//! read, an instance of that takes the settings in, and what it then holds becomes the start of a third component.
//! Instances of that begin where this one had come to, and know nothing else: every decision is still made by a fresh
//! one. What it saves is most of a decision where settings are long (of `intent`, 16 of 28 µs); what it costs is a
//! second compilation at load.
//!
//! Not every component can be treated so: one that changes a table, for instance. Such a one takes its settings in each
//! time, as all do unless [`EngineBuilder::snapshot_settings`](super::EngineBuilder::snapshot_settings) is chosen.

use super::{
    EngineState,
    compile::CompiledComponent,
    error::LoadError,
    inspection::PolicyInspection,
    policy::{PolicyInstance, PolicyRunner},
};
use crate::model::PolicyDescription;
use sha2::{Digest, Sha256};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use wasmtime::component::{Lift, WasmList};
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

/// A policy that needs no settings any more.
pub(super) struct ConfiguredPolicy {
    pub(super) runner: PolicyRunner,
    pub(super) description: PolicyDescription,
    pub(super) inspection: PolicyInspection,
    pub(super) warnings: Vec<String>,
}

/// Loads a component, and applies its settings once for all decisions. `None` for a component that has to apply them each
/// time.
///
/// # Errors
/// If the component is not a policy, or refuses its settings.
pub(super) fn configured(
    shared: &Arc<EngineState>,
    bytes: &[u8],
    settings: &str,
) -> Result<Option<ConfiguredPolicy>, LoadError> {
    let (component, facts) = shared.check_component(bytes)?;
    let Some(readable) = InstrumentedComponent::new(&component) else {
        return Ok(None);
    };
    let compiled = shared.code_of(&readable.bytes, digest(&readable.bytes), facts.clone())?;
    shared.check_room(&PolicyInspection::new(&compiled))?;
    let (runner, description) = Arc::clone(shared).runner(&compiled)?.introduced()?;
    let mut running = runner.start().map_err(LoadError::Policy)?;
    let warnings = runner.take_settings(&mut running, settings)?;
    let found = readable.rewritten(&mut running);
    // Its slot is free for decisions while the snapshot is compiled.
    drop(running);
    Ok(found
        .and_then(|bytes| start_from(shared, &bytes, facts, runner.name))
        .map(|(runner, inspection)| ConfiguredPolicy {
            runner,
            description,
            inspection,
            warnings,
        }))
}

fn start_from(
    shared: &Arc<EngineState>,
    bytes: &[u8],
    facts: super::cache::ComponentFacts,
    name: String,
) -> Option<(PolicyRunner, PolicyInspection)> {
    // The settings' data comes on top of the component, which was within the limit.
    if bytes.len() > shared.limits.load.component_bytes as usize {
        return None;
    }
    let compiled: CompiledComponent = shared.code_of(bytes, digest(bytes), facts).ok()?;
    let inspection = PolicyInspection::new(&compiled);
    shared.check_room(&inspection).ok()?;
    let runner = Arc::clone(shared).runner(&compiled).ok()?;
    Some((PolicyRunner { name, ..runner }, inspection))
}

fn digest(component: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(b"semel snapshot 1\n")
        .chain_update(component)
        .finalize()
        .into()
}

/// A component with readable state.
struct InstrumentedComponent<'a> {
    wizer: Wizer,
    original: ComponentContext<'a>,
    bytes: Vec<u8>,
}

impl<'a> InstrumentedComponent<'a> {
    fn new(component: &'a [u8]) -> Option<Self> {
        let mut wizer = Wizer::new();
        wizer.keep_init_func(true);
        let instrumented = carefully(|| wizer.instrument_component(component).ok())?;
        let (original, bytes) = instrumented;
        Some(Self {
            wizer,
            original,
            bytes,
        })
    }

    /// Returns the component that starts from the state of `running`.
    fn rewritten(&self, running: &mut PolicyInstance<'_>) -> Option<Vec<u8>> {
        // The accessors only read and run no code of the policy, so the limits of a decision do not apply.
        running.store.set_fuel(u64::MAX >> 1).ok()?;
        running.store.set_hostcall_fuel(usize::MAX);
        let mut reader = SnapshotReader {
            running,
            is_complete: true,
        };
        let bytes = carefully(|| {
            let reading = pin!(self.wizer.snapshot_component(&self.original, &mut reader));
            match reading.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(bytes) => bytes.ok(),
                Poll::Pending => None,
            }
        })?;
        reader.is_complete.then_some(bytes)
    }
}

/// Catches panics: the pre-initialiser is made for trusted components, and may panic over others.
fn carefully<T>(work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}

/// Reads the state of an instance by the names of its accessors.
struct SnapshotReader<'a, 'b> {
    running: &'a mut PolicyInstance<'b>,
    /// True if every accessor answered.
    is_complete: bool,
}

impl SnapshotReader<'_, '_> {
    fn ask<T: Lift + Send + Sync + 'static>(
        &mut self,
        instance: &str,
        function: &str,
    ) -> Option<T> {
        let answer = self.try_to_ask(instance, function);
        self.is_complete &= answer.is_some();
        answer
    }

    fn try_to_ask<T: Lift + Send + Sync + 'static>(
        &mut self,
        instance: &str,
        function: &str,
    ) -> Option<T> {
        let PolicyInstance {
            store,
            instance: policy,
            ..
        } = &mut *self.running;
        let inside = policy.get_export_index(&mut *store, None, instance)?;
        let index = policy.get_export_index(&mut *store, Some(&inside), function)?;
        let asked = policy.get_typed_func::<(), (T,)>(&mut *store, index).ok()?;
        asked.call(&mut *store, ()).ok().map(|(answer,)| answer)
    }
}

impl ComponentInstanceState for SnapshotReader<'_, '_> {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        match self.ask::<WasmList<u8>>(instance, func) {
            Some(list) => contents(list.as_le_slice(&self.running.store)),
            None => contents(&[]),
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.ask(instance, func).unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.ask(instance, func).unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.ask::<f32>(instance, func)
            .unwrap_or_default()
            .to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.ask::<f64>(instance, func)
            .unwrap_or_default()
            .to_bits()
    }
}
