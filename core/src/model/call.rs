//! What an agent asks for: a tool, its arguments, and what the host knows besides.

use super::arguments::CallArguments;
use crate::json::{JsonDocument, JsonMap, JsonValue};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// The longest name of a tool, tenant or run, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// A mistake in a name that came from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// It is empty.
    #[error("{what} is empty: give it a name")]
    Empty {
        /// Which word.
        what: &'static str,
    },
    /// It is too long.
    #[error("{what} is {bytes} bytes long, more than {NAME_BYTES_MAX}: shorten it")]
    TooLong {
        /// Which word.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// It holds a control character.
    #[error("{what} holds a control character: leave it out")]
    Control {
        /// Which word.
        what: &'static str,
    },
    /// The arguments are no JSON object.
    #[error("arguments must be one JSON object, found {found}")]
    NotAnObject {
        /// The kind of the value instead.
        found: &'static str,
    },
}

/// A name that people gave: neither empty, nor overlong, nor with control characters.
pub fn checked_name(what: &'static str, name: &str) -> Result<(), IdentifierError> {
    if name.is_empty() {
        return Err(IdentifierError::Empty { what });
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(IdentifierError::TooLong {
            what,
            bytes: name.len(),
        });
    }
    if name.chars().any(char::is_control) {
        return Err(IdentifierError::Control { what });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            #[doc = concat!("A ", $what, " of this name.\n\n# Errors\nIf the name is empty, overlong or holds control characters.")]
            pub fn new(name: impl Into<String>) -> Result<Self, IdentifierError> {
                let name = name.into();
                checked_name($what, &name)?;
                Ok(Self(name))
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = IdentifierError;
            fn try_from(name: String) -> Result<Self, IdentifierError> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The tenant of a call. It comes from the host or its operator, never from a policy or a
    /// model, and no tenant ever sees another's outcomes.
    Tenant,
    "tenant"
);
name!(
    /// One run of an agent: how far a key of scope `run` reaches.
    Run,
    "run"
);

impl Default for Tenant {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

/// A named JSON value. Debug output holds the name only.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: JsonValue,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({}, …)", self.name)
    }
}

/// One request of an agent to run a tool, always as the agent made it: never with a key in it.
/// Debug output holds neither arguments nor facts.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Call {
    tool: String,
    arguments: CallArguments,
    tenant: Tenant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Run>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    facts: BTreeMap<String, JsonValue>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("tool", &self.tool)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// A call of `tool` with `arguments`, for the tenant `default`, outside any run.
    ///
    /// Arguments are a value, such as `json!` makes, or a [`JsonDocument`]: of that the tool gets the text as it is, but
    /// for the key.
    ///
    /// # Errors
    /// If the tool's name is not a valid name, or the arguments are not one JSON object.
    ///
    /// # Examples
    /// ```
    /// use semel_core::model::Call;
    /// use serde_json::json;
    ///
    /// let call = Call::new("charge", json!({ "order": "o-7", "cents": 500 }))?;
    /// assert_eq!(call.tool(), "charge");
    /// assert!(Call::new("charge", json!([500])).is_err());
    /// # Ok::<(), semel_core::model::IdentifierError>(())
    /// ```
    pub fn new(
        tool: impl Into<String>,
        arguments: impl Into<JsonDocument>,
    ) -> Result<Self, IdentifierError> {
        let tool = tool.into();
        checked_name("tool", &tool)?;
        let arguments = CallArguments::new(arguments.into())
            .map_err(|found| IdentifierError::NotAnObject { found })?;
        Ok(Self {
            tool,
            arguments,
            tenant: Tenant::default(),
            run: None,
            facts: BTreeMap::new(),
        })
    }

    /// The same call on behalf of `tenant`.
    #[must_use]
    pub fn for_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = tenant;
        self
    }

    /// The same call within `run`.
    #[must_use]
    pub fn in_run(mut self, run: Run) -> Self {
        self.run = Some(run);
        self
    }

    /// Returns the same call with one more fact of the host, such as `server` or `hint.read-only`.
    /// Set `tenant` and `run` by [`Call::for_tenant`] and [`Call::in_run`]; as facts they are
    /// ignored.
    #[must_use]
    pub fn with_fact(mut self, name: impl Into<String>, value: impl Into<JsonValue>) -> Self {
        self.facts.insert(name.into(), value.into());
        self
    }

    /// The tool's name, as the agent called it.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// The arguments.
    #[must_use]
    pub fn arguments(&self) -> &JsonMap {
        self.arguments.members()
    }

    /// The arguments as JSON text: as the agent wrote them, where the call was made of a text.
    #[must_use]
    pub fn arguments_json(&self) -> Cow<'_, str> {
        self.arguments.text()
    }

    /// The arguments as [`canonical`](crate::json::canonical) text. It is made once: policies and digests all ask for it.
    #[must_use]
    pub fn canonical_arguments(&self) -> &str {
        self.arguments.canonical()
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Within which run, where that is known.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// The server of the tool, where the host names it by the fact `server`.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.facts.get("server").and_then(JsonValue::as_str)
    }

    /// All facts, as a policy reads them: in order of name, with `tenant` and `run` among them.
    #[must_use]
    pub fn facts(&self) -> BTreeMap<&str, JsonValue> {
        let mut facts: BTreeMap<&str, JsonValue> = self
            .facts
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        facts.insert("tenant", JsonValue::from(self.tenant.as_str()));
        facts.remove("run");
        if let Some(run) = &self.run {
            facts.insert("run", JsonValue::from(run.as_str()));
        }
        facts
    }
}
