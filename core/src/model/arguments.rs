//! The arguments of a call, and their canonical text, made at its first use.

use crate::json::canonical_object;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    hash::{Hash, Hasher},
    sync::OnceLock,
};

/// An object of arguments. Equal ones are equal whether or not their text was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct CallArguments {
    members: Map<String, Value>,
    #[serde(skip)]
    text: OnceLock<String>,
}

impl CallArguments {
    pub(super) fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    pub(super) fn canonical(&self) -> &str {
        self.text.get_or_init(|| canonical_object(&self.members))
    }
}

impl From<Map<String, Value>> for CallArguments {
    fn from(members: Map<String, Value>) -> Self {
        Self {
            members,
            text: OnceLock::new(),
        }
    }
}

impl PartialEq for CallArguments {
    fn eq(&self, other: &Self) -> bool {
        self.members == other.members
    }
}

impl Eq for CallArguments {}

impl Hash for CallArguments {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.members.hash(state);
    }
}
