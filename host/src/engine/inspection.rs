//! The content of a component, for people who decide whether to trust it.

use super::{
    census::{ComponentCensus, PAGE_BYTES},
    compile::CompiledComponent,
    contract,
};
use serde::Serialize;

/// The contents of a component, and the resources that running it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PolicyInspection {
    /// The version of the contract that the host speaks with it.
    pub contract: &'static str,
    /// True if it was made from a plain module.
    pub from_module: bool,
    /// The counts of its contents.
    #[serde(flatten)]
    pub census: ComponentCensus,
    /// Its machine code, in bytes.
    pub code_bytes: u64,
    /// The memories it has.
    pub memories: u32,
    /// The memory it starts with, in bytes: the largest, if there are several.
    pub memory_bytes: u64,
    /// The tables it has.
    pub tables: u32,
    /// The table entries it starts with: those of the largest, if there are several.
    pub table_elements: u64,
}

impl PolicyInspection {
    pub(super) fn new(compiled: &CompiledComponent) -> Self {
        let needs = compiled.component.resources_required();
        let needs = needs.as_ref();
        let image = compiled.component.image_range();
        Self {
            contract: contract::SPOKEN,
            from_module: compiled.facts.from_module,
            census: compiled.facts.census.clone(),
            code_bytes: (image.end as usize).saturating_sub(image.start as usize) as u64,
            memories: needs.map_or(0, |needs| needs.num_memories),
            memory_bytes: needs
                .and_then(|needs| needs.max_initial_memory_size)
                .unwrap_or(0)
                .saturating_mul(PAGE_BYTES),
            tables: needs.map_or(0, |needs| needs.num_tables),
            table_elements: needs
                .and_then(|needs| needs.max_initial_table_size)
                .unwrap_or(0),
        }
    }
}
