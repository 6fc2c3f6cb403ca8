//! The console: what every part of it has at hand, and how it starts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skilift_core::catalogue::Catalogue;
use skilift_core::control::{ApiSettings, ControlPlane, Ingest, WorkerSettings};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::Changes;
use skilift_core::lifecycle::{Lifecycle, TaskError};
use skilift_core::queue::DeadLetterOffice;
use skilift_core::queue::depth::DepthGauge;
use skilift_core::stack::StackName;
use skilift_core::store::Reader;
use skilift_core::store::leaders::Leaders;
use skilift_fleet::Fleet;
use skilift_http::Listener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::desired::Desired;
use crate::fleet::prices::Prices;
use crate::fleet::{self, Machines};
use crate::letters::{self, Letters};
use crate::management::{self, Management, ManagementSource};
use crate::plan::work::Jobs;
use crate::roster::Roster;
use crate::sampler::{self, Observed};
use crate::state::ConsoleState;
use crate::{admin, plan, publish};

/// How often it is written when tokens were shown.
const USE_STEP: Duration = Duration::from_secs(60);

/// How a console is set.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// The deployment.
    pub stack: StackName,
    /// What the nodes work on.
    pub engine: EngineKind,
    /// The folder for what the console keeps, its own alone.
    pub folder: PathBuf,
    /// Whether nothing may be changed through it.
    pub read_only: bool,
    /// Whether requests come through a proxy that says from where, in `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// RabbitMQ's management API, where it is to be asked.
    pub management: Option<ManagementSource>,
    /// What the flags said, where this process knows it.
    pub seeds: Seeds,
    /// What machines cost.
    pub prices: Prices,
}

/// What the nodes work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// RabbitMQ and Redis.
    Servers,
    /// A data folder, of one process.
    DataFolder,
}

/// What the flags said: the first generation of a section that nobody has set yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seeds {
    /// How workers work.
    pub worker: Option<WorkerSettings>,
    /// How API nodes publish.
    pub api: Option<ApiSettings>,
    /// Who may post rides.
    pub ingest: Option<Ingest>,
}

/// Where the console looks.
pub struct Sources {
    /// The store, for questions.
    pub reader: Arc<dyn Reader>,
    /// The resorts.
    pub catalogue: Catalogue,
    /// The way to the nodes.
    pub plane: Arc<dyn ControlPlane>,
    /// How much waits in the queue.
    pub depth: Arc<dyn DepthGauge>,
    /// The dead letters. A console that may change nothing takes none.
    pub letters: Arc<dyn DeadLetterOffice>,
    /// The machines that nodes run on, where there are any to start and stop.
    pub fleet: Option<Arc<dyn Fleet>>,
}

/// Why a console could not start.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// Its folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A plan that was cut off.
    #[error(
        "a plan that was cut off when the console ended could be neither finished nor given up: {0}"
    )]
    Resume(String),
}

/// What every part of the console has at hand.
pub struct Console {
    pub(crate) config: ConsoleConfig,
    pub(crate) sources: Sources,
    pub(crate) state: ConsoleState,
    pub(crate) access: Access,
    pub(crate) roster: Roster,
    pub(crate) leaders: Leaders,
    pub(crate) desired: Desired,
    pub(crate) observed: Observed,
    pub(crate) letters: Letters,
    pub(crate) machines: Machines,
    pub(crate) management: Option<Management>,
    pub(crate) jobs: Jobs,
    /// What goes on although nobody waits for it any more: plans that are being applied.
    pub(crate) tasks: TaskTracker,
}

impl Console {
    /// Whether anybody has a name and a password here.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn has_users(&self) -> Result<bool, ConsoleError> {
        Ok(!self.state.users.range(.., 1)?.is_empty())
    }

    /// Makes a token with all rights, which counts until this process ends and stands in no folder.
    #[must_use]
    pub fn make_local_token(&self) -> String {
        self.access.make_local_token()
    }

    /// Makes a code that lets somebody in as an admin, once, within ten minutes.
    #[must_use]
    pub fn make_login_code(&self) -> String {
        self.access.make_login_code()
    }

    /// How late rides are stored: the age of the oldest one that is not, in milliseconds; `None` while it is not known.
    pub(crate) fn behind_ms(&self) -> Option<u64> {
        self.observed.latest()?.queue.oldest_ms.value
    }
}

/// Opens the console's folder and starts what it does by itself. It ends when `life` drains.
///
/// # Errors
/// When the folder cannot be used.
pub async fn start(
    config: ConsoleConfig,
    sources: Sources,
    life: &Lifecycle,
) -> Result<Arc<Console>, ConsoleError> {
    let (folder, seeds) = (config.folder.clone(), config.seeds);
    let opening = tokio::task::spawn_blocking(move || -> Result<_, DiskError> {
        let state = ConsoleState::open(&folder)?;
        let access = Access::open(&state)?;
        let desired = Desired::open(&state, seeds)?;
        let letters = Letters::open(&state)?;
        let observed = Observed::open(&state)?;
        Ok((state, access, desired, letters, observed))
    });
    let opened = opening.await.map_err(|_| DiskError::Ending)??;
    let (state, access, desired, letters, observed) = opened;
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
        letters,
        observed,
        jobs: Jobs::new(life.draining()),
        tasks: TaskTracker::new(),
    });
    if !console.config.read_only {
        plan::apply::resume(&console)
            .await
            .map_err(|error| ConsoleError::Resume(error.message().to_owned()))?;
    }
    // What is stored rules from the nodes' first moment, where they can be told by then.
    publish::first_look(&console).await?;
    let drain = life.draining();
    if !console.config.read_only {
        let reading = letters::read(Arc::clone(&console), drain.clone());
        life.spawn("dead letters", reading);
    }
    if console.management.is_some() {
        let asking = management::ask(Arc::clone(&console), drain.clone());
        life.spawn("management api", asking);
    }
    life.spawn(
        "publishing",
        publish::run(Arc::clone(&console), drain.clone()),
    );
    life.spawn("sampler", sampler::run(Arc::clone(&console), drain.clone()));
    life.spawn("machines", fleet::run(Arc::clone(&console), drain.clone()));
    life.spawn("plans", finish_plans(console.tasks.clone(), drain.clone()));
    life.spawn(
        "console folder",
        watch_folder(Arc::clone(&console), drain.clone()),
    );
    life.spawn("token use", note_use(Arc::clone(&console), drain));
    Ok(console)
}

/// Serves the admin API until `life` drains.
pub fn serve(console: &Arc<Console>, listener: Listener, life: &Lifecycle) {
    let router = admin::router(Arc::clone(console));
    let drain = life.draining();
    life.spawn("admin api", async move {
        skilift_http::serve(listener, router, drain).await;
        Ok(())
    });
}

/// Has plans that are being applied finish before the process ends.
async fn finish_plans(tasks: TaskTracker, drain: CancellationToken) -> Result<(), TaskError> {
    drain.cancelled().await;
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Ends the process when the folder did not take a write: what it has of it is known after the next start.
async fn watch_folder(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    match drain.run_until_cancelled(console.state.failure()).await {
        Some(why) => Err(why.into()),
        None => Ok(()),
    }
}

/// Writes now and then when tokens were shown, and removes those that ended.
async fn note_use(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    loop {
        let waited = drain
            .run_until_cancelled(tokio::time::sleep(USE_STEP))
            .await;
        let mut changes = Changes::default();
        // A token that is revoked meanwhile must not be written once more.
        let _turn = console.desired.turn.lock().await;
        if console.access.put_use(&console.state, &mut changes) {
            let noting = console
                .state
                .commit("note the use of tokens", changes, vec![]);
            noting.await?;
        }
        if waited.is_none() {
            return Ok(());
        }
    }
}
