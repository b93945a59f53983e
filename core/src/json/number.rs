//! Numbers as they are written, compared by their value.
//!
//! A number is never turned into a floating-point value here: its text is kept, and its value is read off the digits.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// The most digits of a number, outer zeros aside.
const NUMBER_DIGITS_MAX: usize = 1_000;

/// The largest power of ten by which a number's digits are multiplied or divided.
const NUMBER_EXPONENT_MAX: u32 = 1_000_000;

/// The most digits before the point that a canonical text writes without an exponent, as in ECMAScript.
const PLAIN_DIGITS_MAX: i64 = 21;

/// The most zeros between the point and the first digit in a canonical text without an exponent, as in ECMAScript.
const PLAIN_ZEROS_MAX: i64 = 5;

/// The digits that any number of 64 bits holds.
const SHORT_DIGITS: usize = 18;

/// Why a text is not a number that Semel keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It is not a JSON number.
    #[error("no number")]
    Syntax,
    /// It has too many digits.
    #[error("a number with {digits} digits, more than {NUMBER_DIGITS_MAX}: send it as a text")]
    TooManyDigits {
        /// How many, outer zeros aside.
        digits: usize,
    },
    /// Its exponent is too large or too small.
    #[error(
        "a number with an exponent beyond {NUMBER_EXPONENT_MAX} or below -{NUMBER_EXPONENT_MAX}: send it as a text"
    )]
    ExponentTooLarge,
}

/// A JSON number with all its digits. It keeps the way in which it is written, and is equal to every number of its
/// value: `1.10`, `1.1` and `11e-1` are equal, `1.1` and `1.100000000000000001` are not.
///
/// # Examples
/// ```
/// use semel_core::json::JsonNumber;
///
/// let number = JsonNumber::parse("1.10")?;
/// assert_eq!(number.as_str(), "1.10");
/// assert_eq!(number, JsonNumber::parse("11e-1")?);
/// assert_eq!(number.canonical(), "1.1");
/// # Ok::<(), semel_core::json::NumberError>(())
/// ```
#[derive(Debug, Clone)]
pub struct JsonNumber(Box<str>);

impl JsonNumber {
    /// Reads a number as JSON writes it (RFC 8259, section 6).
    ///
    /// # Errors
    /// The text is not a JSON number, or has more than 1,000 digits or an exponent beyond 1,000,000, both in the form
    /// without outer zeros.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        check_number(text)?;
        Ok(Self::from_checked(text))
    }

    /// A number whose text was checked.
    pub(super) fn from_checked(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the number as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the one text of its value: all its digits, laid out as ECMAScript lays out numbers.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        self.put_canonical(&mut text);
        text
    }

    pub(super) fn put_canonical(&self, text: &mut String) {
        if is_plain_integer(&self.0, usize::try_from(PLAIN_DIGITS_MAX).unwrap_or(0)) {
            text.push_str(&self.0);
        } else {
            NumberForm::of(&self.0).put_text(text);
        }
    }

    /// Returns the number if it is whole and fits: `10`, `10.0` and `1e1` are 10.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        // Any longer canonical text has an exponent.
        self.0
            .parse()
            .ok()
            .or_else(|| self.canonical().parse().ok())
    }

    /// Returns the number if it is whole, not negative, and fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.0
            .parse()
            .ok()
            .or_else(|| self.canonical().parse().ok())
    }
}

impl PartialEq for JsonNumber {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || NumberForm::of(&self.0) == NumberForm::of(&other.0)
    }
}

impl Eq for JsonNumber {}

impl Hash for JsonNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

impl fmt::Display for JsonNumber {
    /// Writes the number as it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<i64> for JsonNumber {
    fn from(number: i64) -> Self {
        Self(number.to_string().into())
    }
}

impl From<u64> for JsonNumber {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl From<&serde_json::Number> for JsonNumber {
    fn from(number: &serde_json::Number) -> Self {
        Self(number.to_string().into())
    }
}

/// A number's value: a sign, digits without zeros at either end, and the power of ten of the last digit. Zero has no
/// digits, no sign and the exponent 0.
#[derive(Debug)]
struct NumberForm<'t> {
    is_negative: bool,
    /// The digits before the point and those after it, zeros trimmed; together they are the digits.
    before_point: &'t str,
    after_point: &'t str,
    exponent: i64,
}

impl PartialEq for NumberForm<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.is_negative, self.exponent, self.count())
            == (other.is_negative, other.exponent, other.count())
            && self.digits().eq(other.digits())
    }
}

impl<'t> NumberForm<'t> {
    /// The value of a text that is a JSON number.
    fn of(text: &'t str) -> Self {
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text),
        };
        let (digits, exponent) = unsigned
            .split_once(['e', 'E'])
            .map_or((unsigned, 0), |(digits, exponent)| {
                (digits, parse_exponent(exponent))
            });
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut form = Self {
            is_negative,
            before_point: whole.trim_start_matches('0'),
            after_point: fraction.trim_end_matches('0'),
            exponent,
        };
        form.exponent = exponent.saturating_sub(length(form.after_point));
        if form.before_point.is_empty() {
            form.after_point = form.after_point.trim_start_matches('0');
        }
        if form.after_point.is_empty() {
            let trimmed = form.before_point.trim_end_matches('0');
            let zeros = length(form.before_point) - length(trimmed);
            form.before_point = trimmed;
            form.exponent = form.exponent.saturating_add(zeros);
        }
        if form.count() == 0 {
            form.is_negative = false;
            form.exponent = 0;
        }
        form
    }

    fn count(&self) -> usize {
        self.before_point.len() + self.after_point.len()
    }

    fn digits(&self) -> impl Iterator<Item = char> {
        self.before_point.chars().chain(self.after_point.chars())
    }

    fn check(&self) -> Result<(), NumberError> {
        if self.count() > NUMBER_DIGITS_MAX {
            return Err(NumberError::TooManyDigits {
                digits: self.count(),
            });
        }
        if self.exponent.unsigned_abs() > u64::from(NUMBER_EXPONENT_MAX) {
            return Err(NumberError::ExponentTooLarge);
        }
        Ok(())
    }

    /// Writes the number as ECMAScript would (ECMA-262, `Number::toString`) if it held all digits.
    fn put_text(&self, text: &mut String) {
        if self.count() == 0 {
            text.push('0');
            return;
        }
        if self.is_negative {
            text.push('-');
        }
        let point = i64::try_from(self.count()).unwrap_or(i64::MAX) + self.exponent;
        let zeros = |text: &mut String, count: i64| text.extend((0..count).map(|_| '0'));
        if self.exponent >= 0 && point <= PLAIN_DIGITS_MAX {
            text.extend(self.digits());
            zeros(text, self.exponent);
        } else if point > 0 && point <= PLAIN_DIGITS_MAX {
            self.put_with_point(text, usize::try_from(point).unwrap_or(0));
        } else if (-PLAIN_ZEROS_MAX..=0).contains(&point) {
            text.push_str("0.");
            zeros(text, -point);
            text.extend(self.digits());
        } else {
            self.put_with_point(text, 1);
            text.push_str(&format!("e{:+}", point - 1));
        }
    }

    /// Writes the digits with a point after so many, where more follow.
    fn put_with_point(&self, text: &mut String, before: usize) {
        text.extend(self.digits().take(before));
        if self.count() > before {
            text.push('.');
            text.extend(self.digits().skip(before));
        }
    }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// An exponent of any length, at the end of its range where it is beyond.
fn parse_exponent(text: &str) -> i64 {
    text.parse().unwrap_or(if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    })
}

/// Checks that a text is a JSON number within the limits.
pub(super) fn check_number(text: &str) -> Result<(), NumberError> {
    if !is_number(text.as_bytes()) {
        return Err(NumberError::Syntax);
    }
    if is_short_integer(text) {
        return Ok(());
    }
    NumberForm::of(text).check()
}

/// Returns true for an integer that every reader of 64 bits holds.
pub(super) fn is_short_integer(text: &str) -> bool {
    is_plain_integer(text, SHORT_DIGITS)
}

/// Returns true if a number is written as an integer of at most so many digits, and is its own canonical text.
fn is_plain_integer(number: &str, digits_max: usize) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.len() <= digits_max && number != "-0" && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The grammar of RFC 8259, section 6.
fn is_number(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let rest = match unsigned {
        [b'0', rest @ ..] => rest,
        _ => match split_digits(unsigned) {
            Some(rest) => rest,
            None => return false,
        },
    };
    let rest = match rest {
        [b'.', fraction @ ..] => match split_digits(fraction) {
            Some(rest) => rest,
            None => return false,
        },
        rest => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            split_digits(exponent).is_some_and(<[u8]>::is_empty)
        }
        _ => false,
    }
}

/// Returns the text after its digits, of which there must be one.
fn split_digits(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 { None } else { text.get(count..) }
}

#[cfg(test)]
mod tests;
