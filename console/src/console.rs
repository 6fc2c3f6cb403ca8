//! The console: its shared state and dependencies, and its start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skilift_core::catalogue::Catalogue;
use skilift_core::control::{ApiSettings, ControlChannel, Ingest, WorkerSettings};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use skilift_core::lifecycle::{Lifecycle, TaskError};
use skilift_core::queue::DeadLetterQueue;
use skilift_core::queue::depth::DepthGauge;
use skilift_core::stack::StackName;
use skilift_core::store::Reader;
use skilift_core::store::leaders::Leaders;
use skilift_fleet::Fleet;
use skilift_http::Listener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::dead_letters::{self, DeadLetterStore};
use crate::desired::Desired;
use crate::fleet::prices::Prices;
use crate::fleet::{self, Machines};
use crate::management::{self, Management, ManagementSource};
use crate::plan::job::JobRunner;
use crate::roster::Roster;
use crate::sampler::{self, Monitor};
use crate::state::ConsoleState;
use crate::{admin, plan, publish};

/// How often the last use of tokens is written.
const USE_STEP: Duration = Duration::from_secs(60);

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

/// Opens the console's data directory and starts its background tasks. They end when `lifecycle` drains.
///
/// # Errors
/// If the data directory cannot be used.
pub async fn start(
    config: ConsoleConfig,
    sources: Sources,
    lifecycle: &Lifecycle,
) -> Result<Arc<Console>, ConsoleError> {
    let (folder, seeds) = (config.folder.clone(), config.seeds);
    let opening = tokio::task::spawn_blocking(move || -> Result<_, DiskError> {
        let state = ConsoleState::open(&folder)?;
        let access = Access::open(&state)?;
        let desired = Desired::open(&state, seeds)?;
        let dead_letters = DeadLetterStore::open(&state)?;
        let monitor = Monitor::open(&state)?;
        Ok((state, access, desired, dead_letters, monitor))
    });
    let opened = opening.await.map_err(|_| DiskError::Ending)??;
    let (state, access, desired, dead_letters, monitor) = opened;
    let management = config.management.as_ref();
    let management = management.map(|source| Management::new(source, &config.stack));
    let console = Arc::new(Console {
        machines: Machines::new(sources.fleet.clone()),
        management,
        config,
        sources,
        access,
        state,
        roster: Roster::default(),
        leaders: Leaders::default(),
        desired,
        dead_letters,
        monitor,
        jobs: JobRunner::new(lifecycle.draining()),
        tasks: TaskTracker::new(),
    });
    if !console.config.read_only {
        plan::apply::resume(&console)
            .await
            .map_err(|error| ConsoleError::Resume(error.message().to_owned()))?;
    }
    // Stored settings apply from the nodes' first moment, if they can be published by then.
    publish::reconcile_at_start(&console).await?;
    let drain = lifecycle.draining();
    if !console.config.read_only {
        let reading = dead_letters::read(Arc::clone(&console), drain.clone());
        lifecycle.spawn("dead letters", reading);
    }
    if console.management.is_some() {
        let polling = management::poll(Arc::clone(&console), drain.clone());
        lifecycle.spawn("management api", polling);
    }
    lifecycle.spawn(
        "publishing",
        publish::run(Arc::clone(&console), drain.clone()),
    );
    lifecycle.spawn("sampler", sampler::run(Arc::clone(&console), drain.clone()));
    lifecycle.spawn("machines", fleet::run(Arc::clone(&console), drain.clone()));
    lifecycle.spawn("plans", finish_plans(console.tasks.clone(), drain.clone()));
    lifecycle.spawn(
        "console data directory",
        watch_folder(Arc::clone(&console), drain.clone()),
    );
    lifecycle.spawn("token use", record_last_used(Arc::clone(&console), drain));
    Ok(console)
}

/// Serves the admin API until `lifecycle` drains.
pub fn serve(console: &Arc<Console>, listener: Listener, lifecycle: &Lifecycle) {
    let router = admin::router(Arc::clone(console));
    let drain = lifecycle.draining();
    lifecycle.spawn("admin api", async move {
        skilift_http::serve(listener, router, drain).await;
        Ok(())
    });
}

/// Waits for plans that are being applied before the process ends.
async fn finish_plans(tasks: TaskTracker, drain: CancellationToken) -> Result<(), TaskError> {
    drain.cancelled().await;
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Ends the process after a failed write to the data directory: its content is only certain after the next start.
async fn watch_folder(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    match drain.run_until_cancelled(console.state.failure()).await {
        Some(why) => Err(why.into()),
        None => Ok(()),
    }
}

/// Periodically writes the last use of tokens, and removes expired ones.
async fn record_last_used(
    console: Arc<Console>,
    drain: CancellationToken,
) -> Result<(), TaskError> {
    loop {
        let waited = drain
            .run_until_cancelled(tokio::time::sleep(USE_STEP))
            .await;
        let mut changes = WriteBatch::default();
        // A token that was revoked meanwhile must not be written again.
        let _write_lock = console.desired.write_lock.lock().await;
        if console.access.put_last_used(&console.state, &mut changes) {
            let noting = console
                .state
                .commit("write the last use of tokens", changes, vec![]);
            noting.await?;
        }
        if waited.is_none() {
            return Ok(());
        }
    }
}
