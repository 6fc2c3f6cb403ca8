//! A day's counters: one string of unsigned 32-bit numbers, big endian, as Redis' `BITFIELD` counts them.
//!
//! `redis/apply.lua` writes them by the same positions.

use crate::packed::Boarding;
use crate::ride::{LiftId, Minute};

/// Bytes of one counter.
pub const COUNTER_BYTES: usize = 4;
/// Minutes of an hour of the ski day.
const HOUR_MINUTES: u16 = 60;
/// Hours of a day.
pub const HOURS: usize = (Minute::MAX / HOUR_MINUTES) as usize;

const RIDES: usize = 0;
const DUPLICATES: usize = 1;
const FIRST_HOUR: usize = 2;
const FIRST_LIFT: usize = FIRST_HOUR + HOURS;

/// The position of a lift's counter.
#[must_use]
pub fn lift_position(lift: LiftId) -> usize {
    FIRST_LIFT + usize::from(lift.get()) - 1
}

/// The hour of the day, 0 to 23, in which a minute lies.
#[must_use]
pub fn hour_of(minute: Minute) -> usize {
    usize::from((minute.get() - 1) / HOUR_MINUTES)
}

/// The counters of one resort day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayCounters {
    /// Distinct rides.
    pub rides: u32,
    /// Duplicate rides: sent twice, or delivered twice.
    pub duplicates: u32,
    /// Rides in each hour of the day.
    pub hours: [u32; HOURS],
    /// Rides on each lift that had any, by lift.
    pub lifts: Vec<(LiftId, u32)>,
}

impl DayCounters {
    /// Reads the string. Counters beyond its end are 0.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let counter = |position: usize| counter_at(bytes, position);
        let lifts = (u64::from(LiftId::MIN)..=u64::from(LiftId::MAX))
            .filter_map(|lift| LiftId::new(lift).ok())
            .map(|lift| (lift, counter(lift_position(lift))))
            .filter(|&(_, rides)| rides > 0);
        Self {
            rides: counter(RIDES),
            duplicates: counter(DUPLICATES),
            hours: std::array::from_fn(|hour| counter(FIRST_HOUR + hour)),
            lifts: lifts.collect(),
        }
    }
}

/// A day's counters to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CounterBytes(Vec<u8>);

impl From<&[u8]> for CounterBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl CounterBytes {
    /// Counts a new ride.
    pub fn count_ride(&mut self, ride: Boarding) {
        self.add(RIDES, 1);
        self.add(FIRST_HOUR + hour_of(ride.minute), 1);
        self.add(lift_position(ride.lift), 1);
    }

    /// Counts duplicate rides.
    pub fn count_duplicates(&mut self, rides: u32) {
        if rides > 0 {
            self.add(DUPLICATES, rides);
        }
    }

    /// The string, for [`DayCounters::parse`].
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A counter saturates instead of wrapping.
    fn add(&mut self, position: usize, by: u32) {
        let start = position * COUNTER_BYTES;
        let end = start + COUNTER_BYTES;
        if self.0.len() < end {
            self.0.resize(end, 0);
        }
        let sum = counter_at(&self.0, position).saturating_add(by);
        self.0[start..end].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The counter at a position; 0 beyond the end.
fn counter_at(bytes: &[u8], position: usize) -> u32 {
    let start = position * COUNTER_BYTES;
    match bytes.get(start..start + COUNTER_BYTES) {
        Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_there_and_takes_the_rest_as_zero() {
        let mut bytes = vec![0; 4 * 27];
        bytes[3] = 5;
        bytes[7] = 2;
        bytes[4 * 2 + 3] = 4;
        bytes[4 * 26 + 2] = 1;
        let counters = DayCounters::parse(&bytes);
        assert_eq!(
            (counters.rides, counters.duplicates, counters.hours[0]),
            (5, 2, 4)
        );
        assert_eq!(counters.lifts, [(LiftId::new(1).unwrap(), 256)]);
        assert_eq!(DayCounters::parse(&[]), DayCounters::default());
    }

    #[test]
    fn hours_begin_with_the_first_minute() {
        let hour = |minute| hour_of(Minute::new(minute).unwrap());
        assert_eq!([hour(1), hour(60), hour(61), hour(1440)], [0, 0, 1, 23]);
    }
}
