//! JSON as it is written, as a value.

/// Makes a [`Value`](crate::Value) of JSON with expressions in it, each of a type that serde writes. Numbers keep all
/// digits.
///
/// # Panics
///
/// An expression cannot be written as JSON, such as a map whose keys are no texts.
///
/// # Examples
/// ```
/// use semel_guest::json;
///
/// let id = "A1";
/// assert_eq!(json!({ "id": id, "n": [1, null] }).to_string(), r#"{"id":"A1","n":[1,null]}"#);
/// ```
#[macro_export]
macro_rules! json {
    // A list: what is done, then the rest.
    (@list [$($done:expr,)*]) => { $crate::Value::Array(::std::vec![$($done,)*]) };
    (@list [$($done:expr,)*] null $(, $($rest:tt)*)?) => {
        $crate::json!(@list [$($done,)* $crate::Value::Null,] $($($rest)*)?)
    };
    (@list [$($done:expr,)*] [$($inner:tt)*] $(, $($rest:tt)*)?) => {
        $crate::json!(@list [$($done,)* $crate::json!([$($inner)*]),] $($($rest)*)?)
    };
    (@list [$($done:expr,)*] {$($inner:tt)*} $(, $($rest:tt)*)?) => {
        $crate::json!(@list [$($done,)* $crate::json!({$($inner)*}),] $($($rest)*)?)
    };
    (@list [$($done:expr,)*] $item:expr $(, $($rest:tt)*)?) => {
        $crate::json!(@list [$($done,)* $crate::json!($item),] $($($rest)*)?)
    };
    // An object: what is done, then the rest.
    (@object [$(($name:expr, $member:expr),)*]) => {
        $crate::Value::Object([$((::std::string::String::from($name), $member),)*].into_iter().collect())
    };
    (@object [$($done:tt)*] $name:tt : null $(, $($rest:tt)*)?) => {
        $crate::json!(@object [$($done)* ($name, $crate::Value::Null),] $($($rest)*)?)
    };
    (@object [$($done:tt)*] $name:tt : [$($inner:tt)*] $(, $($rest:tt)*)?) => {
        $crate::json!(@object [$($done)* ($name, $crate::json!([$($inner)*])),] $($($rest)*)?)
    };
    (@object [$($done:tt)*] $name:tt : {$($inner:tt)*} $(, $($rest:tt)*)?) => {
        $crate::json!(@object [$($done)* ($name, $crate::json!({$($inner)*})),] $($($rest)*)?)
    };
    (@object [$($done:tt)*] $name:tt : $member:expr $(, $($rest:tt)*)?) => {
        $crate::json!(@object [$($done)* ($name, $crate::json!($member)),] $($($rest)*)?)
    };
    (null) => { $crate::Value::Null };
    ([$($items:tt)*]) => { $crate::json!(@list [] $($items)*) };
    ({$($members:tt)*}) => { $crate::json!(@object [] $($members)*) };
    ($value:expr) => {
        match $crate::Value::from_serialized(&$value) {
            ::std::result::Result::Ok(value) => value,
            ::std::result::Result::Err(error) => ::std::panic!("{error}"),
        }
    };
}
