//! Errors of a store.

use super::redis::FORMAT;
use super::redis::durability::{self, Weakness};
use crate::archive::ArchiveError;
use crate::embedded::DiskError;
use crate::redis_error::RedisFailure;
use crate::ride::ResortDay;

/// Codes with which Redis refuses every write.
const WRITES_NOTHING: [&str; 9] = [
    "OOM",
    "MISCONF",
    "READONLY",
    "LOADING",
    "NOREPLICAS",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "NOAUTH",
    "NOPERM",
];

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL has a part that is unknown to Redis.
    #[error("invalid Redis URL")]
    Url(#[source] redis::RedisError),
    /// No connection.
    #[error("cannot reach Redis at {url}")]
    Connect {
        /// The URL, without the password.
        url: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Redis denied access.
    #[error("Redis at {url} denied access: wrong user or password; check --redis-url")]
    Refused {
        /// The URL, without the password.
        url: String,
        /// The error of Redis.
        source: redis::RedisError,
    },
    /// A call failed.
    #[error("Redis did not {doing}")]
    Call {
        /// The failed operation, as a verb phrase: "store a batch".
        doing: &'static str,
        /// Why.
        source: RedisFailure,
    },
    /// Redis would lose acknowledged rides.
    #[error(
        "Redis at {url} would lose acknowledged rides: {}. Fix these settings (in redis.conf, or with CONFIG SET), or say with --store-durability that the provider of the service promises to keep them (managed), or that they may be lost (lossy)",
        durability::list(.weaknesses)
    )]
    NotDurable {
        /// The URL, without the password.
        url: String,
        /// The settings that must be changed.
        weaknesses: Vec<Weakness>,
    },
    /// The data was written by a newer version of Skilift.
    #[error(
        "the data in Redis has format {found}, which is newer than this version's {FORMAT}; run a newer version, or use another --stack"
    )]
    NewerFormat {
        /// The format of the store.
        found: String,
    },
    /// The script's response does not account for every ride: nothing may be acknowledged.
    #[error("Redis' response does not account for every ride of {key}")]
    Unaccounted {
        /// The resort day.
        key: String,
    },
    /// The data directory failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Archived rides that cannot be written or read.
    #[error("the archive failed")]
    Archive(#[from] ArchiveError),
    /// An archived day, and no archive.
    #[error(
        "{} is archived, and this process does not know where: start it with --archive",
        day.in_words()
    )]
    NoArchive {
        /// The day.
        day: ResortDay,
    },
    /// A day in a state in which this cannot be done with it.
    #[error("{} {why}", day.in_words())]
    WrongState {
        /// The day.
        day: ResortDay,
        /// Why, with what to do: "is not archived".
        why: &'static str,
    },
    /// Unexpected data in a field: the settled ranges, or the state of a day.
    #[error("the field {field} of the key {key} contains data that Skilift did not write")]
    CorruptField {
        /// The key.
        key: String,
        /// The field.
        field: String,
    },
    /// Unexpected data in the ledger.
    #[error("the key {key} contains data that Skilift did not write")]
    Corrupt {
        /// The key.
        key: String,
        /// What is wrong with it.
        source: crate::packed::CorruptLedger,
    },
}

impl StoreError {
    /// Whether a retry is useless until an operator changes something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::Url(_)
                | Self::Refused { .. }
                | Self::NotDurable { .. }
                | Self::NewerFormat { .. }
                | Self::Disk(_)
        )
    }

    /// Whether every batch fails now, and not only this one: the store cannot be reached, does not answer, or refuses all writes.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Refused { .. } | Self::NotDurable { .. } => true,
            Self::Call { source, .. } => match source.code() {
                None => true,
                Some(code) => WRITES_NOTHING.contains(&code),
            },
            _ => false,
        }
    }

    /// Name of the store in messages.
    #[must_use]
    pub fn store(&self) -> &'static str {
        match self {
            Self::Disk(_) => "the data directory",
            Self::Archive(_) | Self::NoArchive { .. } => "the archive",
            _ => "Redis",
        }
    }

    /// Whether the process must end, because its recent writes may not be on disk.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Disk(_))
    }

    /// The code with which Redis itself refused a call, such as `WRONGTYPE`; `None` when it did not answer.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused { source, .. } => source.code(),
            Self::Call { source, .. } => source.code(),
            _ => None,
        }
    }
}
