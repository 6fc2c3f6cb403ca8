//! Queries of a store.

use async_trait::async_trait;

use super::StoreError;
use super::counters::DayCounters;
use crate::archive::ArchivedDay;
use crate::control::heartbeat::LaneConfirmed;
use crate::packed::Boarding;
use crate::queue::Shed;
use crate::reconciliation::Reconciliation;
use crate::ride::{Day, LiftId, ResortDay, ResortId, Season, SkierId};

/// Used and maximum capacity of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Maximum bytes; `None` if there is no limit.
    pub limit_bytes: Option<u64>,
    /// The reason to shed load when the capacity is almost used up.
    pub when_full: Shed,
}

/// Result of a day's repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The counters before.
    pub before: DayCounters,
    /// The counters after, from the ledger. Duplicates are unchanged, because they cannot be derived from the ledger.
    pub after: DayCounters,
    /// Skiers of the day, all of which are indexed now.
    pub skiers: u64,
}

/// An archived day and the state of its files.
#[derive(Debug)]
pub struct ArchivedFiles {
    /// The day.
    pub day: ResortDay,
    /// What was archived.
    pub archived: ArchivedDay,
    /// Why the files cannot be read; `None` if they are there with the expected sizes.
    pub fault: Option<String>,
}

impl ArchivedFiles {
    /// Of some days: how many cannot be read, and why the first of them cannot; `None` if all can.
    #[must_use]
    pub fn unreadable(days: &[Self]) -> Option<(usize, &str)> {
        let mut faults = days.iter().filter_map(|files| files.fault.as_deref());
        let first = faults.next()?;
        Some((1 + faults.count(), first))
    }
}

/// Whether a query is about a day.
pub type WantedDays<'a> = &'a (dyn Fn(&ResortDay) -> bool + Send + Sync);

/// Queries of the ledger, the counters and the indexes.
///
/// Every query fails with [`StoreError`] if the store cannot be reached or contains unexpected data.
#[async_trait]
pub trait Reader: Send + Sync {
    /// Name of the store in messages: "Redis".
    fn name(&self) -> &'static str;

    /// A skier's rides of one day by time; `None` when there are none.
    async fn skier_day(
        &self,
        day: ResortDay,
        skier: SkierId,
    ) -> Result<Option<Vec<Boarding>>, StoreError>;

    /// A skier's rides of each of these days, each by time.
    async fn skier_on_days(
        &self,
        skier: SkierId,
        days: &[ResortDay],
    ) -> Result<Vec<Vec<Boarding>>, StoreError>;

    /// The wanted days of a skier at all resorts, in order.
    async fn days_of_skier(
        &self,
        skier: SkierId,
        wanted: WantedDays<'_>,
    ) -> Result<Vec<ResortDay>, StoreError>;

    /// How many skiers were at the resort that day.
    async fn skiers_on(&self, day: ResortDay) -> Result<u64, StoreError>;

    /// A day's counters; all 0 when it has no rides.
    async fn counters(&self, day: ResortDay) -> Result<DayCounters, StoreError>;

    /// Rides on one lift that day.
    async fn lift_rides(&self, day: ResortDay, lift: LiftId) -> Result<u32, StoreError>;

    /// The resorts that have seasons, in order.
    async fn resorts(&self) -> Result<Vec<ResortId>, StoreError>;

    /// The seasons of a resort, in order.
    async fn seasons(&self, resort: ResortId) -> Result<Vec<Season>, StoreError>;

    /// The days of a resort's season with rides, in order.
    async fn days(&self, resort: ResortId, season: Season) -> Result<Vec<Day>, StoreError>;

    /// Adds a season to a resort; does nothing if it exists. Can be repeated after an error.
    async fn add_season(&self, resort: ResortId, season: Season) -> Result<(), StoreError>;

    /// Calls `visit` with every skier's rides of a day; a skier may be visited twice, the second time with more rides.
    async fn scan_day(
        &self,
        day: ResortDay,
        visit: &mut (dyn FnMut(SkierId, Vec<Boarding>) + Send),
    ) -> Result<(), StoreError>;

    /// Recounts a day from its ledger, and adds missing index entries, while rides are still being stored. Superfluous index
    /// entries are not removed. Idempotent.
    async fn repair_day(&self, day: ResortDay) -> Result<Repaired, StoreError>;

    /// Moves the rides of a day to the archive. Rides of that day that arrive later are refused. A day that is archived already is
    /// checked against its files. Can be repeated after an error.
    async fn archive_day(&self, day: ResortDay) -> Result<ArchivedDay, StoreError>;

    /// Moves the rides of a day back. Can be repeated after an error.
    async fn restore_day(&self, day: ResortDay) -> Result<ArchivedDay, StoreError>;

    /// The wanted archived days, in order.
    async fn archived_days(&self, wanted: WantedDays<'_>)
    -> Result<Vec<ArchivedFiles>, StoreError>;

    /// A consistent snapshot of the reconciliation counters.
    async fn reconciliation(&self) -> Result<Reconciliation, StoreError>;

    /// Removes ended channel epochs whose numbers are all settled up to their high-water mark; those with a gap are kept.
    /// Returns how many are removed, including those already removed. None of their messages may be in the queue any more:
    /// it would be counted again.
    async fn prune_epochs(&self, ended: &[LaneConfirmed]) -> Result<u64, StoreError>;

    /// Used and maximum capacity of the store.
    async fn capacity(&self) -> Result<Capacity, StoreError>;
}
