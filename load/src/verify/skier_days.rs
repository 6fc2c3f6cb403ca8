//! The possibly stored rides of a run, by skier day.

use skilift_core::ride::{Day, ResortDay, ResortId, Ride, Season, SkierId};

use crate::outcome_log::RideOutcome;

/// A skier day as a number: `resort << 41 | day << 32 | skier`; a run has a single season.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SkierDay(u64);

impl SkierDay {
    pub(super) fn of(ride: &Ride) -> Self {
        let (resort, day) = (u64::from(ride.resort.get()), u64::from(ride.day.get()));
        Self(resort << 41 | day << 32 | u64::from(ride.skier.get()))
    }

    /// The part that it belongs to.
    pub(super) fn part(self, parts: u64) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) % parts
    }

    pub(super) fn resort(self) -> u16 {
        (self.0 >> 41) as u16
    }

    /// The day of the resort, and the skier.
    pub(super) fn place(self, season: Season) -> (ResortDay, SkierId) {
        // It was built from such numbers.
        let first = |number: u64| number.max(1);
        let on = ResortDay {
            resort: ResortId::new(first(self.0 >> 41)).unwrap_or_else(|_| unreachable!("a resort")),
            season,
            day: Day::new(first(self.0 >> 32 & 0x1ff)).unwrap_or_else(|_| unreachable!("a day")),
        };
        let skier = SkierId::new(first(self.0 & 0xffff_ffff));
        (on, skier.unwrap_or_else(|_| unreachable!("a skier")))
    }
}

/// A ride of a skier day: `minute << 12 | lift << 2 | accepted << 1 | found`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Boarded(u32);

impl Boarded {
    pub(super) fn new(minute: u16, lift: u16, accepted: bool) -> Self {
        Self(u32::from(minute) << 12 | u32::from(lift) << 2 | u32::from(accepted) << 1)
    }

    pub(super) fn minute(self) -> u16 {
        (self.0 >> 12) as u16
    }

    pub(super) fn lift(self) -> u16 {
        (self.0 >> 2 & 0x3ff) as u16
    }

    pub(super) fn is_accepted(self) -> bool {
        self.0 & 2 != 0
    }

    pub(super) fn is_found(self) -> bool {
        self.0 & 1 != 0
    }

    pub(super) fn set_found(&mut self, found: bool) {
        self.0 = self.0 & !1 | u32::from(found);
    }
}

/// The rides of some skier days: 16 bytes a ride, 32 a skier day.
#[derive(Debug)]
pub(super) struct SkierDays {
    rides: Vec<(SkierDay, Boarded)>,
    pub(super) days: Vec<State>,
}

/// State of one skier day.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) day: SkierDay,
    /// Its rides.
    from: u32,
    rides: u32,
    pub(super) check_state: CheckState,
    /// Stored amount of the accepted rides: rides, or metres; the basis of the comparison.
    pub(super) there: u32,
    /// Stored rides, or metres, that were not sent.
    pub(super) foreign: u32,
    /// Rides that are listed more than once.
    pub(super) doubled: u32,
}

/// Check state of a skier day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckState {
    /// No usable response.
    NotRead,
    /// Accepted rides are missing.
    Missing,
    /// All accepted rides are stored.
    Complete,
    /// More is stored than was sent.
    Over,
}

impl SkierDays {
    /// Groups rides.
    pub(super) fn new(rides: impl Iterator<Item = (Ride, RideOutcome)>) -> Self {
        let boarded = |(ride, outcome): (Ride, RideOutcome)| {
            let accepted = outcome == RideOutcome::Accepted;
            (
                SkierDay::of(&ride),
                Boarded::new(ride.minute.get(), ride.lift.get(), accepted),
            )
        };
        let mut rides: Vec<_> = rides.map(boarded).collect();
        rides.sort_unstable();
        let mut days: Vec<State> = Vec::new();
        for (at, (day, _)) in rides.iter().enumerate() {
            match days.last_mut() {
                Some(last) if last.day == *day => last.rides += 1,
                _ => days.push(State {
                    day: *day,
                    from: at as u32,
                    rides: 1,
                    check_state: CheckState::NotRead,
                    there: 0,
                    foreign: 0,
                    doubled: 0,
                }),
            }
        }
        Self { rides, days }
    }

    /// The rides of the skier day at this index, in the order of minute and lift.
    pub(super) fn rides(&self, at: usize) -> impl Iterator<Item = Boarded> {
        let day = &self.days[at];
        let from = day.from as usize;
        let rides = &self.rides[from..from + day.rides as usize];
        rides.iter().map(|(_, ride)| *ride)
    }

    /// A mutable skier day and its rides.
    pub(super) fn entry(&mut self, at: usize) -> (&mut State, &mut [(SkierDay, Boarded)]) {
        let day = &mut self.days[at];
        let from = day.from as usize;
        let rides = &mut self.rides[from..from + day.rides as usize];
        (day, rides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ride(resort: u64, day: u64, skier: u64, time: u64, lift: u64) -> Ride {
        serde_json::from_value(serde_json::json!({
            "resortID": resort, "seasonID": 2025, "dayID": day, "skierID": skier, "time": time, "liftID": lift
        }))
        .unwrap()
    }

    #[test]
    fn rides_are_grouped_and_read_back() {
        let widest = ride(65_535, 366, 4_294_967_295, 1440, 1000);
        let rides = [ride(1, 2, 3, 5, 7), widest, ride(1, 2, 3, 4, 9)];
        let sent = rides.map(|ride| (ride, RideOutcome::Accepted));
        let days = SkierDays::new(sent.into_iter());
        assert_eq!(days.days.len(), 2);
        let first: Vec<_> = days
            .rides(0)
            .map(|ride| (ride.minute(), ride.lift()))
            .collect();
        assert_eq!(first, [(4, 9), (5, 7)]);
        let (on, skier) = days.days[1].day.place(widest.season);
        assert_eq!((on, skier), (widest.resort_day(), widest.skier));
        let last = days.rides(1).next().unwrap();
        assert_eq!(
            (last.minute(), last.lift(), last.is_accepted()),
            (1440, 1000, true)
        );
    }
}
