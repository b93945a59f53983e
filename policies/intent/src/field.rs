//! Identity and content: which arguments count, and in which form.

use semel_guest::normal::{self, Normaliser};
use semel_guest::{Call, Value};

use crate::pointer;
use crate::settings::{SettingValue, wrong};

/// An argument that counts.
pub(crate) struct Field {
    /// Its own path in the settings.
    path: String,
    pub(crate) name: String,
    at: String,
    normaliser: Normaliser,
}

impl Field {
    /// Reads an entry of the identity. Without `as` it is an identifier: a text or a number, compared as text.
    pub(crate) fn read_identity(entry: &SettingValue<'_>) -> Result<Self, String> {
        Self::read(entry, normal::identifier)
    }

    /// Reads an entry of the content. Without `as` it is compared unchanged.
    pub(crate) fn read_content(entry: &SettingValue<'_>) -> Result<Self, String> {
        Self::read(entry, normal::exact)
    }

    /// Reads an entry: a name, a pointer, or a table.
    fn read(entry: &SettingValue<'_>, default: Normaliser) -> Result<Self, String> {
        if entry.value.is_string() {
            let at = pointer::read(entry)?;
            return Self::with_normaliser(entry, pointer::name(&at), at, default);
        }
        if !entry.value.is_object() {
            return Err(
                entry.wrong("it must be an argument's name, a JSON Pointer or a table with `at`")
            );
        }
        let table = entry.table(&["at", "name", "as"])?;
        let at = pointer::read(&table.need("at")?)?;
        let name = table
            .read("name", SettingValue::text)?
            .map_or_else(|| pointer::name(&at), str::to_owned);
        let normaliser = table.read("as", read_normaliser)?.unwrap_or(default);
        Self::with_normaliser(entry, name, at, normaliser)
    }

    fn with_normaliser(
        entry: &SettingValue<'_>,
        name: String,
        at: String,
        normaliser: Normaliser,
    ) -> Result<Self, String> {
        if name.trim().is_empty() {
            return Err(entry.wrong("its name is empty"));
        }
        Ok(Self {
            path: entry.path().to_owned(),
            name,
            at,
            normaliser,
        })
    }

    /// The value, which must be present and not empty: an identity is never guessed.
    pub(crate) fn required(&self, call: &Call) -> Result<Value, String> {
        let value = self
            .optional(call)?
            .ok_or_else(|| self.missing_argument("is missing"))?;
        if is_empty(&value) {
            Err(self.missing_argument("is empty"))
        } else {
            Ok(value)
        }
    }

    /// Returns the value in its form, if there is one; `null` counts as missing.
    pub(crate) fn optional(&self, call: &Call) -> Result<Option<Value>, String> {
        call.optional_normal(&self.at, self.normaliser)
    }

    fn require_distinct(&self, earlier: &Self) -> Result<(), String> {
        let alike = if self.name == earlier.name {
            &self.name
        } else {
            &self.at
        };
        if self.name == earlier.name || self.at == earlier.at {
            return Err(wrong(
                &self.path,
                format!("it is `{alike}`, like `{}`", earlier.path),
            ));
        }
        Ok(())
    }

    fn missing_argument(&self, how: &str) -> String {
        format!(
            "`{}` {how}: it identifies the operation; repeat the call with a value for it",
            self.at
        )
    }
}

fn read_normaliser(at: &SettingValue<'_>) -> Result<Normaliser, String> {
    at.choice(normal::ALL)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// No name twice, no argument twice, in identity and content together: an argument is one or the other.
pub(crate) fn require_distinct_fields(identity: &[Field], content: &[Field]) -> Result<(), String> {
    let all: Vec<_> = identity.iter().chain(content).collect();
    all.iter().enumerate().try_for_each(|(index, field)| {
        all.iter()
            .take(index)
            .try_for_each(|earlier| field.require_distinct(earlier))
    })
}
