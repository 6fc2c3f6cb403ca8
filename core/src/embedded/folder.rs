//! Makes a data folder, keeps a second process out of it, and opens its database.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use fjall::CompressionType;

use super::error::DiskError;
use super::journal::{self, Finding, Synced};

/// The file by which one process keeps others out.
const LOCK_FILE: &str = "lock";
/// Owner only: rides say where somebody was.
const FOLDER_MODE: u32 = 0o700;
/// Memory for blocks of tables that were read.
const CACHE_BYTES: u64 = 32 << 20;
/// Size of the journals that are read again at start, the least that the database allows.
const JOURNALS_BYTES: u64 = 64 << 20;
/// Threads that write tables out and merge them: one does the first while the other does the second.
const MAINTENANCE_THREADS: usize = 2;

/// Creates the folder if it is not there, and locks it; `None` when another process has.
pub(super) fn make_and_lock(folder: &Path) -> io::Result<Option<File>> {
    make_folder(folder)?;
    let mut options = File::options();
    let options = options.create(true).write(true).truncate(false);
    let file = options.open(folder.join(LOCK_FILE))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Creates the folder, and those above it, so that a power cut does not take them away again.
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

/// Opens the database `name` of a locked folder, which is made when it is not there. A torn end of its journal is cut off.
pub(super) fn open_database(
    folder: &Path,
    name: &str,
    synced: Synced,
) -> Result<fjall::Database, DiskError> {
    let failed = |error: fjall::Error| DiskError::open(folder, error);
    let database = folder.join(name);
    make_database(folder, name).map_err(failed)?;
    match journal::check(&database, synced).map_err(|error| failed(error.into()))? {
        Finding::Whole => {}
        Finding::Cut { bytes, kept } => tracing::warn!(
            "the journal's end is torn, as after a power cut: its last {bytes} bytes are dropped. What was synced is not in \
             them, unless the disk itself lost it. They are kept in {}; delete it when nothing is missing",
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

/// Makes an empty database if there is none. It is made under another name: one that was half made when a process ended
/// cannot be opened, and is made anew.
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
        // Recovery compresses a journal's values again to check them: another version of the library may do it differently.
        .journal_compression(CompressionType::None)
        .open()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
