//! A copy of a directory of records in one file: a header, a line for each record, and a last line with their number and hash.
//!
//! ```text
//! {"skilift_records":1,"of":{"stack":"skilift"}}
//! {"table":"users","key":"616e6e61","record":{"role":"admin"}}
//! {"records":1,"xxh3":"0123456789abcdef"}
//! ```
//!
//! Keys are hexadecimal. The hash is XXH3 of the lines of the records, each with its line break.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use fjall::Readable as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::Xxh3;

use super::{FORMAT, Records, WriteBatch};
use crate::embedded::DiskError;

/// Records per write of an import.
const BATCH: usize = 1_000;
/// Longest line; a record of the console has some kilobytes.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// Why a copy could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The records cannot be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// It is no copy, or only a part of one.
    #[error("not a complete export: {0}")]
    Incomplete(String),
    /// A newer version wrote it.
    #[error("it was written by a newer version of Skilift; use that version")]
    Newer,
    /// There is something in the place.
    #[error("{} exists already; move it away first", .0.display())]
    Exists(PathBuf),
}

#[derive(Serialize, Deserialize)]
struct Header<T> {
    skilift_records: u32,
    of: T,
}

#[derive(Deserialize)]
struct Line {
    table: String,
    key: String,
    record: Box<RawValue>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    records: u64,
    xxh3: String,
}

/// Counts and hashes the lines of the records.
#[derive(Default)]
struct Lines {
    records: u64,
    hash: Xxh3,
}

impl Lines {
    fn add(&mut self, line: &[u8]) {
        self.records += 1;
        self.hash.update(line);
    }

    fn end(&self) -> End {
        End {
            records: self.records,
            xxh3: format!("{:016x}", self.hash.digest()),
        }
    }
}

impl Records {
    /// Writes all records, as of one moment, while others are written; returns their number. `of` is the header's.
    ///
    /// # Errors
    /// If the records cannot be read, or `to` cannot be written.
    pub fn export(&self, of: &impl Serialize, to: &mut impl Write) -> Result<u64, CopyError> {
        let header = Header {
            skilift_records: FORMAT,
            of,
        };
        serde_json::to_writer(&mut *to, &header).map_err(io::Error::from)?;
        to.write_all(b"\n")?;
        let failed = |error| DiskError::failed(&self.folder, "read a record", error);
        let mut names = self.database.list_keyspace_names();
        names.sort_unstable();
        let moment = self.database.snapshot();
        let mut lines = Lines::default();
        for name in names {
            let keyspace = self.keyspace(&name)?;
            for entry in moment.iter(&keyspace) {
                let (key, value) = entry.into_inner().map_err(failed)?;
                let key = data_encoding::HEXLOWER.encode(&key);
                let table = serde_json::to_string(&*name).map_err(io::Error::from)?;
                let start = format!(r#"{{"table":{table},"key":"{key}","record":"#);
                let line = [start.as_bytes(), &value, b"}\n"].concat();
                lines.add(&line);
                to.write_all(&line)?;
            }
        }
        serde_json::to_writer(&mut *to, &lines.end()).map_err(io::Error::from)?;
        to.write_all(b"\n")?;
        Ok(lines.records)
    }
}

/// Checks a copy: returns the header's `of` and the number of records.
///
/// # Errors
/// If it cannot be read or is not complete.
pub fn check<T: DeserializeOwned>(from: impl BufRead) -> Result<(T, u64), CopyError> {
    read(from, |_: &T| Ok(()), |(), _| Ok(()))
}

/// Makes a directory from a copy: `place` says where, by the header's `of`. Nothing is left of one that is not complete. Returns the
/// header's `of`, the directory and the number of records.
///
/// # Errors
/// If there is something in that place already, the copy is not complete, or the directory cannot be written.
pub fn import<T: DeserializeOwned>(
    from: impl BufRead,
    place: impl FnOnce(&T) -> PathBuf,
) -> Result<(T, PathBuf, u64), CopyError> {
    let mut folder = PathBuf::new();
    let mut importing = PathBuf::new();
    let begin = |of: &T| {
        folder = place(of);
        if folder.exists() {
            return Err(CopyError::Exists(folder.clone()));
        }
        importing = beside(&folder);
        remove(&importing)?;
        let records = Records::open(&importing)?;
        Ok((records, WriteBatch::default()))
    };
    let take = |(records, changes): &mut (_, WriteBatch), line: Option<Line>| {
        let records: &std::sync::Arc<Records> = records;
        let is_end = line.is_none();
        if let Some(line) = line {
            let key = data_encoding::HEXLOWER_PERMISSIVE.decode(line.key.as_bytes());
            let key = key.map_err(|error| CopyError::Incomplete(error.to_string()))?;
            let value = line.record.get().as_bytes().to_vec();
            let change = (records.keyspace(&line.table)?, key, Some(value));
            changes.0.push(change);
        }
        if is_end || changes.0.len() >= BATCH {
            records.commit_here("import records", std::mem::take(changes))?;
        }
        Ok(())
    };
    let imported = read(from, begin, |state, line| take(state, line));
    let imported = imported.and_then(|imported| {
        std::fs::rename(&importing, &folder)?;
        Ok(imported)
    });
    match imported {
        Ok((of, records)) => Ok((of, folder, records)),
        Err(error) => {
            if importing != PathBuf::new() {
                remove(&importing)?;
            }
            Err(error)
        }
    }
}

/// Where a directory is made before it is complete.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".importing");
    folder.with_file_name(name)
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a copy: `begin` gets the header's `of`, `take` each record, and `None` once all of them are proven to be there.
fn read<T: DeserializeOwned, S>(
    mut from: impl BufRead,
    begin: impl FnOnce(&T) -> Result<S, CopyError>,
    mut take: impl FnMut(&mut S, Option<Line>) -> Result<(), CopyError>,
) -> Result<(T, u64), CopyError> {
    let incomplete = |what: &str| CopyError::Incomplete(what.to_owned());
    let mut next = || -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        io::Read::take(&mut from, MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        Ok(line)
    };
    let header: Header<T> = serde_json::from_slice(&next()?)
        .map_err(|_| incomplete("its first line is not that of an export"))?;
    if header.skilift_records > FORMAT {
        return Err(CopyError::Newer);
    }
    let mut state = begin(&header.of)?;
    let mut lines = Lines::default();
    loop {
        let line = next()?;
        if let Ok(record) = serde_json::from_slice::<Line>(&line) {
            lines.add(&line);
            take(&mut state, Some(record))?;
            continue;
        }
        let end = serde_json::from_slice::<End>(&line)
            .map_err(|_| incomplete("it ends too early, or a line of it is damaged"))?;
        if end != lines.end() {
            return Err(incomplete("records are missing or were changed"));
        }
        if !next()?.is_empty() {
            return Err(incomplete("something follows its last line"));
        }
        take(&mut state, None)?;
        return Ok((header.of, lines.records));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(folder: &Path) -> std::sync::Arc<Records> {
        let records = Records::open(folder).unwrap();
        let table = records.table::<f64>("numbers").unwrap();
        let mut changes = WriteBatch::default();
        for number in 0..2_500_u64 {
            table.put(&mut changes, &number.to_be_bytes(), &(number as f64 / 7.0));
        }
        let names = records.table::<String>("more \"names\"").unwrap();
        names.put(&mut changes, b"anna", &"a\nline".to_owned());
        records.commit_here("fill", changes).unwrap();
        records
    }

    #[test]
    fn a_copy_has_all_of_it_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let records = filled(&folder.path().join("old"));
        let mut copy = Vec::new();
        // Those, and the format.
        assert_eq!(records.export(&"east", &mut copy).unwrap(), 2_502);
        assert_eq!(check::<String>(&*copy).unwrap(), ("east".to_owned(), 2_502));
        let place = |of: &String| folder.path().join(of);
        let (_, made, count) = import(&*copy, place).unwrap();
        assert_eq!((made.clone(), count), (folder.path().join("east"), 2_502));
        let mut again = Vec::new();
        let records = Records::open(&made).unwrap();
        records.export(&"east", &mut again).unwrap();
        assert!(again == copy);
        let refused = import(&*copy, place).unwrap_err();
        assert!(matches!(refused, CopyError::Exists(_)), "{refused}");
    }

    #[test]
    fn a_copy_that_is_cut_or_changed_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = Vec::new();
        filled(&folder.path().join("old"))
            .export(&"east", &mut copy)
            .unwrap();
        let text = String::from_utf8(copy).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let without = |gone: usize| {
            let left = lines.iter().enumerate().filter(|(at, _)| *at != gone);
            left.map(|(_, line)| format!("{line}\n"))
                .collect::<String>()
        };
        for damaged in [
            String::new(),
            "{}\n".to_owned(),
            text[..text.len() / 2].to_owned(),
            without(0),
            without(700),
            without(lines.len() - 1),
            text.replace("142857", "142858"),
            format!("{text}{text}"),
        ] {
            let place = |of: &String| folder.path().join(of);
            let refused = import(damaged.as_bytes(), place).unwrap_err();
            assert!(matches!(refused, CopyError::Incomplete(_)), "{refused}");
            let left = std::fs::read_dir(folder.path()).unwrap();
            assert_eq!(left.count(), 1);
        }
        let newer = text.replace("\"skilift_records\":1", "\"skilift_records\":2");
        let refused = check::<String>(newer.as_bytes()).unwrap_err();
        assert!(matches!(refused, CopyError::Newer), "{refused}");
    }
}
