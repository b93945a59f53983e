//! The table of all keys of `semel.toml`, a module for each part of the file.
//!
//! A key that is not listed in its section cannot be read, and is refused in the file.

mod access;
mod gateway;
mod ledger;
mod tools;

pub(crate) use access::*;
pub(crate) use gateway::*;
pub(crate) use ledger::*;
pub(crate) use tools::*;

use super::{ConfigKey, DefaultValue, SectionKeys, ValueType};

pub(crate) static FILE: SectionKeys = SectionKeys {
    title: "the file",
    meaning: "The configuration of Semel.",
    keys: &[
        &LEDGER_SECTION,
        &KEYS_SECTION,
        &CACHE_SECTION,
        &SEALING_SECTION,
        &DEFAULTS_SECTION,
        &MCP_SECTION,
        &TOOL_SECTION,
    ],
};

pub(crate) static LEDGER_SECTION: ConfigKey = ConfigKey {
    name: "ledger",
    value: ValueType::Section(&LEDGER),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static KEYS_SECTION: ConfigKey = ConfigKey {
    name: "keys",
    value: ValueType::Section(&KEYS),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static CACHE_SECTION: ConfigKey = ConfigKey {
    name: "cache",
    value: ValueType::Section(&CACHE),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static SEALING_SECTION: ConfigKey = ConfigKey {
    name: "sealing",
    value: ValueType::Section(&SEALING),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static DEFAULTS_SECTION: ConfigKey = ConfigKey {
    name: "defaults",
    value: ValueType::Section(&DEFAULTS),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static MCP_SECTION: ConfigKey = ConfigKey {
    name: "mcp",
    value: ValueType::Section(&MCP),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};

pub(crate) static TOOL_SECTION: ConfigKey = ConfigKey {
    name: "tool",
    value: ValueType::Sections(&TOOL),
    default: DefaultValue::Unset,
    example: "",
    meaning: "",
};
