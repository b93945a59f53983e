//! Telephone numbers by their digits. Numbering plans are tables of their own, so a national number, which means
//! another telephone in each country, is refused.

use crate::Value;

use super::{refuse_value, trimmed_text};

/// The longest number, in bytes, with all that people write between its digits.
const LONGEST_BYTES: usize = 64;

/// The shortest number with its country that is in use.
const FEWEST_DIGITS: usize = 7;

/// Countries with numbers that begin with a zero of their own: Italy and the Vatican, Côte d'Ivoire, Niger, Benin, Gabon,
/// Congo, San Marino. Source: the example numbers of libphonenumber 9.0.
const KEEP_ZERO: &[&str] = &["39", "225", "227", "229", "241", "242", "378"];

/// The longest (E.164).
const MOST_DIGITS: usize = 15;

/// A telephone number in the form of E.164: `+1 (415) 555-2671`, `tel:+1-415-555-2671` are `+14155552671`.
///
/// A zero in brackets, as in `+44 (0)20 …`, is only for callers from within the country, and is left out. In countries
/// with numbers that begin with a zero, such as Italy, it is kept: `+39 (0)6 …` is `+39 06 …`.
///
/// # Errors
///
/// It does not begin with `+` and a country code, has an extension, or other than 7 to 15 digits.
pub fn phone(value: &Value) -> Result<Value, String> {
    let text = trimmed_text(value, LONGEST_BYTES);
    let number = text.and_then(normalise_number);
    number.map(Value::from).ok_or_else(|| {
        let mistake = refuse_value("a number with its country such as `+14155552671`", value);
        match text {
            Some(text) if has_extension(text) => {
                mistake + ": pass the extension as an argument of its own"
            }
            _ => mistake,
        }
    })
}

/// Returns true for a number with an extension: `+1 415 555 2671 x12`, `…;ext=12`, `… #12`.
fn has_extension(text: &str) -> bool {
    let before = text.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let mark = before.trim_end_matches(['.', '=', ':', ' ']);
    before != text && mark.ends_with(['x', 'X', 't', 'T', '#'])
}

fn normalise_number(text: &str) -> Option<String> {
    let text = text
        .strip_prefix("tel:")
        .unwrap_or(text)
        .strip_prefix('+')?;
    let own_zero = KEEP_ZERO.iter().any(|country| text.starts_with(country));
    let text = text.replace("(0)", if own_zero { "0" } else { "" });
    if !text
        .chars()
        .all(|letter| letter.is_ascii_digit() || is_between(letter))
    {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let valid = (FEWEST_DIGITS..=MOST_DIGITS).contains(&digits.len()) && !digits.starts_with('0');
    valid.then(|| format!("+{digits}"))
}

/// Returns true for a character that people write between digits: spaces (also those that do not
/// break), hyphens (also typographic ones), dots, slashes and brackets.
fn is_between(letter: char) -> bool {
    matches!(
        letter,
        ' ' | '\u{a0}' | '\u{202f}' | '-' | '\u{2010}'..='\u{2013}' | '.' | '/' | '(' | ')'
    )
}

#[cfg(test)]
mod tests {
    use crate::json;

    use super::*;

    #[test]
    fn ways_to_write_a_number_are_one() {
        for same in [
            "+14155552671",
            " +1 (415) 555-2671",
            "tel:+1-415-555-2671",
            "+1.415.555.2671",
            "+1\u{a0}415\u{2011}5552671",
        ] {
            assert_eq!(phone(&json!(same)), Ok(json!("+14155552671")), "{same}");
        }
        assert_eq!(
            phone(&json!("+44 (0)20 7946 0958")),
            Ok(json!("+442079460958"))
        );
        assert_eq!(
            phone(&json!("+39 (0)6 1234567")),
            phone(&json!("+39 06 1234567"))
        );
    }

    #[test]
    fn what_may_be_another_telephone_is_refused() {
        for odd in [
            "",
            "+",
            "4155552671",
            "0014155552671",
            "+1 415 555 2671 x12",
            "+123456",
            "+1234567890123456",
            "+0123456789",
            "+1415555267１",
            "+1-800-FLOWERS",
            "++14155552671",
        ] {
            assert!(phone(&json!(odd)).is_err(), "{odd}");
        }
        assert!(phone(&json!(14_155_552_671_i64)).is_err());
        for extended in [
            "+1 415 555 2671 x12",
            "+1 415 555 2671 ext. 12",
            "tel:+1-415-555-2671;ext=12",
        ] {
            let mistake = phone(&json!(extended)).unwrap_err();
            assert!(
                mistake.ends_with("pass the extension as an argument of its own"),
                "{mistake}"
            );
        }
    }
}
