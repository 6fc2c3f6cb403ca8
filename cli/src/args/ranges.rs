//! Value parsers with a range; every invalid value gets the same message, which names the range.

use std::ops::RangeInclusive;
use std::time::Duration;

use humantime::format_duration;
use skilift_core::control::setting::{self, Setting};

/// Rides in the queue.
pub(super) const HIGH_WATER: RangeInclusive<u64> = 1..=1_000_000_000;
/// Maximum linger of a batch.
pub(super) const LINGER: Duration = Duration::from_millis(*setting::LINGER_MS.range.end() as u64);
/// Maximum drain time.
pub(super) const DRAIN: Duration = Duration::from_secs(3600);

/// A whole number of `unit`.
pub(super) fn count(
    range: RangeInclusive<u64>,
    unit: &'static str,
) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => {
            let (least, most) = (range.start(), range.end());
            Err(format!("must be {least} to {most} {unit}"))
        }
    }
}

/// A value of a setting that can also be changed at runtime.
pub(super) fn setting<T: From<u32>>(
    of: &'static Setting,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if of.range.contains(&number) => Ok(number.into()),
        _ => {
            let (least, most) = (of.range.start(), of.range.end());
            Err(format!("must be {least} to {most} {}", of.unit))
        }
    }
}

/// A number of `unit`, whole or not.
pub(super) fn number(
    range: RangeInclusive<f64>,
    unit: &'static str,
) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => {
            let (least, most) = (range.start(), range.end());
            Err(format!("must be {least} to {most} {unit}"))
        }
    }
}

/// A duration as it can be given; humantime's years and months are no whole days.
fn span(time: Duration) -> String {
    const DAY_S: u64 = 24 * 3600;
    match time.as_secs() / DAY_S {
        days if days > 1 && time == Duration::from_secs(days * DAY_S) => format!("{days}days"),
        _ => format_duration(time).to_string(),
    }
}

/// A duration.
pub(super) fn time(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| match humantime::parse_duration(text) {
        Ok(time) if range.contains(&time) => Ok(time),
        _ => {
            let [least, most] = [range.start(), range.end()].map(|time| span(*time));
            let example = match *range.start() < Duration::from_millis(250) {
                true => "1s or 250ms",
                false => "5s or 2m",
            };
            Err(format!(
                "must be a duration from {least} to {most}, for example {example}"
            ))
        }
    }
}

/// A duration in whole milliseconds, up to [`LINGER`].
pub(super) fn linger_ms(text: &str) -> Result<u32, String> {
    let time = time(Duration::ZERO..=LINGER)(text)?;
    if !time.subsec_nanos().is_multiple_of(1_000_000) {
        return Err("must be whole milliseconds".to_owned());
    }
    // Ten seconds are few milliseconds.
    Ok(time.as_millis() as u32)
}

/// A drain timeout, in whole seconds.
pub(super) fn drain_s(text: &str) -> Result<u32, String> {
    let time = time(Duration::from_secs(1)..=DRAIN)(text)?;
    if time.subsec_nanos() != 0 {
        return Err("must be whole seconds".to_owned());
    }
    // An hour is few seconds.
    Ok(time.as_secs() as u32)
}

/// A name or an ID that is not empty.
pub(super) fn named(what: &'static str) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| {
        if text.trim().is_empty() {
            return Err(format!("must be {what}"));
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_wrong_the_range_is_said() {
        for text in ["0", "-1", "257", "abc", "", "1.5"] {
            assert_eq!(
                setting::<u32>(&setting::THREADS)(text).unwrap_err(),
                "must be 1 to 256 threads"
            );
        }
        for text in ["1h", "soon", "-1s", "10001ms"] {
            assert_eq!(
                linger_ms(text).unwrap_err(),
                "must be a duration from 0s to 10s, for example 1s or 250ms"
            );
        }
        assert_eq!(linger_ms("25ms"), Ok(25));
        assert!(linger_ms("1us").unwrap_err().contains("whole milliseconds"));
        for text in ["0s", "3601s", "long"] {
            assert_eq!(
                drain_s(text).unwrap_err(),
                "must be a duration from 1s to 1h, for example 5s or 2m"
            );
        }
        assert_eq!(drain_s("5m"), Ok(300));
        assert!(drain_s("1500ms").unwrap_err().contains("whole seconds"));
        assert!(number(0.1..=10_000.0, "dead letters per second")("NaN").is_err());
    }
}
