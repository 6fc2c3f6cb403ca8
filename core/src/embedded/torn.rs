//! Mends a journal whose end was torn by a power cut.
//!
//! A power cut may leave the last, not yet synced writes with one page on the disk and an earlier one missing. The database
//! drops a batch that is cut short, but refuses to open when one is complete and fails its checksum. Here the journal is cut
//! before that batch, unless what follows proves that it had been synced: then it is no torn end but damage, and for a
//! person to decide on.
//!
//! The form of a journal: <https://docs.rs/crate/fjall/3.1.13/source/src/journal/entry.rs>.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::keys;

/// Ends every batch of version 3 of the database's format.
const TRAILER: &[u8] = b"FJL\x03";
/// Bytes of a batch's start: its tag, the number of items, the sequence number.
const START_BYTES: usize = 1 + 4 + 8;
/// Bytes of an item before its key: tag, kind, compression, table, lengths of key, value and stored value.
const ITEM_HEAD_BYTES: usize = 1 + 1 + 1 + 8 + 2 + 4 + 4;

/// What was cut off.
#[derive(Debug)]
pub(super) struct Cut {
    /// Bytes of the journal that were dropped.
    pub(super) bytes: usize,
    /// Where the journal is kept as it was.
    pub(super) kept: PathBuf,
}

/// Cuts the newest journal of a database before its first batch that fails its checksum, and keeps a copy of it as it was.
/// `None` when there is no such batch, or it had been synced.
pub(super) fn cut_torn_end(database: &Path) -> io::Result<Option<Cut>> {
    let Some(journal) = newest_journal(database)? else {
        return Ok(None);
    };
    let bytes = fs::read(&journal)?;
    let Some(end) = torn_at(&bytes) else {
        return Ok(None);
    };
    let kept = journal.with_extension("torn");
    fs::copy(&journal, &kept)?;
    File::open(&kept)?.sync_all()?;
    let file = File::options().write(true).open(&journal)?;
    file.set_len(end as u64)?;
    file.sync_all()?;
    let written = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |at| at + 1);
    Ok(Some(Cut {
        bytes: written - end,
        kept,
    }))
}

/// The journal with the highest number. All others were synced before it was begun.
fn newest_journal(database: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| is_journal) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// A batch that has its end.
struct Batch {
    start: usize,
    is_intact: bool,
    /// Whether it appends messages. Such a batch is synced before anything is written after it.
    is_append: bool,
}

/// Where to cut: before the first batch that is not intact, unless it is known to have been synced.
fn torn_at(bytes: &[u8]) -> Option<usize> {
    let mut batches = Batches { bytes, at: 0 };
    let torn = batches.find(|batch| !batch.is_intact)?;
    let mut appended = torn.is_append;
    for later in batches.filter(|batch| batch.is_intact) {
        if appended {
            return None;
        }
        appended = later.is_append;
    }
    Some(torn.start)
}

/// The batches of a journal, up to the first bytes that are none.
struct Batches<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let start = self.at;
        let head = self.take(START_BYTES)?;
        let items = u32::from_le_bytes(head[1..5].try_into().ok()?);
        if head[0] != 1 {
            return None;
        }
        let first_item = self.at;
        let (mut count, mut is_append) = (0_u32, false);
        loop {
            match *self.bytes.get(self.at)? {
                2 => is_append |= self.item()?,
                // A whole table is emptied; that is none of our writes.
                4 => drop(self.take(9)?),
                3 => break,
                _ => return None,
            }
            count += 1;
        }
        let checksum = xxh3_64(&self.bytes[first_item..self.at]);
        let end = self.take(1 + 8 + TRAILER.len())?;
        if &end[9..] != TRAILER {
            return None;
        }
        Some(Batch {
            start,
            is_intact: end[1..9] == checksum.to_le_bytes() && count == items,
            is_append,
        })
    }
}

impl<'a> Batches<'a> {
    /// Passes over an item and says whether it is a message that is appended.
    fn item(&mut self) -> Option<bool> {
        let head = self.take(ITEM_HEAD_BYTES)?;
        let kind = head[1];
        let key_bytes = u16::from_le_bytes(head[11..13].try_into().ok()?);
        let value_bytes = u32::from_le_bytes(head[17..21].try_into().ok()?);
        let key = self.take(key_bytes.into())?;
        self.take(value_bytes as usize)?;
        let is_message = key.len() == 9 && key[0] == keys::MESSAGE;
        Some(kind == 0 && is_message)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..count)?;
        self.at += count;
        Some(taken)
    }
}
