//! The directory of a report: checks whether it is writable, and writes files atomically.

use std::fs::Permissions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A part of the path is not a directory.
    #[error("cannot write the report to {}: it, or a part of its path, is not a directory; use another one", .0.display())]
    NotAFolder(PathBuf),
    /// Permission denied.
    #[error("cannot write the report to {}: permission denied; use a directory that this user may write to", .0.display())]
    Permission(PathBuf),
    /// The file system is read-only.
    #[error("cannot write the report to {}: its file system is read-only; use a directory on another one", .0.display())]
    ReadOnly(PathBuf),
    /// The disk or the user's quota is full.
    #[error("cannot write the report to {}: no space left; free some, or use a directory on another disk", .0.display())]
    Full(PathBuf),
    /// Another error, given by the source.
    #[error("cannot write the report to {}", path.display())]
    Io {
        /// The affected file or directory.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The page cannot be rendered.
    #[error("cannot render the page of the report")]
    Page(#[source] askama::Error),
    /// The caller's values cannot be serialised as JSON.
    #[error("cannot serialise {file} of the report as JSON")]
    Json {
        /// The file of the report.
        file: &'static str,
        /// The serialisation error.
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

/// Creates the directory and checks that a file can be written to it, so that a run does not fail at its end.
///
/// # Errors
/// If it is not writable, with a suggested fix.
pub fn check_writable(folder: &Path) -> Result<(), ReportError> {
    create(folder)?;
    let mut tried = unfinished(folder).map_err(|source| ReportError::at(folder, source))?;
    let written = tried.write_all(b"A report can be written here.\n");
    written.map_err(|source| ReportError::at(folder, source))
}

/// Creates the directory and its parents.
pub(super) fn create(folder: &Path) -> Result<(), ReportError> {
    std::fs::create_dir_all(folder).map_err(|source| ReportError::at(folder, source))
}

/// Atomically writes the file and returns its path.
pub(super) fn replace(folder: &Path, name: &str, content: &str) -> Result<PathBuf, ReportError> {
    let path = folder.join(name);
    let replace = || {
        let mut file = unfinished(folder)?;
        file.write_all(content.as_bytes())?;
        // Before the rename, so that a power failure does not leave a file without its content.
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|unnamed| unnamed.error)
    };
    match replace() {
        Ok(_) => Ok(path),
        Err(source) if path.is_dir() => Err(ReportError::Io { path, source }),
        Err(source) => Err(ReportError::at(folder, source)),
    }
}

/// Removes the file if it exists.
pub(super) fn remove(folder: &Path, name: &str) -> Result<(), ReportError> {
    let path = folder.join(name);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(ReportError::Io { path, source })
        }
        _ => Ok(()),
    }
}

/// A temporary file with the permissions of the user's umask.
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
            (ErrorKind::NotADirectory, "is not a directory; use another"),
            (ErrorKind::AlreadyExists, "is not a directory; use another"),
            (ErrorKind::PermissionDenied, "permission denied; use"),
            (ErrorKind::ReadOnlyFilesystem, "read-only; use"),
            (ErrorKind::StorageFull, "no space left; free some"),
            (ErrorKind::QuotaExceeded, "no space left; free some"),
        ] {
            let said = said(kind);
            assert!(said.contains(part) && said.contains(" out"), "{said}");
        }
    }
}
