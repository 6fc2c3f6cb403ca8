//! What goes wrong with a data folder.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What went wrong with a data folder, and with which.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process has it open.
    #[error(
        "the data folder {} is in use by another process; stop that one, or choose another folder with --data", .0.display()
    )]
    InUse(PathBuf),
    /// It cannot be written.
    #[error(
        "the data folder {} cannot be written ({reason}); make it writable for this user, or choose another with --data", folder.display()
    )]
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// The system's own words.
        reason: io::Error,
    },
    /// The disk is full.
    #[error("the disk of the data folder {} is full: make room on it and start again; nothing that was accepted is lost", .0.display())]
    Full(PathBuf),
    /// It was written by a newer version of Skilift.
    #[error("the data folder {} was written by a newer version of Skilift; run that one, or choose another folder with --data", folder.display())]
    NewerFormat {
        /// The folder.
        folder: PathBuf,
    },
    /// It holds what we did not write.
    #[error("the data folder {} is damaged: {what}; restore it from a copy, or choose another with --data", folder.display())]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Reading or writing failed.
    #[error("the data folder {} did not {doing}", folder.display())]
    Failed {
        /// The folder.
        folder: PathBuf,
        /// What was asked, as a verb: "store a batch".
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

/// Whether the database found what it did not write, or misses what it did.
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

/// The system's error at the bottom of a database's error.
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
