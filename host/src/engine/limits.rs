//! What a policy may cost, in figures. Every one of them has a default, a unit in its name, and a check.

use super::error::EngineError;
use crate::json;
use serde::{Deserialize, Serialize};

/// The most that a WebAssembly memory of 32 bits can hold.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// The deepest JSON that is ever read.
const JSON_DEPTH_MAX: u64 = json::DEPTH_MAX as u64;

/// All limits of an [`Engine`](super::Engine).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// The limits of a component, checked before compilation.
    pub load: LoadLimits,
    /// The limits of one decision.
    pub decision: DecisionLimits,
}

macro_rules! limits {
    (
        $(#[$doc:meta])*
        $type:ident { $( $(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr, at most $most:expr; )* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub struct $type {
            $( $(#[$field_doc])* #[doc = concat!("\n\nDefault: `", stringify!($default), "`.")] pub $field: $kind, )*
        }

        impl Default for $type {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $type {
            fn check(&self) -> Result<(), EngineError> {
                $( within(stringify!($field), u64::from(self.$field), $most)?; )*
                Ok(())
            }
        }
    };
}

limits! {
    /// The limits of a component, checked before compilation.
    ///
    /// They are wide enough for a policy that carries the interpreter of another language, and narrow enough that
    /// no component keeps the compiler busy, or fills the host's memory with what the compiler thinks about it.
    LoadLimits {
        /// The whole component (or module), in bytes.
        component_bytes: u32 = 32 << 20, at most 1 << 30;
        /// The settings, as canonical JSON, in bytes.
        settings_bytes: u32 = 256 << 10, at most 64 << 20;
        /// All functions together.
        functions: u32 = 50_000, at most 1_000_000;
        /// The code of one function, in bytes.
        body_bytes: u32 = 256 << 10, at most 7 << 20;
        /// The local variables of one function.
        locals: u32 = 5_000, at most 50_000;
        /// The nesting of blocks of code.
        nesting: u32 = 1_000, at most 100_000;
        /// Blocks times local variables of one function: what the compiler may have to keep apart, at some 60 bytes each.
        merges: u32 = 8_000_000, at most 1 << 30;
        /// The branches of each function (a loop counts for four), squared, all functions together: a compiler's time grows
        /// like this, by some 5 s for each 1,000,000,000.
        tangle: u64 = 2_000_000_000, at most u64::MAX;
        /// All types together.
        types: u32 = 20_000, at most 1_000_000;
        /// The parameters of a function or block.
        parameters: u32 = 64, at most 1_000;
        /// The results of a function or block.
        results: u32 = 4, at most 1_000;
        /// Globals, imports, exports, data and element segments of all modules together.
        items: u32 = 100_000, at most 1_000_000;
        /// Instances that are made of modules and of components, as written in the component.
        instances: u32 = 64, at most 1_000;
        /// The nesting of components.
        component_nesting: u32 = 2, at most 8;
        /// The machine code that it becomes, in bytes, where a child compiles.
        code_bytes: u32 = 256 << 20, at most 1 << 31;
        /// The memory of a child that compiles, in bytes of its address space. Its program and its stacks count.
        compiler_memory_bytes: u64 = 2 << 30, at most 1 << 40;
        /// The processor time of a child that compiles, in seconds.
        compiler_seconds: u32 = 60, at most 3_600;
        /// The time limit of compiling and checking before the caller gets an error, in seconds. A
        /// child that still compiles is killed then.
        deadline_seconds: u32 = 60, at most 3_600;
        /// The number of components compiled at once.
        compilations: u32 = 2, at most 64;
    }
}

limits! {
    /// The limits of one decision. A decision that reaches a limit is an error, never a guess.
    DecisionLimits {
        /// Roughly the instructions it may run, the same on every machine. This many take about a tenth of a second.
        fuel: u64 = 100_000_000, at most u64::MAX >> 1;
        /// Its memory, in bytes.
        memory_bytes: u64 = 64 << 20, at most MEMORY_BYTES_MAX;
        /// The memories it may have.
        memories: u32 = 1, at most 16;
        /// The tables it may have.
        tables: u32 = 4, at most 64;
        /// The entries of one table.
        table_elements: u32 = 20_000, at most 10_000_000;
        /// The instances of modules that one component starts.
        core_instances: u32 = 16, at most 1_000;
        /// Its stack, in bytes. It is taken from the caller's thread.
        stack_bytes: u32 = 512 << 10, at most 2 << 20;
        /// The size of its input, in bytes.
        input_bytes: u32 = 2 << 20, at most 1 << 30;
        /// The size of its answer, in bytes as the host keeps it.
        answer_bytes: u32 = 256 << 10, at most 1 << 30;
        /// The entries of one list in an answer.
        list_items: u32 = 256, at most 1_000_000;
        /// A text for people to read, in bytes. What is longer is cut short.
        text_bytes: u32 = 2 << 10, at most 1 << 20;
        /// The nesting of JSON in an answer.
        json_depth: u32 = 64, at most JSON_DEPTH_MAX;
        /// The number of concurrent decisions. Further callers wait, no longer than fuel allows.
        at_once: u32 = 64, at most 4_096;
        /// Memory that is kept ready between decisions, in bytes for each that may be made at once.
        kept_bytes: u32 = 2 << 20, at most 1 << 30;
    }
}

impl Limits {
    /// # Errors
    /// If a limit is zero, or larger than what it can mean.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        self.load.check()?;
        self.decision.check()
    }
}

fn within(name: &'static str, value: u64, most: u64) -> Result<(), EngineError> {
    if value == 0 || value > most {
        return Err(EngineError::Limit { name, value, most });
    }
    Ok(())
}
