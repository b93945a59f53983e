//! Places within a value: JSON Pointers (RFC 6901).

use std::borrow::Cow;

use super::Value;

impl Value {
    /// Returns the value at a JSON Pointer (RFC 6901), such as `/payment/amount`.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        let Some(rest) = pointer.strip_prefix('/') else {
            return pointer.is_empty().then_some(self);
        };
        rest.split('/')
            .try_fold(self, |value, segment| match value {
                Value::Object(members) => members.get(unescape_segment(segment).as_ref()),
                Value::Array(items) => items.get(array_index(segment)?),
                _ => None,
            })
    }
}

fn unescape_segment(segment: &str) -> Cow<'_, str> {
    if !segment.contains('~') {
        return Cow::Borrowed(segment);
    }
    let mut name = String::new();
    let mut letters = segment.chars().peekable();
    while let Some(letter) = letters.next() {
        let escaped = if letter == '~' {
            letters.peek().copied()
        } else {
            None
        };
        name.push(match escaped {
            Some('0') => '~',
            Some('1') => '/',
            _ => letter,
        });
        if matches!(escaped, Some('0' | '1')) {
            letters.next();
        }
    }
    Cow::Owned(name)
}

/// Returns an index into a list; written plainly, without a sign or needless zeros.
fn array_index(segment: &str) -> Option<usize> {
    let plain = !segment.starts_with('+') && (segment.len() == 1 || !segment.starts_with('0'));
    if plain { segment.parse().ok() } else { None }
}
