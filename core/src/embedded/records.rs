//! A directory of JSON records in named tables, for small amounts of data that must not be lost.
//!
//! Every write is an atomic batch, and is on disk when the call returns. Reads are served from memory or the page cache, and
//! take microseconds.

pub mod copy;

use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::DiskError;
use super::folder::{self, FolderLock};
use super::journal::Synced;

/// The version of the layout. A directory with a newer version is rejected.
pub const FORMAT: u32 = 1;

/// The subdirectory of the database.
const SUBFOLDER: &str = "records";
/// The table of the format, whose name is reserved.
const FORMAT_TABLE: &str = "format";
/// Its one key.
const FORMAT_KEY: &[u8] = b"format";
/// Maximum key length. The limit of the database is higher.
const MAX_KEY_BYTES: usize = 1024;
/// Memtable size at which the records of one table are flushed.
const MEMTABLE_BYTES: u64 = 1 << 20;

/// An open directory of records. It is locked by this process until it and its tables are dropped.
pub struct Records {
    folder: PathBuf,
    database: fjall::Database,
    /// Locks out other processes; dropped last.
    lock: FolderLock,
}

/// One table: records of one form, each under a key, sorted by their keys' bytes. Keys have 1 to 1024 bytes. Numbers as keys are big endian.
pub struct Table<T> {
    records: Arc<Records>,
    keyspace: Keyspace,
    form: PhantomData<fn(T) -> T>,
}

/// A batch of changes to any tables of one directory.
#[derive(Default)]
pub struct WriteBatch(Vec<(Keyspace, Vec<u8>, Option<Vec<u8>>)>);

impl Records {
    /// Opens a directory, and creates it if necessary.
    ///
    /// # Errors
    /// If another process has it open, it cannot be written, it is damaged, or its layout is newer.
    pub fn open(folder: &Path) -> Result<Arc<Self>, DiskError> {
        let lock = FolderLock::make(folder)?;
        let opened = Arc::new(Self {
            folder: folder.to_owned(),
            database: folder::open_database(folder, SUBFOLDER, Synced::All)?,
            lock,
        });
        opened.check_format()?;
        Ok(opened)
    }

    fn check_format(self: &Arc<Self>) -> Result<(), DiskError> {
        let table = self.table::<u32>(FORMAT_TABLE)?;
        match table.get(FORMAT_KEY)? {
            Some(found) if found <= FORMAT => Ok(()),
            Some(_) => Err(DiskError::NewerFormat {
                folder: self.folder.clone(),
            }),
            None => {
                let mut changes = WriteBatch::default();
                table.put(&mut changes, FORMAT_KEY, &FORMAT);
                self.commit_here("write its format", changes)
            }
        }
    }

    /// Checks that the directory is still there.
    ///
    /// # Errors
    /// If it was removed or replaced.
    pub fn check(&self) -> Result<(), DiskError> {
        self.lock.check()
    }

    /// Opens a table, and creates it if necessary. Its record type must be the same each time.
    ///
    /// # Errors
    /// If it cannot be created or opened.
    pub fn table<T>(self: &Arc<Self>, name: &str) -> Result<Table<T>, DiskError> {
        Ok(Table {
            records: Arc::clone(self),
            keyspace: self.keyspace(name)?,
            form: PhantomData,
        })
    }

    fn keyspace(&self, name: &str) -> Result<Keyspace, DiskError> {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let opened = self.database.keyspace(name, options);
        opened.map_err(|error| DiskError::open(&self.folder, error))
    }

    /// Writes all changes atomically, and returns when they are on disk. The write completes even if the caller is
    /// cancelled. `doing` describes the purpose in error messages, as a verb phrase.
    ///
    /// # Errors
    /// If the write failed. What is on disk is only certain after the next start, so the process should end.
    pub async fn commit(
        self: &Arc<Self>,
        doing: &'static str,
        changes: WriteBatch,
    ) -> Result<(), DiskError> {
        let records = Arc::clone(self);
        let writing = tokio::task::spawn_blocking(move || records.commit_here(doing, changes));
        match writing.await {
            Ok(written) => written,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(DiskError::Ending),
            },
        }
    }

    /// As [`Self::commit`], on this thread.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_here(&self, doing: &'static str, changes: WriteBatch) -> Result<(), DiskError> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for (keyspace, key, value) in changes.0 {
            match value {
                Some(value) => batch.insert(&keyspace, key, value),
                None => batch.remove(&keyspace, key),
            }
        }
        let written = batch.commit();
        written.map_err(|error| DiskError::failed(&self.folder, doing, error))
    }
}

impl WriteBatch {
    /// Appends other changes.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Serialize + DeserializeOwned> Table<T> {
    /// The record under a key.
    ///
    /// # Errors
    /// If the disk cannot be read, or the record cannot be parsed.
    pub fn get(&self, key: &[u8]) -> Result<Option<T>, DiskError> {
        // Keys may come from unauthenticated requests.
        if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
            return Ok(None);
        }
        let found = self.keyspace.get(key).map_err(|error| self.unread(error))?;
        found.map(|value| self.parse(key, &value)).transpose()
    }

    /// At most `limit` records of a range of keys, in order.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn range(
        &self,
        keys: impl RangeBounds<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, DiskError> {
        self.collect(self.keyspace.range(keys).take(limit))
    }

    /// At most `limit` records of a range of keys, in reverse order.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn range_back(
        &self,
        keys: impl RangeBounds<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, DiskError> {
        self.collect(self.keyspace.range(keys).rev().take(limit))
    }

    /// The number of records. It iterates over all keys.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn count(&self) -> Result<usize, DiskError> {
        self.keyspace.len().map_err(|error| self.unread(error))
    }

    fn collect(
        &self,
        found: impl Iterator<Item = fjall::Guard>,
    ) -> Result<Vec<(Vec<u8>, T)>, DiskError> {
        let read = |entry: fjall::Guard| {
            let (key, value) = entry.into_inner().map_err(|error| self.unread(error))?;
            Ok((key.to_vec(), self.parse(&key, &value)?))
        };
        found.map(read).collect()
    }

    fn parse(&self, key: &[u8], value: &[u8]) -> Result<T, DiskError> {
        serde_json::from_slice(value).map_err(|error| DiskError::Damaged {
            folder: self.records.folder.clone(),
            what: format!(
                "the record {:?} of table {} has an unknown format ({error})",
                String::from_utf8_lossy(key),
                self.keyspace.name()
            ),
        })
    }

    fn unread(&self, error: fjall::Error) -> DiskError {
        DiskError::failed(&self.records.folder, "read a record", error)
    }

    /// Adds this record to `changes`.
    pub fn put(&self, changes: &mut WriteBatch, key: &[u8], record: &T) {
        // The record types have text keys and only JSON numbers, so they can always be serialised.
        let value = serde_json::to_vec(record).unwrap_or_default();
        let change = (self.keyspace.clone(), key.to_vec(), Some(value));
        changes.0.push(change);
    }

    /// Adds the removal of this key to `changes`.
    pub fn remove(&self, changes: &mut WriteBatch, key: &[u8]) {
        changes.0.push((self.keyspace.clone(), key.to_vec(), None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    #[test]
    fn records_come_back_in_order_from_both_ends() {
        let folder = tempfile::tempdir().unwrap();
        {
            let records = Records::open(folder.path()).unwrap();
            let table = records.table::<String>("names").unwrap();
            let mut changes = WriteBatch::default();
            for each in 0..300 {
                table.put(&mut changes, &number(each), &format!("name {each}"));
            }
            table.remove(&mut changes, &number(7));
            records.commit_here("write names", changes).unwrap();
            assert!(matches!(
                Records::open(folder.path()),
                Err(DiskError::InUse(_))
            ));
        }
        let records = Records::open(folder.path()).unwrap();
        let table = records.table::<String>("names").unwrap();
        assert_eq!(
            table.get(&number(255)).unwrap().as_deref(),
            Some("name 255")
        );
        assert_eq!(table.get(&number(7)).unwrap(), None);
        for nobodys in [&b""[..], &[0; 100_000]] {
            assert_eq!(table.get(nobodys).unwrap(), None);
        }
        assert_eq!(table.count().unwrap(), 299);
        let numbers = |found: Vec<(Vec<u8>, String)>| -> Vec<u8> {
            found.iter().map(|(key, _)| key[7]).collect()
        };
        assert_eq!(numbers(table.range(number(5).., 3).unwrap()), [5, 6, 8]);
        assert_eq!(
            numbers(table.range_back(..number(10), 4).unwrap()),
            [9, 8, 6, 5]
        );
        // Another form is not mistaken for this one.
        let other = records.table::<u32>("names").unwrap();
        assert!(matches!(
            other.get(&number(1)),
            Err(DiskError::Damaged { .. })
        ));
    }

    #[test]
    fn damage_before_another_batch_is_told_and_a_torn_end_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| {
            let records = Records::open(folder.path()).unwrap();
            let table = records.table::<String>("names").unwrap();
            let mut changes = WriteBatch::default();
            table.put(&mut changes, text.as_bytes(), &text.to_owned());
            records.commit_here("write a name", changes).unwrap();
        };
        write("the first one");
        write("the second one");
        let journals = std::fs::read_dir(folder.path().join(SUBFOLDER)).unwrap();
        let journal = journals
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|end| end == "jnl"))
            .unwrap();
        let whole = std::fs::read(&journal).unwrap();
        let spoil = |what: &[u8]| {
            let at = memchr::memmem::find(&whole, what).unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&journal, bytes).unwrap();
        };
        spoil(b"the first one");
        assert!(matches!(
            Records::open(folder.path()),
            Err(DiskError::Damaged { .. })
        ));
        spoil(b"the second one");
        let records = Records::open(folder.path()).unwrap();
        let table = records.table::<String>("names").unwrap();
        assert!(table.get(b"the first one").unwrap().is_some());
        assert!(table.get(b"the second one").unwrap().is_none());
    }
}
