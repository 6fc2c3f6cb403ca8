//! How questions are asked of a store.

use async_trait::async_trait;

use super::StoreError;
use super::counters::DayCounters;
use crate::books::Books;
use crate::control::heartbeat::LaneConfirmed;
use crate::packed::Boarding;
use crate::queue::Shed;
use crate::ride::{LiftId, ResortDay, ResortId, Season, SkierId};

/// How much of its room a store uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes that it may use at most; `None` where there is no limit.
    pub limit_bytes: Option<u64>,
    /// Why rides are refused when the room is nearly used up.
    pub when_full: Shed,
}

/// What a day's repair found and left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The counters as they were.
    pub before: DayCounters,
    /// As they are now: what the ledger says. The duplicates are as they were, for no ledger tells them.
    pub after: DayCounters,
    /// Skiers of the day, all of whom are in its indexes now.
    pub skiers: u64,
}

/// Answers questions from the ledger, the counters and the indexes.
///
/// Every question fails with [`StoreError`] when the store cannot be asked or holds what no worker of ours wrote.
#[async_trait]
pub trait Reader: Send + Sync {
    /// What the store is called in messages: "Redis".
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

    /// The days on which a skier was anywhere, in order.
    async fn days_of_skier(&self, skier: SkierId) -> Result<Vec<ResortDay>, StoreError>;

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

    /// Adds a season to a resort; nothing happens when it is there. After an error, adding it again is safe.
    async fn add_season(&self, resort: ResortId, season: Season) -> Result<(), StoreError>;

    /// Hands every skier's rides of a day to `visit`; a skier may come twice, the second time with more rides.
    async fn scan_day(
        &self,
        day: ResortDay,
        visit: &mut (dyn FnMut(SkierId, Vec<Boarding>) + Send),
    ) -> Result<(), StoreError>;

    /// Counts a day anew from its ledger, and adds what is missing in the indexes, while rides are stored as ever. A day of
    /// an index on which a skier has no rides is not looked for. Done again it changes nothing.
    async fn repair_day(&self, day: ResortDay) -> Result<Repaired, StoreError>;

    /// The books as they are at one moment.
    async fn books(&self) -> Result<Books, StoreError>;

    /// Removes the books of lane lives that ended and of which every number up to their `through` is marked; those with a gap
    /// stay. Says how many are gone now, those that had none included. No message of theirs may be in the queue any more: it would be counted again.
    async fn forget_lanes(&self, ended: &[LaneConfirmed]) -> Result<u64, StoreError>;

    /// How much of its room the store uses.
    async fn capacity(&self) -> Result<Capacity, StoreError>;
}
