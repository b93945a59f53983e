//! The reasons why an operation has no key, in words that a model can act on. No message holds a value of the call.
//!
//! [`KeyError`] is an extension point: a host or a binding that uses the core alone matches on its variants.

use crate::{json::JsonError, json::ShownPointer, model::IdentifierError};

/// The most fields that the identity of an operation, or its content, may have.
pub(crate) const FIELDS_MAX: usize = 256;

/// The most bytes that all names and values of the identity, or of the content, may take as canonical text.
pub(crate) const FIELDS_BYTES_MAX: usize = 1 << 20;

/// The longest name of a field, in bytes.
pub(crate) const FIELD_NAME_BYTES_MAX: usize = 1024;

/// The most operations that one call may undo.
pub(crate) const UNDOES_MAX: usize = 64;

/// The group of fields that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldGroup {
    /// The fields that identify the operation.
    Identity,
    /// The fields that every attempt must agree on.
    Content,
}

impl std::fmt::Display for FieldGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity",
            Self::Content => "content",
        })
    }
}

/// Why an operation has no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Its name is no name.
    #[error("the policy gave the operation a bad name: {0}")]
    Name(IdentifierError),
    /// The operation has no identity.
    #[error(
        "the operation has no identity, so a repeat looks like a new operation: the policy must name at least one field"
    )]
    NoIdentity,
    /// A field of its identity is null or empty.
    #[error("identity field {field} is {found}: give it the value that identifies this operation")]
    Empty {
        /// The field.
        field: ShownPointer,
        /// The kind of the value.
        found: &'static str,
    },
    /// A field has no name.
    #[error(
        "a field of the {part} has an empty name, or one longer than {FIELD_NAME_BYTES_MAX} bytes"
    )]
    FieldName {
        /// Where.
        part: FieldGroup,
    },
    /// Two fields have one name.
    #[error("{part} field {field} is named twice: the policy must name it once")]
    Twice {
        /// Where.
        part: FieldGroup,
        /// The field.
        field: ShownPointer,
    },
    /// It has too many fields.
    #[error("the {part} has {count} fields, more than {FIELDS_MAX}: name fewer")]
    TooMany {
        /// Where.
        part: FieldGroup,
        /// The count.
        count: usize,
    },
    /// Its fields are too large or too deep.
    #[error("{part} field {field} cannot be used: {problem}")]
    Value {
        /// Where.
        part: FieldGroup,
        /// The field.
        field: ShownPointer,
        /// Why.
        problem: JsonError,
    },
    /// The operation is scoped to a run, and the call names none.
    #[error(
        "the operation is kept apart by run, and the call names none: give the run, or have the policy use scope `tenant`"
    )]
    NoRun,
    /// It undoes too much at once.
    #[error("the call undoes {count} operations, more than {UNDOES_MAX}: undo fewer at once")]
    TooManyUndone {
        /// The count.
        count: usize,
    },
    /// There is no such form of a UUID.
    #[error("the policy asks for a UUID of version {0}, and Semel makes versions 4, 5 and 8")]
    Version(u8),
    /// There are not so many digits.
    #[error("the policy asks for {0} hexadecimal digits, and Semel gives 32 to 64")]
    Digits(u8),
}
