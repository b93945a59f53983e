//! What needs Unicode's tables: texts that look alike and are written with other code points, or in other case.

use crate::Value;
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;

use super::{refuse_value, trimmed_text};

/// The longest text, in bytes.
const LONGEST_BYTES: usize = 1 << 20;

/// A text, trimmed, its letters composed (NFC): `é` is one thing, whether written as one code point or two.
///
/// # Errors
///
/// The value is not a text, or is longer than 1 MiB.
pub fn text(value: &Value) -> Result<Value, String> {
    normalise_with(value, |text| text.nfc().collect())
}

/// A text, trimmed, composed, and without case (by Unicode's full case folding): `Straße` is `STRASSE`.
///
/// # Errors
///
/// The value is not a text, or is longer than 1 MiB.
pub fn folded(value: &Value) -> Result<Value, String> {
    normalise_with(value, fold_case)
}

/// Canonical caseless form (Unicode, D145), composed. Decomposing first matters: it puts the marks of a letter in
/// their order, and folding makes a letter of one of them (of the Greek iota below).
pub(super) fn fold_case(text: &str) -> String {
    let decomposed: String = text.nfd().collect();
    UniCase::unicode(decomposed)
        .to_folded_case()
        .nfc()
        .collect()
}

fn normalise_with(value: &Value, normalise: impl Fn(&str) -> String) -> Result<Value, String> {
    let text = trimmed_text(value, LONGEST_BYTES)
        .ok_or_else(|| refuse_value("a text of at most 1 MiB", value))?;
    Ok(Value::from(normalise(text)))
}

#[cfg(test)]
mod tests {
    use crate::json;

    use super::*;

    #[test]
    fn a_letter_is_one_however_composed() {
        assert_eq!(text(&json!(" cafe\u{301}\n")), Ok(json!("café")));
        assert_ne!(text(&json!("Café")), text(&json!("café")));
    }

    #[test]
    fn case_means_nothing_where_folded() {
        for same in ["straße", "STRASSE", " Strasse"] {
            assert_eq!(folded(&json!(same)), Ok(json!("strasse")), "{same}");
        }
        assert_eq!(folded(&json!("Ὀδυσσεύς")), folded(&json!("ὈΔΥΣΣΕΎΣ")));
        assert_eq!(
            folded(&json!("\u{1f84}")),
            folded(&json!("\u{3b1}\u{313}\u{301}\u{345}"))
        );
        assert_eq!(
            folded(&json!("\u{3b1}\u{345}\u{301}")),
            folded(&json!("\u{3b1}\u{301}\u{345}"))
        );
    }

    #[test]
    fn folding_twice_changes_no_letter_more() {
        for letter in ('\0'..=char::MAX).map(String::from) {
            let once = fold_case(&letter);
            assert_eq!(fold_case(&once), once, "{}", letter.escape_unicode());
        }
    }

    #[test]
    fn what_is_no_text_or_too_long_is_refused() {
        assert!(text(&json!(7)).is_err());
        assert!(folded(&json!("a".repeat(LONGEST_BYTES + 1))).is_err());
    }
}
