//! Settings while they are read: each value knows its path, so that a mistake is reported at its
//! place.
//!
//! Written by hand and not derived: derived readers would be a third of this guest, which every
//! decision loads, and could not report what a table is missing.

use semel_guest::Map;
use semel_guest::Value;

/// A value, and its path in the settings.
pub(crate) struct SettingValue<'a> {
    path: String,
    pub(crate) value: &'a Value,
}

impl<'a> SettingValue<'a> {
    /// The settings themselves.
    pub(crate) fn settings_root(value: &'a Value) -> Self {
        Self {
            path: String::new(),
            value,
        }
    }

    /// Returns the mistake, with the value's path.
    pub(crate) fn wrong(&self, mistake: impl std::fmt::Display) -> String {
        wrong(&self.path, mistake)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn text(&self) -> Result<&'a str, String> {
        self.value
            .as_str()
            .ok_or_else(|| self.wrong("it must be a text"))
    }

    pub(crate) fn flag(&self) -> Result<bool, String> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong("it must be true or false"))
    }

    /// The one of these that is named.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, String> {
        let chosen = choices.iter().find(|(name, _)| self.value == name);
        chosen.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let names: Vec<_> = choices
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            self.wrong(format!("{} is not one of {}", self.value, names.join(", ")))
        })
    }

    pub(crate) fn list(&self) -> Result<Vec<Self>, String> {
        let items = self
            .value
            .as_array()
            .ok_or_else(|| self.wrong("it must be a list"))?;
        Ok(items
            .iter()
            .enumerate()
            .map(|(index, value)| Self {
                path: format!("{}[{index}]", self.path),
                value,
            })
            .collect())
    }

    /// A list of which any will do; a value alone is a list of one.
    pub(crate) fn list_alternatives(&self) -> Result<Vec<Self>, String> {
        match self.value {
            Value::Array(items) if items.is_empty() => {
                Err(self.wrong("an empty list never matches"))
            }
            Value::Array(_) => self.list(),
            value => Ok(vec![Self {
                path: self.path.clone(),
                value,
            }]),
        }
    }

    /// A table with these keys and no others.
    pub(crate) fn table(&self, keys: &[&str]) -> Result<SettingTable<'a>, String> {
        let table = SettingTable {
            path: self.path.clone(),
            members: self.members()?,
        };
        match table
            .members
            .keys()
            .find(|key| !keys.contains(&key.as_str()))
        {
            None => Ok(table),
            Some(key) => {
                let known: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
                Err(wrong(
                    &table.child_path(key),
                    format!("unknown key; the keys are {}", known.join(", ")),
                ))
            }
        }
    }

    /// A table of any keys.
    pub(crate) fn list_entries(&self) -> Result<Vec<(&'a str, Self)>, String> {
        let table = SettingTable {
            path: self.path.clone(),
            members: self.members()?,
        };
        Ok(table
            .members
            .iter()
            .map(|(key, value)| {
                (
                    key.as_str(),
                    Self {
                        path: table.child_path(key),
                        value,
                    },
                )
            })
            .collect())
    }

    fn members(&self) -> Result<&'a Map, String> {
        self.value
            .as_object()
            .ok_or_else(|| self.wrong("it must be a table"))
    }
}

/// A table with known keys.
pub(crate) struct SettingTable<'a> {
    path: String,
    members: &'a Map,
}

impl<'a> SettingTable<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<SettingValue<'a>> {
        self.members.get(key).map(|value| SettingValue {
            path: self.child_path(key),
            value,
        })
    }

    /// Reads the key's value, if the table has one.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        meaning: impl Fn(&SettingValue<'a>) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.get(key).map(|at| meaning(&at)).transpose()
    }

    /// Reads each item of a list; no list, no items.
    pub(crate) fn each<T>(
        &self,
        key: &str,
        meaning: impl Fn(&SettingValue<'a>) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let items = self.read(key, SettingValue::list)?.unwrap_or_default();
        items.iter().map(meaning).collect()
    }

    /// Returns the value of a required key.
    pub(crate) fn need(&self, key: &str) -> Result<SettingValue<'a>, String> {
        self.get(key)
            .ok_or_else(|| self.wrong(format!("it needs `{key}`")))
    }

    pub(crate) fn wrong(&self, mistake: impl std::fmt::Display) -> String {
        wrong(&self.path, mistake)
    }

    /// Returns the mistake of a key that may be missing.
    pub(crate) fn mistake_at(&self, key: &str, mistake: impl std::fmt::Display) -> String {
        wrong(&self.child_path(key), mistake)
    }

    /// Returns the number of given keys.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    fn child_path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// Returns the mistake at this path.
pub(crate) fn wrong(path: &str, mistake: impl std::fmt::Display) -> String {
    if path.is_empty() {
        format!("settings: {mistake}")
    } else {
        format!("settings: `{path}`: {mistake}")
    }
}
