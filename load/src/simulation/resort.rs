//! Three fictional resorts with realistic lifts.

use super::Rate;

/// Rate in rides per second at which the lifts have realistic capacities; the resorts scale with the rate, so that queues are similar at every rate.
const LIFE_SIZE: f64 = 700.0;
/// Minimum hourly capacity of a lift: one skier per minute. Below about 50 rides per second this limit applies, and queues are short.
const LEAST_CAPACITY: f64 = 60.0;

/// A resort.
#[derive(Debug)]
pub(super) struct Resort {
    /// Its number.
    pub(super) id: u64,
    /// Its lifts.
    pub(super) lifts: &'static [Lift],
}

/// A lift between two heights of a resort: 0 is the valley, and from each height one can ski down to every lower one.
#[derive(Debug)]
pub(super) struct Lift {
    /// Its number: its vertical in tens of metres, so that the API's rule for lifts without a catalogue gives the true one.
    pub(super) number: u16,
    /// Where it is boarded.
    pub(super) base: u8,
    /// Where it is left.
    pub(super) top: u8,
    /// Minutes from boarding to leaving.
    pub(super) ride_min: u16,
    /// Persons an hour, life-size.
    persons: u16,
}

impl Lift {
    /// Hourly capacity in resorts scaled to this rate.
    pub(super) fn capacity(&self, rate: Rate) -> u64 {
        let scaled = f64::from(self.persons) * rate.get() / LIFE_SIZE;
        scaled.max(LEAST_CAPACITY).round() as u64
    }
}

impl Resort {
    /// Relative attractiveness for skiers.
    pub(super) fn size(&self) -> u32 {
        self.lifts.iter().map(|lift| u32::from(lift.persons)).sum()
    }
}

const fn lift(number: u16, base: u8, top: u8, ride_min: u16, persons: u16) -> Lift {
    Lift {
        number,
        base,
        top,
        ride_min,
        persons,
    }
}

/// The resorts, the largest first.
pub(super) const RESORTS: [Resort; 3] = [
    Resort {
        id: 1,
        lifts: &[
            // From the valley: a gondola to the middle of the mountain, and two chairlifts.
            lift(84, 0, 2, 12, 2_400),
            lift(46, 0, 1, 7, 2_400),
            lift(38, 0, 1, 6, 2_400),
            // Chairlifts and a T-bar above them.
            lift(44, 1, 2, 7, 2_000),
            lift(42, 1, 2, 6, 2_400),
            lift(35, 1, 2, 6, 1_800),
            lift(21, 1, 2, 6, 900),
            // The top: a cable car, chairlifts and the glacier's T-bar.
            lift(66, 2, 3, 8, 1_000),
            lift(51, 2, 3, 7, 2_400),
            lift(40, 2, 3, 6, 1_800),
            lift(33, 2, 3, 6, 1_500),
            lift(18, 2, 3, 5, 900),
        ],
    },
    Resort {
        id: 2,
        lifts: &[
            lift(63, 0, 1, 10, 2_000),
            lift(37, 0, 1, 7, 2_000),
            lift(45, 1, 2, 7, 1_800),
            lift(41, 1, 2, 6, 1_800),
            lift(29, 1, 2, 5, 1_500),
            lift(24, 1, 2, 6, 900),
            lift(52, 2, 3, 8, 1_500),
            lift(19, 2, 3, 5, 900),
        ],
    },
    Resort {
        id: 3,
        lifts: &[
            lift(34, 0, 1, 7, 1_500),
            lift(28, 0, 1, 6, 1_200),
            lift(22, 0, 1, 6, 800),
            lift(31, 1, 2, 6, 1_200),
            lift(16, 1, 2, 5, 700),
        ],
    },
];
