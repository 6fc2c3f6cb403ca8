//! Control channel between nodes and console.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::document::Document;
use super::heartbeat::Heartbeat;
use super::ingest_key::IngestKeys;
use crate::redis_error::RedisFailure;

/// Maximum buffered heartbeats; more are dropped.
pub(super) const MAX_BUFFERED_HEARTBEATS: usize = 4096;

/// Errors of the control channel.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Redis could not be reached or failed.
    #[error("cannot {doing} in Redis")]
    Redis {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: RedisFailure,
    },
    /// The value was written by another program or a newer version.
    #[error("the value of {key} in Redis has an unknown format")]
    Unreadable {
        /// The key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl ControlError {
    /// Whether Redis denies access: the login, a command, a key or a channel.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Redis { source, .. } => {
                matches!(source.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
            }
            Self::Unreadable { .. } => false,
        }
    }
}

/// Control channel between nodes and console. Heartbeats without a subscriber are dropped: the next one carries the same
/// counters.
#[async_trait]
pub trait ControlChannel: Send + Sync {
    /// Sends a heartbeat.
    async fn send_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), ControlError>;

    /// The desired state of the nodes; `None` if no console has published one.
    async fn document(&self) -> Result<Option<Document>, ControlError>;

    /// The ingest keys; `None` if no console has published any.
    async fn ingest_keys(&self) -> Result<Option<IngestKeys>, ControlError>;

    /// Publishes the desired state, unless a newer document is already published. Returns the serial of the published one.
    async fn publish(&self, document: &Document) -> Result<u64, ControlError>;

    /// Publishes the ingest keys, unless newer ones are already published. Returns the serial of the published ones.
    async fn publish_ingest_keys(&self, keys: &IngestKeys) -> Result<u64, ControlError>;

    /// Subscribes to heartbeats until the receiver is dropped, or the connection is lost, which closes the receiver.
    async fn heartbeats(&self) -> Result<mpsc::Receiver<Heartbeat>, ControlError>;
}
