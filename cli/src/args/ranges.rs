//! Values with a range: whatever is wrong with one, the same sentence says what it may be.

use std::ops::RangeInclusive;
use std::time::Duration;

use humantime::format_duration;

/// Most threads, rides in a batch and so on, as the control plane and the configuration have them.
pub(super) const THREADS: RangeInclusive<u64> = 1..=256;
pub(super) const PREFETCH: RangeInclusive<u64> = 1..=1_000_000;
pub(super) const BATCH: RangeInclusive<u64> = 1..=100_000;
pub(super) const LANES: RangeInclusive<u64> = 1..=64;
pub(super) const MESSAGE_RIDES: RangeInclusive<u64> = 1..=10_000;
pub(super) const MAX_IN_FLIGHT: RangeInclusive<u64> = 1..=1_000_000;
pub(super) const HIGH_WATER: RangeInclusive<u64> = 1..=1_000_000_000;
/// Machines of a role.
pub(super) const MACHINES: RangeInclusive<u64> = 0..=256;
/// The most of them that may be set.
pub(super) const MOST_MACHINES: RangeInclusive<u64> = 1..=256;
/// Longest time that a batch waits.
pub(super) const LINGER: Duration = Duration::from_secs(10);
/// Longest time that finishing may take.
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
            Err(format!("it must be from {least} to {most} {unit}"))
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
            Err(format!("it must be from {least} to {most} {unit}"))
        }
    }
}

/// A time.
pub(super) fn time(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| match humantime::parse_duration(text) {
        Ok(time) if range.contains(&time) => Ok(time),
        _ => {
            let least = format_duration(*range.start());
            let most = format_duration(*range.end());
            Err(format!(
                "it must be a time from {least} to {most}, as 1s or 250ms"
            ))
        }
    }
}

/// A time in whole milliseconds, up to the longest that a batch may wait.
pub(super) fn linger_ms(text: &str) -> Result<u32, String> {
    let time = time(Duration::ZERO..=LINGER)(text)?;
    if !time.subsec_nanos().is_multiple_of(1_000_000) {
        return Err("it is counted in whole milliseconds".to_owned());
    }
    // Ten seconds are few milliseconds.
    Ok(time.as_millis() as u32)
}

/// How long a drain may take, in whole seconds.
pub(super) fn drain_s(text: &str) -> Result<u32, String> {
    let time = time(Duration::from_secs(1)..=DRAIN)(text)?;
    if time.subsec_nanos() != 0 {
        return Err("it is counted in whole seconds".to_owned());
    }
    // An hour is few seconds.
    Ok(time.as_secs() as u32)
}

/// A name or an id, which is not empty.
pub(super) fn named(what: &'static str) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| {
        if text.trim().is_empty() {
            return Err(format!("it must be {what}"));
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use skilift_core::control::{ApiSettings, FleetBounds, WorkerSettings};

    use super::*;

    /// The control plane takes both ends, and nothing beyond.
    #[test]
    fn ranges_are_those_of_the_control_plane() {
        let worker = |at: fn(&RangeInclusive<u64>) -> u64, beyond: [u64; 4]| WorkerSettings {
            threads: (at(&THREADS) + beyond[0]) as u32,
            prefetch: (at(&PREFETCH) + beyond[1]) as u32,
            batch: (at(&BATCH) + beyond[2]) as u32,
            linger_ms: (LINGER.as_millis() as u64 + beyond[3]) as u32,
        };
        let api = |at: fn(&RangeInclusive<u64>) -> u64, beyond: [u64; 3]| ApiSettings {
            lanes: (at(&LANES) + beyond[0]) as u32,
            message_rides: (at(&MESSAGE_RIDES) + beyond[1]) as u32,
            max_in_flight: (at(&MAX_IN_FLIGHT) + beyond[2]) as u32,
        };
        let fleet = |min: u64, max: u64| FleetBounds {
            worker_min: min as u32,
            worker_max: max as u32,
            api_min: min as u32,
            api_max: max as u32,
        };
        let (least, most) = (*MACHINES.start(), *MACHINES.end());
        assert_eq!(fleet(least, *MOST_MACHINES.start()).check(), Ok(()));
        assert_eq!(fleet(most, *MOST_MACHINES.end()).check(), Ok(()));
        assert!(fleet(most + 1, most + 1).check().is_err());
        assert!(fleet(least, MOST_MACHINES.start() - 1).check().is_err());
        for end in [
            |range: &RangeInclusive<u64>| *range.start(),
            |range: &RangeInclusive<u64>| *range.end(),
        ] {
            assert_eq!(worker(end, [0; 4]).check(), Ok(()));
            assert_eq!(api(end, [0; 3]).check(), Ok(()));
        }
        for at in 0..4 {
            let mut beyond = [0; 4];
            beyond[at] = 1;
            assert!(worker(|range| *range.end(), beyond).check().is_err());
        }
        for at in 0..3 {
            let mut beyond = [0; 3];
            beyond[at] = 1;
            assert!(api(|range| *range.end(), beyond).check().is_err());
        }
    }

    #[test]
    fn whatever_is_wrong_the_range_is_said() {
        for text in ["0", "-1", "257", "abc", "", "1.5"] {
            assert_eq!(
                count(THREADS, "threads")(text).unwrap_err(),
                "it must be from 1 to 256 threads"
            );
        }
        for text in ["1h", "soon", "-1s", "10001ms"] {
            assert_eq!(
                linger_ms(text).unwrap_err(),
                "it must be a time from 0s to 10s, as 1s or 250ms"
            );
        }
        assert_eq!(linger_ms("25ms"), Ok(25));
        assert!(linger_ms("1us").unwrap_err().contains("whole milliseconds"));
        for text in ["0s", "3601s", "long"] {
            assert_eq!(
                drain_s(text).unwrap_err(),
                "it must be a time from 1s to 1h, as 1s or 250ms"
            );
        }
        assert_eq!(drain_s("5m"), Ok(300));
        assert!(drain_s("1500ms").unwrap_err().contains("whole seconds"));
        assert!(number(0.1..=10_000.0, "letters a second")("NaN").is_err());
    }
}
