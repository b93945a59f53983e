//! What a call means, as its policy says.

use super::call::{Call, Field};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The scope of a key. Tenant and name space are always part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Any run of the tenant that means this operation means the same one.
    Tenant,
    /// Only calls of the same run.
    Run,
}

/// The time for which an equal call means the same operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationLifetime {
    /// Until the window is over.
    Window,
    /// Until a caller certainly received its outcome, as far as the host can prove.
    Delivery,
}

/// An operation that is to take effect once. Debug output holds names, and no value or handle.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Operation {
    /// The name of the action, such as `refund`; none: the tool of its server.
    pub name: Option<String>,
    /// The fields that identify this operation.
    pub identity: Vec<Field>,
    /// The fields that every attempt must agree on.
    pub content: Vec<Field>,
    /// The scope of its key.
    pub scope: Scope,
    /// The time for which an equal call means it.
    pub until: OperationLifetime,
    /// The time for which it is remembered once settled, in seconds.
    pub window_seconds: u32,
    /// The time limit of one attempt, in seconds.
    pub attempt_seconds: u32,
    /// The target's treatment of repeats, or `None` if unknown.
    pub target: Option<Target>,
    /// The handles of what it undoes, where that is known beforehand.
    pub undoes: Vec<String>,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Operation");
        told.field("name", &self.name)
            .field("identity", &self.identity)
            .field("content", &self.content);
        told.field("scope", &self.scope)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Operation {
    /// Returns the name of the action that `call` asks for.
    #[must_use]
    pub fn title<'a>(&'a self, call: &'a Call) -> &'a str {
        self.name.as_deref().unwrap_or(call.tool())
    }
}

/// The system behind a tool, as far as repeats concern it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The places of the key.
    pub places: Vec<KeyPlace>,
    /// The form of the key.
    pub form: KeyForm,
    /// The effect of a repeat under the same key.
    pub repeats: RepeatEffect,
    /// The time for which it recognises a key, in seconds: `None` if undocumented, `u32::MAX` for
    /// ever.
    pub remembers_seconds: Option<u32>,
}

impl Target {
    /// The number of seconds that means: for ever.
    pub const FOR_EVER: u32 = u32::MAX;
}

/// The effect of a repeat under the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepeatEffect {
    /// The first answer again.
    Replayed,
    /// An error that says it is a repeat.
    Rejected,
    /// No further effect, and the present state as the answer.
    Harmless,
    /// Another effect.
    Effective,
}

impl RepeatEffect {
    /// Returns true if a repeat under the same key changes nothing.
    #[must_use]
    pub fn have_no_effect(self) -> bool {
        !matches!(self, Self::Effective)
    }
}

/// The place of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPlace {
    /// A JSON Pointer into the arguments.
    Argument(String),
    /// A JSON Pointer to a text argument; the key is added at its end, on a line of its own.
    Appended(String),
    /// A header of the request.
    Header(String),
    /// A key of the request's metadata.
    Metadata(String),
}

/// The form of a downstream key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// A lowercase hyphenated UUID with this version digit: 4, 5 or 8.
    Uuid(u8),
    /// So many lowercase hexadecimal digits: 32 to 64.
    Hex(u8),
}

impl Default for KeyForm {
    /// A UUID of version 8, the one for values that follow a vendor's own rule (RFC 9562).
    fn default() -> Self {
        Self::Uuid(8)
    }
}

/// A policy's reading of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Derivation {
    /// No side effect worth guarding: run it, record nothing.
    Pass,
    /// Guard it.
    Once(Box<Operation>),
    /// It must not run as it stands, and why.
    Refuse(String),
}
