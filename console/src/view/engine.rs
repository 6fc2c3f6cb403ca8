//! What the nodes of a stack run on.

use serde::{Deserialize, Serialize};

/// The engine of the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// RabbitMQ and Redis.
    Servers,
    /// A data directory, used by one process.
    #[serde(rename = "data_directory")]
    DataFolder,
}
