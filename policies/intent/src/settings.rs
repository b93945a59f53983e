//! Settings as they are read: each value knows its path, so that a mistake is told where it was made.
//!
//! By hand and not by derived readers: those would be a third of this guest, which every decision loads, and could
//! not tell what a table is missing.

use semel_guest::Value;
use serde_json::Map;

/// A value, and its path in the settings.
pub(crate) struct At<'a> {
    path: String,
    pub(crate) value: &'a Value,
}

impl<'a> At<'a> {
    /// The settings themselves.
    pub(crate) fn root(value: &'a Value) -> Self {
        Self {
            path: String::new(),
            value,
        }
    }

    /// What is wrong with the value.
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
            self.wrong(format!("{} is none of {}", self.value, names.join(", ")))
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
    pub(crate) fn alternatives(&self) -> Result<Vec<Self>, String> {
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
    pub(crate) fn table(&self, keys: &[&str]) -> Result<Table<'a>, String> {
        let table = Table {
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
                    &table.below(key),
                    format!("there is no such key; there are {}", known.join(", ")),
                ))
            }
        }
    }

    /// A table of any keys.
    pub(crate) fn entries(&self) -> Result<Vec<(&'a str, Self)>, String> {
        let table = Table {
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
                        path: table.below(key),
                        value,
                    },
                )
            })
            .collect())
    }

    fn members(&self) -> Result<&'a Map<String, Value>, String> {
        self.value
            .as_object()
            .ok_or_else(|| self.wrong("it must be a table"))
    }
}

/// A table whose keys are known.
pub(crate) struct Table<'a> {
    path: String,
    members: &'a Map<String, Value>,
}

impl<'a> Table<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<At<'a>> {
        self.members.get(key).map(|value| At {
            path: self.below(key),
            value,
        })
    }

    /// What the key means, where it is given.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        meaning: impl Fn(&At<'a>) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.get(key).map(|at| meaning(&at)).transpose()
    }

    /// What each item of a list means; no list, no items.
    pub(crate) fn each<T>(
        &self,
        key: &str,
        meaning: impl Fn(&At<'a>) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let items = self.read(key, At::list)?.unwrap_or_default();
        items.iter().map(meaning).collect()
    }

    /// What must be given.
    pub(crate) fn need(&self, key: &str) -> Result<At<'a>, String> {
        self.get(key)
            .ok_or_else(|| self.wrong(format!("it needs `{key}`")))
    }

    pub(crate) fn wrong(&self, mistake: impl std::fmt::Display) -> String {
        wrong(&self.path, mistake)
    }

    /// What is wrong with a key that may be missing.
    pub(crate) fn wrong_at(&self, key: &str, mistake: impl std::fmt::Display) -> String {
        wrong(&self.below(key), mistake)
    }

    /// How many keys are given.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// What is wrong at this path.
pub(crate) fn wrong(path: &str, mistake: impl std::fmt::Display) -> String {
    if path.is_empty() {
        format!("settings: {mistake}")
    } else {
        format!("settings: `{path}`: {mistake}")
    }
}
