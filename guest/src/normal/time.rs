//! Points in time and days, by RFC 3339. No clock, no time zones by name.

use crate::Value;

use super::{refuse_value, trimmed_text};

/// The longest timestamp, in bytes: nine digits of a second, and zeros after them.
const LONGEST_BYTES: usize = 64;

/// The precision of a second: nanoseconds.
const FRACTION_DIGITS: usize = 9;

const MINUTES_OF_DAY: i32 = 24 * 60;

/// A point in time, in UTC: `2026-01-02T01:00:00+02:00`, `2026-01-01t23:00:00.0z` are `2026-01-01T23:00:00Z`.
///
/// # Errors
///
/// It is not as RFC 3339 has it (date, time with seconds, and offset), or finer than nanoseconds.
pub fn timestamp(value: &Value) -> Result<Value, String> {
    let instant = trimmed_text(value, LONGEST_BYTES).and_then(Instant::parse_text);
    let instant =
        instant.ok_or_else(|| refuse_value("a time such as `2026-01-31T12:00:00Z`", value))?;
    Ok(Value::from(instant.to_text()))
}

/// A day as it is written: `2026-01-02`, and of a timestamp the day in its own offset.
///
/// # Errors
///
/// It is neither.
pub fn date(value: &Value) -> Result<Value, String> {
    let day = trimmed_text(value, LONGEST_BYTES).and_then(written_day);
    let day = day.ok_or_else(|| refuse_value("a date such as `2026-01-31`", value))?;
    Ok(Value::from(day.to_text()))
}

/// The day that begins a text, if the text is a day or a point in time.
fn written_day(text: &str) -> Option<Day> {
    let (day, _) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    if day != text {
        Instant::parse_text(text)?;
    }
    Day::parse_text(day)
}

#[derive(Clone, Copy)]
struct Day {
    year: u32,
    month: u32,
    day: u32,
}

impl Day {
    fn parse_text(text: &str) -> Option<Self> {
        let (year, rest) = split_digits(text, 4)?;
        let (month, rest) = split_digits(rest.strip_prefix('-')?, 2)?;
        let (day, rest) = split_digits(rest.strip_prefix('-')?, 2)?;
        let valid = rest.is_empty() && day >= 1 && day <= days_of(year, month);
        valid.then_some(Self { year, month, day })
    }

    fn next_day(self) -> Option<Self> {
        let Self { year, month, day } = self;
        match (month, day) {
            _ if day < days_of(year, month) => Some(Self {
                day: day + 1,
                ..self
            }),
            (12, _) if year == 9999 => None,
            (12, _) => Some(Self {
                year: year + 1,
                month: 1,
                day: 1,
            }),
            _ => Some(Self {
                year,
                month: month + 1,
                day: 1,
            }),
        }
    }

    fn previous_day(self) -> Option<Self> {
        let Self { year, month, day } = self;
        match (month, day) {
            (_, 2..) => Some(Self {
                day: day - 1,
                ..self
            }),
            (1, _) => Some(Self {
                year: year.checked_sub(1)?,
                month: 12,
                day: 31,
            }),
            _ => Some(Self {
                year,
                month: month - 1,
                day: days_of(year, month - 1),
            }),
        }
    }

    fn to_text(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Returns the days of a month, and zero where there is no such month.
fn days_of(year: u32, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// A point in time, in UTC.
struct Instant {
    day: Day,
    minute_of_day: i32,
    second: u32,
    /// Digits of a second, without trailing zeros.
    fraction: String,
}

impl Instant {
    fn parse_text(text: &str) -> Option<Self> {
        let (day, time) = text.split_once(['T', 't', ' '])?;
        let (minute_of_day, rest) = parse_clock(time)?;
        let (second, rest) = split_digits(rest.strip_prefix(':')?, 2)?;
        let (fraction, zone) = split_fraction(rest)?;
        let (day, minute_of_day) =
            to_utc(Day::parse_text(day)?, minute_of_day - offset_minutes(zone)?)?;
        let leap_second = second == 60 && minute_of_day == MINUTES_OF_DAY - 1;
        (second < 60 || leap_second).then(|| Self {
            day,
            minute_of_day,
            second,
            fraction: fraction.into(),
        })
    }

    fn to_text(&self) -> String {
        let hour = self.minute_of_day / 60;
        let minute = self.minute_of_day % 60;
        let point = if self.fraction.is_empty() { "" } else { "." };
        let day = self.day.to_text();
        let second = self.second;
        let fraction = &self.fraction;
        format!("{day}T{hour:02}:{minute:02}:{second:02}{point}{fraction}Z")
    }
}

/// Hours and minutes, as minutes.
fn parse_clock(text: &str) -> Option<(i32, &str)> {
    let (hour, rest) = split_digits(text, 2)?;
    let (minute, rest) = split_digits(rest.strip_prefix(':')?, 2)?;
    let minutes = i32::try_from(hour * 60 + minute).ok()?;
    (hour < 24 && minute < 60).then_some((minutes, rest))
}

/// The digits of a second, and what follows them.
fn split_fraction(text: &str) -> Option<(&str, &str)> {
    let Some(text) = text.strip_prefix('.') else {
        return Some(("", text));
    };
    let end = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (all, rest) = text.split_at(end);
    let needed = all.trim_end_matches('0');
    (!all.is_empty() && needed.len() <= FRACTION_DIGITS).then_some((needed, rest))
}

fn offset_minutes(zone: &str) -> Option<i32> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (minutes, rest) = parse_clock(zone.strip_prefix(['+', '-'])?)?;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    rest.is_empty().then_some(sign * minutes)
}

/// Brings a minute that an offset moved into a neighbouring day back into its day.
fn to_utc(day: Day, minute: i32) -> Option<(Day, i32)> {
    let day = match minute.div_euclid(MINUTES_OF_DAY) {
        0 => day,
        1 => day.next_day()?,
        _ => day.previous_day()?,
    };
    Some((day, minute.rem_euclid(MINUTES_OF_DAY)))
}

/// A number of exactly so many digits, and what follows it.
fn split_digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    let all_digits = number.bytes().all(|byte| byte.is_ascii_digit());
    all_digits
        .then(|| number.parse().ok())?
        .map(|number| (number, rest))
}

#[cfg(test)]
mod tests {
    use crate::json;

    use super::*;

    #[track_caller]
    fn is(text: &str, same: &str) {
        assert_eq!(timestamp(&json!(text)), Ok(json!(same)));
    }

    #[test]
    fn an_offset_is_taken_off() {
        is("2026-01-02T01:00:00+02:00", "2026-01-01T23:00:00Z");
        is("2026-01-01t23:00:00.000z", "2026-01-01T23:00:00Z");
        is("2025-12-31 23:30:00.1250-00:45", "2026-01-01T00:15:00.125Z");
        is("2024-03-01T00:00:00+00:01", "2024-02-29T23:59:00Z");
        is("2100-03-01T00:00:00+00:01", "2100-02-28T23:59:00Z");
        is("2026-12-31T15:59:60-08:00", "2026-12-31T23:59:60Z");
        is("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_point_in_time_is_refused() {
        for odd in [
            "",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.0000000001Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00Zulu",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:00-00:01",
            "+026-01-01T00:00:00Z",
            "２026-01-01T00:00:00Z",
        ] {
            assert!(timestamp(&json!(odd)).is_err(), "{odd}");
        }
        assert!(timestamp(&json!(1_767_225_600)).is_err());
    }

    #[test]
    fn a_day_is_taken_as_it_is_written() {
        assert_eq!(date(&json!(" 2026-01-31 ")), Ok(json!("2026-01-31")));
        assert_eq!(
            date(&json!("2026-01-31T23:00:00-02:00")),
            Ok(json!("2026-01-31"))
        );
        for odd in [
            "31.01.2026",
            "2026-1-31",
            "2026-02-30",
            "2026-01-31T",
            "tomorrow",
        ] {
            assert!(date(&json!(odd)).is_err(), "{odd}");
        }
    }
}
