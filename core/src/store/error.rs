//! What goes wrong with a store.

use super::redis::FORMAT;
use super::redis::durability::{self, Weakness};
use crate::embedded::DiskError;

/// What went wrong with the store, and with what.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL has a part that Redis does not know.
    #[error("the Redis URL cannot be used")]
    Url(#[source] redis::RedisError),
    /// No connection.
    #[error("cannot reach Redis at {url}")]
    Connect {
        /// Where, without the password.
        url: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Redis does not want us.
    #[error("Redis at {url} refused user or password; check --redis-url")]
    Refused {
        /// Where, without the password.
        url: String,
        /// Redis' own words.
        source: redis::RedisError,
    },
    /// A call failed.
    #[error("Redis did not {doing}")]
    Call {
        /// What was asked, as a verb: "store a batch".
        doing: &'static str,
        /// Why.
        source: redis::RedisError,
    },
    /// Redis would forget rides that it acknowledged.
    #[error(
        "Redis at {url} would lose acknowledged rides: {}. Set this right (in redis.conf, or by CONFIG SET), \
         or accept the loss with --accept-loss-window",
        durability::list(.weaknesses)
    )]
    NotDurable {
        /// Where, without the password.
        url: String,
        /// What would have to change.
        weaknesses: Vec<Weakness>,
    },
    /// The data was written by a newer version of Skilift.
    #[error(
        "the data in Redis has format {found}, which is newer than this version's {FORMAT}; \
         run a version that knows it, or use another --stack"
    )]
    NewerFormat {
        /// What the store says.
        found: String,
    },
    /// The script's answer does not speak of every ride: nothing may be acknowledged on its word.
    #[error("Redis' answer does not account for every ride of {key}")]
    Unaccounted {
        /// The resort day.
        key: String,
    },
    /// The data folder failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Marks in the books that no worker of ours wrote.
    #[error("the field {field} of the key {key} holds something that Skilift did not write")]
    CorruptBooks {
        /// The key.
        key: String,
        /// The field.
        field: String,
    },
    /// Bytes in the ledger that no worker of ours wrote.
    #[error("the key {key} holds something that Skilift did not write")]
    Corrupt {
        /// The key.
        key: String,
        /// What is wrong with it.
        source: crate::packed::CorruptLedger,
    },
}

impl StoreError {
    /// Whether trying again is useless until somebody changes something.
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

    /// What the store is called in messages.
    #[must_use]
    pub fn store(&self) -> &'static str {
        match self {
            Self::Disk(_) => "the data folder",
            _ => "Redis",
        }
    }

    /// Whether the process must end, because nothing that it wrote lately is certain to be on disk.
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
