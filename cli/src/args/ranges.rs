//! Value parsers with a range; every invalid value gets the same message, which names the range.

use std::ops::RangeInclusive;
use std::time::Duration;

use humantime::format_duration;

/// Ranges of the settings, equal to those of the control plane and of the configuration file.
pub(super) const THREADS: RangeInclusive<u64> = 1..=256;
pub(super) const PREFETCH: RangeInclusive<u64> = 1..=1_000_000;
pub(super) const BATCH: RangeInclusive<u64> = 1..=100_000;
pub(super) const CHANNELS: RangeInclusive<u64> = 1..=64;
pub(super) const MESSAGE_RIDES: RangeInclusive<u64> = 1..=10_000;
pub(super) const MAX_IN_FLIGHT: RangeInclusive<u64> = 1..=1_000_000;
pub(super) const HIGH_WATER: RangeInclusive<u64> = 1..=1_000_000_000;
/// Instances of a role.
pub(super) const MACHINES: RangeInclusive<u64> = 0..=256;
/// Upper bound of instances that may be set for a role.
pub(super) const MAX_MACHINES: RangeInclusive<u64> = 1..=256;
/// Maximum linger of a batch.
pub(super) const LINGER: Duration = Duration::from_secs(10);
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

/// A duration.
pub(super) fn time(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| match humantime::parse_duration(text) {
        Ok(time) if range.contains(&time) => Ok(time),
        _ => {
            let least = format_duration(*range.start());
            let most = format_duration(*range.end());
            Err(format!(
                "must be a duration from {least} to {most}, for example 1s or 250ms"
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
    use skilift_core::control::{ApiSettings, FleetBounds, WorkerSettings};

    use super::*;

    /// The control plane accepts both ends of each range and nothing beyond.
    #[test]
    fn ranges_are_those_of_the_control_plane() {
        let worker = |at: fn(&RangeInclusive<u64>) -> u64, beyond: [u64; 4]| WorkerSettings {
            threads: (at(&THREADS) + beyond[0]) as u32,
            prefetch: (at(&PREFETCH) + beyond[1]) as u32,
            batch: (at(&BATCH) + beyond[2]) as u32,
            linger_ms: (LINGER.as_millis() as u64 + beyond[3]) as u32,
        };
        let api = |at: fn(&RangeInclusive<u64>) -> u64, beyond: [u64; 3]| ApiSettings {
            channels: (at(&CHANNELS) + beyond[0]) as u32,
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
        assert_eq!(fleet(least, *MAX_MACHINES.start()).check(), Ok(()));
        assert_eq!(fleet(most, *MAX_MACHINES.end()).check(), Ok(()));
        assert!(fleet(most + 1, most + 1).check().is_err());
        assert!(fleet(least, MAX_MACHINES.start() - 1).check().is_err());
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
                "must be a duration from 1s to 1h, for example 1s or 250ms"
            );
        }
        assert_eq!(drain_s("5m"), Ok(300));
        assert!(drain_s("1500ms").unwrap_err().contains("whole seconds"));
        assert!(number(0.1..=10_000.0, "dead letters per second")("NaN").is_err());
    }
}
