//! Errors of a data directory.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// An error of a data directory.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process has it open.
    #[error(
        "the data directory {} is in use by another process; stop that process, or choose another directory with --data", .0.display()
    )]
    InUse(PathBuf),
    /// It cannot be written.
    #[error(
        "the data directory {} cannot be written ({reason}); make it writable for this user, or choose another with --data", folder.display()
    )]
    NotWritable {
        /// The directory.
        folder: PathBuf,
        /// The system error.
        reason: io::Error,
    },
    /// The disk is full.
    #[error("the disk of the data directory {} is full: free some space and start again; no accepted ride is lost", .0.display())]
    Full(PathBuf),
    /// It was removed or replaced while it was open.
    #[error(
        "the data directory {} was removed or replaced while this process used it: nothing more is stored; put it back if it was moved, and start again", .0.display()
    )]
    Removed(PathBuf),
    /// It was written by a newer version of Skilift.
    #[error("the data directory {} was written by a newer version of Skilift; run that version, or choose another directory with --data", folder.display())]
    NewerFormat {
        /// The directory.
        folder: PathBuf,
    },
    /// It contains unexpected data.
    #[error("the data directory {} is damaged: {what}; restore it from a backup, or choose another with --data", folder.display())]
    Damaged {
        /// The directory.
        folder: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It contains a file of others, where the database reads every file.
    #[error("the data directory {} contains {}, which Skilift did not write: move it to another place", folder.display(), stray.display())]
    Stray {
        /// The directory.
        folder: PathBuf,
        /// The file or directory, relative to it.
        stray: PathBuf,
    },
    /// Reading or writing failed.
    #[error("the data directory {} failed to {doing}: {}", folder.display(), in_words(cause))]
    Failed {
        /// The directory.
        folder: PathBuf,
        /// The failed operation, as a verb phrase: "store a batch".
        doing: &'static str,
        /// Why.
        cause: fjall::Error,
    },
    /// The process is ending.
    #[error("the process is ending")]
    Ending,
}

impl DiskError {
    pub(super) fn open(folder: &Path, error: fjall::Error) -> Self {
        match error {
            fjall::Error::Locked => Self::InUse(folder.to_owned()),
            error => Self::failed(folder, "open", error),
        }
    }

    pub(super) fn failed(folder: &Path, doing: &'static str, error: fjall::Error) -> Self {
        let folder = folder.to_owned();
        if let Some(what) = damage(&error) {
            let what = what.to_owned();
            return Self::Damaged { folder, what };
        }
        match io_error(&error).map(io::Error::kind) {
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Self::Full(folder),
            Some(
                kind @ (ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::NotADirectory),
            ) => Self::NotWritable {
                folder,
                reason: kind.into(),
            },
            _ => Self::Failed {
                folder,
                doing,
                cause: error,
            },
        }
    }
}

/// What the database found damaged or missing, if that is the error. Its own texts are those of a debugger.
fn damage(error: &fjall::Error) -> Option<&'static str> {
    use fjall::{Error, LsmError};
    match error {
        Error::InvalidVersion(_) => Some("its format is unknown"),
        Error::JournalRecovery(_) | Error::InvalidTrailer | Error::InvalidTag(_) => {
            Some("its journal cannot be read")
        }
        Error::Decompress(_) | Error::Unrecoverable => Some("some of its data cannot be read"),
        Error::Storage(LsmError::Io(error)) | Error::Io(error) => {
            (error.kind() == ErrorKind::UnexpectedEof).then_some("a file of it is cut off")
        }
        Error::Storage(_) => Some("some of its tables cannot be read"),
        _ => None,
    }
}

/// The error without the database's text.
fn in_words(error: &fjall::Error) -> String {
    match io_error(error) {
        Some(error) => error.to_string(),
        None => "the database refuses it after an earlier error; see the log".to_owned(),
    }
}

/// The system error that caused a database error.
fn io_error(error: &fjall::Error) -> Option<&io::Error> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io_error) = error.downcast_ref() {
            return Some(io_error);
        }
        cause = error.source();
    }
    None
}
