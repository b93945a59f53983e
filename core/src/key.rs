//! Keys: where the record of an operation lies, what its attempts must agree on, and what the target sees.
//!
//! All of it is a pure digest of what the operation *is*. No clock, no counter and no randomness takes part, so every
//! host that holds the same secret makes the same key, and a retry cannot get a fresh one. The bytes are specified, with
//! vectors, in `tests/vectors` of the repository. Nothing here keeps a record or reads a file.

mod encoding;
mod error;
mod fields;
mod form;
mod secret;

#[cfg(test)]
mod tests;

use crate::model::{
    Call, CallDigest, Fingerprint, Operation, Scope, StoreKey, Tenant, checked_name,
};
use encoding::{DigestMessage, DigestPurpose};
use error::UNDOES_MAX;

pub use error::{FieldGroup, KeyError};
pub use form::DownstreamKey;
pub use secret::{SECRET_BYTES_MAX, Secret, SecretError};

/// The format of the keys that this release makes. Part of every digest and of a ledger's scheme record.
pub const FORMAT: u16 = 2;

/// The mode of a host: it decides, or it only records what it would decide. The two never read each
/// other's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyMode {
    /// It decides.
    #[default]
    Enforce,
    /// It watches.
    Shadow,
}

impl KeyMode {
    fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// One of several operations of equal meaning, where nothing but the host tells them apart: calls of a
/// tool that no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationInstance {
    /// The digest of what identifies the tool's server.
    pub server: [u8; 32],
    /// Which of the equal calls that run at a time, from 0.
    pub occurrence: u8,
}

/// The settings from which a host makes keys.
///
/// # Examples
/// Two calls that mean one operation have one key, whatever else they say.
/// ```
/// use semel_core::key::{KeyMode, KeyScheme};
/// use semel_core::model::{Call, Field, Operation, OperationLifetime, Scope};
/// use serde_json::json;
///
/// let scheme = KeyScheme::new(KeyMode::Enforce, None);
/// let refund = |order: &str| Operation {
///     name: Some("refund".to_owned()),
///     identity: vec![Field {
///         name: "order".to_owned(),
///         value: order.into(),
///     }],
///     content: Vec::new(),
///     scope: Scope::Tenant,
///     until: OperationLifetime::Window,
///     window_seconds: 86_400,
///     attempt_seconds: 60,
///     target: None,
///     undoes: Vec::new(),
/// };
/// let one = Call::new("refund", json!({ "order": "o-7", "note": "late" }))?;
/// let other = Call::new("refund", json!({ "order": "o-7" }))?;
///
/// let key = scheme.store_key("shop", &one, &refund("o-7"))?;
/// assert_eq!(key, scheme.store_key("shop", &other, &refund("o-7"))?);
/// assert_ne!(key, scheme.store_key("shop", &other, &refund("o-8"))?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeyScheme {
    mode: KeyMode,
    secret: Option<Secret>,
}

impl KeyScheme {
    /// Returns a scheme for this mode and secret. Without a secret keys are plain digests: a reader
    /// of a key can test which identity gives it.
    #[must_use]
    pub fn new(mode: KeyMode, secret: Option<Secret>) -> Self {
        Self { mode, secret }
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> KeyMode {
        self.mode
    }

    /// Returns the identifier of the secret for the scheme record of a ledger, or `None` without a
    /// secret.
    #[must_use]
    pub fn secret_id(&self) -> Option<String> {
        self.secret.as_ref().map(Secret::id)
    }

    /// Returns the key of the record of `operation`, the meaning of `call`. It depends on nothing
    /// else: what the operation undoes enters by the names of its handles, whose order and repeats do
    /// not matter.
    ///
    /// Checks all of the operation that a key rests on, the target's form included, so that nothing about a key can
    /// fail once an operation is claimed but its content's fingerprint, which is to be taken before as well.
    ///
    /// # Errors
    ///
    /// If the operation has no usable name, identity or form, or needs a run that the call does not name.
    pub fn store_key(
        &self,
        name_space: &str,
        call: &Call,
        operation: &Operation,
    ) -> Result<StoreKey, KeyError> {
        self.instance_key(name_space, call, operation, None)
    }

    /// As [`KeyScheme::store_key`], for one instance of an operation that its host tells apart from
    /// others of equal meaning.
    ///
    /// # Errors
    ///
    /// As [`KeyScheme::store_key`].
    pub fn instance_key(
        &self,
        name_space: &str,
        call: &Call,
        operation: &Operation,
        instance: Option<&OperationInstance>,
    ) -> Result<StoreKey, KeyError> {
        if let Some(name) = &operation.name {
            checked_name("the name", name).map_err(KeyError::Name)?;
        }
        // The form matters only after the claim, when a mistake could no longer stop the call.
        if let Some(target) = &operation.target {
            form::check_form(target.form)?;
        }
        if operation.scope == Scope::Run && call.run().is_none() {
            return Err(KeyError::NoRun);
        }
        let message = self.message(DigestPurpose::Operation, name_space, call.tenant());
        let message = in_scope(message, operation.scope, call);
        let message = with_action(message, call, operation)
            .list(&fields::identity(&operation.identity)?, put_field)
            .list(&ordered_handles(&operation.undoes)?, |message, handle| {
                message.text(handle)
            })
            .list(instance.as_slice(), |message, instance| {
                message
                    .bytes(&instance.server)
                    .number(instance.occurrence.into())
            });
        Ok(StoreKey::from_bytes(message.digest(self.secret.as_ref())))
    }

    /// Returns the key of a handle's record.
    #[must_use]
    pub fn handle_key(&self, name_space: &str, tenant: &Tenant, handle: &str) -> StoreKey {
        let message = self
            .message(DigestPurpose::Handle, name_space, tenant)
            .text(handle);
        StoreKey::from_bytes(message.digest(self.secret.as_ref()))
    }

    /// Returns the key of a watched tool's tally for the day that began at `day_ms`.
    pub fn tally_key(&self, tool: &str, day_ms: u64) -> StoreKey {
        let message = DigestMessage::new(DigestPurpose::Tally, self.mode)
            .text(tool)
            .number(day_ms);
        StoreKey::from_bytes(message.digest(self.secret.as_ref()))
    }

    /// The same keys for a host of this mode.
    #[must_use]
    pub fn in_mode(&self, mode: KeyMode) -> Self {
        Self {
            mode,
            secret: self.secret.clone(),
        }
    }

    /// Returns the fingerprint of the content that every attempt at `operation` must agree on.
    ///
    /// # Errors
    ///
    /// If the content is too large or names a field twice.
    pub fn fingerprint(
        &self,
        name_space: &str,
        call: &Call,
        operation: &Operation,
    ) -> Result<Fingerprint, KeyError> {
        let message = self.message(DigestPurpose::Content, name_space, call.tenant());
        let message = with_action(message, call, operation)
            .list(&fields::content(&operation.content)?, put_field);
        Ok(Fingerprint::from_bytes(
            message.digest(self.secret.as_ref()),
        ))
    }

    /// Returns a digest that is equal for the very same call: tool and arguments, including noise,
    /// and the run where the operation is scoped to it.
    #[must_use]
    pub fn call_digest(&self, name_space: &str, call: &Call, scope: Scope) -> CallDigest {
        let message = self.message(DigestPurpose::Call, name_space, call.tenant());
        let message = in_scope(message, scope, call)
            .text(call.tool())
            .text(call.canonical_arguments());
        CallDigest::from_bytes(message.digest(self.secret.as_ref()))
    }

    /// Returns the key that the target gets for a generation and series of an operation.
    #[must_use]
    pub fn downstream(&self, key: &StoreKey, generation: u32, series: u32) -> DownstreamKey {
        let message = DigestMessage::new(DigestPurpose::Downstream, self.mode)
            .bytes(key.as_bytes())
            .number(generation.into())
            .number(series.into());
        DownstreamKey::new(message.digest(self.secret.as_ref()))
    }

    fn message(&self, purpose: DigestPurpose, name_space: &str, tenant: &Tenant) -> DigestMessage {
        DigestMessage::new(purpose, self.mode)
            .text(name_space)
            .text(tenant.as_str())
    }
}

fn in_scope(message: DigestMessage, scope: Scope, call: &Call) -> DigestMessage {
    match scope {
        Scope::Tenant => message.text("tenant"),
        // No run has an empty name.
        Scope::Run => message
            .text("run")
            .text(call.run().map_or("", |run| run.as_str())),
    }
}

/// Adds the action: a name that a policy gave, or the tool of its server. The two never meet.
fn with_action(message: DigestMessage, call: &Call, operation: &Operation) -> DigestMessage {
    match &operation.name {
        Some(name) => message.text("operation").text(name),
        None => message
            .text("tool")
            .text(call.tool())
            .list(call.server().as_slice(), |message, server| {
                message.text(server)
            }),
    }
}

fn put_field(message: DigestMessage, (name, value): &(&str, String)) -> DigestMessage {
    message.text(name).text(value)
}

fn ordered_handles(undoes: &[String]) -> Result<Vec<&str>, KeyError> {
    if undoes.len() > UNDOES_MAX {
        return Err(KeyError::TooManyUndone {
            count: undoes.len(),
        });
    }
    // A set, whatever the order in which the call names its handles.
    let mut ordered: Vec<&str> = undoes.iter().map(String::as_str).collect();
    ordered.sort_unstable();
    ordered.dedup();
    Ok(ordered)
}
