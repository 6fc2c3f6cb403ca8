//! Days that were moved from Redis to files, which are read by skier without reading all of a day.
//!
//! A day is two files in `STACK/resort-R/season-S/` of the archive:
//!
//! - `day-DDD.ndjson.gz`: its rides by skier and time, each a line of JSON as `POST /rides` accepts it. The file is a series of gzip
//!   members (RFC 1952, section 2.2), which every tool reads as one file. No skier's rides are in two members.
//! - `day-DDD.index`: an entry of 12 bytes for each skier, by skier: the skier (u32) and the offset of its member (u64), big endian.
//!   The first entry is of the number 0, which no skier has, with the count of skiers: so an index that was cut off is recognised.
//!
//! Counts and hashes of both are an [`ArchivedDay`], which stays in Redis: a file that is not what was archived is never answered
//! from.

mod reading;
mod writing;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::packed::Boarding;
use crate::ride::{ResortDay, SkierId};
use crate::stack::StackName;

/// Bytes of one entry of the index.
const ENTRY_BYTES: usize = 12;

/// The rides of a day by skier, each skier's by time.
pub type DayRides = BTreeMap<SkierId, Vec<Boarding>>;

/// The directory with a stack's archived days.
#[derive(Debug, Clone)]
pub struct Archive {
    directory: PathBuf,
}

/// What was archived of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedDay {
    /// Rides.
    pub rides: u64,
    /// Skiers.
    pub skiers: u64,
    /// Size of the file with the rides, in bytes.
    pub bytes: u64,
    /// SHA-256 of that file, in hexadecimal.
    pub sha256: String,
    /// SHA-256 of the index, in hexadecimal.
    pub index_sha256: String,
    /// When, in milliseconds since 1970.
    pub archived_at_ms: u64,
}

/// An archive that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file failed.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// The failed operation, as a verb phrase: "read".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what was archived.
    #[error("{} is not what was archived: {found}; restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::File {
        doing,
        path,
        source,
    }
}

fn damaged(path: &Path, found: impl Into<String>) -> ArchiveError {
    ArchiveError::Damaged {
        path: path.to_owned(),
        found: found.into(),
    }
}

impl Archive {
    /// The archive of a stack in a directory, which need not exist yet.
    #[must_use]
    pub fn new(directory: &Path, stack: &StackName) -> Self {
        Self {
            directory: directory.join(stack.to_string()),
        }
    }

    /// The file with a day's rides.
    #[must_use]
    pub fn rides_file(&self, day: ResortDay) -> PathBuf {
        self.file(day, "ndjson.gz")
    }

    fn index_file(&self, day: ResortDay) -> PathBuf {
        self.file(day, "index")
    }

    fn file(&self, day: ResortDay, extension: &str) -> PathBuf {
        let ResortDay {
            resort,
            season,
            day,
        } = day;
        let name = format!("day-{:03}.{extension}", day.get());
        let of_season = format!("resort-{resort}/season-{season}");
        self.directory.join(of_season).join(name)
    }

    /// Writes a day, and reads it back: it is on disk, complete and the same, when this returns. Replaces an earlier file.
    ///
    /// # Errors
    /// If the files cannot be written, or read back as they were written. Nothing must be removed from Redis then.
    pub async fn write(
        &self,
        day: ResortDay,
        rides: DayRides,
        now_ms: u64,
    ) -> Result<ArchivedDay, ArchiveError> {
        let archive = self.clone();
        blocking(move || {
            let written = writing::write(&archive, day, &rides, now_ms)?;
            let read = reading::read_all(&archive, day, &written)?;
            if read != rides {
                let path = archive.rides_file(day);
                return Err(damaged(
                    &path,
                    "its rides differ from those that were written",
                ));
            }
            Ok(written)
        })
        .await
    }

    /// Reads all rides of a day, and checks hashes and counts.
    ///
    /// # Errors
    /// If the files cannot be read, or are not what was archived.
    pub async fn read_all(
        &self,
        day: ResortDay,
        archived: &ArchivedDay,
    ) -> Result<DayRides, ArchiveError> {
        let (archive, archived) = (self.clone(), archived.clone());
        blocking(move || reading::read_all(&archive, day, &archived)).await
    }

    /// Reads a skier's rides of each of these days; empty without rides on that day.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what was archived.
    pub async fn rides_of(
        &self,
        skier: SkierId,
        days: Vec<(ResortDay, ArchivedDay)>,
    ) -> Result<Vec<Vec<Boarding>>, ArchiveError> {
        let archive = self.clone();
        blocking(move || {
            let of_day = |(day, archived)| reading::rides_of(&archive, day, skier, &archived);
            days.into_iter().map(of_day).collect()
        })
        .await
    }

    /// Those of these days on which a skier has rides.
    ///
    /// # Errors
    /// If an index cannot be read.
    pub async fn days_of(
        &self,
        skier: SkierId,
        days: Vec<ResortDay>,
    ) -> Result<Vec<ResortDay>, ArchiveError> {
        let archive = self.clone();
        blocking(move || {
            let mut found = Vec::new();
            for day in days {
                if reading::find(&archive, day, skier)?.is_some() {
                    found.push(day);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Why the files of each of these days cannot be read; `None` if they are there and have the sizes of what was archived.
    pub async fn faults(&self, days: Vec<(ResortDay, ArchivedDay)>) -> Vec<Option<ArchiveError>> {
        let archive = self.clone();
        blocking(move || {
            let fault = |(day, archived)| archive.check(day, &archived).err();
            days.into_iter().map(fault).collect()
        })
        .await
    }

    /// Checks that a day's files are there and have the sizes of what was archived.
    fn check(&self, day: ResortDay, archived: &ArchivedDay) -> Result<(), ArchiveError> {
        let index_bytes = (archived.skiers + 1) * ENTRY_BYTES as u64;
        for (path, bytes) in [
            (self.rides_file(day), archived.bytes),
            (self.index_file(day), index_bytes),
        ] {
            let found = fs::metadata(&path).map_err(failed("read", &path))?.len();
            if found != bytes {
                let found = format!("it has {found} bytes instead of {bytes}");
                return Err(damaged(&path, found));
            }
        }
        Ok(())
    }
}

/// Runs what waits for a disk, or for the network behind it.
async fn blocking<T: Send + 'static>(doing: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(doing).await {
        Ok(done) => done,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

#[cfg(test)]
mod tests;
