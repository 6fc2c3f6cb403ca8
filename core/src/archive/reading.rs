//! Reads the files of a day.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::bufread::{GzDecoder, MultiGzDecoder};

use super::writing::sha256;
use super::{Archive, ArchiveError, ArchivedDay, DayRides, ENTRY_BYTES, damaged, failed};
use crate::packed::Boarding;
use crate::ride::{ResortDay, Ride, SkierId};

/// Reads a day, and checks hashes and counts.
pub(super) fn read_all(
    archive: &Archive,
    day: ResortDay,
    archived: &ArchivedDay,
) -> Result<DayRides, ArchiveError> {
    let path = archive.rides_file(day);
    let content = read_checked(&path, &archived.sha256)?;
    let index = archive.index_file(day);
    read_checked(&index, &archived.index_sha256)?;
    let mut rides = DayRides::new();
    let mut count = 0;
    visit(
        &path,
        day,
        MultiGzDecoder::new(content.as_slice()),
        |ride| {
            rides
                .entry(ride.skier)
                .or_default()
                .push(Boarding::from(&ride));
            count += 1;
        },
    )?;
    if (count, rides.len() as u64) != (archived.rides, archived.skiers) {
        let found = format!(
            "it has {count} rides of {} skiers instead of {} of {}",
            rides.len(),
            archived.rides,
            archived.skiers
        );
        return Err(damaged(&path, found));
    }
    Ok(rides)
}

/// A skier's rides of a day, from one member of the file.
pub(super) fn rides_of(
    archive: &Archive,
    day: ResortDay,
    skier: SkierId,
    archived: &ArchivedDay,
) -> Result<Vec<Boarding>, ArchiveError> {
    archive.check(day, archived)?;
    let Some(offset) = find(archive, day, skier)? else {
        return Ok(Vec::new());
    };
    let path = archive.rides_file(day);
    let mut file = File::open(&path).map_err(failed("read", &path))?;
    let moved = file.seek(SeekFrom::Start(offset));
    moved.map_err(failed("read", &path))?;
    let mut rides = Vec::new();
    visit(&path, day, GzDecoder::new(BufReader::new(file)), |ride| {
        if ride.skier == skier {
            rides.push(Boarding::from(&ride));
        }
    })?;
    if rides.is_empty() {
        let found = format!("the rides of skier {skier} are not where the index says");
        return Err(damaged(&path, found));
    }
    Ok(rides)
}

/// The offset of the member with a skier's rides of a day, if it has any.
pub(super) fn find(
    archive: &Archive,
    day: ResortDay,
    skier: SkierId,
) -> Result<Option<u64>, ArchiveError> {
    let path = archive.index_file(day);
    let file = File::open(&path).map_err(failed("read", &path))?;
    let length = file.metadata().map_err(failed("read", &path))?.len();
    let entry = |number: u64| {
        let mut entry = [0; ENTRY_BYTES];
        let read = file.read_exact_at(&mut entry, number * ENTRY_BYTES as u64);
        read.map_err(failed("read", &path))?;
        let [a, b, c, d, value @ ..] = entry;
        Ok((u32::from_be_bytes([a, b, c, d]), u64::from_be_bytes(value)))
    };
    let (zero, skiers) = entry(0)?;
    if zero != 0 || skiers.checked_add(1) != Some(length / ENTRY_BYTES as u64) {
        let found = format!("it has {length} bytes, which are not its {skiers} skiers");
        return Err(damaged(&path, found));
    }
    let (mut low, mut high) = (1, skiers + 1);
    while low < high {
        let middle = low.midpoint(high);
        let (found, offset) = entry(middle)?;
        match found.cmp(&skier.get()) {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => return Ok(Some(offset)),
        }
    }
    Ok(None)
}

fn read_checked(path: &Path, expected: &str) -> Result<Vec<u8>, ArchiveError> {
    let content = fs::read(path).map_err(failed("read", path))?;
    let found = sha256(&content);
    if found == expected {
        return Ok(content);
    }
    Err(damaged(
        path,
        format!("its SHA-256 is {found} instead of {expected}"),
    ))
}

/// Visits rides to the end, where the checksum of a member is.
fn visit(
    path: &Path,
    day: ResortDay,
    rides: impl Read,
    mut visit: impl FnMut(Ride),
) -> Result<(), ArchiveError> {
    for line in BufReader::new(rides).lines() {
        let line = line.map_err(failed("read", path))?;
        let ride: Ride = serde_json::from_str(&line)
            .map_err(|error| damaged(path, format!("a line is not a ride: {error}")))?;
        if ride.resort_day() != day {
            return Err(damaged(
                path,
                format!("it has a ride of {}", ride.resort_day()),
            ));
        }
        visit(ride);
    }
    Ok(())
}
