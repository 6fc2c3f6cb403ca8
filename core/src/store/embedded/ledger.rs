//! The changes of a batch: each ride is stored at most once, however often it is delivered.

use std::collections::BTreeMap;

use super::reconciliation;
use crate::embedded::{Database, keys};
use crate::packed::{Boarding, MAX_RIDES_PER_SKIER_DAY, PACKED_BYTES};
use crate::ride::ResortDay;
use crate::store::batch::{Batch, DayCall};
use crate::store::counters::CounterBytes;
use crate::store::{Applied, StoreError};

/// Bytes of the number of skiers, before a day's counters.
pub(super) const SKIERS_BYTES: usize = 4;

/// The new counters of a day.
struct Day {
    is_new: bool,
    skiers: u32,
    counters: CounterBytes,
}

/// Adds all changes of the rides to `batch`.
///
/// The ledger's write lock must be held until `batch` is committed: otherwise the values read here could be outdated.
///
/// # Errors
/// If the data directory cannot be read, or contains unexpected data.
pub(crate) fn apply(
    database: &Database,
    rides: &Batch,
    batch: &mut fjall::OwnedWriteBatch,
) -> Result<Applied, StoreError> {
    let mut applied = Applied::default();
    // A large day is split into several calls.
    let mut days = BTreeMap::new();
    for call in rides.calls() {
        let day = match days.entry(call.day) {
            std::collections::btree_map::Entry::Occupied(day) => day.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(read_day(database, call.day)?)
            }
        };
        apply_call(database, call, day, batch, &mut applied)?;
    }
    for (on, day) in days {
        let value = [&day.skiers.to_be_bytes(), day.counters.as_bytes()].concat();
        batch.insert(&database.days, keys::day_counters(on), value);
        if day.is_new {
            batch.insert(&database.days, keys::season(on.resort, on.season), []);
        }
    }
    reconciliation::count(database, keys::APPLIED, applied.new, batch)?;
    Ok(applied)
}

fn read_day(database: &Database, on: ResortDay) -> Result<Day, StoreError> {
    let stored = database.days.get(keys::day_counters(on));
    let stored = stored.map_err(|error| database.failed("read a day's counters", error))?;
    let (skiers, counters) = split_day(stored.as_deref().unwrap_or_default());
    Ok(Day {
        is_new: stored.is_none(),
        skiers,
        counters: CounterBytes::from(counters),
    })
}

/// The number of skiers and the counters of a day; an empty value means 0.
pub(super) fn split_day(value: &[u8]) -> (u32, &[u8]) {
    match value.split_first_chunk::<SKIERS_BYTES>() {
        Some((skiers, counters)) => (u32::from_be_bytes(*skiers), counters),
        None => (0, &[]),
    }
}

fn apply_call(
    database: &Database,
    call: DayCall<'_>,
    day: &mut Day,
    batch: &mut fjall::OwnedWriteBatch,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    let mut doubled = call.copies;
    for rides in call.skiers() {
        let skier = rides[0].skier;
        let key = keys::rides(call.day, skier);
        let before = database.rides.get(key);
        let before = before.map_err(|error| database.failed("read the ledger", error))?;
        let before = before.as_deref().unwrap_or_default();
        if !before.len().is_multiple_of(PACKED_BYTES) {
            return Err(StoreError::Corrupt {
                key: format!("{} of skier {skier}", call.day),
                source: crate::packed::CorruptLedger::Length(before.len()),
            });
        }
        let mut after = before.to_vec();
        for ride in rides {
            let boarding = Boarding::from(ride);
            let packed = boarding.pack();
            if before.as_chunks::<PACKED_BYTES>().0.contains(&packed) {
                doubled += 1;
            } else if after.len() >= MAX_RIDES_PER_SKIER_DAY * PACKED_BYTES {
                let most = MAX_RIDES_PER_SKIER_DAY;
                let reason =
                    format!("the skier has {most} rides on this day, which is the maximum");
                applied.refused.push((*ride, reason));
            } else {
                after.extend(packed);
                day.counters.count_ride(boarding);
                applied.new += 1;
            }
        }
        if after.len() > before.len() {
            if before.is_empty() {
                day.skiers = day.skiers.saturating_add(1);
                batch.insert(&database.skiers, keys::skier_day(skier, call.day), []);
            }
            batch.insert(&database.rides, key, after);
        }
    }
    day.counters.count_duplicates(doubled);
    applied.duplicates += u64::from(doubled);
    Ok(())
}
