//! How figures are written, for `skictl` and for pages.

use std::time::{Duration, UNIX_EPOCH};

use indicatif::{HumanBytes, HumanCount};

/// A whole number, with grouped thousands.
#[must_use]
pub fn grouped(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A number with its noun.
#[must_use]
pub fn counted(number: u64, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{} {noun}", grouped(number))
}

/// A text without control characters, which could send commands to a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// A size in bytes.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// CPU cores.
#[must_use]
pub fn cores(cores: f64) -> String {
    format!("{cores:.2}")
}

/// A share of 1, in percent.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A time span in milliseconds, with at most two units.
#[must_use]
pub fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", s, ms % 1000 / 100),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A time span in seconds.
#[must_use]
pub fn span_s(s: f64) -> String {
    span(Duration::try_from_secs_f64(s).map_or(0, |time| time.as_millis() as u64))
}

/// A moment in milliseconds since 1970, in UTC.
#[must_use]
pub fn moment(ms: u64) -> String {
    // The year 9999 is the last one that can be formatted.
    let latest = 253_402_300_799_000;
    let time = UNIX_EPOCH + Duration::from_millis(ms.min(latest));
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_two_units_at_most() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(span(ms), text);
        }
        assert_eq!(moment(1_763_856_000_000), "2025-11-23T00:00:00Z");
        assert!(moment(u64::MAX).starts_with("9999-12-31"));
        assert_eq!(grouped(1_234_567), "1,234,567");
        for (number, text) in [(0, "0 rides"), (1, "1 ride"), (2_668, "2,668 rides")] {
            assert_eq!(counted(number, "ride", "rides"), text);
        }
    }
}
