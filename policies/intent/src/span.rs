//! Lengths of time: `"24h"`, `"15m"`, `"30s"`, `"7d"`, or a number of seconds.

use semel_guest::Value;

use crate::settings::At;

const EXPECTED: &str = "it must be a length of time such as `24h`, `15m`, `7d` or a number of seconds, at least one";

/// A number of seconds: at least one, and finite in the contract, whose largest number is for ever.
pub(crate) fn seconds(at: &At<'_>) -> Result<u32, String> {
    let seconds = match at.value {
        Value::String(text) => parse(text),
        value => value.as_u64(),
    };
    let finite =
        seconds.and_then(|seconds| u32::try_from(seconds).ok()).filter(|seconds| (1..u32::MAX).contains(seconds));
    finite.ok_or_else(|| at.wrong(EXPECTED))
}

/// A number of seconds, or `forever`.
pub(crate) fn memory_seconds(at: &At<'_>) -> Result<u32, String> {
    if at.value == "forever" { Ok(u32::MAX) } else { seconds(at) }
}

/// A number of milliseconds.
pub(crate) fn milliseconds(at: &At<'_>) -> Result<u32, String> {
    seconds(at)?.checked_mul(1_000).ok_or_else(|| at.wrong("it is longer than 49 days"))
}

fn parse(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds)
}

#[cfg(test)]
mod tests {
    use semel_guest::json;

    use super::*;

    #[test]
    fn units_count() {
        for (value, length) in
            [(json!("30s"), 30), (json!("15m"), 900), (json!("24h"), 86_400), (json!("7d"), 604_800), (json!(90), 90)]
        {
            assert_eq!(seconds(&At::root(&value)), Ok(length), "{value}");
        }
        assert_eq!(memory_seconds(&At::root(&json!("forever"))), Ok(u32::MAX));
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in
            ["", "0s", "h", "10", "1.5h", "-1s", "1 h", "24H", "99999999999999999999d", "49711d", "ß", "forever"]
        {
            assert!(seconds(&At::root(&json!(text))).is_err(), "{text}");
        }
        for value in [json!(0), json!(-1), json!(1.5), json!(u32::MAX), json!(null), json!(["1h"])] {
            assert!(seconds(&At::root(&value)).is_err(), "{value}");
        }
    }
}
