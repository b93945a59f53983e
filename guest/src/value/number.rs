//! Numbers by their digits.

use std::fmt;
use std::str::FromStr;

use super::InvalidJson;

/// The most digits before the point in a number that is written without an exponent.
const PLAIN_DIGITS: i64 = 21;

/// The most zeros between the point and the first digit of a number that is written without an exponent.
const PLAIN_ZEROS: i64 = 5;

/// A JSON number with all its digits, in the one form of its value: `1.10` and `11e-1` are `1.1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(Box<str>);

impl Number {
    /// Returns the form in which the host writes it: like ECMAScript, but with every digit.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true for a whole number that is written without an exponent: any of up to 21 digits.
    #[must_use]
    pub fn is_plain_integer(&self) -> bool {
        self.0
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_digit())
    }

    /// A number whose grammar was checked.
    pub(super) fn of_checked(text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_plain = digits.len() <= 21 && text != "-0";
        if is_plain && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self(text.into());
        }
        Self(one_form(text).into())
    }
}

/// The one form of a number's value.
fn one_form(text: &str) -> String {
    let parts = NumberParts::read(text);
    let count = i64::try_from(parts.digits.len()).unwrap_or(i64::MAX);
    let point = parts.exponent.saturating_add(count);
    let mut form = String::from(if parts.is_negative { "-" } else { "" });
    if count == 0 {
        form.push('0');
    } else if parts.exponent >= 0 && point <= PLAIN_DIGITS {
        form.push_str(&parts.digits);
        push_zeros(&mut form, parts.exponent);
    } else if point > 0 && point <= PLAIN_DIGITS {
        push_with_point(&mut form, &parts.digits, point);
    } else if (-PLAIN_ZEROS..=0).contains(&point) {
        form.push_str("0.");
        push_zeros(&mut form, -point);
        form.push_str(&parts.digits);
    } else {
        push_with_point(&mut form, &parts.digits, 1);
        form.push_str(if point > 0 { "e+" } else { "e" });
        form.push_str(&(point - 1).to_string());
    }
    form
}

fn push_zeros(form: &mut String, count: i64) {
    form.extend((0..count).map(|_| '0'));
}

fn push_with_point(form: &mut String, digits: &str, before: i64) {
    let (before, after) = usize::try_from(before)
        .ok()
        .and_then(|before| digits.split_at_checked(before))
        .unwrap_or((digits, ""));
    form.push_str(before);
    if !after.is_empty() {
        form.push('.');
        form.push_str(after);
    }
}

/// A sign, digits without zeros at either end, and the power of ten of the last digit.
pub(crate) struct NumberParts {
    pub(crate) is_negative: bool,
    pub(crate) digits: String,
    pub(crate) exponent: i64,
}

impl NumberParts {
    /// Reads a text that is a JSON number.
    pub(crate) fn read(text: &str) -> Self {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (digits, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = [whole, fraction].concat();
        let trimmed = all.trim_end_matches('0');
        let zeros = all.len() - trimmed.len();
        let digits = trimmed.trim_start_matches('0').to_owned();
        let shift = i64::try_from(zeros).unwrap_or(i64::MAX)
            - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        let exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') {
            i64::MIN
        } else {
            i64::MAX
        });
        let is_zero = digits.is_empty();
        Self {
            is_negative: text.starts_with('-') && !is_zero,
            exponent: if is_zero {
                0
            } else {
                exponent.saturating_add(shift)
            },
            digits,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Number {
    type Err = InvalidJson;

    fn from_str(text: &str) -> Result<Self, InvalidJson> {
        match super::Value::parse(text)? {
            super::Value::Number(number) => Ok(number),
            _ => Err(InvalidJson::default()),
        }
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self(number.to_string().into())
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}
