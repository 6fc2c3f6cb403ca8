//! Reconciliation in Redis: its scripts and queries.

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisResult, Script};

use super::failed;
use super::keys::Keys;
use crate::control::heartbeat::LaneConfirmed;
use crate::reconciliation::{Entries, Reconciliation, SettledRanges, Settlement};
use crate::store::StoreError;

/// Channel epochs pruned per call: the script passes them to one command.
const PRUNED_AT_ONCE: usize = 1000;

/// A hash as returned by Redis.
type Fields<T> = Vec<(String, T)>;

/// Settles messages and counts them.
pub(super) static SETTLE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("settle.lua")));

static PRUNE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget.lua")));

/// Adds the call that settles messages.
pub(super) fn add_settling(pipeline: &mut Pipeline, keys: &Keys, settlements: &[Settlement]) {
    let entries = Entries::from(settlements);
    pipeline.cmd("EVALSHA").arg(SETTLE.get_hash()).arg(2);
    pipeline.arg(keys.books()).arg(keys.settled());
    pipeline.arg(entries.foreign).arg(entries.foreign_dead);
    for ((epoch, channel), entries_of_epoch) in entries.epochs {
        pipeline
            .arg(epoch_field(epoch, channel))
            .arg(entries_of_epoch.len());
        for entry in entries_of_epoch {
            pipeline.arg(entry.sequence).arg(entry.rides);
            pipeline.arg(entry.dead).arg(u8::from(entry.is_replay));
        }
    }
}

/// Reads a consistent snapshot of the reconciliation counters.
pub(super) async fn read(
    connection: &mut (impl ConnectionLike + Send),
    keys: &Keys,
) -> Result<Reconciliation, StoreError> {
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.atomic();
    pipeline.cmd("HGETALL").arg(keys.books());
    pipeline.cmd("HGETALL").arg(keys.settled());
    let read: RedisResult<(Fields<u64>, Fields<String>)> = pipeline.query_async(connection).await;
    let (totals, epochs) = read.map_err(failed("return the reconciliation counters"))?;
    let mut reconciliation = Reconciliation::default();
    for (total, number) in totals {
        match &*total {
            "applied" => reconciliation.applied = number,
            "dead" => reconciliation.dead = number,
            "settled" => reconciliation.settled = number,
            "replayed" => reconciliation.replayed = number,
            "foreign" => reconciliation.foreign = number,
            _ => {}
        }
    }
    for (lane_epoch, marks) in epochs {
        let settled_ranges =
            read_epoch(&lane_epoch, &marks).ok_or_else(|| StoreError::CorruptField {
                key: keys.settled(),
                field: lane_epoch.clone(),
            })?;
        reconciliation.epochs.push(settled_ranges);
    }
    reconciliation
        .epochs
        .sort_unstable_by_key(|settled_ranges| (settled_ranges.epoch, settled_ranges.channel));
    Ok(reconciliation)
}

/// Removes ended epochs whose confirmed numbers are all settled; returns how many.
pub(super) async fn prune(
    connection: &mut (impl ConnectionLike + Send),
    keys: &Keys,
    ended: &[LaneConfirmed],
) -> Result<u64, StoreError> {
    let ended: Vec<_> = ended.iter().filter(|lane_epoch| lane_epoch.ended).collect();
    let mut pruned = 0;
    for some in ended.chunks(PRUNED_AT_ONCE) {
        let mut call = PRUNE.key(keys.settled());
        for lane_epoch in some {
            call.arg(epoch_field(lane_epoch.epoch, lane_epoch.channel))
                .arg(lane_epoch.high_watermark);
        }
        let called = call.invoke_async::<u64>(connection).await;
        pruned += called.map_err(failed("prune finished publisher channels"))?;
    }
    Ok(pruned)
}

fn epoch_field(epoch: u64, channel: u16) -> String {
    format!("{epoch:016x}-{channel}")
}

/// Parses the value that `settle.lua` writes for an epoch; `None` for other values.
fn read_epoch(lane_epoch: &str, marks: &str) -> Option<SettledRanges> {
    let (epoch, channel) = lane_epoch.split_once('-')?;
    let (rides, ranges) = marks.split_once(';')?;
    let range = |range: &str| {
        let (first, last) = range.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    Some(SettledRanges {
        epoch: u64::from_str_radix(epoch, 16).ok()?,
        channel: channel.parse().ok()?,
        rides: rides.parse().ok()?,
        marked: ranges.split(',').map(range).collect::<Option<_>>()?,
    })
}
