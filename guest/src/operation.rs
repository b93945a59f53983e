//! Operations and targets, built field by field.

use crate::Value;

use crate::call::json_text;
use crate::{Derivation, Field, Form, Operation, Place, Repeats, Scope, Target, Until};

/// A day: how long an operation is remembered unless the policy says otherwise.
const DEFAULT_WINDOW_SECONDS: u32 = 86_400;

/// The default time limit of an attempt.
const DEFAULT_ATTEMPT_SECONDS: u32 = 300;

impl Field {
    /// A named value.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::from_member(name.into(), &value.into())
    }

    fn from_member(name: String, value: &Value) -> Self {
        Self {
            name,
            value: json_text(value),
        }
    }
}

impl Operation {
    /// An operation of this name, such as `refund` or `email.send`: of the tenant, remembered for a day once it is
    /// settled, with five minutes for an attempt, and a target of which nothing is known.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::of_tool()
        }
    }

    /// As [`Operation::new`], named by the tool and its server. Tools of two servers never mean one operation then.
    #[must_use]
    pub fn of_tool() -> Self {
        Self {
            name: None,
            identity: Vec::new(),
            content: Vec::new(),
            scope: Scope::Tenant,
            until: Until::Window,
            window_seconds: DEFAULT_WINDOW_SECONDS,
            attempt_seconds: DEFAULT_ATTEMPT_SECONDS,
            target: None,
            undoes: Vec::new(),
            extras: Vec::new(),
        }
    }

    /// Adds a field that makes it this operation and no other. At least one is needed.
    #[must_use]
    pub fn identity(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.identity.push(Field::new(name, value));
        self
    }

    /// Adds a field that every attempt must agree on.
    #[must_use]
    pub fn content(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.content.push(Field::new(name, value));
        self
    }

    /// Sets the scope of its key.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets the time for which an equal call means the same operation.
    #[must_use]
    pub fn until(mut self, until: Until) -> Self {
        self.until = until;
        self
    }

    /// Sets the time for which it is remembered once it is settled.
    #[must_use]
    pub fn window_seconds(mut self, seconds: u32) -> Self {
        self.window_seconds = seconds;
        self
    }

    /// Sets the time limit of one attempt, after which its effect counts as unknown.
    #[must_use]
    pub fn attempt_seconds(mut self, seconds: u32) -> Self {
        self.attempt_seconds = seconds;
        self
    }

    /// Sets the target's treatment of repeats.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Adds the handle of something this operation undoes.
    #[must_use]
    pub fn undoes(mut self, handle: impl Into<String>) -> Self {
        self.undoes.push(handle.into());
        self
    }

    /// Guard it: the end of most implementations of [`derive`](crate::Policy::derive).
    #[must_use]
    pub fn once(self) -> Derivation {
        Derivation::Once(self)
    }
}

impl From<Operation> for Derivation {
    fn from(operation: Operation) -> Self {
        Self::Once(operation)
    }
}

impl Derivation {
    /// It must not run as it stands, and why, for the agent to read.
    #[must_use]
    pub fn refuse(reason: impl Into<String>) -> Self {
        Self::Refuse(reason.into())
    }
}

impl Target {
    /// Returns a target without a place for its key, and with unknown treatment of repeats and
    /// memory.
    #[must_use]
    pub fn new() -> Self {
        Self {
            places: Vec::new(),
            form: Form::Uuid(8),
            repeats: Repeats::Effective,
            remembers_seconds: None,
            extras: Vec::new(),
        }
    }

    /// A target that finds the key in a header of the request, and answers repeats with the first answer.
    #[must_use]
    pub fn header(name: impl Into<String>) -> Self {
        Self::new()
            .place(Place::Header(name.into()))
            .repeats(Repeats::Replayed)
    }

    /// A target that finds the key in an argument (a JSON Pointer), and answers repeats with the first answer.
    #[must_use]
    pub fn argument(pointer: impl Into<String>) -> Self {
        Self::new()
            .place(Place::Argument(pointer.into()))
            .repeats(Repeats::Replayed)
    }

    /// A target that finds the key in the request's metadata, and answers repeats with the first answer.
    #[must_use]
    pub fn metadata(name: impl Into<String>) -> Self {
        Self::new()
            .place(Place::Metadata(name.into()))
            .repeats(Repeats::Replayed)
    }

    /// A target that knows no keys: the key is a mark at the end of a text argument (a JSON Pointer), for a probe to
    /// find.
    #[must_use]
    pub fn mark(pointer: impl Into<String>) -> Self {
        Self::new().place(Place::Appended(pointer.into()))
    }

    /// A target on which repeats have no further effect by nature, for ever, as of setting a value.
    #[must_use]
    pub fn idempotent() -> Self {
        Self::new().repeats(Repeats::Harmless).remembers(u32::MAX)
    }

    /// Adds a place where the key goes.
    #[must_use]
    pub fn place(mut self, place: Place) -> Self {
        self.places.push(place);
        self
    }

    /// Sets the form of the key; a UUID of version 8 by default.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Sets the effect of a repeat under the same key.
    #[must_use]
    pub fn repeats(mut self, repeats: Repeats) -> Self {
        self.repeats = repeats;
        self
    }

    /// Sets the time for which it recognises a key, in seconds, as its own documents promise. Leave
    /// it out where they do not.
    #[must_use]
    pub fn remembers(mut self, seconds: u32) -> Self {
        self.remembers_seconds = Some(seconds);
        self
    }
}

impl Default for Target {
    fn default() -> Self {
        Self::new()
    }
}
