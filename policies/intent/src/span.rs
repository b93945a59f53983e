//! Lengths of time: `"24h"`, `"15m"`, `"30s"`, `"7d"`, or a number of seconds.

use semel_guest::settings::{self, SECONDS_EXPECTED};

use crate::settings::SettingValue;

/// Reads a number of seconds: at least one, and finite in the contract, where the largest number
/// means for ever.
pub(crate) fn seconds(at: &SettingValue<'_>) -> Result<u32, String> {
    settings::seconds(at.value).ok_or_else(|| at.wrong(SECONDS_EXPECTED))
}

/// A number of seconds, or `forever`.
pub(crate) fn memory_seconds(at: &SettingValue<'_>) -> Result<u32, String> {
    if at.value == "forever" {
        Ok(u32::MAX)
    } else {
        seconds(at)
    }
}

/// A number of milliseconds.
pub(crate) fn milliseconds(at: &SettingValue<'_>) -> Result<u32, String> {
    seconds(at)?
        .checked_mul(1_000)
        .ok_or_else(|| at.wrong("it is longer than 49 days"))
}

#[cfg(test)]
mod tests {
    use semel_guest::json;

    use super::*;

    #[test]
    fn only_a_memory_lasts_for_ever() {
        assert_eq!(
            memory_seconds(&SettingValue::settings_root(&json!("forever"))),
            Ok(u32::MAX)
        );
        assert!(seconds(&SettingValue::settings_root(&json!("forever"))).is_err());
        assert_eq!(
            seconds(&SettingValue::settings_root(&json!("24h"))),
            Ok(86_400)
        );
        assert!(milliseconds(&SettingValue::settings_root(&json!("50d"))).is_err());
    }
}
