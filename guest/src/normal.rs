//! Normalisers: one form for what models write differently, so that a repeat in other words is still the same
//! operation.
//!
//! Each takes a JSON value and returns its one form, or the form that it expects instead. Each is
//! idempotent, takes input up to a limit only, and makes two values one only where that is certain:
//! `$10` is not [`money`], because nothing names the dollar's country. A mistake is a phrase that
//! follows the argument's path, as in "`/amount` must be an amount such as `10.00`, found "ten"";
//! [`Call::normal`](crate::Call::normal) joins the two.
//!
//! [`text`] and [`folded`] need Unicode's tables, and are behind the feature `unicode`. The others are code of our own
//! on purpose: libraries for dates, URLs and phone numbers bring time zones, IDNA and numbering plans, which are larger
//! than a whole guest.

mod email;
mod list;
mod number;
mod phone;
mod time;
#[cfg(feature = "unicode")]
mod unicode;
mod url;

use crate::Value;

use crate::call::describe_value;

pub use email::email;
pub use list::{distinct, distinct_of, set, set_of};
pub use number::{identifier, integer, money};
pub use phone::phone;
pub use time::{date, timestamp};
#[cfg(feature = "unicode")]
pub use unicode::{folded, text};
pub use url::url;

/// A function that gives one form to what models write differently, or says what it takes instead.
pub type Normaliser = fn(&Value) -> Result<Value, String>;

/// Any value as it is: the number `7` and the text `"7"` differ.
///
/// # Errors
///
/// None.
pub fn exact(value: &Value) -> Result<Value, String> {
    Ok(value.clone())
}

/// All normalisers by the names that settings use, in order of name.
pub const ALL: &[(&str, Normaliser)] = &[
    ("date", date),
    ("distinct", distinct),
    ("email", email),
    ("exact", exact),
    #[cfg(feature = "unicode")]
    ("folded", folded),
    ("identifier", identifier),
    ("integer", integer),
    ("money", money),
    ("phone", phone),
    ("set", set),
    #[cfg(feature = "unicode")]
    ("text", text),
    ("timestamp", timestamp),
    ("url", url),
];

/// Returns the mistake: the expected kind, and the value found.
fn refuse_value(kind: &str, value: &Value) -> String {
    format!("must be {kind}, found {}", describe_value(value))
}

/// The cure for an international domain. Its `xn--` form needs tables that are larger than a guest.
fn domain_cure(domain: Option<&str>) -> &'static str {
    if domain.is_some_and(|domain| !domain.is_ascii()) {
        ": write its domain in the `xn--` form"
    } else {
        ""
    }
}

/// The trimmed text of a value, if it is one and not over the limit.
fn trimmed_text(value: &Value, longest_bytes: usize) -> Option<&str> {
    value
        .as_str()
        .map(trim)
        .filter(|text| text.len() <= longest_bytes)
}

/// A text without the white space around it, and without a byte order mark, which some editors put before a text.
fn trim(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalisers_are_in_order_of_name() {
        assert!(ALL.is_sorted_by_key(|(name, _)| *name));
    }
}
