//! Errors of a store.

use super::redis::FORMAT;
use super::redis::durability::{self, Weakness};
use crate::embedded::DiskError;

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
        source: redis::RedisError,
    },
    /// Redis would lose acknowledged rides.
    #[error(
        "Redis at {url} would lose acknowledged rides: {}. Fix these settings (in redis.conf, or with CONFIG SET), or accept the loss with --accept-loss-window",
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
    /// Unexpected data in the settled ranges.
    #[error("the field {field} of the key {key} contains data that Skilift did not write")]
    CorruptReconciliation {
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

    /// Name of the store in messages.
    #[must_use]
    pub fn store(&self) -> &'static str {
        match self {
            Self::Disk(_) => "the data directory",
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
            Self::Refused { source, .. } | Self::Call { source, .. } => source.code(),
            _ => None,
        }
    }
}
