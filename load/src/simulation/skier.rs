//! The skiers of a day and their plans.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use skilift_core::ride::SkierId;

use super::resort::{RESORTS, Resort};
use super::{OPENING_MIN, Rate, SEASON_DAYS};

/// Mean number of rides of a skier per day, used for the number of regulars.
const USUAL_RIDES: f64 = 12.5;
/// Share of a day's skiers who come back on other days.
const REGULAR_SHARE: f64 = 0.35;
/// On which share of the days a regular comes: the laziest a week in the season, the keenest every fourth day.
const VISITS: (f64, f64) = (0.02, 0.25);
/// Share of the skiers who ski from first to last chair without a rest: the leaders of a day.
const TIRELESS_SHARE: f64 = 0.01;
/// Share of the others who have lunch.
const LUNCH_SHARE: f64 = 0.75;

/// Uses of random numbers, each with its own independent stream.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// What happens on a day.
    Day,
    /// The habits of one who comes on many days of a season.
    Regular,
    /// The habits of one who comes on one day.
    Guest,
}

/// Random numbers for one thing of one season or day.
pub(super) fn stream(seed: u64, purpose: Purpose, number: u64, index: u64) -> StdRng {
    let mut key = [0; 32];
    let words = [seed, purpose as u64, number, index];
    for (part, word) in key.chunks_exact_mut(8).zip(words) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    StdRng::from_seed(key)
}

/// A random value within `most` of `middle`; values near the middle are more likely.
pub(super) fn around(random: &mut StdRng, middle: f64, most: f64) -> f64 {
    middle + most * (random.random::<f64>() - random.random::<f64>())
}

/// A skier with habits.
#[derive(Debug)]
struct Skier {
    id: SkierId,
    /// Where, in [`RESORTS`].
    resort: usize,
    /// Minutes from one boarding to the next, with all pauses but lunch.
    lap_min: f64,
    has_lunch: bool,
    is_tireless: bool,
}

/// A skier's plan of a day; times are minutes since midnight.
#[derive(Debug, Clone)]
pub(super) struct Outing {
    /// The lift pass.
    pub(super) id: SkierId,
    /// Where, in [`RESORTS`].
    pub(super) resort: usize,
    /// When the first queue is reached.
    pub(super) arrives_min: f64,
    /// When the last ride should have begun.
    pub(super) leaves_min: f64,
    /// When lunch should begin and how long it takes.
    pub(super) lunch_min: Option<(f64, f64)>,
    /// How many rides.
    pub(super) rides: u32,
    /// Never pauses.
    pub(super) is_tireless: bool,
}

impl Skier {
    fn new(mut random: StdRng) -> Self {
        let id = SkierId::new(random.random_range(1..=u64::from(SkierId::MAX)));
        let places: Vec<usize> = (0..RESORTS.len()).collect();
        let resort = places.choose_weighted(&mut random, |&at| Resort::size(&RESORTS[at]));
        let is_tireless = random.random_bool(TIRELESS_SHARE);
        Self {
            id: id.expect("drawn from its range"),
            resort: *resort.expect("there are resorts, and they have lifts"),
            lap_min: if is_tireless {
                around(&mut random, 14.0, 2.0)
            } else {
                around(&mut random, 26.0, 8.0)
            },
            has_lunch: !is_tireless && random.random_bool(LUNCH_SHARE),
            is_tireless,
        }
    }

    fn plan(&self, random: &mut StdRng) -> Outing {
        let (arrives_min, leaves_min) = if self.is_tireless {
            (around(random, 515.0, 5.0), 985.0)
        } else {
            // From 8:30 to 10:30, most at 9:30; from 14:25 to 16:25, most at 15:25.
            (around(random, 570.0, 60.0), around(random, 925.0, 60.0))
        };
        let lunch_min = self
            .has_lunch
            // From 11:30 to 13:10, most at 12:20; for 45 minutes or so.
            .then(|| (around(random, 740.0, 50.0), around(random, 45.0, 15.0)));
        let skis_min = leaves_min - arrives_min - lunch_min.map_or(0.0, |(_, length)| length);
        Outing {
            id: self.id,
            resort: self.resort,
            arrives_min: arrives_min.max(OPENING_MIN as f64),
            leaves_min,
            lunch_min,
            rides: (skis_min / self.lap_min).round().max(1.0) as u32,
            is_tireless: self.is_tireless,
        }
    }
}

/// The skiers of a day, as many as needed for the rate: first the regulars of that day, then guests.
pub(super) fn outings(rate: Rate, seed: u64, number: u64, random: &mut StdRng) -> Vec<Outing> {
    let season = number / SEASON_DAYS;
    let (least, most) = VISITS;
    let regulars = rate.rides_a_day() / USUAL_RIDES * REGULAR_SHARE / ((least + most) / 2.0);
    let regulars = (0..regulars.round() as u64).filter_map(|index| {
        let mut habits = stream(seed, Purpose::Regular, season, index);
        let visits = habits.random_range(least..most);
        // One number per regular, whether they come or not.
        random.random_bool(visits).then_some(habits)
    });
    let regulars: Vec<Skier> = regulars.map(Skier::new).collect();
    let guests = (0..).map(|index| Skier::new(stream(seed, Purpose::Guest, number, index)));

    let mut missing = rate.rides_a_day().round().max(1.0) as u32;
    let mut here = HashSet::new();
    let mut outings = Vec::new();
    for skier in regulars.into_iter().chain(guests) {
        if missing == 0 {
            break;
        }
        // Two skiers with the same number would be one skier in two places.
        if here.insert(skier.id) {
            let mut outing = skier.plan(random);
            outing.rides = outing.rides.min(missing);
            missing -= outing.rides;
            outings.push(outing);
        }
    }
    outings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_as_many_rides_as_asked_for_and_no_two_skiers_with_one_number() {
        let rate = Rate::new(Rate::MAX).unwrap();
        // Of 38,000 skiers two draw the same number on every sixth day or so.
        for number in 0..40 {
            let today = outings(rate, 1, number, &mut stream(1, Purpose::Day, number, 0));
            let rides: u32 = today.iter().map(|outing| outing.rides).sum();
            assert_eq!(f64::from(rides), rate.rides_a_day());
            let skiers: HashSet<_> = today.iter().map(|outing| outing.id).collect();
            assert_eq!(skiers.len(), today.len(), "day {number}");
        }
    }
}
