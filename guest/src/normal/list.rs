//! Lists without a meaning of order.
//!
//! An extension point: policies outside this repository use it.

use crate::Value;

use super::refuse_value;

/// The most items of a set.
const MOST_ITEMS: usize = 10_000;

/// Normalises a list without a meaning of order: sorted. An item that occurs twice counts twice.
///
/// # Errors
///
/// The value is not a list, or has more than 10,000 items.
pub fn set(value: &Value) -> Result<Value, String> {
    set_of(value, |item| Ok(item.clone()))
}

/// Normalises a list without a meaning of order and of repetition: sorted, and each item once.
///
/// # Errors
///
/// The value is not a list, or has more than 10,000 items.
pub fn distinct(value: &Value) -> Result<Value, String> {
    distinct_of(value, |item| Ok(item.clone()))
}

/// As [`distinct`], with each item normalised: `call.normal("/to", |to| normal::distinct_of(to, normal::email))`.
///
/// # Errors
///
/// As [`set_of`].
pub fn distinct_of(
    value: &Value,
    normaliser: impl Fn(&Value) -> Result<Value, String>,
) -> Result<Value, String> {
    let mut items = sorted_items(value, normaliser)?;
    items.dedup();
    Ok(Value::Array(items))
}

/// As [`set`], with each item normalised: `call.normal("/lines", |lines| normal::set_of(lines, normal::money))`.
///
/// # Errors
///
/// The value is not a list, has more than 10,000 items, or the normaliser refuses one of them.
pub fn set_of(
    value: &Value,
    normaliser: impl Fn(&Value) -> Result<Value, String>,
) -> Result<Value, String> {
    sorted_items(value, normaliser).map(Value::Array)
}

fn sorted_items(
    value: &Value,
    normaliser: impl Fn(&Value) -> Result<Value, String>,
) -> Result<Vec<Value>, String> {
    let items = value
        .as_array()
        .ok_or_else(|| refuse_value("a list", value))?;
    if items.len() > MOST_ITEMS {
        return Err(format!(
            "must be a list of at most {MOST_ITEMS} items, found {}",
            items.len()
        ));
    }
    let normal = items.iter().enumerate().map(|(index, item)| {
        normaliser(item).map_err(|mistake| format!("item {} {mistake}", index + 1))
    });
    let mut normal: Vec<Value> = normal.collect::<Result<_, _>>()?;
    normal.sort_by_cached_key(Value::to_string);
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use crate::json;

    use super::*;
    use crate::normal::email;

    #[test]
    fn order_means_nothing_and_repetition_only_in_a_set() {
        assert_eq!(
            set(&json!(["b", 1, "a", { "x": 1, "y": 2 }, 1])),
            set(&json!([1, { "y": 2, "x": 1 }, "a", 1, "b"]))
        );
        assert_ne!(set(&json!(["a", "a"])), set(&json!(["a"])));
        assert_eq!(
            distinct(&json!(["b", 1, "a", 1])),
            distinct(&json!([1, "a", "b", "b"]))
        );
        assert_ne!(set(&json!(["1"])), set(&json!([1])));
        assert_eq!(set(&json!([])), Ok(json!([])));
    }

    #[test]
    fn items_are_normalised_before_they_are_compared() {
        let to = json!(["Bob@example.com", "ann@example.com", "bob@example.com"]);
        assert_eq!(
            distinct_of(&to, email),
            Ok(json!(["ann@example.com", "bob@example.com"]))
        );
        let mistake = "item 2 must be an address such as `ann@example.com`, found 7";
        assert_eq!(
            set_of(&json!(["ann@example.com", 7]), email),
            Err(mistake.into())
        );
    }

    #[test]
    fn what_is_no_list_or_too_long_is_refused() {
        assert!(set(&json!("a")).is_err());
        assert!(set(&json!({})).is_err());
        assert!(set(&Value::from(vec![0; MOST_ITEMS + 1])).is_err());
    }
}
