//! The settings of wasmtime: deterministic, bounded, and quick to instantiate.

use super::{error::EngineError, limits::Limits};
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig,
    WasmFeatures,
};

/// The cost of the host calls of some instructions, beyond the bytes that they move (one unit a
/// byte).
const HOST_CALL_FUEL: u8 = 20;
/// The fuel for growing a memory or table, which may be a system call.
const GROW_FUEL: u8 = u8::MAX;

/// A wasmtime engine within these limits.
///
/// # Errors
/// If this machine does not let one run, such as for want of address space.
pub(super) fn new_engine(limits: &Limits) -> Result<wasmtime::Engine, EngineError> {
    let mut config = code_config(limits)?;
    let pool = pool_config(limits, checked_size(limits, limits.decision.memory_bytes)?);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    wasmtime::Engine::new(&config).map_err(|error| machine_error(limits, format!("{error:#}")))
}

/// A wasmtime engine that makes code for [`new_engine`], and reserves no address space to run it in.
///
/// # Errors
/// If this machine does not let one run.
pub(super) fn new_compiling_engine(limits: &Limits) -> Result<wasmtime::Engine, EngineError> {
    wasmtime::Engine::new(&code_config(limits)?)
        .map_err(|error| machine_error(limits, format!("{error:#}")))
}

/// The settings that the machine code depends on.
fn code_config(limits: &Limits) -> Result<Config, EngineError> {
    let mut config = Config::new();
    require_determinism(&mut config);
    config
        .consume_fuel(true)
        .operator_cost(operator_costs())
        .max_wasm_stack(checked_size(
            limits,
            u64::from(limits.decision.stack_bytes),
        )?)
        .cranelift_opt_level(OptLevel::Speed)
        // A trap is reported by its kind, and the frames of a policy mean nothing to its operator.
        .wasm_backtrace_max_frames(None)
        // An instance maps its first memory copy-on-write: it starts without copying the policy's data.
        .memory_init_cow(true);
    Ok(config)
}

fn checked_size(limits: &Limits, bytes: u64) -> Result<usize, EngineError> {
    usize::try_from(bytes)
        .map_err(|_| machine_error(limits, format!("{bytes} bytes are too many for it")))
}

fn machine_error(limits: &Limits, reason: String) -> EngineError {
    EngineError::Machine {
        reason,
        at_once: limits.decision.at_once,
    }
}

/// The same answer on every machine, and nothing that waits.
fn require_determinism(config: &mut Config) {
    config
        // Processors differ in the bits of a NaN, and a policy can read the bits.
        .cranelift_nan_canonicalization(true)
        // A decision is one synchronous call.
        .concurrency_support(false)
        .wasm_features(WasmFeatures::THREADS, false)
        .wasm_features(WasmFeatures::SHARED_EVERYTHING_THREADS, false)
        .wasm_features(WasmFeatures::RELAXED_SIMD, false)
        .wasm_features(WasmFeatures::MEMORY64, false)
        .wasm_features(WasmFeatures::STACK_SWITCHING, false)
        .wasm_features(WasmFeatures::CM_ASYNC, false);
}

fn operator_costs() -> OperatorCost {
    OperatorCost {
        MemoryGrow: GROW_FUEL,
        TableGrow: GROW_FUEL,
        MemoryCopy: HOST_CALL_FUEL,
        MemoryFill: HOST_CALL_FUEL,
        MemoryInit: HOST_CALL_FUEL,
        TableCopy: HOST_CALL_FUEL,
        TableFill: HOST_CALL_FUEL,
        TableInit: HOST_CALL_FUEL,
        TableGet: HOST_CALL_FUEL,
        RefFunc: HOST_CALL_FUEL,
        DataDrop: HOST_CALL_FUEL,
        ElemDrop: HOST_CALL_FUEL,
        ..OperatorCost::new()
    }
}

fn pool_config(limits: &Limits, memory_bytes: usize) -> PoolingAllocationConfig {
    let decision = &limits.decision;
    let at_once = |each: u32| decision.at_once.saturating_mul(each);
    let kept = decision.kept_bytes as usize;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(decision.at_once)
        .total_core_instances(at_once(decision.core_instances))
        .total_memories(at_once(decision.memories))
        .total_tables(at_once(decision.tables))
        .max_core_instances_per_component(decision.core_instances)
        .max_memories_per_component(decision.memories)
        .max_tables_per_component(decision.tables)
        .max_memories_per_module(decision.memories)
        .max_tables_per_module(decision.tables)
        .max_memory_size(memory_bytes)
        .table_elements(decision.table_elements as usize)
        .linear_memory_keep_resident(kept)
        .table_keep_resident(kept)
        // Every slot may stay warm: the limit on concurrent decisions bounds them already.
        .max_unused_warm_slots(decision.at_once)
        .pagemap_scan(if cfg!(target_os = "linux") {
            Enabled::Auto
        } else {
            Enabled::No
        });
    pool
}
