//! A key into a call: where the system behind the tool wants it.
//!
//! The call that policies see and that is digested never has a key in it; this module makes the one
//! that is sent. Nothing here sends, and nothing decides what a key is.
//!
//! [`KeyPlaceError`] is an extension point: a host or a binding that uses the core alone matches on its variants.

mod pointer;
mod splice;

#[cfg(test)]
mod tests;

use crate::{
    json::ShownPointer,
    model::{Call, KeyPlace},
};
use pointer::ObjectPointer;
use splice::SpliceError;

/// The most places that a key is put into.
pub const PLACES_MAX: usize = 8;

/// The longest JSON Pointer, header name or metadata key, in bytes.
const PLACE_BYTES_MAX: usize = 512;

/// The deepest that a JSON Pointer reaches.
const POINTER_SEGMENTS_MAX: usize = 32;

/// The call to send: the arguments with the key in them, and the headers beside them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PlacedCall {
    /// The arguments as JSON text: as the agent wrote it, byte by byte, but for the key.
    pub arguments_json: String,
    /// Headers of the request, by name.
    pub headers: Vec<(String, String)>,
    /// The request's metadata.
    pub metadata: Vec<(String, String)>,
}

impl std::fmt::Debug for PlacedCall {
    /// Without values: there is a key among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlacedCall")
            .field("arguments_bytes", &self.arguments_json.len())
            .field("headers", &self.headers.len())
            .field("metadata", &self.metadata.len())
            .finish()
    }
}

/// Why a key cannot be put where the policy wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyPlaceError {
    /// There are too many places.
    #[error("the policy wants the key in {0} places, more than {PLACES_MAX}: name fewer")]
    TooMany(usize),
    /// The text is not a valid JSON Pointer.
    #[error("the policy wants the key at {at}, which is not a usable JSON Pointer: {problem}")]
    Pointer {
        /// The pointer.
        at: ShownPointer,
        /// Why.
        problem: &'static str,
    },
    /// Another value is on the path to it.
    #[error(
        "the key belongs at {at}, and {found} is in its path: pass an object there, or leave it out"
    )]
    Blocked {
        /// The place of the key.
        at: ShownPointer,
        /// The value in its way.
        found: &'static str,
    },
    /// An object or a list is in the place of the key, and would be lost.
    #[error("the key belongs at {at}, and the call has {found} there: leave it out")]
    Occupied {
        /// The place of the key.
        at: ShownPointer,
        /// The value there.
        found: &'static str,
    },
    /// The value that the key is added to is not a text.
    #[error("the key is added to the text at {at}, and the call has {found} there: pass a text")]
    NoText {
        /// The place of the text.
        at: ShownPointer,
        /// The value there.
        found: &'static str,
    },
    /// The arguments cannot be read.
    #[error("the key cannot be put into the arguments: {0}")]
    Unreadable(String),
    /// The name of the header is not valid.
    #[error(
        "the policy wants the key in header {0}, which is not a header name: use letters, digits and hyphens"
    )]
    Header(ShownPointer),
    /// The name in the metadata is not valid.
    #[error(
        "the policy wants the key in metadata {0}: such a name is 1 to {PLACE_BYTES_MAX} bytes without control characters"
    )]
    Metadata(ShownPointer),
    /// A place is named twice.
    #[error("the policy names the place {0} twice: name it once")]
    Twice(ShownPointer),
}

/// Puts `key` into every one of `places` of `call`. A value at an argument's place is replaced (client libraries put random
/// keys there); null on the way counts as missing, and missing objects are made.
///
/// # Errors
/// If a place cannot take the key. Whether it can does not depend on the key: see [`check`].
pub fn put(places: &[KeyPlace], key: &str, call: &Call) -> Result<PlacedCall, KeyPlaceError> {
    if places.len() > PLACES_MAX {
        return Err(KeyPlaceError::TooMany(places.len()));
    }
    let mut placed = PlacedCall {
        arguments_json: call.arguments_json().into_owned(),
        ..PlacedCall::default()
    };
    for (index, place) in places.iter().enumerate() {
        if places
            .iter()
            .take(index)
            .any(|earlier| is_same(earlier, place))
        {
            return Err(KeyPlaceError::Twice(ShownPointer::new(name_of(place))));
        }
        placed.put(place, key)?;
    }
    Ok(placed)
}

/// Checks that a key can be put into every one of `places`: before the operation is claimed, so
/// that a mistake in a policy runs nothing.
///
/// # Errors
///
/// If a place cannot take a key.
pub fn check(places: &[KeyPlace], call: &Call) -> Result<(), KeyPlaceError> {
    put(places, "", call).map(drop)
}

impl PlacedCall {
    fn put(&mut self, place: &KeyPlace, key: &str) -> Result<(), KeyPlaceError> {
        match place {
            KeyPlace::Argument(pointer) => set(&mut self.arguments_json, pointer, key),
            KeyPlace::Appended(pointer) => append(&mut self.arguments_json, pointer, key),
            KeyPlace::Header(name) if is_token(name) => {
                self.headers.push((name.clone(), key.to_owned()));
                Ok(())
            }
            KeyPlace::Header(name) => Err(KeyPlaceError::Header(ShownPointer::new(name))),
            KeyPlace::Metadata(name) if is_plain(name) => {
                self.metadata.push((name.clone(), key.to_owned()));
                Ok(())
            }
            KeyPlace::Metadata(name) => Err(KeyPlaceError::Metadata(ShownPointer::new(name))),
        }
    }
}

fn set(arguments: &mut String, pointer: &str, key: &str) -> Result<(), KeyPlaceError> {
    let at = || ShownPointer::new(pointer);
    *arguments = splice::set(arguments, &parse(pointer)?, key).map_err(|error| match error {
        SpliceError::Blocked(found) => KeyPlaceError::Blocked { at: at(), found },
        SpliceError::Occupied(found) => KeyPlaceError::Occupied { at: at(), found },
        SpliceError::Unreadable(problem) => KeyPlaceError::Unreadable(problem),
    })?;
    Ok(())
}

fn append(arguments: &mut String, pointer: &str, key: &str) -> Result<(), KeyPlaceError> {
    *arguments = splice::append(arguments, &parse(pointer)?, key).map_err(|error| match error {
        SpliceError::Blocked(found) | SpliceError::Occupied(found) => KeyPlaceError::NoText {
            at: ShownPointer::new(pointer),
            found,
        },
        SpliceError::Unreadable(problem) => KeyPlaceError::Unreadable(problem),
    })?;
    Ok(())
}

fn parse(pointer: &str) -> Result<ObjectPointer, KeyPlaceError> {
    ObjectPointer::parse(pointer).map_err(|problem| KeyPlaceError::Pointer {
        at: ShownPointer::new(pointer),
        problem,
    })
}

/// Header names do not differ by case.
fn is_same(one: &KeyPlace, other: &KeyPlace) -> bool {
    match (one, other) {
        (KeyPlace::Header(one), KeyPlace::Header(other)) => one.eq_ignore_ascii_case(other),
        (
            KeyPlace::Argument(one) | KeyPlace::Appended(one),
            KeyPlace::Argument(other) | KeyPlace::Appended(other),
        ) => one == other,
        (one, other) => one == other,
    }
}

fn name_of(place: &KeyPlace) -> &str {
    match place {
        KeyPlace::Argument(name)
        | KeyPlace::Appended(name)
        | KeyPlace::Header(name)
        | KeyPlace::Metadata(name) => name,
    }
}

/// A token of RFC 9110, 5.6.2.
fn is_token(name: &str) -> bool {
    let is_token_char =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    is_plain(name) && name.as_bytes().iter().all(is_token_char)
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= PLACE_BYTES_MAX && !name.chars().any(char::is_control)
}
