//! `Retry-After`: when a server that turned a request away wants it again (RFC 9110, 10.2.3).

use hyper::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// The longest delay that is believed: a day. A server may err, and a call must not be held off for ever.
const DELAY_MAX: Duration = Duration::from_secs(86_400);

/// Returns the delay that the headers ask for, in milliseconds: a number of seconds, or the time until a date. A date counts from the
/// server's own `Date`, or else from `now`. None where it is missing, past or unreadable.
pub(super) fn read_delay_ms(headers: &HeaderMap, now: SystemTime) -> Option<u32> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let is_number = !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit());
    let delay = if is_number {
        // More digits than a number holds mean a delay that is cut in any case.
        Duration::from_secs(asked.parse().unwrap_or(u64::MAX))
    } else {
        let wanted = httpdate::parse_http_date(asked).ok()?;
        let answered = read_date(headers, &DATE).unwrap_or(now);
        wanted.duration_since(answered).ok()?
    };
    let delay_ms = u32::try_from(delay.min(DELAY_MAX).as_millis()).ok()?;
    (delay_ms > 0).then_some(delay_ms)
}

fn read_date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u32 = 86_400_000;

    fn delay(headers: &[(HeaderName, &str)]) -> Option<u32> {
        let headers = headers
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.parse().ok()?)))
            .collect();
        // Sun, 06 Nov 1994 08:49:37 GMT.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        read_delay_ms(&headers, now)
    }

    #[test]
    fn seconds_and_dates_are_read_and_nonsense_is_none() {
        for (asked, expected) in [
            ("120", Some(120_000)),
            (" 1 ", Some(1_000)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10_000)),
            ("Sun Nov  6 08:49:38 1994", Some(1_000)),
            ("99999999999999999999999", Some(DAY_MS)),
            ("Mon, 07 Nov 1994 20:00:00 GMT", Some(DAY_MS)),
            ("0", None),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:36 GMT", None),
        ] {
            assert_eq!(delay(&[(RETRY_AFTER, asked)]), expected, "{asked}");
        }
        assert_eq!(delay(&[]), None);
    }

    #[test]
    fn a_date_counts_from_the_servers_own_clock() {
        let by_a_late_clock = [
            (RETRY_AFTER, "Sun, 06 Nov 1994 09:00:30 GMT"),
            (DATE, "Sun, 06 Nov 1994 09:00:00 GMT"),
        ];
        assert_eq!(delay(&by_a_late_clock), Some(30_000));
    }
}
