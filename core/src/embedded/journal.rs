//! Distinguishes a torn end of a journal from damage, before the database opens it.
//!
//! The last writes before a crash were not synced: the disk may have all of them, some, or one page but not the page before
//! it. The database rejects a complete batch with a wrong checksum, panics (in a debug build) at a truncated one, and where
//! bytes are not a batch at all it drops everything that follows, synced or not. So each journal is read here first, and the
//! database never sees a torn end. The bytes after a bad position distinguish the two cases: a batch that appends messages
//! is synced before anything is written after it, so an intact one followed by another one proves that the bad position had
//! been synced too. Then it is damage, which an operator must handle; otherwise it is a torn end, which is truncated. Where
//! every batch is synced, one following batch is proof enough.
//!
//! The format of a journal: <https://docs.rs/crate/fjall/3.1.13/source/src/journal/entry.rs>.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use memchr::memmem;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use xxhash_rust::xxh3::xxh3_64;

use super::keys;

/// Ends every batch of version 3 of the database's format.
const TRAILER: &[u8] = b"FJL\x03";
/// Bytes of a batch's start: its tag, the number of items, the sequence number.
const START_BYTES: usize = 1 + 4 + 8;
/// Bytes of an item before its key: tag, kind, compression, table, lengths of key, value and stored value.
const ITEM_HEAD_BYTES: usize = 1 + 1 + 1 + 8 + 2 + 4 + 4;

/// Which batches of a database are synced before anything is written after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Synced {
    /// Those that append messages to the queue.
    Appends,
    /// Every one.
    All,
}

/// The state of the journals of a database.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The database can open them.
    Whole,
    /// The end of the newest one was torn, and was truncated.
    Cut {
        /// Bytes that were dropped.
        bytes: usize,
        /// The file that keeps them.
        kept: PathBuf,
    },
    /// Synced data is corrupt.
    Damaged {
        /// The damaged journal.
        journal: PathBuf,
        /// The first bad batch in it, in bytes.
        at: usize,
    },
}

/// Checks all journals of a database, and truncates a torn end of the newest one, which is kept in a separate file.
pub(super) fn check(database: &Path, synced: Synced) -> io::Result<Finding> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| is_journal) {
            journals.push((number, path));
        }
    }
    journals.sort_unstable();
    let newest = journals.pop();
    // These were synced before the next one was started.
    for (_, journal) in journals {
        let bytes = read(&journal)?;
        if let Some(bad) = first_bad(&bytes, synced) {
            let at = bad.at;
            return Ok(Finding::Damaged { journal, at });
        }
    }
    let Some((_, journal)) = newest else {
        return Ok(Finding::Whole);
    };
    let bytes = read(&journal)?;
    match first_bad(&bytes, synced) {
        None => Ok(Finding::Whole),
        Some(Bad {
            at,
            was_synced: true,
        }) => Ok(Finding::Damaged { journal, at }),
        Some(Bad { at, .. }) => cut(&journal, &bytes, at),
    }
}

/// Reads a journal from disk. After a failed sync the page cache may contain data that the disk does not.
fn read(journal: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(journal)?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn cut(journal: &Path, bytes: &[u8], at: usize) -> io::Result<Finding> {
    let kept = journal.with_extension("torn");
    let torn = &bytes[at..written(bytes)];
    let mut file = File::create(&kept)?;
    file.write_all(torn)?;
    file.sync_all()?;
    let file = File::options().write(true).open(journal)?;
    file.set_len(at as u64)?;
    file.sync_all()?;
    Ok(Finding::Cut {
        bytes: torn.len(),
        kept,
    })
}

/// Position of the trailing zeros with which a journal is preallocated.
fn written(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1)
}

/// The first position in a journal that is not an intact batch.
struct Bad {
    at: usize,
    /// Whether the following bytes prove that it had been synced.
    was_synced: bool,
}

fn first_bad(bytes: &[u8], synced: Synced) -> Option<Bad> {
    let bytes = &bytes[..written(bytes)];
    let mut batches = Batches { bytes, at: 0 };
    let mut at = 0;
    let complete = loop {
        match batches.next() {
            Some(batch) if batch.is_intact => at = batches.at,
            other => break other,
        }
    };
    if at == bytes.len() {
        return None;
    }
    let mut appended =
        synced == Synced::All || complete.as_ref().is_some_and(|batch| batch.is_append);
    let mut was_synced = false;
    // Another batch may start after each trailer.
    for trailer in memmem::find_iter(&bytes[at..], TRAILER) {
        let start = at + trailer + TRAILER.len();
        let mut following = Batches { bytes, at: start };
        if let Some(batch) = following.next().filter(|batch| batch.is_intact) {
            was_synced |= appended;
            appended |= batch.is_append;
        }
    }
    Some(Bad { at, was_synced })
}

/// A complete batch.
struct Batch {
    is_intact: bool,
    /// Whether it appends messages. Such a batch is synced before anything is written after it.
    is_append: bool,
}

/// The batches of a journal, up to the first bytes that are not a batch.
struct Batches<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
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
                // Clears a whole table, which Skilift never does.
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
            is_intact: end[1..9] == checksum.to_le_bytes() && count == items,
            is_append,
        })
    }
}

impl<'a> Batches<'a> {
    /// Skips an item and returns whether it is an appended message.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::Database;

    /// The journal's form is fjall's own and no part of its promises: what the linked version writes is read here.
    #[test]
    fn a_journal_of_the_linked_version_is_read_batch_by_batch() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path()).unwrap();
        let journal = directory.path().join("rides/0.jnl");
        let begins_at = written(&read(&journal).unwrap());

        let message = |number: u64| [&[keys::MESSAGE][..], &number.to_be_bytes()].concat();
        let mut append = database.batch();
        append.insert(&database.queue, message(1), "a message");
        append.insert(&database.queue, keys::CURSOR, [0; 16]);
        database.commit_synced("append", append).unwrap();
        let mut apply = database.batch();
        apply.insert(&database.rides, "a skier's day", vec![7; 70_000]);
        apply.remove(&database.queue, message(1));
        database.commit("apply", apply).unwrap();
        let bytes = read(&journal).unwrap();
        let end = written(&bytes);

        assert!(first_bad(&bytes, Synced::Appends).is_none());
        let mut batches = Batches {
            bytes: &bytes[..end],
            at: begins_at,
        };
        let mut is_append = Vec::new();
        for batch in batches.by_ref() {
            assert!(batch.is_intact);
            is_append.push(batch.is_append);
        }
        assert_eq!(is_append, [true, false]);
        assert_eq!(batches.at, end);
    }
}
