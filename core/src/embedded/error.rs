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
    /// Reading or writing failed.
    #[error("the data directory {} failed to {doing}", folder.display())]
    Failed {
        /// The directory.
        folder: PathBuf,
        /// The failed operation, as a verb phrase: "store a batch".
        doing: &'static str,
        /// Why.
        source: fjall::Error,
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
        if is_damage(&error) {
            let what = error.to_string();
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
                source: error,
            },
        }
    }
}

/// Whether the database found unexpected data, or data is missing.
fn is_damage(error: &fjall::Error) -> bool {
    use fjall::{Error, LsmError};
    match error {
        Error::InvalidVersion(_)
        | Error::JournalRecovery(_)
        | Error::Decompress(_)
        | Error::InvalidTrailer
        | Error::InvalidTag(_)
        | Error::Unrecoverable => true,
        Error::Storage(LsmError::Io(error)) | Error::Io(error) => {
            error.kind() == ErrorKind::UnexpectedEof
        }
        Error::Storage(_) => true,
        _ => false,
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
