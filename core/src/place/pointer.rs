//! JSON Pointers (RFC 6901) into the arguments of a call.

use super::{PLACE_BYTES_MAX, POINTER_SEGMENTS_MAX};
use std::slice;

/// A pointer to something within an object, never to the object itself.
pub(super) struct ObjectPointer {
    /// INVARIANT: not empty.
    names: Vec<String>,
}

impl ObjectPointer {
    pub(super) fn parse(pointer: &str) -> Result<Self, &'static str> {
        if pointer.len() > PLACE_BYTES_MAX {
            return Err("it is longer than 512 bytes");
        }
        let segments = pointer
            .strip_prefix('/')
            .ok_or("it must begin with a slash, as in `/meta/key`")?;
        let names: Vec<_> = segments
            .split('/')
            .map(unescape_segment)
            .collect::<Result<_, _>>()?;
        if names.len() > POINTER_SEGMENTS_MAX {
            return Err("it reaches deeper than 32 levels");
        }
        Ok(Self { names })
    }

    /// The names of the members on the way, and that of the member itself.
    pub(super) fn names(&self) -> slice::Iter<'_, String> {
        self.names.iter()
    }
}

fn unescape_segment(segment: &str) -> Result<String, &'static str> {
    let mut chars = segment.chars();
    let mut name = String::with_capacity(segment.len());
    while let Some(char) = chars.next() {
        name.push(match char {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err("after `~` there must be `0` or `1`"),
            },
            char => char,
        });
    }
    Ok(name)
}
