//! The ranking of a day: computed by a scan of its ledger, cached for seconds, one scan at a time.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tokio::sync::Semaphore;

use super::{Reader, StoreError};
use crate::catalogue::Catalogue;
use crate::packed::Boarding;
use crate::ride::{ResortDay, SkierId};

/// Maximum skiers in a cached ranking.
pub const MAX_LEADERS: usize = 100;
/// How long a ranking is cached.
pub const KEPT: Duration = Duration::from_secs(5);
/// Maximum cached days.
const DAYS: u64 = 256;
/// How long a request waits for earlier scans.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One skier of the ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// The skier.
    pub skier: SkierId,
    /// The vertical of that day, in metres.
    pub vertical_m: u64,
    /// The number of rides.
    pub rides: usize,
}

impl Leader {
    /// Smaller is better: more vertical, then more rides, then the smaller number.
    fn rank(&self) -> (Reverse<u64>, Reverse<usize>, SkierId) {
        (Reverse(self.vertical_m), Reverse(self.rides), self.skier)
    }
}

/// Cached rankings of recently queried days.
pub struct Leaders {
    kept: Cache<ResortDay, Arc<[Leader]>>,
    /// A scan costs the store as much as thousands of short queries: one at a time.
    scan_permit: Semaphore,
}

/// Why a ranking is not available.
#[derive(Debug, thiserror::Error)]
pub enum LeadersError {
    /// Too many scans are waiting.
    #[error("too many rankings are being computed")]
    Busy,
    /// The scan failed, for all waiting requests.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

/// Why there is no ranking.
enum NoAnswer {
    /// The day has no rides. This is not cached, so that the first ride is visible at once.
    NoRides,
    /// Too many scans are waiting.
    Busy,
    /// The scan failed.
    Store(Arc<StoreError>),
}

impl Default for Leaders {
    fn default() -> Self {
        Self {
            kept: Cache::builder()
                .max_capacity(DAYS)
                .time_to_live(KEPT)
                .build(),
            scan_permit: Semaphore::new(1),
        }
    }
}

impl Leaders {
    /// At most [`MAX_LEADERS`] skiers of a day by vertical, then by rides, then by number; empty if it has no rides.
    ///
    /// # Errors
    /// If the store fails, or too many rankings are requested at once.
    pub async fn of(
        &self,
        reader: &dyn Reader,
        catalogue: &Catalogue,
        day: ResortDay,
    ) -> Result<Arc<[Leader]>, LeadersError> {
        let finding = self.find(reader, catalogue, day);
        let found = self.kept.try_get_with(day, finding).await;
        found.or_else(|error| match &*error {
            NoAnswer::NoRides => Ok(Arc::default()),
            NoAnswer::Busy => Err(LeadersError::Busy),
            NoAnswer::Store(error) => Err(LeadersError::Store(Arc::clone(error))),
        })
    }

    async fn find(
        &self,
        reader: &dyn Reader,
        catalogue: &Catalogue,
        day: ResortDay,
    ) -> Result<Arc<[Leader]>, NoAnswer> {
        let scan_permit = tokio::time::timeout(TIMEOUT, self.scan_permit.acquire()).await;
        let _scan_permit = scan_permit.map_err(|_| NoAnswer::Busy)?;
        let mut top = Top::default();
        let mut visit = |skier, rides: Vec<Boarding>| {
            let rises = rides
                .iter()
                .map(|ride| u64::from(catalogue.vertical_m(day.resort, ride.lift)));
            top.offer(Leader {
                skier,
                vertical_m: rises.sum(),
                rides: rides.len(),
            });
        };
        let scanned = reader.scan_day(day, &mut visit).await;
        scanned.map_err(|error| NoAnswer::Store(error.into()))?;
        if top.0.is_empty() {
            return Err(NoAnswer::NoRides);
        }
        Ok(top.0.into())
    }
}

/// The best so far, in order. A scan may return a skier twice, the second time with more rides: the last value wins.
#[derive(Default)]
struct Top(Vec<Leader>);

impl Top {
    fn offer(&mut self, leader: Leader) {
        let is_full = self.0.len() == MAX_LEADERS;
        if is_full
            && self
                .0
                .last()
                .is_some_and(|last| last.rank() < leader.rank())
        {
            return;
        }
        self.0.retain(|other| other.skier != leader.skier);
        let place = self.0.partition_point(|other| other.rank() < leader.rank());
        self.0.insert(place, leader);
        self.0.truncate(MAX_LEADERS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(skier: u64, vertical_m: u64, rides: usize) -> Leader {
        Leader {
            skier: SkierId::new(skier).unwrap(),
            vertical_m,
            rides,
        }
    }

    #[test]
    fn keeps_the_best_in_order() {
        let mut top = Top::default();
        for skier in 1..=1000 {
            top.offer(leader(skier, skier * 7 % 1000, 1));
        }
        assert_eq!(top.0.len(), MAX_LEADERS);
        assert!(top.0.is_sorted_by_key(Leader::rank));
        assert_eq!((top.0[0].vertical_m, top.0[99].vertical_m), (999, 900));
    }

    #[test]
    fn ties_go_to_more_rides_then_to_the_smaller_number() {
        let mut top = Top::default();
        for offered in [leader(3, 50, 1), leader(2, 50, 1), leader(1, 50, 2)] {
            top.offer(offered);
        }
        let order: Vec<u32> = top.0.iter().map(|leader| leader.skier.get()).collect();
        assert_eq!(order, [1, 2, 3]);
    }

    #[test]
    fn a_skier_who_comes_twice_is_kept_once() {
        let mut top = Top::default();
        for offered in [leader(1, 10, 1), leader(2, 15, 1), leader(1, 20, 2)] {
            top.offer(offered);
        }
        assert_eq!(top.0, [leader(1, 20, 2), leader(2, 15, 1)]);
    }
}
