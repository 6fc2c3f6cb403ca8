//! The data folder: queue and store of a single process, in one database.
//!
//! - [`Database`]: what is written atomically, and how. `keys`: what stands under which key. [`DiskError`]: what goes wrong.
//! - [`records`]: a folder of JSON records with a database of its own, for who is neither queue nor store.
//! - `folder`: makes the folder, keeps a second process out, opens the database. `journal`: tells a journal's torn end from
//!   damage.
//!
//! Its queue is [`crate::queue::embedded`], its store [`crate::store::embedded`], and what ties them together
//! [`crate::engine::embedded`].
//!
//! Nothing here goes on after a failed write or sync: what the system did with the pages is not known then
//! (<https://www.usenix.org/conference/atc20/presentation/rebello>), so that the process ends, and finds out at its next start
//! what the disk has.

mod error;
mod folder;
mod journal;
pub(crate) mod keys;
pub mod records;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::config::{FilterPolicy, HashRatioPolicy, PartitioningPolicy, PinningPolicy};
use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};
use nix::sys::statvfs::statvfs;
use tokio::sync::Mutex;

pub use error::DiskError;
use journal::Synced;

/// The version of the data's layout. A folder of a newer one is refused.
pub const FORMAT: u32 = 1;

/// The folder of the database within the data folder.
const SUBFOLDER: &str = "rides";
/// Size at which the rides in memory of one table are written out. There may be several of these for each table.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// Buckets of a block's hash index for each of its keys: with it a key is found without a search.
const HASH_RATIO: f32 = 0.75;
/// Bytes of the disk that are left for the journal that is begun next and for merging tables.
const RESERVED_BYTES: u64 = 64 << 20;

/// An open data folder. It is this process' alone until it is dropped.
pub struct Database {
    folder: PathBuf,
    database: fjall::Database,
    /// Resort day and skier to packed rides: the ledger.
    pub(crate) rides: Keyspace,
    /// Skier and resort day, without a value.
    pub(crate) skiers: Keyspace,
    /// What is known of resort days and seasons, and the format.
    pub(crate) days: Keyspace,
    /// Messages and the queue's positions.
    pub(crate) queue: Keyspace,
    /// Dead letters.
    pub(crate) dead: Keyspace,
    /// The books.
    pub(crate) books: Keyspace,
    /// Held by whoever reads the ledger in order to write it, until what he writes is there.
    pub(crate) ledger_turn: Arc<Mutex<()>>,
    /// Keeps other processes out; let go last.
    _lock: File,
}

impl Database {
    /// Opens a data folder, which is created when it is not there. It reads the journals, so that it may take a second or two.
    ///
    /// # Errors
    /// When another process has it open, it cannot be written, it is damaged, or its layout is newer.
    pub fn open(folder: &Path) -> Result<Self, DiskError> {
        let failed = |error: fjall::Error| DiskError::open(folder, error);
        let lock = folder::make_and_lock(folder).map_err(|error| failed(error.into()))?;
        let lock = lock.ok_or_else(|| DiskError::InUse(folder.to_owned()))?;
        let database = folder::open_database(folder, SUBFOLDER, Synced::Appends)?;
        // Filters and indexes stay in memory: two bytes for each of a table's keys, and a question reads one block.
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .filter_block_partitioning_policy(PartitioningPolicy::all(false))
                .filter_block_pinning_policy(PinningPolicy::all(true))
                .index_block_partitioning_policy(PartitioningPolicy::all(false))
                .index_block_pinning_policy(PinningPolicy::all(true))
                .data_block_hash_ratio_policy(HashRatioPolicy::all(HASH_RATIO))
        };
        let table = |name| database.keyspace(name, options).map_err(failed);
        // Read by ranges, or by keys that are there: nobody asks whether a key is there.
        let unfiltered = || options().filter_policy(FilterPolicy::disabled());
        let unfiltered_table = |name| database.keyspace(name, unfiltered).map_err(failed);
        let opened = Self {
            folder: folder.to_owned(),
            rides: table("rides")?,
            skiers: unfiltered_table("skiers")?,
            days: table("days")?,
            queue: unfiltered_table("queue")?,
            dead: table("dead")?,
            books: unfiltered_table("books")?,
            database,
            ledger_turn: Arc::default(),
            _lock: lock,
        };
        opened.check_format()?;
        Ok(opened)
    }

    fn check_format(&self) -> Result<(), DiskError> {
        let failed = |error| DiskError::open(&self.folder, error);
        match self.days.get(keys::FORMAT).map_err(failed)? {
            Some(found) => match <[u8; 4]>::try_from(&*found).map(u32::from_be_bytes) {
                Ok(version) if version <= FORMAT => Ok(()),
                _ => Err(DiskError::NewerFormat {
                    folder: self.folder.clone(),
                }),
            },
            None => {
                let mut batch = self.batch();
                batch.insert(&self.days, keys::FORMAT, FORMAT.to_be_bytes());
                self.commit_synced("write its format", batch)
            }
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A write that happens as a whole or not at all.
    pub(crate) fn batch(&self) -> fjall::OwnedWriteBatch {
        self.database.batch()
    }

    /// Writes so that a crash of this process loses nothing; one of the machine may.
    pub(crate) fn commit(
        &self,
        doing: &'static str,
        batch: fjall::OwnedWriteBatch,
    ) -> Result<(), DiskError> {
        let batch = batch.durability(Some(PersistMode::Buffer));
        batch.commit().map_err(|error| self.failed(doing, error))
    }

    /// Writes so that no crash loses anything: it returns after `fdatasync`.
    pub(crate) fn commit_synced(
        &self,
        doing: &'static str,
        batch: fjall::OwnedWriteBatch,
    ) -> Result<(), DiskError> {
        let batch = batch.durability(Some(PersistMode::SyncData));
        batch.commit().map_err(|error| self.failed(doing, error))
    }

    /// Finds out whether a write failed where nobody waited for it, as when tables are written out.
    pub(crate) fn check(&self) -> Result<(), DiskError> {
        let written = self.database.persist(PersistMode::Buffer);
        written.map_err(|error| self.failed("write its tables", error))
    }

    /// Names what failed.
    pub(crate) fn failed(&self, doing: &'static str, error: fjall::Error) -> DiskError {
        // It failed before, where nobody was told why.
        let is_later = matches!(error, fjall::Error::Poisoned);
        if is_later && self.free_bytes().is_ok_and(|free| free < MEMTABLE_BYTES) {
            return DiskError::Full(self.folder.clone());
        }
        DiskError::failed(&self.folder, doing, error)
    }

    /// Runs what may wait for the disk where nothing else waits for it.
    pub(crate) async fn off_thread<T: Send + 'static, E: From<DiskError> + Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let database = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&database)).await {
            Ok(outcome) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(DiskError::Ending.into()),
            },
        }
    }

    /// Bytes that the database takes, and that it may take in all: what is free on the disk comes on top, less a reserve.
    pub(crate) fn space(&self) -> Result<(u64, u64), DiskError> {
        let doing = "tell its size";
        let used = self.database.disk_space();
        let used = used.map_err(|error| self.failed(doing, error))?;
        let free = self.free_bytes();
        let free = free.map_err(|error| self.failed(doing, error.into()))?;
        Ok((used, used + free.saturating_sub(RESERVED_BYTES)))
    }

    /// Bytes that are free on its disk.
    fn free_bytes(&self) -> io::Result<u64> {
        let disk = statvfs(&self.folder)?;
        Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
    }
}
