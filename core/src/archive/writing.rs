//! Writes the files of a day.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::{Archive, ArchiveError, ArchivedDay, DayRides, failed};
use crate::ride::{ResortDay, Ride};

/// Bytes of rides after which a gzip member ends: what is read for one skier.
const MEMBER_BYTES: usize = 64 * 1024;
/// Mode of the files: rides are personal data.
const MODE: u32 = 0o640;

/// Writes and syncs both files under other names first, so that a day is complete or absent.
pub(super) fn write(
    archive: &Archive,
    day: ResortDay,
    rides: &DayRides,
    now_ms: u64,
) -> Result<ArchivedDay, ArchiveError> {
    let (lines, index) = encode(day, rides);
    store(&archive.rides_file(day), &lines)?;
    store(&archive.index_file(day), &index)?;
    Ok(ArchivedDay {
        rides: rides.values().map(|of_skier| of_skier.len() as u64).sum(),
        skiers: rides.len() as u64,
        bytes: lines.len() as u64,
        sha256: sha256(&lines),
        index_sha256: sha256(&index),
        archived_at_ms: now_ms,
    })
}

/// SHA-256, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The contents of both files.
fn encode(day: ResortDay, rides: &DayRides) -> (Vec<u8>, Vec<u8>) {
    let ResortDay {
        resort,
        season,
        day,
    } = day;
    let (mut written, mut index, mut member) = (Vec::new(), Vec::new(), Vec::new());
    index.extend(0_u32.to_be_bytes());
    index.extend((rides.len() as u64).to_be_bytes());
    for (&skier, boardings) in rides {
        if member.len() >= MEMBER_BYTES {
            end_member(&mut written, &mut member);
        }
        index.extend(skier.get().to_be_bytes());
        index.extend((written.len() as u64).to_be_bytes());
        for boarding in boardings {
            let ride = Ride {
                resort,
                season,
                day,
                skier,
                minute: boarding.minute,
                lift: boarding.lift,
            };
            serde_json::to_writer(&mut member, &ride).expect("a ride is JSON");
            member.push(b'\n');
        }
    }
    end_member(&mut written, &mut member);
    (written, index)
}

fn end_member(written: &mut Vec<u8>, member: &mut Vec<u8>) {
    let mut encoder = GzEncoder::new(written, Compression::default());
    let ended = encoder.write_all(member).and_then(|()| encoder.finish());
    ended.expect("a write to memory succeeds");
    member.clear();
}

fn store(path: &Path, content: &[u8]) -> Result<(), ArchiveError> {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory).map_err(failed("create", directory))?;
    let written = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(directory)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The name too, and those of new directories.
        for directory in directory.ancestors().take(4) {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    };
    written().map_err(failed("write", path))
}
