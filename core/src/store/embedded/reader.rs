//! Queries of a data directory.
//!
//! A short query runs on the calling thread: its blocks are in memory or in the page cache, which is faster than a switch to
//! another thread. A long one, such as for a day or a skier with many days, runs on a separate thread.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use super::ledger::split_day;
use super::{reconciliation, repair};
use crate::archive::ArchivedDay;
use crate::control::heartbeat::LaneConfirmed;
use crate::embedded::{Database, DiskError, keys};
use crate::packed::{Boarding, unpack_sorted};
use crate::queue::Shed;
use crate::reconciliation::Reconciliation;
use crate::ride::{Day, LiftId, ResortDay, ResortId, Season, SkierId};
use crate::store::counters::DayCounters;
use crate::store::reader::WantedDays;
use crate::store::{ArchivedFiles, Capacity, Reader, Repaired, StoreError};

/// Skiers per step of a scan.
const SCAN_SKIERS: usize = 1000;

/// Reads a data directory.
#[derive(Clone)]
pub struct EmbeddedReader {
    database: Arc<Database>,
}

/// Maximum days of a skier for a short query.
const FEW_DAYS: usize = 16;

/// A skier and the packed rides of the scanned day.
pub(super) type ScannedSkier = (SkierId, Vec<u8>);

impl EmbeddedReader {
    /// A reader of this data directory.
    #[must_use]
    pub fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    fn day(&self, on: ResortDay) -> Result<(u32, DayCounters), StoreError> {
        let stored = self.database.days.get(keys::day_counters(on));
        let stored = stored.map_err(|error| self.failed("read a day's counters", error))?;
        let (skiers, counters) = split_day(stored.as_deref().unwrap_or_default());
        Ok((skiers, DayCounters::parse(counters)))
    }

    fn failed(&self, doing: &'static str, error: fjall::Error) -> DiskError {
        self.database.failed(doing, error)
    }
}

fn unpack(on: ResortDay, packed: &[u8]) -> Result<Vec<Boarding>, StoreError> {
    unpack_sorted(packed).map_err(|source| StoreError::Corrupt {
        key: on.to_string(),
        source,
    })
}

/// A skier's rides of a day, by time.
fn find(
    database: &Database,
    on: ResortDay,
    skier: SkierId,
) -> Result<Option<Vec<Boarding>>, StoreError> {
    let packed = database.rides.get(keys::rides(on, skier));
    let packed = packed.map_err(|error| database.failed("find a skier's rides", error))?;
    packed.map(|packed| unpack(on, &packed)).transpose()
}

/// At most `most` days of a skier, after `last`.
fn days_after(
    database: &Database,
    skier: SkierId,
    last: Option<ResortDay>,
    most: usize,
) -> Result<Vec<ResortDay>, StoreError> {
    let end = [&skier.get().to_be_bytes()[..], &[u8::MAX; keys::DAY_BYTES]].concat();
    let start = match last {
        Some(last) => Bound::Excluded(keys::skier_day(skier, last).to_vec()),
        None => Bound::Included(skier.get().to_be_bytes().to_vec()),
    };
    let day = |entry: fjall::Guard| {
        let key = entry.key();
        let key = key.map_err(|error| database.failed("list a skier's days", error))?;
        let day = key
            .get(keys::SKIER_BYTES..)
            .and_then(|day| day.try_into().ok());
        Ok(day.and_then(keys::read_day))
    };
    let days = database.skiers.range((start, Bound::Included(end)));
    days.take(most)
        .filter_map(|entry| day(entry).transpose())
        .collect()
}

/// Some skiers of a day, after `last`.
pub(super) fn scan_on(
    database: &Database,
    on: ResortDay,
    last: Option<SkierId>,
) -> Result<Vec<ScannedSkier>, DiskError> {
    let failed = |error| database.failed("scan a day", error);
    let first = last.map_or(0, |skier| skier.get().saturating_add(1));
    let day = keys::day(on);
    let range = [&day[..], &first.to_be_bytes()].concat()..=[&day[..], &[u8::MAX; 4]].concat();
    let mut found = Vec::new();
    if last.is_some_and(|skier| skier.get() == u32::MAX) {
        return Ok(found);
    }
    for entry in database.rides.range(range).take(SCAN_SKIERS) {
        let (key, value) = entry.into_inner().map_err(failed)?;
        let number = key
            .get(keys::DAY_BYTES..)
            .and_then(|key| key.try_into().ok());
        let skier = number.map(u32::from_be_bytes).map(u64::from);
        if let Some(Ok(skier)) = skier.map(SkierId::new) {
            found.push((skier, value.to_vec()));
        }
    }
    Ok(found)
}

#[async_trait]
impl Reader for EmbeddedReader {
    fn name(&self) -> &'static str {
        "the data directory"
    }

    async fn skier_day(
        &self,
        day: ResortDay,
        skier: SkierId,
    ) -> Result<Option<Vec<Boarding>>, StoreError> {
        find(&self.database, day, skier)
    }

    async fn skier_on_days(
        &self,
        skier: SkierId,
        days: &[ResortDay],
    ) -> Result<Vec<Vec<Boarding>>, StoreError> {
        let find_all = move |database: &Database, days: &[ResortDay]| {
            let found = days.iter().map(|day| find(database, *day, skier));
            found.map(|rides| Ok(rides?.unwrap_or_default())).collect()
        };
        if days.len() <= FEW_DAYS {
            return find_all(&self.database, days);
        }
        let days = days.to_vec();
        let finding = move |database: &Database| find_all(database, &days);
        self.database.off_thread(finding).await
    }

    async fn days_of_skier(
        &self,
        skier: SkierId,
        wanted: WantedDays<'_>,
    ) -> Result<Vec<ResortDay>, StoreError> {
        // For most skiers these are all days.
        let mut days = days_after(&self.database, skier, None, FEW_DAYS)?;
        if let Some(last) = days.get(FEW_DAYS - 1).copied() {
            let listing = move |database: &Database| {
                let rest = days_after(database, skier, Some(last), usize::MAX)?;
                Ok::<_, StoreError>([days, rest].concat())
            };
            days = self.database.off_thread(listing).await?;
        }
        days.retain(wanted);
        Ok(days)
    }

    async fn skiers_on(&self, day: ResortDay) -> Result<u64, StoreError> {
        Ok(self.day(day)?.0.into())
    }

    async fn counters(&self, day: ResortDay) -> Result<DayCounters, StoreError> {
        Ok(self.day(day)?.1)
    }

    async fn lift_rides(&self, day: ResortDay, lift: LiftId) -> Result<u32, StoreError> {
        let counters = self.day(day)?.1;
        let of_lift = counters.lifts.iter().find(|(found, _)| *found == lift);
        Ok(of_lift.map_or(0, |(_, rides)| *rides))
    }

    async fn resorts(&self) -> Result<Vec<ResortId>, StoreError> {
        let failed = |error| self.failed("list the resorts", error);
        let mut resorts = Vec::new();
        for entry in self.database.days.prefix(keys::seasons()) {
            let key = entry.key().map_err(failed)?;
            let number = key.get(1..3).and_then(|key| key.try_into().ok());
            let resort = number.map(u16::from_be_bytes).map(u64::from);
            if let Some(Ok(resort)) = resort.map(ResortId::new) {
                resorts.push(resort);
            }
        }
        resorts.dedup();
        Ok(resorts)
    }

    async fn seasons(&self, resort: ResortId) -> Result<Vec<Season>, StoreError> {
        let failed = |error| self.failed("list a resort's seasons", error);
        let mut seasons = Vec::new();
        for entry in self.database.days.prefix(keys::seasons_of(resort)) {
            let key = entry.key().map_err(failed)?;
            let number = key.get(3..).and_then(|key| key.try_into().ok());
            let season = number.map(u16::from_be_bytes).map(u64::from);
            if let Some(Ok(season)) = season.map(Season::new) {
                seasons.push(season);
            }
        }
        Ok(seasons)
    }

    async fn days(&self, resort: ResortId, season: Season) -> Result<Vec<Day>, StoreError> {
        let failed = |error| self.failed("list a season's days", error);
        let mut days = Vec::new();
        for entry in self.database.days.range(keys::days_of(resort, season)) {
            let key = entry.key().map_err(failed)?;
            let day = key.get(1..).and_then(|key| key.try_into().ok());
            days.extend(day.and_then(keys::read_day).map(|on| on.day));
        }
        Ok(days)
    }

    async fn add_season(&self, resort: ResortId, season: Season) -> Result<(), StoreError> {
        let add = move |database: &Database| {
            let mut batch = database.batch();
            batch.insert(&database.days, keys::season(resort, season), []);
            Ok(database.commit_synced("add a season", batch)?)
        };
        self.database.off_thread(add).await
    }

    async fn scan_day(
        &self,
        day: ResortDay,
        visit: &mut (dyn FnMut(SkierId, Vec<Boarding>) + Send),
    ) -> Result<(), StoreError> {
        let mut last = None;
        loop {
            let scan = move |database: &Database| scan_on(database, day, last);
            let found = self.database.off_thread(scan).await?;
            let is_end = found.len() < SCAN_SKIERS;
            last = found.last().map(|(skier, _)| *skier);
            for (skier, packed) in found {
                visit(skier, unpack(day, &packed)?);
            }
            if is_end {
                return Ok(());
            }
        }
    }

    async fn archive_day(&self, day: ResortDay) -> Result<ArchivedDay, StoreError> {
        Err(StoreError::WrongState {
            day,
            why: "is in a data directory, which is on disk: only rides in Redis are archived",
        })
    }

    async fn restore_day(&self, day: ResortDay) -> Result<ArchivedDay, StoreError> {
        let why = "is not archived";
        Err(StoreError::WrongState { day, why })
    }

    async fn archived_days(
        &self,
        _wanted: WantedDays<'_>,
    ) -> Result<Vec<ArchivedFiles>, StoreError> {
        Ok(Vec::new())
    }

    async fn repair_day(&self, day: ResortDay) -> Result<Repaired, StoreError> {
        let ledger_lock = Arc::clone(&self.database.ledger_lock).lock_owned().await;
        let repairing = move |database: &Database| {
            let _ledger_lock = ledger_lock;
            repair::repair_day(database, day)
        };
        self.database.off_thread(repairing).await
    }

    async fn reconciliation(&self) -> Result<Reconciliation, StoreError> {
        let reading = |database: &Database| Ok(reconciliation::read(database)?);
        self.database.off_thread(reading).await
    }

    async fn prune_epochs(&self, ended: &[LaneConfirmed]) -> Result<u64, StoreError> {
        let ended = ended.to_vec();
        let pruning = move |database: &Database| Ok(reconciliation::prune(database, &ended)?);
        self.database.off_thread(pruning).await
    }

    async fn capacity(&self) -> Result<Capacity, StoreError> {
        let space = self.database.off_thread(Database::space).await?;
        Ok(Capacity {
            used_bytes: space.0,
            limit_bytes: Some(space.1),
            when_full: Shed::DiskSpace,
        })
    }
}
