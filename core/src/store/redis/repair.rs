//! Mends the counters and the indexes of a day from its ledger.

use std::sync::LazyLock;

use redis::{Pipeline, Script};

use super::failed;
use super::reader::RedisReader;
use crate::ride::{ResortDay, SkierId};
use crate::store::counters::DayCounters;
use crate::store::{Reader, Repaired, StoreError};

static RECOUNT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("recount.lua")));

/// Skiers whose indexes are written at once.
const SKIERS_AT_ONCE: usize = 1000;

/// Counts the day anew in one turn of Redis' loop, and then writes the indexes of every skier that the ledger has. Those who
/// come meanwhile are indexed by whoever stores their rides.
pub(super) async fn repair_day(
    reader: &RedisReader,
    day: ResortDay,
) -> Result<Repaired, StoreError> {
    let (keys, mut connection) = (&reader.keys, reader.repairs.clone());
    let mut call = RECOUNT.key(keys.rides(day));
    call.key(keys.counts(day));
    let mut found: Vec<SkierId> = Vec::new();
    // Says, too, of whom the ledger holds what is no ride.
    reader
        .scan_day(day, &mut |skier, _| found.push(skier))
        .await?;
    // A scan may show a skier twice.
    found.sort_unstable();
    found.dedup();
    let counted = call.invoke_async(&mut connection).await;
    let (before, after): (Vec<u8>, Vec<u8>) = counted.map_err(failed("count a day anew"))?;
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
            (keys.days(day), day.day.get()),
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
