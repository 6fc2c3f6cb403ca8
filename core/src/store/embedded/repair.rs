//! Rebuilds the counters and indexes of a day from its ledger.

use super::ledger::split_day;
use super::reader::scan_on;
use crate::embedded::{Database, keys};
use crate::packed::unpack_all;
use crate::ride::ResortDay;
use crate::store::counters::{CounterBytes, DayCounters};
use crate::store::{Repaired, StoreError};

/// Recounts and reindexes the day in one write. The caller must hold the ledger's write lock.
pub(super) fn repair_day(database: &Database, on: ResortDay) -> Result<Repaired, StoreError> {
    let stored = database.days.get(keys::day_counters(on));
    let stored = stored.map_err(|error| database.failed("read a day's counters", error))?;
    let (_, counters) = split_day(stored.as_deref().unwrap_or_default());
    let before = DayCounters::parse(counters);

    let mut counted = CounterBytes::default();
    // They cannot be derived from the ledger.
    counted.count_duplicates(before.duplicates);
    let (mut batch, mut skiers, mut last) = (database.batch(), 0_u32, None);
    loop {
        let found = scan_on(database, on, last)?;
        let Some((highest, _)) = found.last() else {
            break;
        };
        last = Some(*highest);
        for (skier, packed) in found {
            let rides = unpack_all(&packed).map_err(|source| StoreError::Corrupt {
                key: format!("{on} of skier {skier}"),
                source,
            })?;
            rides.into_iter().for_each(|ride| counted.count_ride(ride));
            batch.insert(&database.skiers, keys::skier_day(skier, on), []);
            skiers += 1;
        }
    }
    let after = DayCounters::parse(counted.as_bytes());
    if skiers > 0 || stored.is_some() {
        let value = [&skiers.to_be_bytes(), counted.as_bytes()].concat();
        batch.insert(&database.days, keys::day_counters(on), value);
        if skiers > 0 {
            batch.insert(&database.days, keys::season(on.resort, on.season), []);
        }
        database.commit_synced("repair a day", batch)?;
    }
    Ok(Repaired {
        before,
        after,
        skiers: skiers.into(),
    })
}
