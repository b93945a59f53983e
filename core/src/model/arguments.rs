//! The arguments of a call: their members, their text, and their canonical text, made at its first use.

use crate::json::{JsonDocument, JsonMap, JsonValue, canonical_object, kind_of};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
    sync::{LazyLock, OnceLock},
};

static NO_MEMBERS: LazyLock<JsonMap> = LazyLock::new(JsonMap::new);

/// An object of arguments. Equal ones are equal however they are written.
#[derive(Debug, Clone)]
pub(super) struct CallArguments {
    /// INVARIANT: an object.
    document: JsonDocument,
    canonical: OnceLock<String>,
}

impl CallArguments {
    /// # Errors
    /// If it is not an object: the kind of value that it is.
    pub(super) fn new(document: JsonDocument) -> Result<Self, &'static str> {
        match document.value() {
            JsonValue::Object(_) => Ok(Self {
                document,
                canonical: OnceLock::new(),
            }),
            other => Err(kind_of(other)),
        }
    }

    pub(super) fn members(&self) -> &JsonMap {
        match self.document.value() {
            JsonValue::Object(members) => members,
            // No such arguments are made.
            _ => &NO_MEMBERS,
        }
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        self.document.text()
    }

    pub(super) fn canonical(&self) -> &str {
        self.canonical
            .get_or_init(|| canonical_object(self.members()))
    }
}

impl PartialEq for CallArguments {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Eq for CallArguments {}

impl Hash for CallArguments {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.document.value().hash(state);
    }
}

impl Serialize for CallArguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CallArguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = JsonDocument::deserialize(deserializer)?;
        Self::new(document).map_err(|found| {
            de::Error::custom(format_args!("arguments are {found}, not an object"))
        })
    }
}
