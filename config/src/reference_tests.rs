#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use crate::{
    Config, Environment, McpSetup, ToolSetup, json_schema,
    reference::{DefaultValue, SectionKeys, ValueType, configuration_page, table},
};
use std::{env, fs, path::Path};

fn load(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("semel.toml"), text).unwrap();
    let around = Environment {
        folder: folder.path().to_owned(),
        ..Environment::default()
    };
    Config::load(None, &around).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The section of this header, with all of its defaults written out.
fn written_defaults(header: &str, section: &SectionKeys) -> String {
    let lines = section.keys.iter().filter_map(|key| match key.default {
        DefaultValue::Toml(value) => Some(format!("{} = {value}\n", key.name)),
        _ => None,
    });
    format!(
        "[ledger]\nurl = \"memory:\"\n{header}\n{}",
        lines.collect::<String>()
    )
}

#[test]
fn the_page_lists_every_key_as_the_table_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = configuration_page();
    if env::var_os("UPDATE_PAGES").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/configuration.md is not what the table of keys says: run `UPDATE_PAGES=1 cargo test -p semel-config`"
    );
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_reader() {
    let defaults = load(&written_defaults("[defaults]", &table::DEFAULTS));
    let expected = ToolSetup {
        defined_at: defaults.unnamed.defined_at.clone(),
        ..ToolSetup::default()
    };
    assert_eq!(defaults.unnamed, expected);
    let gateway = load(&written_defaults("[mcp]", &table::MCP));
    assert_eq!(gateway.mcp, McpSetup::default());
    let tool = load(&written_defaults("[[tool]]\nmatch = \"x\"", &table::TOOL));
    let setup = tool.tool("x");
    let expected = ToolSetup {
        defined_at: setup.defined_at.clone(),
        taken_within: None,
        ..ToolSetup::default()
    };
    assert_eq!(setup, &expected);
}

#[test]
fn the_schema_knows_every_section() {
    let schema = json_schema();
    for key in table::FILE.keys {
        let member = &schema["properties"][key.name];
        let is_list = matches!(key.value, ValueType::Sections(_));
        assert_eq!(member["type"], if is_list { "array" } else { "object" });
    }
    let defaults = &schema["properties"]["defaults"]["properties"];
    assert_eq!(defaults["wait"]["default"], "10s");
    assert_eq!(defaults["mode"]["examples"][0], "shadow");
    assert_eq!(
        defaults["outcome_bytes_max"]["description"],
        "the largest outcome that is kept whole (bytes)"
    );
    assert_eq!(
        defaults["name_space"]["description"],
        "keeps operations apart from those of the same name; default: the policy's name"
    );
}
