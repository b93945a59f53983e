//! JSON Pointers (RFC 6901) into the arguments of a call.

use super::{PLACE_BYTES_MAX, POINTER_SEGMENTS_MAX};
use crate::json::kind_of;
use serde_json::{Map, Value};

/// A pointer to something within an object, never to the object itself.
pub(super) struct ObjectPointer {
    /// The members on the way.
    way: Vec<String>,
    last: String,
}

/// The obstacle.
pub(super) struct BlockedPath(pub(super) &'static str);

impl ObjectPointer {
    pub(super) fn parse(pointer: &str) -> Result<Self, &'static str> {
        if pointer.len() > PLACE_BYTES_MAX {
            return Err("it is longer than 512 bytes");
        }
        let segments = pointer
            .strip_prefix('/')
            .ok_or("it must begin with a slash, as in `/meta/key`")?;
        let mut way: Vec<_> = segments
            .split('/')
            .map(unescape_segment)
            .collect::<Result<_, _>>()?;
        if way.len() > POINTER_SEGMENTS_MAX {
            return Err("it reaches deeper than 32 levels");
        }
        let last = way.pop().unwrap_or_default();
        Ok(Self { way, last })
    }

    /// The place it names, made where it is missing (then null stands there). Lists on the way are not entered: where
    /// a key belongs must not depend on how many items a call has.
    pub(super) fn place_in(
        self,
        arguments: &mut Map<String, Value>,
    ) -> Result<&mut Value, BlockedPath> {
        let mut object = arguments;
        for name in self.way {
            let member = object.entry(name).or_insert(Value::Null);
            if member.is_null() {
                *member = Value::Object(Map::new());
            }
            let found = kind_of(member);
            object = member.as_object_mut().ok_or(BlockedPath(found))?;
        }
        Ok(object.entry(self.last).or_insert(Value::Null))
    }

    /// The value it names, where there is one.
    pub(super) fn find_in<'a>(
        &self,
        arguments: &'a mut Map<String, Value>,
    ) -> Option<&'a mut Value> {
        let mut object = arguments;
        for name in &self.way {
            object = object.get_mut(name)?.as_object_mut()?;
        }
        object.get_mut(&self.last)
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
