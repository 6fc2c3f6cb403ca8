//! Reconciliation in a data directory. It changes in the same atomic write as the ledger and the queue.

use crate::books::{Books, Entries, LaneBook, OwnQueue, Settlement};
use crate::control::heartbeat::LaneConfirmed;
use crate::embedded::{Database, DiskError, keys};

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
    for (life, of_life) in entries.lanes {
        let mut book = read_lane(database, life)?;
        for entry in of_life {
            if book.mark(entry.sequence, entry.rides) {
                let taken = if entry.is_replay {
                    &mut replayed
                } else {
                    &mut settled
                };
                *taken += u64::from(entry.rides);
                dead += u64::from(entry.dead);
            }
        }
        batch.insert(&database.books, keys::lane_book(life), write_book(&book));
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
pub(crate) fn read(database: &Database) -> Result<Books, DiskError> {
    let mut books = Books::default();
    let (mut entered, mut resent, mut left) = (0, 0, 0);
    for entry in database.books.iter() {
        let read = entry.into_inner();
        let (key, value) =
            read.map_err(|error| database.failed("read its reconciliation counters", error))?;
        if let Some(life) = keys::read_lane_book(&key) {
            books.lanes.push(read_book(database, life, &value)?);
            continue;
        }
        let number = read_number(database, &value)?;
        match <[u8; 1]>::try_from(&*key) {
            Ok(keys::APPLIED) => books.applied = number,
            Ok(keys::DEAD) => books.dead = number,
            Ok(keys::SETTLED) => books.settled = number,
            Ok(keys::REPLAYED) => books.replayed = number,
            Ok(keys::FOREIGN) => books.foreign = number,
            Ok(keys::ENTERED) => entered = number,
            Ok(keys::RESENT) => resent = number,
            Ok(keys::LEFT) => left = number,
            _ => return Err(damaged(database)),
        }
    }
    let (waiting, accepted) = (entered.checked_sub(left), entered.checked_sub(resent));
    let own_queue = waiting.zip(accepted);
    let (waiting, accepted) = own_queue.ok_or_else(|| damaged(database))?;
    books.own_queue = Some(OwnQueue { accepted, waiting });
    Ok(books)
}

/// Removes ended epochs whose confirmed numbers are all settled; returns how many, including those that were already
/// removed.
///
/// # Errors
/// If the data directory cannot be read or written, or contains unexpected data.
pub(crate) fn forget(database: &Database, ended: &[LaneConfirmed]) -> Result<u64, DiskError> {
    let mut batch = database.batch();
    let mut forgotten = 0;
    for life in ended.iter().filter(|life| life.ended) {
        let (through, life) = (life.high_watermark, (life.epoch, life.channel));
        let book = read_lane(database, life)?;
        if book.marked.is_empty() || book.is_whole(through) {
            batch.remove(&database.books, keys::lane_book(life));
            forgotten += 1;
        }
    }
    database.commit("prune finished publisher channels", batch)?;
    Ok(forgotten)
}

/// The settled ranges of an epoch; empty if unknown.
fn read_lane(database: &Database, life: (u64, u16)) -> Result<LaneBook, DiskError> {
    let found = database.books.get(keys::lane_book(life));
    let found =
        found.map_err(|error| database.failed("read its reconciliation counters", error))?;
    match found {
        Some(value) => read_book(database, life, &value),
        None => Ok(LaneBook {
            epoch: life.0,
            lane: life.1,
            rides: 0,
            marked: Vec::new(),
        }),
    }
}

fn write_book(book: &LaneBook) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((1 + 2 * book.marked.len()) * NUMBER_BYTES);
    bytes.extend(book.rides.to_be_bytes());
    for (first, last) in &book.marked {
        bytes.extend(first.to_be_bytes());
        bytes.extend(last.to_be_bytes());
    }
    bytes
}

fn read_book(
    database: &Database,
    (epoch, lane): (u64, u16),
    value: &[u8],
) -> Result<LaneBook, DiskError> {
    let (numbers, rest) = value.as_chunks::<NUMBER_BYTES>();
    let mut numbers = numbers.iter().copied().map(u64::from_be_bytes);
    let rides = numbers
        .next()
        .filter(|_| rest.is_empty() && numbers.len() % 2 == 0);
    let rides = rides.ok_or_else(|| damaged(database))?;
    let firsts_and_lasts: Vec<u64> = numbers.collect();
    let ranges = firsts_and_lasts.as_chunks::<2>().0;
    Ok(LaneBook {
        epoch,
        lane,
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
