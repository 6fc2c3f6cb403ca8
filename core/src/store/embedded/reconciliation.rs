//! Reconciliation in a data directory. It changes in the same atomic write as the ledger and the queue.

use crate::control::heartbeat::LaneConfirmed;
use crate::embedded::{Database, DiskError, keys};
use crate::reconciliation::{Entries, OwnQueue, Reconciliation, SettledRanges, Settlement};

/// Bytes of a number.
const NUMBER_BYTES: usize = 8;

/// Adds `by` to one of the totals.
///
/// No other write may add to it until `batch` is committed, and a batch may add to it only once.
///
/// # Errors
/// If the data directory cannot be read.
pub(crate) fn count(
    database: &Database,
    total: [u8; 1],
    by: u64,
    batch: &mut fjall::OwnedWriteBatch,
) -> Result<(), DiskError> {
    if by == 0 {
        return Ok(());
    }
    let before = database.books.get(total);
    let before =
        before.map_err(|error| database.failed("read its reconciliation counters", error))?;
    let before = before.map_or(Ok(0), |value| read_number(database, &value))?;
    batch.insert(&database.books, total, (before + by).to_be_bytes());
    Ok(())
}

/// Adds settlements to `batch`: each message that is not settled yet is settled and counted.
///
/// No other write may settle until `batch` is committed.
///
/// # Errors
/// If the data directory cannot be read, or contains unexpected data.
pub(crate) fn settle(
    database: &Database,
    settlements: &[Settlement],
    batch: &mut fjall::OwnedWriteBatch,
) -> Result<(), DiskError> {
    let entries = Entries::from(settlements);
    let (mut settled, mut replayed, mut dead) = (0, 0, entries.foreign_dead);
    for (lane_epoch, entries_of_epoch) in entries.epochs {
        let mut settled_ranges = read_epoch(database, lane_epoch)?;
        for entry in entries_of_epoch {
            if settled_ranges.mark(entry.sequence, entry.rides) {
                let count_of = if entry.is_replay {
                    &mut replayed
                } else {
                    &mut settled
                };
                *count_of += u64::from(entry.rides);
                dead += u64::from(entry.dead);
            }
        }
        batch.insert(
            &database.books,
            keys::settled_ranges(lane_epoch),
            write_ranges(&settled_ranges),
        );
    }
    count(database, keys::SETTLED, settled, batch)?;
    count(database, keys::REPLAYED, replayed, batch)?;
    count(database, keys::FOREIGN, entries.foreign, batch)?;
    count(database, keys::DEAD, dead, batch)
}

/// Reads a consistent snapshot of the reconciliation counters.
///
/// # Errors
/// If the data directory cannot be read, or contains unexpected data.
pub(crate) fn read(database: &Database) -> Result<Reconciliation, DiskError> {
    let mut reconciliation = Reconciliation::default();
    let (mut entered, mut republished, mut left) = (0, 0, 0);
    for entry in database.books.iter() {
        let read = entry.into_inner();
        let (key, value) =
            read.map_err(|error| database.failed("read its reconciliation counters", error))?;
        if let Some(lane_epoch) = keys::read_settled_ranges(&key) {
            reconciliation
                .epochs
                .push(read_ranges(database, lane_epoch, &value)?);
            continue;
        }
        let number = read_number(database, &value)?;
        match <[u8; 1]>::try_from(&*key) {
            Ok(keys::APPLIED) => reconciliation.applied = number,
            Ok(keys::DEAD) => reconciliation.dead = number,
            Ok(keys::SETTLED) => reconciliation.settled = number,
            Ok(keys::REPLAYED) => reconciliation.replayed = number,
            Ok(keys::FOREIGN) => reconciliation.foreign = number,
            Ok(keys::ENTERED) => entered = number,
            Ok(keys::REPUBLISHED) => republished = number,
            Ok(keys::LEFT) => left = number,
            _ => return Err(damaged(database)),
        }
    }
    let (waiting, accepted) = (entered.checked_sub(left), entered.checked_sub(republished));
    let own_queue = waiting.zip(accepted);
    let (waiting, accepted) = own_queue.ok_or_else(|| damaged(database))?;
    reconciliation.own_queue = Some(OwnQueue { accepted, waiting });
    Ok(reconciliation)
}

/// Removes ended epochs whose confirmed numbers are all settled; returns how many, including those that were already
/// removed.
///
/// # Errors
/// If the data directory cannot be read or written, or contains unexpected data.
pub(crate) fn prune(database: &Database, ended: &[LaneConfirmed]) -> Result<u64, DiskError> {
    let mut batch = database.batch();
    let mut pruned = 0;
    for lane_epoch in ended.iter().filter(|lane_epoch| lane_epoch.ended) {
        let (high_watermark, lane_epoch) = (
            lane_epoch.high_watermark,
            (lane_epoch.epoch, lane_epoch.channel),
        );
        let settled_ranges = read_epoch(database, lane_epoch)?;
        if settled_ranges.marked.is_empty() || settled_ranges.is_whole(high_watermark) {
            batch.remove(&database.books, keys::settled_ranges(lane_epoch));
            pruned += 1;
        }
    }
    database.commit("prune finished publisher channels", batch)?;
    Ok(pruned)
}

/// The settled ranges of an epoch; empty if unknown.
fn read_epoch(database: &Database, lane_epoch: (u64, u16)) -> Result<SettledRanges, DiskError> {
    let found = database.books.get(keys::settled_ranges(lane_epoch));
    let found =
        found.map_err(|error| database.failed("read its reconciliation counters", error))?;
    match found {
        Some(value) => read_ranges(database, lane_epoch, &value),
        None => Ok(SettledRanges {
            epoch: lane_epoch.0,
            channel: lane_epoch.1,
            rides: 0,
            marked: Vec::new(),
        }),
    }
}

fn write_ranges(settled_ranges: &SettledRanges) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((1 + 2 * settled_ranges.marked.len()) * NUMBER_BYTES);
    bytes.extend(settled_ranges.rides.to_be_bytes());
    for (first, last) in &settled_ranges.marked {
        bytes.extend(first.to_be_bytes());
        bytes.extend(last.to_be_bytes());
    }
    bytes
}

fn read_ranges(
    database: &Database,
    (epoch, channel): (u64, u16),
    value: &[u8],
) -> Result<SettledRanges, DiskError> {
    let (numbers, rest) = value.as_chunks::<NUMBER_BYTES>();
    let mut numbers = numbers.iter().copied().map(u64::from_be_bytes);
    let rides = numbers
        .next()
        .filter(|_| rest.is_empty() && numbers.len() % 2 == 0);
    let rides = rides.ok_or_else(|| damaged(database))?;
    let firsts_and_lasts: Vec<u64> = numbers.collect();
    let ranges = firsts_and_lasts.as_chunks::<2>().0;
    Ok(SettledRanges {
        epoch,
        channel,
        rides,
        marked: ranges.iter().map(|&[first, last]| (first, last)).collect(),
    })
}

fn read_number(database: &Database, value: &[u8]) -> Result<u64, DiskError> {
    let number = value.try_into().map(u64::from_be_bytes);
    number.map_err(|_| damaged(database))
}

fn damaged(database: &Database) -> DiskError {
    DiskError::Damaged {
        folder: database.folder().to_owned(),
        what: "its reconciliation counters have an unknown format".to_owned(),
    }
}
