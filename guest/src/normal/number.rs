//! Amounts and whole numbers, without ever doing arithmetic on a floating-point number.

use crate::{Number, Value};

use super::{refuse_value, trimmed_text};

/// The most digits of an amount before the point.
const WHOLE_DIGITS: usize = 16;

/// The most digits after it, trailing zeros aside; the smallest unit in use (of Ether) has so many.
const FRACTION_DIGITS: usize = 18;

/// The digits that floating-point arithmetic always keeps.
const FLOAT_DIGITS: usize = 15;

/// The longest text of a number, in bytes, zeros included.
const LONGEST_BYTES: usize = 64;

const AMOUNT: &str = "an amount such as `10.00`";

const WHOLE_NUMBER: &str = "a whole number";

/// An amount, as a decimal text without needless zeros: `10`, `10.0`, `"10.00"`, `"+010"` are `"10"`.
///
/// # Errors
///
/// The value is neither a JSON number nor the text of a plain decimal number (without exponent, currency and thousands
/// separator), or has more than 16 digits before the point or 18 after it. A JSON number with a fraction has at most 15
/// digits: more come from floating-point arithmetic, such as 1998.9999999999998 for 1999.
pub fn money(value: &Value) -> Result<Value, String> {
    let amount = read_decimal(value, AMOUNT)?;
    if let Value::Number(number) = value
        && amount.is_artefact()
    {
        return Err(format!(
            "must be {AMOUNT}, found {number}, whose digits come from floating-point arithmetic: round it, or write it as \
             a text"
        ));
    }
    if amount.whole.len() > WHOLE_DIGITS {
        let digits = amount.whole.len();
        return Err(format!(
            "must have at most {WHOLE_DIGITS} digits before the point, found {digits}"
        ));
    }
    if amount.fraction.len() > FRACTION_DIGITS {
        let digits = amount.fraction.len();
        return Err(format!(
            "must have at most {FRACTION_DIGITS} digits after the point, found {digits}"
        ));
    }
    Ok(Value::from(amount.to_text()))
}

/// A whole number, as the text of its digits: `10`, `10.0`, `"10"`, `"+10"` are `"10"`. It may be longer than 64 bits.
///
/// # Errors
///
/// The value is not a whole number, or is longer than 64 characters.
pub fn integer(value: &Value) -> Result<Value, String> {
    let number = read_decimal(value, WHOLE_NUMBER)?;
    if number.fraction.is_empty() {
        Ok(Value::from(number.to_text()))
    } else {
        Err(refuse_value(WHOLE_NUMBER, value))
    }
}

/// An identifier, which is a text or a number and is compared as text: `7`, `7.0`, `"7"` and `"7 "` are `"7"`. A text keeps
/// its zeros, so `"007"` is another one. Any other kind of value stays as it is.
///
/// # Errors
///
/// The value is a number that is longer than 64 characters when it is written without an exponent.
pub fn identifier(value: &Value) -> Result<Value, String> {
    match value {
        Value::Number(_) => {
            read_decimal(value, "an identifier").map(|id| Value::from(id.to_text()))
        }
        Value::String(text) => Ok(Value::from(super::trim(text))),
        other => Ok(other.clone()),
    }
}

fn read_decimal(value: &Value, kind: &str) -> Result<Decimal, String> {
    let number = match value {
        Value::Number(number) => Decimal::of_number(number).ok_or_else(|| {
            refuse_value(
                &format!("{kind} of at most {LONGEST_BYTES} characters"),
                value,
            )
        })?,
        _ => return read_text(value, kind),
    };
    Ok(number)
}

fn read_text(value: &Value, kind: &str) -> Result<Decimal, String> {
    let number = trimmed_text(value, LONGEST_BYTES).and_then(Decimal::parse);
    number.ok_or_else(|| {
        let cure = match value {
            Value::String(text) if text.bytes().any(|byte| byte.is_ascii_digit()) => {
                ": write digits and one decimal point, without a currency, an exponent or separators"
            }
            _ => "",
        };
        refuse_value(kind, value) + cure
    })
}

/// A decimal number, digit by digit.
struct Decimal {
    negative: bool,
    /// Without leading zeros.
    whole: String,
    /// Without trailing zeros.
    fraction: String,
}

impl Decimal {
    /// A JSON number without an exponent, unless it is too long that way.
    fn of_number(number: &Number) -> Option<Self> {
        let Some((digits, exponent)) = number.as_str().split_once('e') else {
            return Self::parse_short(number.as_str());
        };
        let (first, rest) = digits.split_once('.').unwrap_or((digits, ""));
        let shift: i16 = exponent.parse().ok()?;
        let zeros = usize::from(shift.unsigned_abs());
        if zeros.max(rest.len()) > LONGEST_BYTES {
            return None;
        }
        let sign = if first.starts_with('-') { "-" } else { "" };
        let first = first.trim_start_matches('-');
        let plain = if shift < 0 {
            [sign, "0.", &"0".repeat(zeros - 1), first, rest].concat()
        } else if let Some((whole, fraction)) = rest.split_at_checked(zeros) {
            let point = if fraction.is_empty() { "" } else { "." };
            [sign, first, whole, point, fraction].concat()
        } else {
            [sign, first, rest, &"0".repeat(zeros - rest.len())].concat()
        };
        Self::parse_short(&plain)
    }

    /// Returns true if it has a fraction, and more digits than floating-point arithmetic keeps.
    fn is_artefact(&self) -> bool {
        let digits = [self.whole.as_str(), &self.fraction].concat();
        !self.fraction.is_empty() && digits.trim_start_matches('0').len() > FLOAT_DIGITS
    }

    fn parse_short(text: &str) -> Option<Self> {
        if text.len() > LONGEST_BYTES {
            return None;
        }
        Self::parse(text)
    }

    fn parse(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None if unsigned.is_empty() => return None,
            None => (unsigned, ""),
        };
        if !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        Some(Self {
            negative,
            whole: whole.into(),
            fraction: fraction.into(),
        })
    }

    fn to_text(&self) -> String {
        let zero = self.whole.is_empty() && self.fraction.is_empty();
        let sign = if self.negative && !zero { "-" } else { "" };
        let whole = if self.whole.is_empty() {
            "0"
        } else {
            &self.whole
        };
        let point = if self.fraction.is_empty() { "" } else { "." };
        [sign, whole, point, &self.fraction].concat()
    }
}

#[cfg(test)]
mod tests {
    use crate::json;

    use super::*;

    #[test]
    fn ways_to_write_an_amount_are_one() {
        for same in [
            json!(10),
            json!(10.0),
            json!("10"),
            json!("10.00"),
            json!(" +010.0 "),
        ] {
            assert_eq!(money(&same), Ok(json!("10")), "{same}");
        }
        for same in [json!(-0.5), json!("-.50"), json!("-0.5")] {
            assert_eq!(money(&same), Ok(json!("-0.5")), "{same}");
        }
        for zero in [json!(0), json!(-0.0), json!("-0.00")] {
            assert_eq!(money(&zero), Ok(json!("0")), "{zero}");
        }
    }

    #[test]
    fn an_amount_that_may_mean_something_else_is_refused() {
        for odd in [
            "",
            "-",
            ".",
            "10.",
            "1,000",
            "1e3",
            "$10",
            "10 EUR",
            "NaN",
            "inf",
            "0x10",
            "1_0",
            "--1",
            "1.2.3",
            "１０",
            "99999999999999999",
        ] {
            assert!(money(&json!(odd)).is_err(), "{odd}");
        }
        for odd in [
            json!(null),
            json!(true),
            json!([10]),
            json!("9".repeat(1_000_000)),
        ] {
            assert!(money(&odd).is_err());
        }
    }

    fn number(text: &str) -> Value {
        Value::parse(text).unwrap()
    }

    #[test]
    fn a_json_number_has_every_digit_that_was_written() {
        for (written, amount) in [
            ("0.30000000000000004", "0.30000000000000004"),
            ("1e-7", "0.0000001"),
            ("1.5e-10", "0.00000000015"),
            ("9007199254740993", "9007199254740993"),
            ("0.00001234", "0.00001234"),
            ("1e3", "1000"),
            ("-12.5e1", "-125"),
            ("12345678901234567890123.5e-12", "12345678901.2345678901235"),
        ] {
            assert_eq!(money(&json!(amount)), Ok(json!(amount)), "{written}");
            assert_eq!(identifier(&number(written)), Ok(json!(amount)), "{written}");
        }
        assert_eq!(
            money(&number("1e21")),
            Err("must have at most 16 digits before the point, found 22".into())
        );
        assert_eq!(
            integer(&number("-123.4567890123456789012e22")),
            Ok(json!("-1234567890123456789012000"))
        );
        assert_eq!(
            identifier(&number("1e999")),
            Err("must be an identifier of at most 64 characters, found 1e+999".into())
        );
        assert_eq!(
            identifier(&number("-1234567890123456789012345.5")),
            Ok(json!("-1234567890123456789012345.5"))
        );
        assert!(identifier(&number("1e-999")).is_err());
        assert!(integer(&number(&"9".repeat(65))).is_err());
    }

    #[test]
    fn an_amount_that_floating_point_arithmetic_made_is_refused_with_the_cure() {
        for artefact in [
            "1998.9999999999998",
            "0.30000000000000004",
            "-409.99999999999994",
        ] {
            assert_eq!(
                money(&number(artefact)),
                Err(format!(
                    "must be an amount such as `10.00`, found {artefact}, whose digits come from floating-point \
                     arithmetic: round it, or write it as a text"
                ))
            );
            assert_eq!(money(&json!(artefact)), Ok(json!(artefact)), "as a text");
        }
        for (written, amount) in [
            ("1999", "1999"),
            ("1e-7", "0.0000001"),
            ("0.00001234", "0.00001234"),
            ("9007199254740993", "9007199254740993"),
            ("1234567890123.45", "1234567890123.45"),
            ("-12.5e1", "-125"),
        ] {
            assert_eq!(money(&number(written)), Ok(json!(amount)), "{written}");
        }
    }

    #[test]
    fn ways_to_write_a_whole_number_are_one() {
        for same in [json!(10), json!(10.0), json!("10"), json!("+10.0")] {
            assert_eq!(integer(&same), Ok(json!("10")), "{same}");
        }
        for odd in [json!(10.5), json!("ten"), json!("")] {
            assert!(integer(&odd).is_err(), "{odd}");
        }
        assert_eq!(
            integer(&json!("ten")),
            Err(r#"must be a whole number, found "ten""#.into())
        );
    }

    #[test]
    fn an_identifier_of_64_bits_is_the_same_as_a_number_and_as_a_text() {
        for form in [integer, identifier] {
            for same in [
                json!(725_653_563_933_458_432_u64),
                json!("725653563933458432"),
            ] {
                assert_eq!(form(&same), Ok(json!("725653563933458432")), "{same}");
            }
        }
        assert_eq!(integer(&json!(u64::MAX)), Ok(json!("18446744073709551615")));
        assert_eq!(
            integer(&json!("18446744073709551616")),
            Ok(json!("18446744073709551616"))
        );
        assert_eq!(integer(&json!(i64::MIN)), Ok(json!("-9223372036854775808")));
    }

    #[test]
    fn an_identifier_is_a_text_or_a_number() {
        for same in [
            json!(7),
            json!(7.0),
            json!("7"),
            json!("7 "),
            json!("\u{feff}7\n"),
        ] {
            assert_eq!(identifier(&same), Ok(json!("7")), "{same}");
        }
        assert_eq!(identifier(&json!("007")), Ok(json!("007")));
        assert_eq!(identifier(&json!("A-7")), Ok(json!("A-7")));
        for other in [json!(["7"]), json!({ "id": 7 }), json!(true), json!(null)] {
            assert_eq!(identifier(&other), Ok(other.clone()));
        }
    }

    #[test]
    fn a_refused_amount_is_shown_with_the_reason() {
        let refusal = |amount: &str| money(&json!(amount)).unwrap_err();
        assert_eq!(
            refusal("1,000"),
            "must be an amount such as `10.00`, found \"1,000\": write digits and one decimal point, without a currency, \
             an exponent or separators"
        );
        assert_eq!(
            refusal(&"9".repeat(17)),
            "must have at most 16 digits before the point, found 17"
        );
        assert_eq!(
            refusal("0.0000000000000000001"),
            "must have at most 18 digits after the point, found 19"
        );
    }
}
