//! The page `docs/configuration.md`.

use super::{ConfigKey, DefaultValue, SectionKeys, ValueType, table};
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# Configuration

`semel.toml` is the first of: the file named by `--config`, the file named by `SEMEL_CONFIG`, `./semel.toml`, and
`semel/semel.toml` in `XDG_CONFIG_HOME` (else `~/.config`). Paths in it are relative to its folder. A file with a
mistake sets nothing up; `semel doctor` prints every mistake with its line and cure. `semel config schema` prints a JSON
Schema for editors.

These environment variables override the file: `SEMEL_LEDGER` (a URL), `SEMEL_TENANT`, `SEMEL_SECRET_FILE`,
`SEMEL_CACHE` (a folder, or `off`), `SEMEL_WAIT`, `SEMEL_LEASE`. An empty variable counts as unset.

This page is generated from the table of keys in `semel-config`.
";

/// Renders the page that lists every key of `semel.toml`.
#[must_use]
pub(crate) fn configuration_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    push_sections(&mut page, &table::FILE);
    page
}

fn push_sections(page: &mut String, parent: &SectionKeys) {
    for key in parent.keys {
        if let ValueType::Section(section) | ValueType::Sections(section) = &key.value {
            push_section(page, section);
            push_sections(page, section);
        }
    }
}

fn push_section(page: &mut String, section: &SectionKeys) {
    let rows: String = section.keys.iter().filter_map(|key| row(key)).collect();
    // Writing to a String does not fail.
    let _ = write!(
        page,
        "\n## {}\n\n{}\n\n| key | value | default | meaning | example |\n|---|---|---|---|---|\n{rows}",
        section.title, section.meaning
    );
}

fn row(key: &ConfigKey) -> Option<String> {
    let value = match &key.value {
        ValueType::Section(_) | ValueType::Sections(_) => return None,
        ValueType::Number { unit, .. } => format!("{}, {unit}", key.value.description()),
        other => other.description(),
    };
    let default = match key.default {
        DefaultValue::Toml(text) => format!("`{text}`"),
        DefaultValue::Words(words) => words.to_owned(),
        DefaultValue::Required => "required".to_owned(),
        DefaultValue::Unset => "none".to_owned(),
    };
    Some(format!(
        "| `{}` | {value} | {default} | {} | `{}` |\n",
        key.name, key.meaning, key.example
    ))
}
