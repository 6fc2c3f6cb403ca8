//! Simulation of one ski day, boarding by boarding.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use skilift_core::ranged::RangeError;
use skilift_core::ride::{LiftId, ResortId, Ride};

use super::resort::{Lift, RESORTS};
use super::skier::{Outing, Purpose, around, outings, stream};
use super::{DAY_MS, MINUTE_MS, OPENING_MIN, Rate, SimulatedTime};

/// A gate reads one of this number of boardings twice.
const READ_TWICE: u32 = 500;
/// Milliseconds of a simulated minute.
const MINUTE: u64 = 60_000;
/// Closing time of the lifts, in milliseconds since their opening.
const CLOSING: u64 = DAY_MS / MINUTE_MS * MINUTE;
/// Simulated milliseconds per real millisecond.
const SPEED: u64 = MINUTE / MINUTE_MS;
/// A wait of this many minutes makes a lift e times less attractive.
const PATIENCE_MIN: f64 = 5.0;
/// A lift that lies one height further down is this many times less attractive.
const FURTHER_DOWN: f64 = 0.6;
/// Minutes of skiing to a lift at the height of the skier, and for each height that it lies below.
const DESCENT_MIN: (f64, f64) = (3.0, 4.0);
/// Expected queueing time in minutes when skiers estimate their time for a rest.
const USUAL_WAIT_MIN: f64 = 3.0;
/// Probability of a rest after a run, if there is time for it.
const REST_SHARE: f64 = 0.4;

/// A skier boards a lift.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boarding {
    /// Time in real milliseconds since the opening of the lifts.
    pub(super) at_ms: u64,
    /// The started ride.
    pub(super) ride: Ride,
    /// Number of times that the gate read the lift pass.
    pub(super) reads: usize,
}

/// A partially simulated ski day; times are simulated milliseconds since the opening of the lifts, if not stated otherwise.
#[derive(Debug)]
pub(super) struct SkiDay {
    number: u64,
    random: StdRng,
    skiers: Vec<Abroad>,
    /// For each resort and each of its lifts.
    queues: Vec<Vec<Queue>>,
    /// Next events, earliest first: a skier, by index in `skiers`, reaches the base of a lift or the head of its queue.
    next: BinaryHeap<Reverse<(u64, usize)>>,
}

/// A skier on the mountain.
#[derive(Debug)]
struct Abroad {
    /// The plan, with the remaining rides and lunch.
    outing: Outing,
    /// The height at which the next lift begins.
    base: u8,
    /// In which queue, by the lift's place in its resort.
    queue: Option<usize>,
}

/// Queue of a lift; skiers board in the order of arrival, `spacing` after the previous one.
#[derive(Debug)]
struct Queue {
    /// Boarding time of the next arrival.
    free_at: u64,
    spacing: u64,
}

impl Queue {
    fn new(lift: &Lift, rate: Rate) -> Self {
        Self {
            free_at: 0,
            // Rounded up, so that no hour exceeds the capacity.
            spacing: (60 * MINUTE).div_ceil(lift.capacity(rate)),
        }
    }

    fn boards_at(&self, now: u64) -> u64 {
        self.free_at.max(now)
    }
}

fn to_clock(minutes: f64) -> u64 {
    // A negative one becomes 0.
    (minutes * MINUTE as f64) as u64
}

fn to_minutes(clock: u64) -> f64 {
    clock as f64 / MINUTE as f64
}

impl SkiDay {
    /// The morning of a day, by its number since 1970.
    pub(super) fn new(rate: Rate, seed: u64, number: u64) -> Self {
        let mut random = stream(seed, Purpose::Day, number, 0);
        let outings = outings(rate, seed, number, &mut random);
        let arrival = |(who, outing): (usize, &Outing)| {
            let at = to_clock(outing.arrives_min - OPENING_MIN as f64);
            Reverse((at, who))
        };
        let queues = RESORTS.iter().map(|resort| {
            let lifts = resort.lifts.iter();
            lifts.map(|lift| Queue::new(lift, rate)).collect()
        });
        let next = outings.iter().enumerate().map(arrival).collect();
        let start = |outing| Abroad {
            outing,
            base: 0,
            queue: None,
        };
        Self {
            number,
            random,
            skiers: outings.into_iter().map(start).collect(),
            queues: queues.collect(),
            next,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Simulates the day up to `until_ms`, in real milliseconds since the opening of the lifts, and returns every boarding before that.
    pub(super) fn go_on(&mut self, until_ms: u64, mut tell: impl FnMut(Boarding)) {
        let until = until_ms * SPEED;
        while let Some(&Reverse((now, who))) = self.next.peek()
            && now < until
        {
            self.next.pop();
            match self.skiers[who].queue.take() {
                None => self.queue_up(now, who),
                Some(lift) => {
                    tell(self.board(now, who, lift));
                    self.go_for_another(now, who, lift);
                }
            }
        }
    }

    /// The skier at the base of some lifts joins a queue, or goes home if all of them close before boarding.
    fn queue_up(&mut self, now: u64, who: usize) {
        let skier = &self.skiers[who];
        let resort = skier.outing.resort;
        let at_base: Vec<usize> = (0..RESORTS[resort].lifts.len())
            .filter(|&lift| RESORTS[resort].lifts[lift].base == skier.base)
            .filter(|&lift| self.queues[resort][lift].boards_at(now) < CLOSING)
            .collect();
        let chosen = at_base.choose_weighted(&mut self.random, |&lift| {
            attraction(
                &RESORTS[resort].lifts[lift],
                &self.queues[resort][lift],
                now,
            )
        });
        if let Ok(&lift) = chosen {
            let queue = &mut self.queues[resort][lift];
            let boards_at = queue.boards_at(now);
            queue.free_at = boards_at + queue.spacing;
            self.skiers[who].queue = Some(lift);
            self.next.push(Reverse((boards_at, who)));
        }
    }

    fn board(&mut self, now: u64, who: usize, lift: usize) -> Boarding {
        let outing = &mut self.skiers[who].outing;
        outing.rides -= 1;
        let ride = ride(self.number, now, outing, lift);
        Boarding {
            at_ms: now / SPEED,
            ride: ride.expect("resorts, lifts and times of the simulation lie in their ranges"),
            reads: if self.random.random_ratio(1, READ_TWICE) {
                2
            } else {
                1
            },
        }
    }

    /// Up, perhaps to lunch or a rest, and down to the base of a lift; home after the last ride.
    fn go_for_another(&mut self, now: u64, who: usize, lift: usize) {
        let outing = &self.skiers[who].outing;
        if outing.rides == 0 {
            return;
        }
        let (resort, lunch) = (outing.resort, outing.lunch_min);
        let lift = &RESORTS[resort].lifts[lift];
        let base = self.choose_base(now, resort, lift.top);
        let (level, below) = DESCENT_MIN;
        let mut takes = f64::from(lift.ride_min)
            + around(&mut self.random, 1.0, 0.3) * (level + below * f64::from(lift.top - base));

        let skier = &mut self.skiers[who];
        skier.base = base;
        let outing = &mut skier.outing;
        let minute = OPENING_MIN as f64 + to_minutes(now);
        let lunch_length = lunch.map_or(0.0, |(_, length)| length);
        // The remaining time, divided by the remaining rides.
        let lap = (outing.leaves_min - minute - lunch_length) / f64::from(outing.rides);
        let spare = lap - takes - USUAL_WAIT_MIN;
        if spare > 0.0 && !outing.is_tireless && self.random.random_bool(REST_SHARE) {
            takes += around(&mut self.random, spare / REST_SHARE, spare);
        }
        if lunch.is_some_and(|(from, _)| minute + takes >= from) {
            takes += lunch_length;
            outing.lunch_min = None;
        }
        self.next.push(Reverse((now + to_clock(takes), who)));
    }

    /// Height to which a skier who gets off at `top` skis, depending on the visible queues.
    fn choose_base(&mut self, now: u64, resort: usize, top: u8) -> u8 {
        let mut heights: Vec<(u8, f64)> = (0..=top).map(|base| (base, 0.0)).collect();
        for (lift, queue) in RESORTS[resort].lifts.iter().zip(&self.queues[resort]) {
            if let Some((base, drawn)) = heights.get_mut(usize::from(lift.base)) {
                *drawn += attraction(lift, queue, now) * FURTHER_DOWN.powi(i32::from(top - *base));
            }
        }
        let chosen = heights.choose_weighted(&mut self.random, |&(_, drawn)| drawn);
        // The way to the valley is always open.
        chosen.map_or(0, |&(base, _)| base)
    }
}

/// Attractiveness of a lift: long runs and short queues increase it.
fn attraction(lift: &Lift, queue: &Queue, now: u64) -> f64 {
    let wait_min = to_minutes(queue.boards_at(now) - now);
    f64::from(lift.number) * (-wait_min / PATIENCE_MIN).exp()
}

fn ride(number: u64, now: u64, outing: &Outing, lift: usize) -> Result<Ride, RangeError> {
    let resort = &RESORTS[outing.resort];
    let time = SimulatedTime::new(number, OPENING_MIN + now / MINUTE)?;
    let day = time.of_resort(ResortId::new(resort.id)?);
    Ok(Ride {
        resort: day.resort,
        season: day.season,
        day: day.day,
        skier: outing.id,
        minute: time.minute,
        lift: LiftId::new(resort.lifts[lift].number.into())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::resort::Resort;
    use std::collections::HashMap;

    const DAY: u64 = 7_480_000;

    /// The boardings of a day, as resort and lift by place, minute of the day and skier.
    fn boardings(rate: Rate) -> Vec<(usize, usize, u64, u32)> {
        let mut all = Vec::new();
        SkiDay::new(rate, 1, DAY).go_on(DAY_MS, |boarding| {
            let ride = boarding.ride;
            let at_resort = |resort: &Resort| resort.id == u64::from(ride.resort.get());
            let resort = RESORTS.iter().position(at_resort).unwrap();
            let lifts = RESORTS[resort].lifts;
            let at_lift = |lift: &Lift| lift.number == ride.lift.get();
            let lift = lifts.iter().position(at_lift).unwrap();
            let minute = u64::from(ride.minute.get());
            all.push((resort, lift, minute, ride.skier.get()));
        });
        all
    }

    #[test]
    fn no_lift_carries_more_than_its_capacity_in_any_hour_and_some_carry_that() {
        for rate in [1.0, 50.0, 1_000.0].map(|rate| Rate::new(rate).unwrap()) {
            let mut minutes: HashMap<(usize, usize), [u64; 1_440]> = HashMap::new();
            for (resort, lift, minute, _) in boardings(rate) {
                minutes.entry((resort, lift)).or_insert([0; 1_440])[minute as usize] += 1;
            }
            let mut full = 0;
            for ((resort, lift), carried) in minutes {
                let capacity = RESORTS[resort].lifts[lift].capacity(rate);
                let busiest: u64 = carried
                    .windows(60)
                    .map(|hour| hour.iter().sum())
                    .max()
                    .unwrap();
                assert!(
                    busiest <= capacity,
                    "{resort} {lift}: {busiest} > {capacity}"
                );
                full += usize::from(busiest * 20 >= capacity * 19);
            }
            assert!(
                full >= 5 || rate.get() == 1.0,
                "{rate:?}: {full} lifts full"
            );
        }
    }

    #[test]
    fn nobody_boards_before_having_skied_down() {
        let mut last: HashMap<u32, (usize, usize, u64)> = HashMap::new();
        for (resort, lift, minute, skier) in boardings(Rate::new(100.0).unwrap()) {
            let before = last.insert(skier, (resort, lift, minute));
            if let Some((same, before, boarded)) = before {
                let before = &RESORTS[same].lifts[before];
                assert_eq!(same, resort, "one day, one resort");
                assert!(RESORTS[resort].lifts[lift].base <= before.top);
                assert!(minute > boarded + u64::from(before.ride_min));
            } else {
                assert_eq!(RESORTS[resort].lifts[lift].base, 0, "from the valley");
            }
        }
    }

    #[test]
    fn queues_are_long_in_the_morning_and_short_at_lunch() {
        let mut day = SkiDay::new(Rate::new(50.0).unwrap(), 1, DAY);
        let mut longest_min = |hour: u64, minute: u64| {
            let now = ((hour * 60 + minute) - OPENING_MIN) * MINUTE;
            day.go_on(now / SPEED, |_| {});
            let waits = day
                .queues
                .iter()
                .flatten()
                .map(|queue| queue.boards_at(now) - now);
            to_minutes(waits.max().unwrap())
        };
        let (opening, morning, lunch) =
            (longest_min(8, 31), longest_min(9, 50), longest_min(12, 45));
        assert!(opening < 3.0, "{opening}");
        assert!((5.0..20.0).contains(&morning), "{morning}");
        assert!(lunch < morning / 2.0, "{lunch} {morning}");
    }
}
