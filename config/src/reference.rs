//! The reference of `semel.toml`: one table of all keys.
//!
//! The reader takes each key's type and bounds from this table, and refuses keys that are not in
//! it. The JSON Schema and the page `docs/configuration.md` are rendered from it, too.

#[cfg(test)]
mod page;
mod schema;
pub(crate) mod table;

use std::time::Duration;

#[cfg(test)]
pub(crate) use page::configuration_page;
pub use schema::json_schema;

/// One key of `semel.toml`.
pub(crate) struct ConfigKey {
    pub(crate) name: &'static str,
    pub(crate) value: ValueType,
    pub(crate) default: DefaultValue,
    /// A value, as TOML.
    pub(crate) example: &'static str,
    pub(crate) meaning: &'static str,
}

/// The value of a key that the file leaves out.
#[derive(Clone, Copy)]
pub(crate) enum DefaultValue {
    /// This value, as TOML.
    Toml(&'static str),
    /// A value that depends on something else, in words.
    Words(&'static str),
    /// None: the key must be there.
    Required,
    /// None: nothing is set up.
    Unset,
}

/// The type of a key's value, with its bounds.
pub(crate) enum ValueType {
    Text,
    /// One text or a list of texts.
    Texts,
    Boolean,
    Number {
        least: u32,
        most: u32,
        /// The counted unit, such as `bytes`.
        unit: &'static str,
    },
    Duration(DurationRange),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A table with keys that are not Semel's.
    Object,
    /// A table of its own, `[name]`.
    Section(&'static SectionKeys),
    /// Any number of tables, `[[name]]`.
    Sections(&'static SectionKeys),
}

/// The keys of one table of the file, in the order of the page.
pub(crate) struct SectionKeys {
    /// The name that messages use, such as `` `[ledger]` ``.
    pub(crate) title: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) keys: &'static [&'static ConfigKey],
}

impl SectionKeys {
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }
}

/// The durations that a key allows.
#[derive(Clone, Copy)]
pub(crate) struct DurationRange {
    least: Duration,
    most: Duration,
    in_whole_seconds: bool,
}

impl DurationRange {
    pub(crate) const fn whole_seconds(least: u64, most: u64) -> Self {
        Self {
            least: Duration::from_secs(least),
            most: Duration::from_secs(most),
            in_whole_seconds: true,
        }
    }

    pub(crate) const fn milliseconds(least: u64, most_seconds: u64) -> Self {
        Self {
            least: Duration::from_millis(least),
            most: Duration::from_secs(most_seconds),
            in_whole_seconds: false,
        }
    }

    pub(crate) fn parse(&self, text: &str) -> Option<Duration> {
        let duration = humantime::parse_duration(text).ok()?;
        let is_fine = !self.in_whole_seconds || duration.subsec_nanos() == 0;
        (is_fine && self.least <= duration && duration <= self.most).then_some(duration)
    }

    /// The words that name what is allowed, for messages and the page.
    pub(crate) fn description(&self) -> String {
        let least = humantime::format_duration(self.least);
        let most = humantime::format_duration(self.most);
        let unit = if self.in_whole_seconds {
            " in whole seconds"
        } else {
            ""
        };
        format!("a duration from `\"{least}\"` to `\"{most}\"`{unit}")
    }
}

impl ValueType {
    /// The words that name a right value, for messages and the page.
    pub(crate) fn description(&self) -> String {
        match self {
            Self::Text => "a text in quotation marks".to_owned(),
            Self::Texts => "a text, or a list of texts".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Number { least, most, .. } => format!("a whole number from {least} to {most}"),
            Self::Duration(range) => range.description(),
            Self::Choice(words) => choice_description(words),
            Self::Object => "a table, as in `{ name = \"value\" }`".to_owned(),
            Self::Section(section) | Self::Sections(section) => section.title.to_owned(),
        }
    }
}

fn choice_description(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
