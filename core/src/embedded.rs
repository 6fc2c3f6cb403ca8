//! The data directory: queue and store of a single process, in one database.
//!
//! - [`Database`]: atomic and durable writes. `keys`: the key layout. [`DiskError`]: the errors.
//! - [`records`]: a directory of JSON records with a separate database, for data other than queue and store.
//! - `folder`: creates and locks the directory, and opens the database. `journal`: distinguishes a torn end of a journal
//!   from damage.
//!
//! Its queue is [`crate::queue::embedded`], its store [`crate::store::embedded`], and the engine that combines them
//! [`crate::engine::embedded`].
//!
//! The process does not continue after a failed write or sync: the state of the written pages is then unknown
//! (<https://www.usenix.org/conference/atc20/presentation/rebello>), so it ends, and reads at its next start what is on
//! disk.

mod error;
mod folder;
mod journal;
pub(crate) mod keys;
pub mod records;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::config::{FilterPolicy, HashRatioPolicy, PartitioningPolicy, PinningPolicy};
use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};
use nix::sys::statvfs::statvfs;
use tokio::sync::Mutex;

pub use error::DiskError;
use folder::FolderLock;
use journal::Synced;

/// The version of the data layout. A directory with a newer version is rejected.
pub const FORMAT: u32 = 1;

/// The subdirectory of the database within the data directory.
const SUBFOLDER: &str = "rides";
/// Memtable size at which the rides of one table are flushed. A table may have several memtables.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// Buckets of a block's hash index per key: with it a key is found without a search.
const HASH_RATIO: f32 = 0.75;
/// Bytes of the disk that are reserved for the next journal and for merging tables.
const RESERVED_BYTES: u64 = 64 << 20;

/// An open data directory. It is locked by this process until it is dropped.
pub struct Database {
    folder: PathBuf,
    database: fjall::Database,
    /// Resort day and skier to packed rides: the ledger.
    pub(crate) rides: Keyspace,
    /// Skier and resort day, without a value.
    pub(crate) skiers: Keyspace,
    /// Counters of resort days, seasons, and the format.
    pub(crate) days: Keyspace,
    /// Messages and the queue's positions.
    pub(crate) queue: Keyspace,
    /// Dead letters.
    pub(crate) dead: Keyspace,
    /// Reconciliation counters and settled ranges.
    pub(crate) books: Keyspace,
    /// Write lock of the ledger: held from reading the ledger until the write based on it is done.
    pub(crate) ledger_lock: Arc<Mutex<()>>,
    /// Locks out other processes; dropped last.
    lock: FolderLock,
}

impl Database {
    /// Opens a data directory, and creates it if necessary. It reads the journals, so it may take a second or two.
    ///
    /// # Errors
    /// If another process has it open, it cannot be written, it is damaged, or its layout is newer.
    pub fn open(folder: &Path) -> Result<Self, DiskError> {
        let failed = |error: fjall::Error| DiskError::open(folder, error);
        let lock = FolderLock::make(folder)?;
        let database = folder::open_database(folder, SUBFOLDER, Synced::Appends)?;
        // Filters and indexes stay in memory: two bytes per key, and a query reads one block.
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
        // Read by range, or by existing keys: no filter is needed for lookups of missing keys.
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
            ledger_lock: Arc::default(),
            lock,
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

    /// The directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// An atomic write batch.
    pub(crate) fn batch(&self) -> fjall::OwnedWriteBatch {
        self.database.batch()
    }

    /// Commits so that a crash of this process loses nothing; a crash of the host may.
    pub(crate) fn commit(
        &self,
        doing: &'static str,
        batch: fjall::OwnedWriteBatch,
    ) -> Result<(), DiskError> {
        let batch = batch.durability(Some(PersistMode::Buffer));
        batch.commit().map_err(|error| self.failed(doing, error))
    }

    /// Commits durably: it returns after `fdatasync`.
    pub(crate) fn commit_synced(
        &self,
        doing: &'static str,
        batch: fjall::OwnedWriteBatch,
    ) -> Result<(), DiskError> {
        let batch = batch.durability(Some(PersistMode::SyncData));
        batch.commit().map_err(|error| self.failed(doing, error))
    }

    /// Checks that the directory is still there, and whether a background write failed, such as flushing tables.
    pub(crate) fn check(&self) -> Result<(), DiskError> {
        self.lock.check()?;
        let written = self.database.persist(PersistMode::Buffer);
        written.map_err(|error| self.failed("flush its tables", error))
    }

    /// Creates the error of a failed operation.
    pub(crate) fn failed(&self, doing: &'static str, error: fjall::Error) -> DiskError {
        // A background write failed before, without reporting the cause.
        let is_later = matches!(error, fjall::Error::Poisoned);
        if is_later && self.free_bytes().is_ok_and(|free| free < MEMTABLE_BYTES) {
            return DiskError::Full(self.folder.clone());
        }
        DiskError::failed(&self.folder, doing, error)
    }

    /// Runs blocking disk operations on a separate thread.
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

    /// Bytes used by the database, and its limit: the used bytes plus free disk space, minus a reserve.
    pub(crate) fn space(&self) -> Result<(u64, u64), DiskError> {
        let doing = "report its size";
        let used = self.database.disk_space();
        let used = used.map_err(|error| self.failed(doing, error))?;
        let free = self.free_bytes();
        let free = free.map_err(|error| self.failed(doing, error.into()))?;
        Ok((used, used + free.saturating_sub(RESERVED_BYTES)))
    }

    /// Free bytes on its disk.
    fn free_bytes(&self) -> io::Result<u64> {
        let disk = statvfs(&self.folder)?;
        Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
    }
}
