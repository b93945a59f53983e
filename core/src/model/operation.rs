//! What a call means, as its policy says.

use super::call::Field;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a key reaches. Tenant and name space are always part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Any run of the tenant that means this operation means the same one.
    Tenant,
    /// Only calls of the same run.
    Run,
}

/// How long an equal call means the same operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationLifetime {
    /// Until the window is over.
    Window,
    /// Until a caller certainly received its outcome, as far as the host can prove.
    Delivery,
}

/// An operation that is to take effect once. Debug output tells names, and no value or handle.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Operation {
    /// What is done, such as `refund`.
    pub name: String,
    /// What makes it this operation and no other.
    pub identity: Vec<Field>,
    /// What every attempt at it must agree on.
    pub content: Vec<Field>,
    /// How far its key reaches.
    pub scope: Scope,
    /// How long an equal call means it.
    pub until: OperationLifetime,
    /// How long it is remembered once it is settled, in seconds.
    pub window_seconds: u32,
    /// How long one attempt may take, in seconds.
    pub attempt_seconds: u32,
    /// How the system behind the tool treats repeats; none: nothing is known.
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

/// The system behind a tool, as far as repeats concern it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Where the key goes.
    pub places: Vec<KeyPlace>,
    /// What the key looks like.
    pub form: KeyForm,
    /// What a repeat under the same key comes to.
    pub repeats: RepeatEffect,
    /// How long it recognises a key, in seconds. None: not documented. `u32::MAX`: for ever.
    pub remembers_seconds: Option<u32>,
}

impl Target {
    /// The number of seconds that means: for ever.
    pub const FOR_EVER: u32 = u32::MAX;
}

/// What a repeat under the same key comes to.
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
    /// Whether a repeat under the same key leaves the world as it is.
    #[must_use]
    pub fn have_no_effect(self) -> bool {
        !matches!(self, Self::Effective)
    }
}

/// Where a key goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPlace {
    /// A JSON Pointer into the arguments.
    Argument(String),
    /// A JSON Pointer to a text argument, to whose end the key is added on a line of its own.
    Appended(String),
    /// A header of the request.
    Header(String),
    /// A key of the request's metadata.
    Metadata(String),
}

/// What a downstream key looks like.
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

/// What a policy makes of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Derivation {
    /// No side effect worth guarding: run it, record nothing.
    Pass,
    /// Guard it.
    Once(Box<Operation>),
    /// It must not run as it stands, and why.
    Refuse(String),
}
