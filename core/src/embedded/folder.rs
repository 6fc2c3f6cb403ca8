//! Creates a data directory, locks it against a second process, and opens its database.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use fjall::CompressionType;

use super::error::DiskError;
use super::journal::{self, Finding, Synced};

/// The lock file of the process that uses the directory.
const LOCK_FILE: &str = "lock";
/// Owner only: rides are personal data.
const FOLDER_MODE: u32 = 0o700;
/// Memory of the block cache.
const CACHE_BYTES: u64 = 32 << 20;
/// Size of the journals that are replayed at start: the minimum of the database.
const JOURNALS_BYTES: u64 = 64 << 20;
/// Threads that flush and merge tables: one for each.
const MAINTENANCE_THREADS: usize = 2;

/// The lock of a directory: it keeps other processes out until it is dropped.
pub(super) struct FolderLock {
    folder: PathBuf,
    file: File,
}

impl FolderLock {
    /// Creates the directory if necessary, and locks it.
    pub(super) fn make(folder: &Path) -> Result<Self, DiskError> {
        let failed = |error: io::Error| DiskError::open(folder, error.into());
        make_folder(folder).map_err(failed)?;
        let mut options = File::options();
        let options = options.create(true).write(true).truncate(false);
        let file = options.open(folder.join(LOCK_FILE)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                folder: folder.to_owned(),
                file,
            }),
            Err(TryLockError::WouldBlock) => Err(DiskError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Checks that the directory is still the one that was locked: writes to one that was removed or replaced succeed, and are lost.
    ///
    /// # Errors
    /// If it is not.
    pub(super) fn check(&self) -> Result<(), DiskError> {
        let here = std::fs::metadata(self.folder.join(LOCK_FILE));
        let locked = self.file.metadata();
        let is_same = here
            .ok()
            .zip(locked.ok())
            .is_some_and(|(here, locked)| (here.dev(), here.ino()) == (locked.dev(), locked.ino()));
        if is_same {
            Ok(())
        } else {
            Err(DiskError::Removed(self.folder.clone()))
        }
    }
}

/// Creates the directory and its parents durably, so that they survive a power failure.
fn make_folder(folder: &Path) -> io::Result<()> {
    let folder = std::path::absolute(folder)?;
    let above = folder.ancestors();
    let missing: Vec<&Path> = above.take_while(|above| !above.exists()).collect();
    if missing.is_empty() && !folder.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE).create(&folder)?;
    let mut changed = missing.iter().filter_map(|made| made.parent());
    changed.try_for_each(sync_folder)
}

/// Opens the database `name` of a locked directory, and creates it if necessary. A torn end of its journal is truncated.
pub(super) fn open_database(
    folder: &Path,
    name: &str,
    synced: Synced,
) -> Result<fjall::Database, DiskError> {
    let failed = |error: fjall::Error| DiskError::open(folder, error);
    let database = folder.join(name);
    make_database(folder, name).map_err(failed)?;
    if let Some(stray) = stray(&database).map_err(|error| failed(error.into()))? {
        return Err(DiskError::Stray {
            folder: folder.to_owned(),
            stray: stray.strip_prefix(folder).unwrap_or(&stray).to_owned(),
        });
    }
    match journal::check(&database, synced).map_err(|error| failed(error.into()))? {
        Finding::Whole => {}
        Finding::Cut { bytes, kept } => tracing::warn!(
            "the end of the journal is torn, as after a power failure: its last {bytes} bytes are dropped. They contain no synced data, unless the disk itself lost it. They are kept in {}; delete that file if nothing is missing",
            kept.display()
        ),
        Finding::Damaged { journal, at } => {
            return Err(DiskError::Damaged {
                folder: folder.to_owned(),
                what: format!("the journal {} is damaged at byte {at}", journal.display()),
            });
        }
    }
    open(&database).map_err(failed)
}

/// A file of others in places where the database takes every name for a number of its own: journals, keyspaces and their tables.
fn stray(database: &Path) -> io::Result<Option<PathBuf>> {
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let first = |directory: &Path, is_ours: &dyn Fn(&str) -> bool| -> io::Result<Option<PathBuf>> {
        if !directory.is_dir() {
            return Ok(None);
        }
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(is_ours) {
                return Ok(Some(entry.path()));
            }
        }
        Ok(None)
    };
    let keyspaces = database.join("keyspaces");
    let is_journal = |name: &str| name.strip_suffix(".jnl").is_none_or(is_number);
    let found = first(database, &is_journal)?.or(first(&keyspaces, &is_number)?);
    if found.is_some() || !keyspaces.is_dir() {
        return Ok(found);
    }
    for keyspace in std::fs::read_dir(keyspaces)? {
        if let Some(stray) = first(&keyspace?.path().join("tables"), &is_number)? {
            return Ok(Some(stray));
        }
    }
    Ok(None)
}

/// Creates an empty database if there is none. It is created under a temporary name: an incomplete one left by a process
/// that ended cannot be opened, and is created again.
fn make_database(folder: &Path, name: &str) -> fjall::Result<()> {
    let (making, made) = (folder.join(format!("{name}.new")), folder.join(name));
    if made.try_exists()? {
        return Ok(());
    }
    if making.try_exists()? {
        std::fs::remove_dir_all(&making)?;
    }
    DirBuilder::new().mode(FOLDER_MODE).create(&making)?;
    drop(open(&making)?);
    std::fs::rename(making, made)?;
    Ok(sync_folder(folder)?)
}

fn open(path: &Path) -> fjall::Result<fjall::Database> {
    fjall::Database::builder(path)
        .cache_size(CACHE_BYTES)
        .max_journaling_size(JOURNALS_BYTES)
        .worker_threads(MAINTENANCE_THREADS)
        // Recovery recompresses a journal's values to check them: another version of the library may compress differently.
        .journal_compression(CompressionType::None)
        .open()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
