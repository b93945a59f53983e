//! Settings: JSON from the operator into a policy's own type, with mistakes told by their path.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The settings of a policy that has none: an empty object, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Reads a policy's settings as [`export!`](crate::export!) does, for native tests.
///
/// # Errors
///
/// Which key is wrong (by its path, such as `target.places[0]`) and why.
pub fn read<S: DeserializeOwned>(settings: &str) -> Result<S, String> {
    // By way of a value, whose errors have no line and column: the operator wrote TOML, not this text.
    let settings: Value = serde_json::from_str(settings).map_err(|error| format!("settings are not JSON: {error}"))?;
    serde_path_to_error::deserialize(settings).map_err(|error| wrong(&error.path().to_string(), error.inner()))
}

fn wrong(path: &str, error: &serde_json::Error) -> String {
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
    fn no_settings_are_an_empty_object_and_nothing_else() {
        assert_eq!(read::<NoSettings>("{}"), Ok(NoSettings {}));
        assert!(read::<NoSettings>(r#"{ "window": 1 }"#).is_err_and(|mistake| mistake.contains("`window`")));
        assert!(read::<NoSettings>("null").is_err());
    }
}
