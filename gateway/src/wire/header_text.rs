//! Text in headers, as the protocol has it since 2026-07-28: what is no plain text is written in base64.

use base64::{Engine, prelude::BASE64_STANDARD};

const OPENS: &str = "=?base64?";
const CLOSES: &str = "?=";

/// As a header carries it: what is no plain text, or looks as if it were encoded, is encoded.
pub(crate) fn encoded(value: &str) -> String {
    let is_plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && value.trim() == value;
    if is_plain && !value.starts_with(OPENS) {
        return value.to_owned();
    }
    format!("{OPENS}{}{CLOSES}", BASE64_STANDARD.encode(value))
}

/// As it was meant. What cannot be decoded was meant as it is written.
pub(crate) fn decoded(value: &str) -> String {
    let inner = value
        .strip_prefix(OPENS)
        .and_then(|rest| rest.strip_suffix(CLOSES));
    let decoded =
        inner.and_then(|inner| String::from_utf8(BASE64_STANDARD.decode(inner).ok()?).ok());
    decoded.unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_text_is_encoded() {
        let pairs = [
            ("a b", "a b"),
            (" a", "=?base64?IGE=?="),
            ("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="),
        ];
        for (value, header) in pairs {
            assert_eq!(encoded(value), header);
            assert_eq!(decoded(header), value);
        }
    }
}
