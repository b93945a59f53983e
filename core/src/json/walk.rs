//! Every value within a value, parents first, without recursion: nesting from outside must not exhaust the stack.

use super::{JsonMap, JsonValue, ShownPointer};
use std::{collections::btree_map, iter::Enumerate, slice};

/// The way from a parent to a child.
#[derive(Clone, Copy)]
enum PathSegment<'a> {
    None,
    Index(usize),
    Name(&'a str),
}

enum ChildValues<'a> {
    Root(Option<&'a JsonValue>),
    Items(Enumerate<slice::Iter<'a, JsonValue>>),
    Members(btree_map::Iter<'a, String, JsonValue>),
}

impl<'a> Iterator for ChildValues<'a> {
    type Item = (PathSegment<'a>, &'a JsonValue);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Root(root) => root.take().map(|root| (PathSegment::None, root)),
            Self::Items(items) => items
                .next()
                .map(|(index, item)| (PathSegment::Index(index), item)),
            Self::Members(members) => members
                .next()
                .map(|(name, member)| (PathSegment::Name(name), member)),
        }
    }
}

struct WalkLevel<'a> {
    children: ChildValues<'a>,
    taken: PathSegment<'a>,
}

impl<'a> WalkLevel<'a> {
    fn of(children: ChildValues<'a>) -> Self {
        Self {
            children,
            taken: PathSegment::None,
        }
    }
}

pub(super) struct TreeWalk<'a> {
    levels: Vec<WalkLevel<'a>>,
}

impl<'a> TreeWalk<'a> {
    pub(super) fn over(value: &'a JsonValue) -> Self {
        Self {
            levels: vec![WalkLevel::of(ChildValues::Root(Some(value)))],
        }
    }

    /// The values within an object that is no value by itself, as deep as they would be within one.
    pub(super) fn over_members(members: &'a JsonMap) -> Self {
        let root = WalkLevel::of(ChildValues::Root(None));
        Self {
            levels: vec![root, WalkLevel::of(ChildValues::Members(members.iter()))],
        }
    }

    pub(super) fn next(&mut self) -> Option<&'a JsonValue> {
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

    fn enter(&mut self, value: &'a JsonValue) {
        match value {
            JsonValue::Array(items) => self
                .levels
                .push(WalkLevel::of(ChildValues::Items(items.iter().enumerate()))),
            JsonValue::Object(members) => self
                .levels
                .push(WalkLevel::of(ChildValues::Members(members.iter()))),
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
            .find(|level| !matches!(level.taken, PathSegment::None));
        match parent.map(|level| level.taken) {
            // Two quotation marks and a colon.
            Some(PathSegment::Name(name)) => name.len() + 3,
            _ => 0,
        }
    }

    /// A JSON Pointer to the current value.
    pub(super) fn pointer(&self) -> String {
        let mut pointer = String::new();
        for level in &self.levels {
            match level.taken {
                PathSegment::None => {}
                PathSegment::Index(index) => pointer.push_str(&format!("/{index}")),
                PathSegment::Name(name) => push_segment(&mut pointer, name),
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
