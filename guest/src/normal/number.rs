//! Amounts and whole numbers, without ever doing arithmetic on a floating-point number.

use serde_json::{Number, Value};

use super::refuse_value;
use crate::call::LARGEST_EXACT;

/// The most digits of an amount before the point.
const WHOLE_DIGITS: usize = 16;

/// The most digits after it, trailing zeros aside; the smallest unit in use (of Ether) has so many.
const FRACTION_DIGITS: usize = 18;

/// The digits that a JSON number always holds.
const EXACT_DIGITS: usize = 15;

/// The longest text of a number, in bytes, zeros included.
const LONGEST_BYTES: usize = 64;

/// An amount, as a decimal text without needless zeros: `10`, `10.0`, `"10.00"`, `"+010"` are `"10"`.
///
/// # Errors
///
/// It is no plain decimal number (no exponent, currency or thousands separator), has more than 16 digits before the
/// point or 18 after it, or is a JSON number with more digits than that holds exactly.
pub fn money(value: &Value) -> Result<Value, String> {
    let amount = read_decimal(value, "an amount such as `10.00`")?;
    Ok(Value::from(amount.to_text()))
}

/// A whole number, as a number: `10`, `10.0`, `"10"`, `"+10"` are `10`.
///
/// # Errors
///
/// It is no whole number, or beyond 2^53, which not every reader of JSON holds exactly.
pub fn integer(value: &Value) -> Result<Value, String> {
    const KIND: &str = "a whole number";
    let number = read_decimal(value, KIND)?;
    let exact = number
        .to_text()
        .parse()
        .ok()
        .filter(|number: &i64| number.unsigned_abs() <= LARGEST_EXACT);
    exact
        .map(Value::from)
        .ok_or_else(|| refuse_value(KIND, value))
}

fn read_decimal(value: &Value, kind: &str) -> Result<Decimal, String> {
    let number = match value {
        Value::Number(number) if is_inexact(number) => {
            return Err(format!(
                "must be {kind} that a JSON number holds exactly, found {number}: write it as a text"
            ));
        }
        Value::Number(number) => Decimal::parse(&number.to_string()),
        Value::String(text) => Decimal::parse(text.trim()),
        _ => None,
    };
    number.ok_or_else(|| refuse_value(kind, value))
}

/// Returns true if a JSON number may differ from the intended one, because it has more digits than
/// it holds.
fn is_inexact(number: &Number) -> bool {
    if let Some(whole) = number.as_i64() {
        return whole.unsigned_abs() > LARGEST_EXACT;
    }
    let text = number.to_string();
    text.contains('e')
        || text.bytes().filter(u8::is_ascii_digit).count() > EXACT_DIGITS + leading_zeros(&text)
}

fn leading_zeros(text: &str) -> usize {
    text.bytes()
        .take_while(|byte| b"-0.".contains(byte))
        .filter(|byte| *byte == b'0')
        .count()
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
    fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST_BYTES {
            return None;
        }
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
        let fits = whole.len() <= WHOLE_DIGITS && fraction.len() <= FRACTION_DIGITS;
        fits.then(|| Self {
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
    use serde_json::json;

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

    #[test]
    fn a_json_number_with_noise_in_its_last_digits_is_refused_with_the_cure() {
        for noisy in [
            json!(0.1 + 0.2),
            json!(1e21),
            json!(1e-7),
            json!(9_007_199_254_740_993_i64),
            json!(u64::MAX),
        ] {
            assert!(
                money(&noisy).is_err_and(|mistake| mistake.ends_with("write it as a text")),
                "{noisy}"
            );
        }
        assert_eq!(money(&json!("0.0000001")), Ok(json!("0.0000001")));
        assert_eq!(
            money(&json!(9_007_199_254_740_991_i64)),
            Ok(json!("9007199254740991"))
        );
        assert_eq!(money(&json!(0.000_012_34)), Ok(json!("0.00001234")));
    }

    #[test]
    fn ways_to_write_a_whole_number_are_one() {
        for same in [json!(10), json!(10.0), json!("10"), json!("+10.0")] {
            assert_eq!(integer(&same), Ok(json!(10)), "{same}");
        }
        for odd in [
            json!(10.5),
            json!("ten"),
            json!("9007199254740992"),
            json!(""),
        ] {
            assert!(integer(&odd).is_err(), "{odd}");
        }
        assert_eq!(
            integer(&json!("ten")),
            Err(r#"must be a whole number, found "ten""#.into())
        );
    }
}
