//! The configuration of a console.

use std::path::PathBuf;

use skilift_core::control::{ApiSettings, Ingest, WorkerSettings};
use skilift_core::embedded::DiskError;
use skilift_core::stack::StackName;
use skilift_core::store::redis::durability::StoreDurability;

use crate::fleet::prices::Prices;
use crate::management::ManagementSource;
use crate::tuning::LoadCommand;
pub use crate::view::engine::EngineKind;

/// Configuration of a console.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// The deployment.
    pub stack: StackName,
    /// The engine of the nodes.
    pub engine: EngineKind,
    /// What says that Redis keeps acknowledged rides.
    pub store_durability: StoreDurability,
    /// Directory for the console's state, not shared with other processes.
    pub folder: PathBuf,
    /// Directory with archived days, if this process knows it.
    pub archive: Option<PathBuf>,
    /// Whether the console is read-only.
    pub read_only: bool,
    /// Whether requests come through a proxy that sets `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// Whether browsers reach the console over TLS, its own or that of a proxy.
    pub is_encrypted: bool,
    /// RabbitMQ's management API, if configured.
    pub management: Option<ManagementSource>,
    /// Values of the command-line flags, if known to this process.
    pub seeds: Seeds,
    /// Prices of instances.
    pub prices: Prices,
    /// How the load of a sweep is started, if it can be.
    pub load: Option<LoadCommand>,
}

/// Values of the command-line flags: version 1 of a section that has not been set yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seeds {
    /// Settings of workers.
    pub worker: Option<WorkerSettings>,
    /// Settings of API nodes.
    pub api: Option<ApiSettings>,
    /// Ingest policy.
    pub ingest: Option<Ingest>,
}

/// Why the console could not start.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The data directory failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// An interrupted plan could not be resumed.
    #[error("cannot resume or abort a plan that was interrupted when the console stopped: {0}")]
    Resume(String),
}
