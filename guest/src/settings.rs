//! Settings: JSON from the operator into a policy's own type, with mistakes told by their path.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The settings of a policy that has none: an empty object, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Reads a policy's settings as the host reads them; a native test gives them as text.
///
/// # Errors
///
/// Which key is wrong (by its path, such as `target.places[0]`) and why.
pub fn read<S: DeserializeOwned>(settings: &str) -> Result<S, String> {
    let mut reader = serde_json::Deserializer::from_str(settings);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| wrong(&error))?;
    reader.end().map_err(|error| format!("the settings are not one JSON value: {error}"))?;
    Ok(value)
}

fn wrong(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    match path.as_str() {
        "." | "?" => format!("settings: {}", error.inner()),
        _ => format!("settings: `{path}`: {}", error.inner()),
    }
}
