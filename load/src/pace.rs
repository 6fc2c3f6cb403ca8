//! Schedule of requests.
//!
//! In a **closed loop** each sender sends as soon as it has received the last response: the server sets the pace. In an **open
//! loop** a schedule sets it, and the latency of a request counts from its intended start, even if a slow server delays it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What sets the pace.
#[derive(Debug, Clone, PartialEq)]
pub enum Pace {
    /// The server.
    Closed,
    /// A schedule.
    Open(Profile),
}

/// A rate over time: linear between points, in requests per second.
///
/// With `N(t)` the integral of the rate from 0 to `t`, request `i` (from 0) is due when `N` rises above `i`.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    points: Vec<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    /// Seconds since the start.
    at_s: f64,
    /// Requests per second.
    rate: f64,
    /// Requests that are due before.
    before: f64,
}

/// An invalid profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProfile {
    /// Not a list of points.
    #[error("{0:?} is not a point TIME:RATE; example of a profile: \"0s:500,60s:5000,120s:500\"")]
    Point(String),
    /// Too few points.
    #[error("a profile must have at least two points, for example \"0s:500,60s:5000\"")]
    Short,
    /// The profile does not start at 0.
    #[error("a profile must start at 0s")]
    Begin,
    /// Points in the wrong order.
    #[error("the times of a profile must not decrease, and the last one must be above 0s")]
    Order,
    /// An invalid rate.
    #[error("a rate must be 0 to 10000000 requests per second, not {0}")]
    Rate(String),
    /// The run is too long.
    #[error("a run must not last longer than 365 days")]
    Long,
    /// The rate is always zero.
    #[error("a profile with a rate of 0 sends no requests")]
    Nothing,
}

/// Maximum of all times of a run.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// Maximum rate of a profile, in requests per second.
const MAX_RATE: f64 = 1e7;

impl Profile {
    /// A constant rate.
    ///
    /// # Errors
    /// If the rate is not a valid number above 0, or the length is zero.
    pub fn constant(rate: f64, length: Duration) -> Result<Self, InvalidProfile> {
        Self::new([(Duration::ZERO, rate), (length, rate)])
    }

    /// A rate through these points.
    ///
    /// # Errors
    /// If the points do not start at 0, decrease in time, or contain no request.
    pub fn new(points: impl IntoIterator<Item = (Duration, f64)>) -> Result<Self, InvalidProfile> {
        let mut all: Vec<Point> = Vec::new();
        for (at, rate) in points {
            if !(0.0..=MAX_RATE).contains(&rate) {
                return Err(InvalidProfile::Rate(rate.to_string()));
            }
            if at > LONGEST {
                return Err(InvalidProfile::Long);
            }
            let at_s = at.as_secs_f64();
            let before = match all.last() {
                None if at_s > 0.0 => return Err(InvalidProfile::Begin),
                None => 0.0,
                Some(last) if at_s < last.at_s => return Err(InvalidProfile::Order),
                Some(last) => last.before + (at_s - last.at_s) * f64::midpoint(last.rate, rate),
            };
            all.push(Point { at_s, rate, before });
        }
        match all.last() {
            _ if all.len() < 2 => Err(InvalidProfile::Short),
            Some(last) if last.at_s <= 0.0 => Err(InvalidProfile::Order),
            Some(last) if last.before <= 0.0 => Err(InvalidProfile::Nothing),
            _ => Ok(Self { points: all }),
        }
    }

    /// Its length.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.points.last().map_or(0.0, |last| last.at_s))
    }

    /// The highest rate, in requests per second.
    #[must_use]
    pub fn highest_rate(&self) -> f64 {
        self.points
            .iter()
            .map(|point| point.rate)
            .fold(0.0, f64::max)
    }

    /// Its number of requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.due_before(self.length())
    }

    /// Number of requests due before this moment.
    #[must_use]
    pub fn due_before(&self, at: Duration) -> u64 {
        let at_s = at.as_secs_f64();
        let next = self.points.partition_point(|point| point.at_s < at_s);
        let requests = match (
            next.checked_sub(1).map(|i| self.points[i]),
            self.points.get(next),
        ) {
            (None, _) => 0.0,
            (Some(last), None) => last.before,
            (Some(from), Some(to)) => {
                let (passed, slope) = (
                    at_s - from.at_s,
                    (to.rate - from.rate) / (to.at_s - from.at_s),
                );
                from.before + passed * (from.rate + slope * passed / 2.0)
            }
        };
        // A difference from a whole number within float precision is rounding.
        let nearest = requests.round();
        let exact = (requests - nearest).abs() < 1e-9 * requests.max(1.0);
        (if exact { nearest } else { requests.ceil() }) as u64
    }

    /// When a request is due, from 0; past the end, the end.
    #[must_use]
    pub fn due(&self, request: u64) -> Duration {
        let wanted = request as f64;
        // From the last point at which it is not due yet, which is after any time at a rate of zero.
        let next = self.points.partition_point(|point| point.before <= wanted);
        let from = next.checked_sub(1).and_then(|last| self.points.get(last));
        let (Some(from), Some(to)) = (from, self.points.get(next)) else {
            return self.length();
        };
        let (length, missing) = (to.at_s - from.at_s, wanted - from.before);
        if length <= 0.0 || missing <= 0.0 {
            return Duration::from_secs_f64(from.at_s);
        }
        let slope = (to.rate - from.rate) / length;
        // The root of slope/2 x^2 + rate x - missing, in the form that neither cancels nor divides by a slope of zero.
        let discriminant = (from.rate * from.rate + 2.0 * slope * missing).max(0.0);
        let passed = 2.0 * missing / (from.rate + discriminant.sqrt());
        Duration::from_secs_f64(from.at_s + passed.clamp(0.0, length))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Point { at_s, rate, .. }) in self.points.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(f, "{comma}{at_s}s:{rate}")?;
        }
        Ok(())
    }
}

impl FromStr for Profile {
    type Err = InvalidProfile;

    fn from_str(text: &str) -> Result<Self, InvalidProfile> {
        let point = |text: &str| {
            let wrong = || InvalidProfile::Point(text.to_owned());
            let (at, rate) = text.split_once(':').ok_or_else(wrong)?;
            let at = humantime::parse_duration(at.trim()).map_err(|_| wrong())?;
            let rate = rate
                .trim()
                .parse()
                .map_err(|_| InvalidProfile::Rate(rate.to_owned()))?;
            Ok((at, rate))
        };
        Self::new(text.split(',').map(point).collect::<Result<Vec<_>, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let profile = Profile::constant(1000.0, Duration::from_secs(3)).unwrap();
        assert_eq!(
            (profile.requests(), profile.length()),
            (3000, Duration::from_secs(3))
        );
        for request in [0, 1, 999, 2999] {
            let error = profile.due(request).as_secs_f64() - request as f64 / 1000.0;
            assert!(error.abs() < 1e-9, "{request}: {error}");
        }
        assert_eq!(profile.due(3000), profile.length());
    }

    #[test]
    fn a_ramp_is_the_integral_of_its_rate() {
        let profile: Profile = "0s:500,60s:5000,120s:500".parse().unwrap();
        assert_eq!(
            (profile.requests(), profile.highest_rate()),
            (330_000, 5000.0)
        );
        // Half a minute in: 500 * 30 + 75 * 30^2 / 2.
        assert_eq!(profile.due_before(Duration::from_secs(30)), 48_750);
        assert!((profile.due(48_750).as_secs_f64() - 30.0).abs() < 1e-9);
        assert!((profile.due(165_000).as_secs_f64() - 60.0).abs() < 1e-9);
        let from_zero: Profile = "0s:0,10s:100,20s:0".parse().unwrap();
        assert_eq!(
            (from_zero.requests(), from_zero.due(0)),
            (1000, Duration::ZERO)
        );
        assert!((from_zero.due(5).as_secs_f64() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn steps_and_pauses_are_allowed() {
        let profile: Profile = "0s:10,1s:10,1s:0,5s:0,5s:20,6s:20".parse().unwrap();
        assert_eq!(profile.requests(), 30);
        assert_eq!(profile.due_before(Duration::from_secs(3)), 10);
        assert!((profile.due(9).as_secs_f64() - 0.9).abs() < 1e-9);
        assert_eq!(profile.due(10), Duration::from_secs(5));
        assert!((profile.due(11).as_secs_f64() - 5.05).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_profile_is_refused_with_words() {
        for (text, says) in [
            ("", "not a point"),
            ("0s", "not a point"),
            ("x:5,1s:5", "not a point"),
            ("0s:5", "at least two points"),
            ("1s:5,2s:5", "must start at 0s"),
            ("0s:5,2s:5,1s:5", "must not decrease"),
            ("0s:5,0s:5", "must be above 0s"),
            ("0s:-5,1s:5", "0 to 10000000 requests"),
            ("0s:NaN,1s:5", "0 to 10000000 requests"),
            ("0s:0,1s:0", "sends no requests"),
            ("0s:1,18446744073709551615s:1", "longer than 365 days"),
        ] {
            let error = text.parse::<Profile>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn requests_are_due_in_order_and_where_the_integral_says(
            steps in prop::collection::vec((1_u64..5_000, 0.0..3_000.0_f64), 1..6),
            first in 1.0..3_000.0_f64,
        ) {
            let mut at = Duration::ZERO;
            let mut points = vec![(at, first)];
            for (ms, rate) in steps {
                at += Duration::from_millis(ms);
                points.push((at, rate));
            }
            let profile = Profile::new(points).unwrap();
            let mut last = Duration::ZERO;
            for request in 0..profile.requests() {
                let due = profile.due(request);
                prop_assert!(due >= last && due <= profile.length());
                // Floats and whole nanoseconds: a request may be counted one early or late at its own moment.
                prop_assert!(profile.due_before(due).abs_diff(request) <= 1, "{request} at {due:?}");
                last = due;
            }
        }
    }
}
