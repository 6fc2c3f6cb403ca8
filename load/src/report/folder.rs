//! The folder of a report: whether it can be written, and files that are complete or not there.

use std::fs::Permissions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Something else has its name or a part of it.
    #[error("cannot write the report to {}: it, or a part of its path, is not a folder; name another one", .0.display())]
    NotAFolder(PathBuf),
    /// This user may not write there.
    #[error("cannot write the report to {}: permission denied; name a folder that this user may write to", .0.display())]
    Permission(PathBuf),
    /// Nobody may write there.
    #[error("cannot write the report to {}: its file system is read-only; name a folder on another one", .0.display())]
    ReadOnly(PathBuf),
    /// The disk is full, or the user's share of it.
    #[error("cannot write the report to {}: no space is left; free some, or name a folder on another disk", .0.display())]
    Full(PathBuf),
    /// Something else, as the source says.
    #[error("cannot write the report to {}", path.display())]
    Io {
        /// The file or folder that it happened to.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The caller's numbers have no form in JSON.
    #[error("cannot put the report's {file} into JSON")]
    Json {
        /// Which file of the report it is.
        file: &'static str,
        /// What is wrong with them.
        source: serde_json::Error,
    },
}

impl ReportError {
    fn at(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => ReportError::NotAFolder(path),
            ErrorKind::PermissionDenied => ReportError::Permission(path),
            ErrorKind::ReadOnlyFilesystem => ReportError::ReadOnly(path),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ReportError::Full(path),
            _ => ReportError::Io { path, source },
        }
    }
}

/// Creates the folder and tries whether a file can be written in it, so that a run need not fail at its end. Nothing stays but the folder.
///
/// # Errors
/// If it cannot, with what to do about it.
pub fn check_writable(folder: &Path) -> Result<(), ReportError> {
    create(folder)?;
    let mut tried = unfinished(folder).map_err(|source| ReportError::at(folder, source))?;
    let written = tried.write_all(b"A report can be written here.\n");
    written.map_err(|source| ReportError::at(folder, source))
}

/// Creates the folder, and those above it.
pub(super) fn create(folder: &Path) -> Result<(), ReportError> {
    std::fs::create_dir_all(folder).map_err(|source| ReportError::at(folder, source))
}

/// Gives the file this content, at once and as a whole. Returns its path.
pub(super) fn replace(folder: &Path, name: &str, content: &str) -> Result<PathBuf, ReportError> {
    let path = folder.join(name);
    let replace = || {
        let mut file = unfinished(folder)?;
        file.write_all(content.as_bytes())?;
        // Before the name, so that a power cut does not leave the name without the content.
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|unnamed| unnamed.error)
    };
    match replace() {
        Ok(_) => Ok(path),
        Err(source) if path.is_dir() => Err(ReportError::Io { path, source }),
        Err(source) => Err(ReportError::at(folder, source)),
    }
}

/// Removes the file, if it is there.
pub(super) fn remove(folder: &Path, name: &str) -> Result<(), ReportError> {
    let path = folder.join(name);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(ReportError::Io { path, source })
        }
        _ => Ok(()),
    }
}

/// A file without a lasting name, readable by whom the user's umask lets.
fn unfinished(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".report-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let said = |kind: ErrorKind| ReportError::at(Path::new("out"), kind.into()).to_string();
        for (kind, part) in [
            (ErrorKind::NotADirectory, "is not a folder; name another"),
            (ErrorKind::AlreadyExists, "is not a folder; name another"),
            (ErrorKind::PermissionDenied, "permission denied; name"),
            (ErrorKind::ReadOnlyFilesystem, "read-only; name"),
            (ErrorKind::StorageFull, "no space is left; free some"),
            (ErrorKind::QuotaExceeded, "no space is left; free some"),
        ] {
            let said = said(kind);
            assert!(said.contains(part) && said.contains(" out"), "{said}");
        }
    }
}
