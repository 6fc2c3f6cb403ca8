//! The console: its configuration, dependencies and parts.

use std::path::PathBuf;
use std::sync::Arc;

use skilift_core::catalogue::Catalogue;
use skilift_core::control::{ApiSettings, ControlChannel, Ingest, WorkerSettings};
use skilift_core::embedded::DiskError;
use skilift_core::queue::DeadLetterQueue;
use skilift_core::queue::depth::DepthGauge;
use skilift_core::stack::StackName;
use skilift_core::store::Reader;
use skilift_core::store::leaders::Leaders;
use skilift_fleet::Fleet;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::dead_letters::DeadLetterStore;
use crate::desired::Desired;
use crate::fleet::Machines;
use crate::fleet::prices::Prices;
use crate::management::{Management, ManagementSource};
use crate::plan::job::JobRunner;
use crate::roster::Roster;
use crate::sampler::Monitor;
use crate::state::ConsoleState;

/// Configuration of a console.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// The deployment.
    pub stack: StackName,
    /// The engine of the nodes.
    pub engine: EngineKind,
    /// Directory for the console's state, not shared with other processes.
    pub folder: PathBuf,
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
}

/// The engine of the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// RabbitMQ and Redis.
    Servers,
    /// A data directory, used by one process.
    DataFolder,
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

/// Dependencies of the console.
pub struct Sources {
    /// The store, for queries.
    pub reader: Arc<dyn Reader>,
    /// The resorts.
    pub catalogue: Catalogue,
    /// The control channel to the nodes.
    pub control_channel: Arc<dyn ControlChannel>,
    /// Depth of the queue.
    pub depth: Arc<dyn DepthGauge>,
    /// The dead-letter queue. A read-only console does not consume it.
    pub dead_letter_queue: Arc<dyn DeadLetterQueue>,
    /// The fleet of instances, if there is one.
    pub fleet: Option<Arc<dyn Fleet>>,
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

/// Shared state and dependencies of the console.
pub struct Console {
    pub(crate) config: ConsoleConfig,
    pub(crate) sources: Sources,
    pub(crate) state: ConsoleState,
    pub(crate) access: Access,
    pub(crate) roster: Roster,
    pub(crate) leaders: Leaders,
    pub(crate) desired: Desired,
    pub(crate) monitor: Monitor,
    pub(crate) dead_letters: DeadLetterStore,
    pub(crate) machines: Machines,
    pub(crate) management: Option<Management>,
    pub(crate) jobs: JobRunner,
    /// Background tasks that continue after their request ends: plans that are being applied.
    pub(crate) tasks: TaskTracker,
}

impl Console {
    /// Whether there are any users.
    ///
    /// # Errors
    /// If the data directory cannot be read.
    pub fn has_users(&self) -> Result<bool, ConsoleError> {
        Ok(!self.state.users.range(.., 1)?.is_empty())
    }

    /// Creates a token with all rights, which is valid until this process ends and is not written to disk.
    #[must_use]
    pub fn make_local_token(&self) -> String {
        self.access.make_local_token()
    }

    /// Creates a code for one login as admin, valid for ten minutes.
    #[must_use]
    pub fn make_login_code(&self) -> String {
        self.access.make_login_code()
    }

    /// Age of the oldest ride not yet stored, in milliseconds; `None` if unknown.
    pub(crate) fn behind_ms(&self) -> Option<u64> {
        self.monitor.latest()?.queue.oldest_ride_age_ms.value
    }
}
