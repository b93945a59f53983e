//! Text in headers since 2026-07-28: a text that is not plain ASCII is encoded in base64.

use base64::{Engine, prelude::BASE64_STANDARD};

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// Encodes a text for a header. A plain text stays as it is, unless it has the prefix of an encoded
/// one.
pub(crate) fn encode_header_text(value: &str) -> String {
    let is_plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && value.trim() == value;
    if is_plain && !value.starts_with(PREFIX) {
        return value.to_owned();
    }
    format!("{PREFIX}{}{SUFFIX}", BASE64_STANDARD.encode(value))
}

/// Decodes a header's text. A text that cannot be decoded is a plain one.
pub(crate) fn decode_header_text(value: &str) -> String {
    let inner = value
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX));
    let decoded =
        inner.and_then(|inner| String::from_utf8(BASE64_STANDARD.decode(inner).ok()?).ok());
    decoded.unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_not_plain_is_encoded() {
        let pairs = [
            ("a b", "a b"),
            (" a", "=?base64?IGE=?="),
            ("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="),
        ];
        for (value, header) in pairs {
            assert_eq!(encode_header_text(value), header);
            assert_eq!(decode_header_text(header), value);
        }
    }
}
