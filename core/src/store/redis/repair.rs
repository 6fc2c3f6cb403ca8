//! Rebuilds the counters and indexes of a day from its ledger.

use std::sync::LazyLock;

use redis::{Pipeline, Script};

use super::archive::DayState;
use super::failed;
use super::reader::RedisReader;
use crate::ride::{ResortDay, SkierId};
use crate::store::counters::DayCounters;
use crate::store::{Repaired, StoreError};

static RECOUNT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("recount.lua")));

/// Skiers per index write.
const SKIERS_AT_ONCE: usize = 1000;

/// Recounts the day in one script call, and then writes the indexes of every skier in the ledger. Rides stored meanwhile are
/// indexed by the worker that stores them.
pub(super) async fn repair_day(
    reader: &RedisReader,
    day: ResortDay,
) -> Result<Repaired, StoreError> {
    if !matches!(reader.state_of(day).await?, DayState::Open) {
        let why = "is archived, with checked counters: restore it before you repair it";
        return Err(StoreError::WrongState { day, why });
    }
    let (keys, mut connection) = (&reader.keys, reader.repairs.clone());
    let mut call = RECOUNT.key(keys.rides(day));
    call.key(keys.counts(day));
    let mut found: Vec<SkierId> = Vec::new();
    // Also reports skiers with corrupt ledger entries.
    reader
        .scan_ledger(day, &mut |skier, _| found.push(skier))
        .await?;
    // A scan may return a skier twice.
    found.sort_unstable();
    found.dedup();
    let counted = call.invoke_async(&mut connection).await;
    let (before, after): (Vec<u8>, Vec<u8>) = counted.map_err(failed("recount a day"))?;
    for some in found.chunks(SKIERS_AT_ONCE) {
        let mut pipeline = Pipeline::with_capacity(some.len());
        for skier in some {
            pipeline
                .cmd("SADD")
                .arg(keys.skier(*skier))
                .arg(day.to_index())
                .ignore();
        }
        let written: redis::RedisResult<()> = pipeline.query_async(&mut connection).await;
        written.map_err(failed("write an index"))?;
    }
    if !found.is_empty() {
        let mut pipeline = Pipeline::new();
        for (set, member) in [
            (keys.days(day.resort, day.season), day.day.get()),
            (keys.seasons(day.resort), day.season.get()),
            (keys.resorts(), day.resort.get()),
        ] {
            pipeline.cmd("SADD").arg(set).arg(member).ignore();
        }
        let written: redis::RedisResult<()> = pipeline.query_async(&mut connection).await;
        written.map_err(failed("write an index"))?;
    }
    Ok(Repaired {
        before: DayCounters::parse(&before),
        after: DayCounters::parse(&after),
        skiers: found.len() as u64,
    })
}
