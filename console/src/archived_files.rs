//! Looks now and then whether the files of archived days are there, so that a lost one is told before anybody asks for it.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skilift_core::lifecycle::TaskError;
use skilift_core::store::{ArchivedFiles, Reader};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::view::figures::{counted, span};

/// Time between two looks, at least.
const INTERVAL: Duration = Duration::from_secs(60);
/// The same as a multiple of what a look takes.
const SHARE: u32 = 100;
/// After this time without an answer, a network file system hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// What the last look found.
#[derive(Default)]
pub(crate) struct ArchiveFaults(Mutex<Option<Unreadable>>);

/// Archived days that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) days: u64,
    /// What is wrong, as text.
    pub(crate) why: String,
}

impl ArchiveFaults {
    /// The archived days that cannot be read, if there are any.
    pub(crate) fn latest(&self) -> Option<Unreadable> {
        let latest = self.0.lock();
        latest.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, found: Option<Unreadable>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// Looks until `drain`. `directory`: where the archive is.
pub(crate) async fn watch(
    faults: Arc<ArchiveFaults>,
    reader: Arc<dyn Reader>,
    directory: Option<PathBuf>,
    drain: CancellationToken,
) -> Result<(), TaskError> {
    let looking = async {
        loop {
            let started = Instant::now();
            look(&faults, &*reader, directory.as_deref()).await;
            tokio::time::sleep(INTERVAL.max(started.elapsed() * SHARE)).await;
        }
    };
    drain.run_until_cancelled(looking).await;
    Ok(())
}

async fn look(faults: &ArchiveFaults, reader: &dyn Reader, directory: Option<&Path>) {
    let mut answer = pin!(reader.archived_days(&|_| true));
    let found = match tokio::time::timeout(LIMIT, &mut answer).await {
        Ok(found) => found,
        Err(_) => {
            let directory = directory.map(|path| path.display().to_string());
            faults.set(Some(Unreadable {
                days: 0,
                why: format!(
                    "{} does not respond for {}",
                    directory.as_deref().unwrap_or("the archive"),
                    span(LIMIT.as_millis() as u64)
                ),
            }));
            // Another look would hang as well.
            answer.await
        }
    };
    // While Redis is away, nothing new is known.
    if let Ok(all) = found {
        faults.set(unreadable(&all));
    }
}

fn unreadable(all: &[ArchivedFiles]) -> Option<Unreadable> {
    let (days, first) = ArchivedFiles::unreadable(all)?;
    let of = counted(all.len() as u64, "archived day", "archived days");
    Some(Unreadable {
        days: days as u64,
        why: format!("{days} of {of}: {first}"),
    })
}

#[cfg(test)]
mod tests {
    use skilift_core::archive::ArchivedDay;

    use super::*;

    fn files(day: u64, fault: Option<&str>) -> ArchivedFiles {
        ArchivedFiles {
            day: skilift_core::ride::ResortDay {
                resort: skilift_core::ride::ResortId::new(1).unwrap(),
                season: "2025".parse().unwrap(),
                day: skilift_core::ride::Day::new(day).unwrap(),
            },
            archived: ArchivedDay {
                rides: 1,
                skiers: 1,
                bytes: 1,
                sha256: String::new(),
                index_sha256: String::new(),
                archived_at_ms: 0,
            },
            fault: fault.map(str::to_owned),
        }
    }

    #[test]
    fn days_that_cannot_be_read_are_counted_and_the_first_is_named() {
        assert_eq!(unreadable(&[files(1, None)]), None);
        let damaged = "day-002.ndjson.gz is not what was archived";
        let days = [
            files(1, None),
            files(2, Some(damaged)),
            files(3, Some("day 3")),
        ];
        let found = unreadable(&days).unwrap();
        assert_eq!(found.days, 2);
        assert_eq!(found.why, format!("2 of 3 archived days: {damaged}"));
    }
}
