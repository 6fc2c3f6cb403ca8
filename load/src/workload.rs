//! Requests of a run: distinct random rides, and reads of sent rides.
//!
//! Everything is computed from a seed and the number of a request, without stored state: ride `i` is the `i`th in a
//! random order of all rides that the ranges allow, and no two are the same.

mod order;

use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use skilift_core::ranged::RangeError;
use skilift_core::ride::{Day, LiftId, Minute, ResortId, Ride, Season, SkierId};

pub use self::order::Order;
use self::order::mix;

/// Ranges of the rides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// Resorts.
    pub resorts: RangeInclusive<ResortId>,
    /// The season.
    pub season: Season,
    /// Days of the season.
    pub days: RangeInclusive<Day>,
    /// Skiers.
    pub skiers: RangeInclusive<SkierId>,
    /// Lifts of each resort.
    pub lifts: RangeInclusive<LiftId>,
    /// Minutes of each day.
    pub minutes: RangeInclusive<Minute>,
}

/// An invalid range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// A number out of its field's range.
    #[error(transparent)]
    Number(#[from] RangeError),
    /// The range is decreasing.
    #[error("{0:?} is a decreasing range; use N (from 1 to N) or A-B")]
    Empty(String),
}

/// Parses `N` as 1 to `N`, and `A-B` as `A` to `B`, both inclusive.
///
/// # Errors
/// If a number is outside the field's range, or the range is empty.
pub fn parse_range<T>(text: &str) -> Result<RangeInclusive<T>, InvalidRange>
where
    T: FromStr<Err = RangeError> + PartialOrd,
{
    let (first, last) = text.split_once('-').unwrap_or(("1", text));
    let range = first.parse()?..=last.parse()?;
    if range.is_empty() {
        return Err(InvalidRange::Empty(text.to_owned()));
    }
    Ok(range)
}

/// A random seed, short enough to type and exact in every JSON parser.
#[must_use]
pub fn random_seed() -> u64 {
    rand::random::<u32>().into()
}

/// Number of reads per million requests, and their rides.
const MILLION: u64 = 1_000_000;
/// Number of rides to read if the run sends none: the first ones of the seed, which an earlier run may have sent.
const ASKED_WITHOUT_RIDES: u64 = 100_000;

/// The requests of a run, by number.
#[derive(Debug, Clone)]
pub struct Workload {
    ranges: Ranges,
    order: Order,
    seed: u64,
    /// Reads per million requests.
    reads: u64,
    /// Rides per bulk request; `None` for single rides, posted to the skier's day.
    bulk: Option<u64>,
    /// Numbers of the rides that requests send.
    rides: Range<u64>,
}

/// Content of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Posts the ride of this number.
    Ride(u64),
    /// Posts the rides of these numbers in one body.
    Bulk(Range<u64>),
    /// A read.
    Read(ReadRequest),
}

/// A read about a ride that was sent, or may have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadRequest {
    /// The skier's vertical of the ride's day.
    DayVertical(Ride),
    /// The skier's vertical of the ride's season at its resort.
    SeasonVertical(Ride),
    /// Number of skiers on the ride's day.
    ResortDaySkiers(Ride),
}

/// An invalid workload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWorkload {
    /// There are fewer distinct rides than requested.
    #[error(
        "the ranges of resorts, days, skiers, lifts and minutes contain {space} distinct rides, fewer than the requested {wanted}: widen one of them"
    )]
    SpaceTooSmall {
        /// Number of distinct rides.
        space: u128,
        /// Number of requested rides.
        wanted: u64,
    },
    /// The share is outside 0 to 1.
    #[error("the share of reads must be 0 to 1, not {0}")]
    Reads(String),
    /// A bulk request without rides.
    #[error("a bulk request needs at least one line")]
    EmptyBulk,
}

impl Workload {
    /// The requests of a seed; `reads` is the share of reads, 0 to 1; `bulk` is the number of rides per request.
    ///
    /// # Errors
    /// If the share is invalid, or a bulk request is empty.
    pub fn new(
        ranges: Ranges,
        seed: u64,
        reads: f64,
        bulk: Option<u64>,
    ) -> Result<Self, InvalidWorkload> {
        if !(0.0..=1.0).contains(&reads) {
            return Err(InvalidWorkload::Reads(reads.to_string()));
        }
        if bulk == Some(0) {
            return Err(InvalidWorkload::EmptyBulk);
        }
        let order = Order::new(ranges.space(), seed);
        let space = u64::try_from(ranges.space()).unwrap_or(u64::MAX);
        Ok(Self {
            order,
            ranges,
            seed,
            reads: (reads * MILLION as f64).round() as u64,
            bulk,
            rides: 0..space,
        })
    }

    /// Limits the workload to the rides of these numbers.
    ///
    /// # Errors
    /// If there are fewer rides.
    pub fn limit(&mut self, rides: Range<u64>) -> Result<(), InvalidWorkload> {
        let space = self.ranges.space();
        if u128::from(rides.end) > space {
            return Err(InvalidWorkload::SpaceTooSmall {
                space,
                wanted: rides.end,
            });
        }
        self.rides = rides;
        Ok(())
    }

    /// The ranges of the rides.
    #[must_use]
    pub fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// Whether no request contains a ride.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        self.reads == MILLION
    }

    /// Maximum number of rides per request.
    #[must_use]
    pub fn rides_per_request(&self) -> u64 {
        self.bulk.unwrap_or(1)
    }

    /// A ride by its number.
    #[must_use]
    pub fn ride(&self, number: u64) -> Ride {
        self.ranges.ride(self.order.at(u128::from(number)))
    }

    /// Number of requests for all rides, including the reads between them; `None` if no request contains a ride.
    #[must_use]
    pub fn requests(&self) -> Option<u64> {
        let (wanted, per_million) = (self.writes(), MILLION - self.reads);
        // Of `n` requests `n * per_million / MILLION`, rounded up, contain rides: the least `n` with `wanted`.
        let before = u128::from(wanted.checked_sub(1)?) * u128::from(MILLION);
        let requests = before.checked_div(u128::from(per_million))? + 1;
        Some(u64::try_from(requests).unwrap_or(u64::MAX))
    }

    /// Number of rides in the first requests.
    #[must_use]
    pub fn rides_in(&self, requests: u64) -> u64 {
        let writes = requests - self.reads_before(requests);
        writes.saturating_mul(self.rides_per_request())
    }

    /// Content of a request, numbered from 0; `None` if there are no more rides.
    #[must_use]
    pub fn work(&self, request: u64) -> Option<Work> {
        let reads = self.reads_before(request);
        let writes = request - reads;
        let begun = writes.saturating_mul(self.rides_per_request());
        if self.reads_before(request + 1) > reads {
            return Some(Work::Read(self.read_request(request, begun)));
        }
        if writes >= self.writes() {
            return None;
        }
        let first = self.rides.start + begun;
        Some(match self.bulk {
            None => Work::Ride(first),
            Some(lines) => Work::Bulk(first..self.rides.end.min(first.saturating_add(lines))),
        })
    }

    /// Number of requests needed for all rides.
    fn writes(&self) -> u64 {
        (self.rides.end - self.rides.start).div_ceil(self.rides_per_request())
    }

    /// Number of reads among the first requests, evenly distributed.
    fn reads_before(&self, requests: u64) -> u64 {
        let reads = u128::from(requests) * u128::from(self.reads) / u128::from(MILLION);
        u64::try_from(reads).unwrap_or(u64::MAX)
    }

    /// A read of one of the earlier rides.
    fn read_request(&self, request: u64, begun: u64) -> ReadRequest {
        let known = if self.only_reads() {
            ASKED_WITHOUT_RIDES
        } else {
            self.rides.start + begun
        };
        let random = mix(self.seed ^ mix(request));
        let space = u64::try_from(self.ranges.space()).unwrap_or(u64::MAX);
        let ride = self.ride(random % known.clamp(1, space));
        match mix(random) % 3 {
            0 => ReadRequest::DayVertical(ride),
            1 => ReadRequest::SeasonVertical(ride),
            _ => ReadRequest::ResortDaySkiers(ride),
        }
    }
}

impl Ranges {
    /// Number of distinct rides.
    #[must_use]
    pub fn space(&self) -> u128 {
        self.lengths().into_iter().map(u128::from).product()
    }

    fn lengths(&self) -> [u64; 5] {
        let length = |first: u32, last: u32| u64::from(last - first) + 1;
        [
            length(
                self.resorts.start().get().into(),
                self.resorts.end().get().into(),
            ),
            length(self.days.start().get().into(), self.days.end().get().into()),
            length(self.skiers.start().get(), self.skiers.end().get()),
            length(
                self.lifts.start().get().into(),
                self.lifts.end().get().into(),
            ),
            length(
                self.minutes.start().get().into(),
                self.minutes.end().get().into(),
            ),
        ]
    }

    /// The ride at an index below [`Self::space`]; every index gives a different ride.
    fn ride(&self, place: u128) -> Ride {
        let mut rest = place;
        let offsets = self.lengths().map(|length| {
            let offset = rest % u128::from(length);
            rest /= u128::from(length);
            offset as u64
        });
        let [resort, day, skier, lift, minute] = offsets;
        // An offset below the range's length cannot leave the range.
        macro_rules! pick {
            ($range:expr, $offset:expr, $number:ident) => {
                $number::new(u64::from($range.start().get()) + $offset).unwrap_or(*$range.end())
            };
        }
        Ride {
            resort: pick!(self.resorts, resort, ResortId),
            season: self.season,
            day: pick!(self.days, day, Day),
            skier: pick!(self.skiers, skier, SkierId),
            minute: pick!(self.minutes, minute, Minute),
            lift: pick!(self.lifts, lift, LiftId),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn ranges(days: &str, skiers: &str, lifts: &str, minutes: &str) -> Ranges {
        Ranges {
            resorts: parse_range("2-3").unwrap(),
            season: "2025".parse().unwrap(),
            days: parse_range(days).unwrap(),
            skiers: parse_range(skiers).unwrap(),
            lifts: parse_range(lifts).unwrap(),
            minutes: parse_range(minutes).unwrap(),
        }
    }

    fn workload(reads: f64, bulk: Option<u64>, rides: Range<u64>) -> Workload {
        let ranges = ranges("3", "1000", "40", "360");
        let mut workload = Workload::new(ranges, 7, reads, bulk).unwrap();
        workload.limit(rides).unwrap();
        workload
    }

    #[test]
    fn a_range_is_a_number_or_two() {
        assert_eq!(
            parse_range::<Day>("5"),
            Ok("1".parse().unwrap()..="5".parse().unwrap())
        );
        assert_eq!(parse_range::<Day>("5-5").unwrap().start().get(), 5);
        for (text, says) in [
            ("0", "from 1 to 366"),
            ("9-5", "decreasing range"),
            ("5-367", "from 1 to 366"),
            ("5..7", "whole number"),
            ("", "whole number"),
        ] {
            let error = parse_range::<Day>(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn every_ride_is_carried_once_and_reads_are_spread_evenly() {
        for (reads, bulk) in [(0.0, None), (0.25, None), (0.9, Some(7)), (0.5, Some(1000))] {
            let workload = workload(reads, bulk, 1..501);
            let requests = workload.requests().unwrap();
            let mut carried = Vec::new();
            let mut questions = 0;
            for request in 0..requests {
                match workload.work(request).unwrap() {
                    Work::Ride(number) => carried.push(number),
                    Work::Bulk(numbers) => carried.extend(numbers),
                    Work::Read(_) => questions += 1,
                }
            }
            assert_eq!(carried, (1..501).collect::<Vec<_>>());
            assert!(questions as f64 <= reads * requests as f64);
            assert!(questions as f64 >= reads * requests as f64 - 1.0);
            // After the last ride there are only reads, if any.
            let left = (requests..requests + 50).filter_map(|request| workload.work(request));
            assert!(left.into_iter().all(|work| matches!(work, Work::Read(_))));
        }
        assert_eq!(workload(1.0, None, 0..5).requests(), None);
    }

    #[test]
    fn questions_are_about_rides_that_were_begun() {
        let workload = workload(0.5, None, 0..1000);
        let rides: Vec<Ride> = (0..1000).map(|number| workload.ride(number)).collect();
        for request in (1..400).step_by(2) {
            let Some(Work::Read(read_request)) = workload.work(request) else {
                panic!("request {request} is not a read");
            };
            let (ReadRequest::DayVertical(ride)
            | ReadRequest::SeasonVertical(ride)
            | ReadRequest::ResortDaySkiers(ride)) = read_request;
            let number = rides.iter().position(|other| *other == ride).unwrap() as u64;
            assert!(number <= request / 2);
        }
    }

    #[test]
    fn a_seed_repeats_a_run_and_another_does_not() {
        let sent = |seed| {
            let workload =
                Workload::new(ranges("3", "1000", "40", "360"), seed, 0.3, None).unwrap();
            (0..200)
                .map(|request| workload.work(request))
                .collect::<Vec<_>>()
        };
        let rides = |seed| {
            let workload =
                Workload::new(ranges("3", "1000", "40", "360"), seed, 0.0, None).unwrap();
            (0..200)
                .map(|number| workload.ride(number))
                .collect::<Vec<_>>()
        };
        assert_eq!((sent(1), rides(1)), (sent(1), rides(1)));
        assert_ne!(rides(1), rides(2));
    }

    #[test]
    fn a_space_too_small_is_refused() {
        let mut small = Workload::new(ranges("1", "5", "2", "3"), 1, 0.0, None).unwrap();
        assert!(small.limit(0..60).is_ok());
        let error = small.limit(0..61).unwrap_err().to_string();
        assert!(
            error.contains("contain 60 distinct rides, fewer than the requested 61"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_ride_is_made_twice_and_none_lies_outside(
            seed: u64, days in 1..3_u32, skiers in 1..12_u32, lifts in 1..6_u32, minutes in 1..6_u32,
        ) {
            let ranges = ranges(&days.to_string(), &skiers.to_string(), &lifts.to_string(), &minutes.to_string());
            let space = ranges.space() as u64;
            let workload = Workload::new(ranges.clone(), seed, 0.0, None).unwrap();
            let rides: HashSet<Ride> = (0..space).map(|number| workload.ride(number)).collect();
            prop_assert_eq!(rides.len() as u64, space);
            prop_assert!(rides.iter().all(|ride| ranges.resorts.contains(&ride.resort)
                && ranges.days.contains(&ride.day) && ranges.skiers.contains(&ride.skier)
                && ranges.lifts.contains(&ride.lift) && ranges.minutes.contains(&ride.minute)));
        }

        #[test]
        fn the_widest_ranges_work_too(seed: u64, number: u64) {
            let mut ranges = ranges("366", "4294967295", "1000", "1440");
            ranges.resorts = parse_range("65535").unwrap();
            let workload = Workload::new(ranges, seed, 0.0, None).unwrap();
            prop_assert_ne!(workload.ride(number), workload.ride(number.wrapping_add(1)));
        }
    }
}
