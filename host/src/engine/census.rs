//! Static bounds: what is in a component is counted before anything of it is compiled.
//!
//! Compiling costs time and memory that grow faster than the input for some shapes (many variables across many
//! blocks, components that start components), so those shapes are bounded here. Whether the bytes are *valid* is
//! not decided here: the compiler validates them.

mod body;
mod mark;

use super::{
    error::LoadError,
    limits::{DecisionLimits, Limits, LoadLimits},
};
use body::FunctionShape;
use serde::{Deserialize, Serialize};
use wasmparser::{
    BinaryReaderError, CanonicalFunction, CompositeInnerType, FunctionBody, Parser, Payload,
    RecGroup,
};

/// The deepest nesting of a component's types. The parser is recursive, so this bounds its stack;
/// the compiler accepts 100.
const TYPE_NESTING_MAX: u64 = 1_000;

/// The unit in which a module says how much memory it needs.
pub(super) const PAGE_BYTES: u64 = 65_536;

/// The counts of what a component or module contains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentCensus {
    /// Its size, in bytes.
    pub bytes: u64,
    /// Its functions.
    pub functions: u64,
    /// The code of its largest function, in bytes.
    pub largest_body_bytes: u64,
    /// Its types.
    pub types: u64,
    /// Globals, imports, exports, data and element segments of its modules.
    pub items: u64,
    /// The instances it starts, as written.
    pub instances: u64,
    /// The names of its imports.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
    /// True if components in it call each other.
    #[serde(skip)]
    pub(super) composed: bool,
    /// True if it names the contract it was built for, as a plain module must.
    #[serde(skip)]
    pub(super) marked: bool,
}

/// Counts what is in a component or module.
///
/// # Errors
/// If a limit is passed, or the bytes cannot be read.
pub(super) fn take_census(bytes: &[u8], limits: &Limits) -> Result<ComponentCensus, LoadError> {
    let found = bytes.len() as u64;
    most(
        "bytes",
        found,
        limits.load.component_bytes,
        "component-bytes",
    )?;
    let census = ComponentCensus {
        bytes: found,
        ..ComponentCensus::default()
    };
    let mut count = CensusCounter {
        census,
        limits: &limits.load,
        room: &limits.decision,
        depth: 0,
        tangle: 0,
    };
    for payload in Parser::new(0).parse_all(bytes) {
        count.payload(&payload.map_err(malformed)?, bytes)?;
    }
    Ok(count.census)
}

/// Converts the parser's error.
fn malformed(error: BinaryReaderError) -> LoadError {
    LoadError::Malformed {
        reason: error.to_string(),
    }
}

fn most(
    what: &'static str,
    found: impl Into<u64>,
    limit: impl Into<u64>,
    name: &'static str,
) -> Result<(), LoadError> {
    let found = found.into();
    let limit = limit.into();
    if found > limit {
        Err(LoadError::TooLarge {
            what,
            found,
            limit,
            name,
        })
    } else {
        Ok(())
    }
}

struct CensusCounter<'a> {
    census: ComponentCensus,
    limits: &'a LoadLimits,
    room: &'a DecisionLimits,
    depth: u64,
    tangle: u64,
}

impl CensusCounter<'_> {
    fn payload(&mut self, payload: &Payload<'_>, bytes: &[u8]) -> Result<(), LoadError> {
        match payload {
            Payload::Version { .. } => self.enter(),
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                self.census.marked = true;
                type_nesting(section.data())?;
                // In a component nothing reads it.
                if self.depth == 1 && Parser::is_core_wasm(bytes) {
                    mark::check(section.data())
                } else {
                    Ok(())
                }
            }
            Payload::ComponentTypeSection(section) => {
                self.more_types(section.count())?;
                type_nesting(bytes.get(section.range()).unwrap_or_default())
            }
            Payload::ComponentImportSection(_)
            | Payload::ComponentExportSection(_)
            | Payload::ComponentCanonicalSection(_)
            | Payload::ComponentInstanceSection(_)
            | Payload::InstanceSection(_)
            | Payload::CoreTypeSection(_) => self.of_component(payload),
            _ => self.of_module(payload),
        }
    }

    /// Into a module or component. The outermost lies at depth 1, and what a component holds in a component lies deeper;
    /// a module may lie within the deepest of them.
    fn enter(&mut self) -> Result<(), LoadError> {
        self.depth += 1;
        let nesting = self.depth.saturating_sub(2);
        most(
            "components within components",
            nesting,
            self.limits.component_nesting,
            "component-nesting",
        )
    }

    fn of_component(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::ComponentImportSection(section) if self.depth == 1 => {
                for import in section.clone() {
                    self.census
                        .imports
                        .push(import.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if self.depth == 1 => {
                for export in section.clone() {
                    self.census
                        .exports
                        .push(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section.clone() {
                    let function = function.map_err(malformed)?;
                    self.census.composed |= matches!(function, CanonicalFunction::Lower { .. });
                }
            }
            Payload::ComponentInstanceSection(section) => self.more_instances(section.count())?,
            Payload::InstanceSection(section) => self.more_instances(section.count())?,
            Payload::CoreTypeSection(section) => self.more_types(section.count())?,
            _ => {}
        }
        Ok(())
    }

    fn of_module(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    self.more_functions_types(&group.map_err(malformed)?)?;
                }
                Ok(())
            }
            Payload::ImportSection(section) => {
                self.more_items(section.count())?;
                if self.depth == 1 {
                    for import in section.clone().into_imports() {
                        let import = import.map_err(malformed)?;
                        self.census
                            .imports
                            .push(format!("{}::{}", import.module, import.name));
                    }
                }
                Ok(())
            }
            Payload::CodeSectionEntry(body) => self.one_more_function(body),
            Payload::GlobalSection(section) => self.more_items(section.count()),
            Payload::ElementSection(section) => self.more_items(section.count()),
            Payload::DataSection(section) => self.more_items(section.count()),
            Payload::TableSection(section) => {
                most(
                    "tables in one module",
                    section.count(),
                    self.room.tables,
                    "tables",
                )?;
                for table in section.clone() {
                    let initial = table.map_err(malformed)?.ty.initial;
                    most(
                        "table entries at the start",
                        initial,
                        self.room.table_elements,
                        "table-elements",
                    )?;
                }
                Ok(())
            }
            Payload::MemorySection(section) => {
                most(
                    "memories in one module",
                    section.count(),
                    self.room.memories,
                    "memories",
                )?;
                for memory in section.clone() {
                    let initial = memory
                        .map_err(malformed)?
                        .initial
                        .saturating_mul(PAGE_BYTES);
                    most(
                        "bytes of memory at the start",
                        initial,
                        self.room.memory_bytes,
                        "memory-bytes",
                    )?;
                }
                Ok(())
            }
            Payload::ExportSection(section) => self.more_items(section.count()),
            _ => Ok(()),
        }
    }

    fn more_items(&mut self, count: u32) -> Result<(), LoadError> {
        self.census.items += u64::from(count);
        most(
            "globals, segments, imports and exports",
            self.census.items,
            self.limits.items,
            "items",
        )
    }

    fn more_instances(&mut self, count: u32) -> Result<(), LoadError> {
        self.census.instances += u64::from(count);
        most(
            "instances",
            self.census.instances,
            self.limits.instances,
            "instances",
        )
    }

    fn more_types(&mut self, count: u32) -> Result<(), LoadError> {
        self.census.types += u64::from(count);
        most("types", self.census.types, self.limits.types, "types")
    }

    fn more_functions_types(&mut self, group: &RecGroup) -> Result<(), LoadError> {
        for found in group.types() {
            self.more_types(1)?;
            if let CompositeInnerType::Func(function) = &found.composite_type.inner {
                most(
                    "parameters",
                    function.params().len() as u64,
                    self.limits.parameters,
                    "parameters",
                )?;
                most(
                    "results",
                    function.results().len() as u64,
                    self.limits.results,
                    "results",
                )?;
            }
        }
        Ok(())
    }

    fn one_more_function(&mut self, body: &FunctionBody<'_>) -> Result<(), LoadError> {
        self.census.functions += 1;
        most(
            "functions",
            self.census.functions,
            self.limits.functions,
            "functions",
        )?;
        let body = FunctionShape::new(body, self.limits)?;
        self.census.largest_body_bytes = self.census.largest_body_bytes.max(body.bytes);
        self.tangle = self.tangle.saturating_add(body.tangle());
        most(
            "branches, squared for each function and added up",
            self.tangle,
            self.limits.tangle,
            "tangle",
        )
    }
}

/// Bounds how deep types of components lie within each other, without reading them: each level costs the two bytes
/// that say "here is a type" and "it is a component's" or "it is an instance's".
fn type_nesting(section: &[u8]) -> Result<(), LoadError> {
    let levels = section
        .windows(2)
        .filter(|pair| matches!(pair, [0x01, 0x41 | 0x42]))
        .count() as u64;
    if levels > TYPE_NESTING_MAX {
        let what = "types within types";
        return Err(LoadError::TooLarge {
            what,
            found: levels,
            limit: TYPE_NESTING_MAX,
            name: "type nesting, fixed",
        });
    }
    Ok(())
}
