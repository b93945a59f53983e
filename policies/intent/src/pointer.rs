//! Places in JSON, as settings name them: an argument's name, or a JSON Pointer (RFC 6901).

use crate::settings::SettingValue;

/// Returns a JSON Pointer: a text that begins with `/` is one already, any other text is a member's name.
pub(crate) fn pointer(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it is empty, and must be an argument's name or a JSON Pointer".into());
    }
    if !text.starts_with('/') {
        return Ok(format!("/{}", text.replace('~', "~0").replace('/', "~1")));
    }
    if text
        .split('~')
        .skip(1)
        .any(|rest| !rest.starts_with(['0', '1']))
    {
        return Err(format!(
            "`{text}` is not a valid JSON Pointer: `~` must be written `~0`, and `/` within a name `~1`"
        ));
    }
    Ok(text.to_owned())
}

/// The pointer that a setting means.
pub(crate) fn read(at: &SettingValue<'_>) -> Result<String, String> {
    pointer(at.text()?).map_err(|mistake| at.wrong(mistake))
}

/// Returns the default name of a field: its pointer without the first slash, so that `amount` and
/// `/amount` are one.
pub(crate) fn name(pointer: &str) -> String {
    pointer
        .trim_start_matches('/')
        .replace("~1", "/")
        .replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_its_pointer_are_one_place() {
        assert_eq!(pointer("order_id"), pointer("/order_id"));
        assert_eq!(pointer("a/b~c").as_deref(), Ok("/a~1b~0c"));
        assert_eq!(name("/a~1b~0c"), "a/b~c");
        assert_eq!(name("/payment/amount"), "payment/amount");
    }

    #[test]
    fn what_points_nowhere_is_refused() {
        for text in ["", "/a~b", "/a~"] {
            assert!(pointer(text).is_err(), "{text}");
        }
    }
}
