//! Rides arranged for the store: sorted, without copies, cut into calls of one resort day each.

use std::ops::Range;

use crate::ride::{ResortDay, Ride};

/// Maximum skiers in one call: the script passes them to one Redis command.
pub const MAX_SKIERS_PER_CALL: usize = 1000;

/// Rides in the order in which they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    rides: Vec<Ride>,
    calls: Vec<(Range<usize>, u32)>,
}

/// The part of a batch that one call stores: rides of one resort day, sorted by skier, without copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCall<'a> {
    /// The day.
    pub day: ResortDay,
    /// Its rides, at least one, of at most [`MAX_SKIERS_PER_CALL`] skiers.
    pub rides: &'a [Ride],
    /// Copies of the day's rides that the batch held and that are left out here.
    pub copies: u32,
}

impl DayCall<'_> {
    /// The rides of each skier in turn.
    pub fn skiers(&self) -> impl Iterator<Item = &[Ride]> {
        self.rides.chunk_by(|a, b| a.skier == b.skier)
    }
}

impl Batch {
    /// Sorts the rides and drops copies.
    #[must_use]
    pub fn new(mut rides: Vec<Ride>) -> Self {
        rides.sort_unstable();
        let mut calls = Vec::new();
        let mut kept = Vec::with_capacity(rides.len());
        for day in rides.chunk_by(|a, b| a.resort_day() == b.resort_day()) {
            let first = kept.len();
            kept.extend(day.chunk_by(|a, b| a == b).map(|copies| copies[0]));
            let unique = kept.len() - first;
            let copies = u32::try_from(day.len() - unique).unwrap_or(u32::MAX);
            cut_into_calls(&kept, first, copies, &mut calls);
        }
        Self { rides: kept, calls }
    }

    /// The calls that store it.
    pub fn calls(&self) -> impl Iterator<Item = DayCall<'_>> {
        self.calls.iter().map(|(range, copies)| DayCall {
            day: self.rides[range.start].resort_day(),
            rides: &self.rides[range.clone()],
            copies: *copies,
        })
    }

    /// Number of calls to store it.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rides.is_empty()
    }
}

fn cut_into_calls(rides: &[Ride], first: usize, copies: u32, calls: &mut Vec<(Range<usize>, u32)>) {
    let mut start = first;
    let mut end = first;
    let mut skiers = 0;
    let mut uncounted_copies = copies;
    for skier in rides[first..].chunk_by(|a, b| a.skier == b.skier) {
        if skiers == MAX_SKIERS_PER_CALL {
            calls.push((start..end, std::mem::take(&mut uncounted_copies)));
            start = end;
            skiers = 0;
        }
        end += skier.len();
        skiers += 1;
    }
    calls.push((start..end, uncounted_copies));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn ride(resort: u64, day: u64, skier: u64, minute: u64) -> Ride {
        serde_json::from_value(serde_json::json!({
            "resortID": resort, "seasonID": "2025", "dayID": day, "skierID": skier, "time": minute, "liftID": 1
        }))
        .unwrap()
    }

    #[test]
    fn a_large_day_is_cut_between_skiers() {
        let rides = (1..=2001).flat_map(|skier| [ride(1, 1, skier, 1), ride(1, 1, skier, 2)]);
        let batch = Batch::new(rides.chain([ride(1, 1, 5, 1)]).collect());
        let sizes: Vec<_> = batch
            .calls()
            .map(|call| (call.skiers().count(), call.copies))
            .collect();
        assert_eq!(sizes, [(1000, 1), (1000, 0), (1, 0)]);
        assert!(
            batch
                .calls()
                .all(|call| call.skiers().all(|rides| rides.len() == 2))
        );
        assert!(Batch::new(Vec::new()).is_empty());
    }

    proptest! {
        #[test]
        fn keeps_every_ride_once_and_counts_the_copies(
            input in prop::collection::vec((1..3_u64, 1..3_u64, 1..5_u64, 1..4_u64), 0..60)
        ) {
            let rides: Vec<Ride> = input.iter().map(|&(r, d, s, m)| ride(r, d, s, m)).collect();
            let expected: BTreeSet<Ride> = rides.iter().copied().collect();
            let batch = Batch::new(rides.clone());
            let stored: Vec<Ride> = batch.calls().flat_map(|call| call.rides.to_vec()).collect();
            let copies: u32 = batch.calls().map(|call| call.copies).sum();
            prop_assert_eq!(stored.len() + copies as usize, rides.len());
            prop_assert_eq!(stored, expected.into_iter().collect::<Vec<_>>());
            for call in batch.calls() {
                prop_assert!(call.rides.iter().all(|ride| ride.resort_day() == call.day));
            }
        }
    }
}
