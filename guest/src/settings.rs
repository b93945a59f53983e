//! Settings: JSON from the operator into a policy's own type, with the path of each mistake.

use std::any::{Any, TypeId};

use crate::Value;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The settings of a policy that has none: an empty object, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Reads a policy's settings as [`export!`](crate::export!) does, for native tests.
///
/// # Errors
///
/// Which key is wrong (by its path, such as `target.places[0]`) and why.
pub fn read<S: DeserializeOwned + 'static>(settings: &str) -> Result<S, String> {
    // The compiler knows which way is used: a policy that reads a value by hand gets it unchanged,
    // and the guest holds none of the other way, which would be a tenth of a small one.
    if TypeId::of::<S>() == TypeId::of::<Value>() {
        let settings =
            Value::parse(settings).map_err(|error| format!("settings are not JSON: {error}"))?;
        let settings: Box<dyn Any> = Box::new(settings);
        return settings
            .downcast()
            .map(|settings| *settings)
            .map_err(|_| String::new());
    }
    // Through a value, with errors without line and column: the operator wrote TOML, not this text.
    let settings: serde_json::Value = serde_json::from_str(settings)
        .map_err(|error| format!("settings are not JSON: {error}"))?;
    serde_path_to_error::deserialize(settings)
        .map_err(|error| setting_mistake(&error.path().to_string(), error.inner()))
}

/// The input of [`seconds`], for messages.
pub const SECONDS_EXPECTED: &str =
    "it must be a length of time such as `24h`, `15m`, `7d` or a number of seconds, at least one";

/// Reads a duration, `"30s"`, `"15m"`, `"24h"`, `"7d"` or a number of seconds, in seconds: at least
/// one, and finite in the contract, where the largest number means for ever. Returns `None` for
/// anything else.
#[must_use]
pub fn seconds(value: &Value) -> Option<u32> {
    let seconds = match value {
        Value::String(text) => seconds_of(text),
        value => value.as_u64(),
    };
    seconds
        .and_then(|seconds| u32::try_from(seconds).ok())
        .filter(|seconds| (1..u32::MAX).contains(seconds))
}

fn seconds_of(text: &str) -> Option<u64> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let (number, seconds) = units
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)))?;
    // A duration has no sign, and parsing would accept one.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(seconds)
}

fn setting_mistake(path: &str, error: &serde_json::Error) -> String {
    match path {
        "." | "?" => format!("settings: {error}"),
        _ => format!("settings: `{path}`: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        window_seconds: u32,
        #[serde(default)]
        rules: Vec<Rule>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        status: u16,
    }

    #[track_caller]
    fn mistake(settings: &str) -> String {
        read::<Settings>(settings).unwrap_err()
    }

    #[test]
    fn a_mistake_is_told_by_its_path() {
        assert_eq!(
            mistake(r#"{ "window_seconds": 1, "rules": [{ "status": 400 }, { "status": "x" }] }"#),
            r#"settings: `rules[1].status`: invalid type: string "x", expected u16"#,
        );
        assert_eq!(
            mistake(r#"{ "window_seconds": 1, "rules": [{ "status": 400, "stauts": 1 }] }"#),
            "settings: `rules[0].stauts`: unknown field `stauts`, expected `status`",
        );
        assert_eq!(mistake("{}"), "settings: missing field `window_seconds`");
        assert!(mistake("{").starts_with("settings are not JSON: "));
        assert!(mistake("{} {}").starts_with("settings are not JSON: "));
    }

    #[test]
    fn lengths_of_time_have_units() {
        use crate::json;
        for (value, length) in [
            (json!("30s"), 30),
            (json!("15m"), 900),
            (json!("24h"), 86_400),
            (json!("7d"), 604_800),
            (json!(90), 90),
        ] {
            assert_eq!(seconds(&value), Some(length), "{value}");
        }
        for text in [
            "",
            "0s",
            "h",
            "10",
            "1.5h",
            "-1s",
            "1 h",
            "24H",
            "99999999999999999999d",
            "49711d",
            "ß",
            "forever",
        ] {
            assert_eq!(seconds(&json!(text)), None, "{text}");
        }
        for value in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!(u32::MAX),
            json!(null),
            json!(["1h"]),
        ] {
            assert_eq!(seconds(&value), None, "{value}");
        }
    }

    #[test]
    fn a_policy_that_reads_by_hand_gets_the_value_as_it_is() {
        assert_eq!(
            read::<Value>(r#"{"a":[1,null]}"#),
            Ok(crate::json!({ "a": [1, null] }))
        );
        assert!(read::<Value>("{").is_err());
    }

    #[test]
    fn no_settings_are_an_empty_object_and_nothing_else() {
        assert_eq!(read::<NoSettings>("{}"), Ok(NoSettings {}));
        assert!(
            read::<NoSettings>(r#"{ "window": 1 }"#)
                .is_err_and(|mistake| mistake.contains("`window`"))
        );
        assert!(read::<NoSettings>("null").is_err());
    }
}
