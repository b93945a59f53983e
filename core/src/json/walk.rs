//! Every value within a value, parents first, without recursion: nesting from outside must not exhaust the stack.

use super::ShownPointer;
use serde_json::{Map, Value, map};
use std::{iter::Enumerate, slice};

/// The way from a parent to a child.
#[derive(Clone, Copy)]
enum Segment<'a> {
    None,
    Index(usize),
    Name(&'a str),
}

enum Children<'a> {
    Root(Option<&'a Value>),
    Items(Enumerate<slice::Iter<'a, Value>>),
    Members(map::Iter<'a>),
}

impl<'a> Iterator for Children<'a> {
    type Item = (Segment<'a>, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Root(root) => root.take().map(|root| (Segment::None, root)),
            Self::Items(items) => items
                .next()
                .map(|(index, item)| (Segment::Index(index), item)),
            Self::Members(members) => members
                .next()
                .map(|(name, member)| (Segment::Name(name), member)),
        }
    }
}

struct Level<'a> {
    children: Children<'a>,
    taken: Segment<'a>,
}

impl<'a> Level<'a> {
    fn of(children: Children<'a>) -> Self {
        Self {
            children,
            taken: Segment::None,
        }
    }
}

pub(super) struct Walk<'a> {
    levels: Vec<Level<'a>>,
}

impl<'a> Walk<'a> {
    pub(super) fn over(value: &'a Value) -> Self {
        Self {
            levels: vec![Level::of(Children::Root(Some(value)))],
        }
    }

    /// The values within an object that is no value by itself, as deep as they would be within one.
    pub(super) fn over_members(members: &'a Map<String, Value>) -> Self {
        let root = Level::of(Children::Root(None));
        Self {
            levels: vec![root, Level::of(Children::Members(Map::iter(members)))],
        }
    }

    pub(super) fn next(&mut self) -> Option<&'a Value> {
        loop {
            let level = self.levels.last_mut()?;
            if let Some((segment, value)) = level.children.next() {
                level.taken = segment;
                self.enter(value);
                return Some(value);
            }
            self.levels.pop();
        }
    }

    fn enter(&mut self, value: &'a Value) {
        match value {
            Value::Array(items) => self
                .levels
                .push(Level::of(Children::Items(items.iter().enumerate()))),
            Value::Object(members) => self
                .levels
                .push(Level::of(Children::Members(Map::iter(members)))),
            _ => {}
        }
    }

    /// Returns the depth of the walk, including the present value if that is a list or an object.
    pub(super) fn depth(&self) -> usize {
        self.levels.len().saturating_sub(1)
    }

    /// Returns the length of the present value's name as text, if it is a member of an object.
    pub(super) fn name_bytes(&self) -> usize {
        // The level of a list or object that was just entered has no child taken yet.
        let parent = self
            .levels
            .iter()
            .rev()
            .find(|level| !matches!(level.taken, Segment::None));
        match parent.map(|level| level.taken) {
            Some(Segment::Name(name)) => name.len() + 3,
            _ => 0,
        }
    }

    /// A JSON Pointer to the value it stands on.
    pub(super) fn pointer(&self) -> String {
        let mut pointer = String::new();
        for level in &self.levels {
            match level.taken {
                Segment::None => {}
                Segment::Index(index) => pointer.push_str(&format!("/{index}")),
                Segment::Name(name) => push_segment(&mut pointer, name),
            }
        }
        pointer
    }

    /// The same for a message.
    pub(super) fn here(&self) -> ShownPointer {
        ShownPointer::new(&self.pointer())
    }
}

/// Adds a member's name to a JSON Pointer (RFC 6901).
pub(super) fn push_segment(pointer: &mut String, name: &str) {
    pointer.push('/');
    for char in name.chars() {
        match char {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            char => pointer.push(char),
        }
    }
}
