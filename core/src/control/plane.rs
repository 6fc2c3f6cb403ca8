//! The way between nodes and console.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::document::Document;
use super::heartbeat::Heartbeat;
use super::ingest_key::IngestKeys;

/// Heartbeats that may wait for a listener; more are dropped.
pub(super) const HEARD_AT_ONCE: usize = 4096;

/// Why nodes and console could not hear each other.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Redis could not be asked.
    #[error("cannot {doing} in Redis")]
    Redis {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: redis::RedisError,
    },
    /// Somebody wrote what is not ours, or a newer version did.
    #[error("what stands under {key} in Redis is not what this version writes")]
    Unreadable {
        /// The key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The way between nodes and console. Heartbeats that nobody hears are gone: the next one says as much.
#[async_trait]
pub trait ControlPlane: Send + Sync {
    /// Sends a heartbeat.
    async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), ControlError>;

    /// What the nodes shall do; `None` where no console has said anything.
    async fn document(&self) -> Result<Option<Document>, ControlError>;

    /// Who may post rides; `None` where no console has said anything.
    async fn ingest_keys(&self) -> Result<Option<IngestKeys>, ControlError>;

    /// Publishes what the nodes shall do, unless a newer document stands there. Returns the serial that stands there now.
    async fn publish(&self, document: &Document) -> Result<u64, ControlError>;

    /// Publishes who may post rides, unless newer keys stand there. Returns the serial that stands there now.
    async fn publish_ingest_keys(&self, keys: &IngestKeys) -> Result<u64, ControlError>;

    /// Listens to heartbeats until the receiver is dropped or the way is lost, which closes it.
    async fn heartbeats(&self) -> Result<mpsc::Receiver<Heartbeat>, ControlError>;
}
