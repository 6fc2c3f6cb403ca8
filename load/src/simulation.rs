//! Simulated traffic of three ski resorts: the boardings of every lift in each minute of a ski day that takes four minutes.
//!
//! Skiers arrive from 8:30 on, queue at lifts with a limited hourly capacity, ride, ski down, pause, have lunch and go home in the afternoon. Some
//! come back on other days. About one boarding in 500 is read twice, as by real gates, so that duplicates occur.
//!
//! # The clock
//! Simulated time is a function of real time only, so that a run that starts later continues with later days. Simulated time is 120 times as fast
//! as real time: a simulated minute takes 0.5 s. Nights are skipped. With `t` in milliseconds since 1970 and integer division:
//!
//! | | |
//! |---|---|
//! | ski day | `n = t / 240_000` |
//! | time of that day | 8:30 plus `120 * (t % 240_000)` ms, so up to 16:30 |
//! | `time`, the minute from 1 | `511 + t % 240_000 / 500`, so 511 to 990 |
//! | `dayID` | `n % 366 + 1` |
//! | `seasonID` | `2000 + n / 366 % 100`: a season takes 24.4 hours, 100 of them 101.7 days |
//!
//! A skier's number is drawn for each season from all possible values of `skierID` and depends on the seed: runs with different seeds almost never
//! share a skier on the same day (at 50 rides per second, one pair of runs in 5,000 days).
//!
//! Everything here is a pure function of rate, seed and time: no network, no sleeping, no clock.

mod day;
mod resort;
mod skier;

use std::str::FromStr;

use skilift_core::ranged::RangeError;
use skilift_core::ride::{Day, Minute, ResortDay, ResortId, Ride, Season};

use day::SkiDay;

/// The simulated resorts.
///
/// # Panics
/// Never: the module's table stays within the range of IDs.
#[must_use]
pub fn resorts() -> [ResortId; 3] {
    resort::RESORTS.map(|resort| ResortId::new(resort.id).expect("a valid resort ID"))
}

/// Length of a ski day in real milliseconds.
pub const DAY_MS: u64 = 240_000;
/// Length of a simulated minute in real milliseconds.
pub const MINUTE_MS: u64 = 500;
/// Maximum period that [`Simulation::rides_until`] covers, in real milliseconds.
pub const CATCH_UP_MS: u64 = 10_000;

/// 8:30, when the lifts open, in minutes since midnight.
const OPENING_MIN: u64 = 8 * 60 + 30;
/// Days of a season.
const SEASON_DAYS: u64 = Day::MAX as u64;
/// The first season, and the number of seasons until they repeat.
const SEASONS: (u64, u64) = (2000, 100);

/// A moment on the simulated mountain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SimulatedTime {
    /// The season.
    pub season: Season,
    /// The day of the season.
    pub day: Day,
    /// The minute of the day, 511 (8:30) to 990 (16:29).
    pub minute: Minute,
}

impl SimulatedTime {
    /// The simulated time at a real one, in milliseconds since 1970.
    #[must_use]
    pub fn at(epoch_ms: u64) -> Self {
        let minute = OPENING_MIN + epoch_ms % DAY_MS / MINUTE_MS;
        Self::new(epoch_ms / DAY_MS, minute).expect("the module's table stays within the ranges")
    }

    /// `number` counts ski days since 1970, `minute` those since midnight.
    fn new(number: u64, minute: u64) -> Result<Self, RangeError> {
        let (first, seasons) = SEASONS;
        Ok(Self {
            season: Season::new(first + number / SEASON_DAYS % seasons)?,
            day: Day::new(number % SEASON_DAYS + 1)?,
            minute: Minute::new(minute + 1)?,
        })
    }

    fn of_resort(self, resort: ResortId) -> ResortDay {
        ResortDay {
            resort,
            season: self.season,
            day: self.day,
        }
    }
}

/// Rate of the simulated traffic: mean rides per second of a ski day.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

/// An invalid rate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "the simulated rate must be {} to {} rides per second, not {got:?}",
    Rate::MIN,
    Rate::MAX
)]
pub struct RateError {
    /// The given rate.
    pub got: String,
}

impl Rate {
    /// The lowest: a handful of skiers.
    pub const MIN: f64 = 0.1;
    /// The highest: about 38,000 skiers a day. To find a server's limits, use a load test instead.
    pub const MAX: f64 = 2_000.0;

    /// Validates a rate in rides per second.
    ///
    /// # Errors
    /// If it is not between [`Self::MIN`] and [`Self::MAX`].
    pub fn new(rides_per_second: f64) -> Result<Self, RateError> {
        if (Self::MIN..=Self::MAX).contains(&rides_per_second) {
            Ok(Self(rides_per_second))
        } else {
            Err(RateError {
                got: rides_per_second.to_string(),
            })
        }
    }

    /// Rides per second.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Rides of a ski day.
    fn rides_a_day(self) -> f64 {
        self.0 * (DAY_MS as f64 / 1_000.0)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let refuse = |_| RateError {
            got: text.chars().take(40).collect(),
        };
        Self::new(text.parse().map_err(refuse)?)
    }
}

/// The traffic of three resorts, to be polled repeatedly.
#[derive(Debug)]
pub struct Simulation {
    rate: Rate,
    seed: u64,
    /// Rides before this real time have been returned or skipped.
    until_ms: u64,
    /// The day that was simulated last.
    today: Option<SkiDay>,
}

impl Simulation {
    /// Traffic from `from_ms` on, in milliseconds since 1970; the same rate, seed and times give the same rides.
    #[must_use]
    pub fn new(rate: Rate, seed: u64, from_ms: u64) -> Self {
        Self {
            rate,
            seed,
            until_ms: from_ms,
            today: None,
        }
    }

    /// The rides since the last call that board before `until_ms`, in milliseconds since 1970, in boarding order. A ride that
    /// a gate reads twice is returned twice in a row; no other ride is ever returned twice.
    ///
    /// A late call returns only the last [`CATCH_UP_MS`]: older rides are skipped instead of returned in a burst, and missed
    /// days are not simulated at all. So a call returns at most about 20 rides per ride per second of the rate. A call with an earlier time
    /// than before returns nothing: a clock that is set back stops the traffic until it has caught up, so use a monotonic clock.
    ///
    /// Takes time in proportion to the rides, plus that of the day so far (0.2 s for a whole day at 1,000 rides per second, 6 ms at 50) if it starts in the middle of a day.
    pub fn rides_until(&mut self, until_ms: u64) -> Vec<Ride> {
        let mut rides = Vec::new();
        if until_ms <= self.until_ms {
            return rides;
        }
        let since_ms = self.until_ms.max(until_ms.saturating_sub(CATCH_UP_MS));
        self.until_ms = until_ms;
        for number in since_ms / DAY_MS..=(until_ms - 1) / DAY_MS {
            // Time of this day, since its opening.
            let of_day = |at_ms: u64| at_ms.saturating_sub(number * DAY_MS).min(DAY_MS);
            let (since, until) = (of_day(since_ms), of_day(until_ms));
            let (rate, seed) = (self.rate, self.seed);
            let today = self
                .today
                .take_if(|day| day.number() == number)
                .unwrap_or_else(|| SkiDay::new(rate, seed, number));
            let today = self.today.insert(today);
            today.go_on(until, |boarding| {
                if boarding.at_ms >= since {
                    rides.extend(std::iter::repeat_n(boarding.ride, boarding.reads));
                }
            });
        }
        rides
    }
}
