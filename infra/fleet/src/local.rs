//! Child processes on one host: real nodes that are started, drained and stopped without EC2.
//!
//! - [`LocalFleet`]: the slots, each with a fixed id: a child process, or a "stopped instance" until one is started.
//! - `slot`: the ids. `supervisor`: the lifecycle of one slot. `child`: one process; `output`: its output; `ended`: how it
//!   ended. `memory`: which children should run, in a file.
//! - [`Announcement`]: what a child prints on stdout when it is up.
//!
//! A child is never orphaned: its standard input is a pipe that only this process holds. The child handles the end of the
//! pipe like a signal, so it drains and exits even if this process was killed.

mod announcement;
mod child;
mod ended;
mod memory;
mod output;
mod slot;
mod supervisor;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use skilift_core::lifecycle::Lifecycle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use self::announcement::Announcement;
use self::memory::Memory;
pub use self::slot::local_id;
use self::supervisor::{Deaths, Order, Supervisor, View};
use crate::instance::{Instance, InstanceId, InstanceState, Obstacle};
use crate::outcome::{FleetError, Outcome, OutcomeCode, Verb};
use crate::{Fleet, FleetKind, Progress};

/// Default maximum of children per role.
pub const MOST_OF_ROLE: u16 = 8;

/// Maximum queued commands per slot.
const ORDERS: usize = 16;

/// Receives each line that a child writes to stderr, without the line end. It must return at once, because it blocks the
/// child.
pub type Lines = Arc<dyn Fn(&InstanceId, &[u8]) + Send + Sync>;

/// Returns how the child of a slot is started.
pub type Launcher = Box<dyn Fn(&Place<'_>) -> Launch + Send + Sync>;

/// The slot of a child that is about to be started.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its id.
    pub id: &'a InstanceId,
    /// The role of the child: "api" or "worker".
    pub role: &'a str,
    /// The port for its health and metrics, which is part of a node's name; 0 for any.
    pub private_port: u16,
    /// The port for the public API, if it serves one; 0 for any.
    pub public_port: u16,
}

/// How a child is started.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its `argv[0]`, if different from its path.
    pub called: Option<OsString>,
    /// Its arguments. They are visible to other users and must not contain secrets.
    pub arguments: Vec<OsString>,
    /// Environment variables in addition to those of this process.
    pub environment: Vec<(OsString, OsString)>,
    /// Environment variables of this process that it does not inherit.
    pub without: Vec<OsString>,
}

/// A node within this process: it is listed, but cannot be started or stopped.
#[derive(Debug, Clone)]
pub struct Inner {
    /// Its id.
    pub id: InstanceId,
    /// Its role.
    pub role: String,
    /// Address of its public API.
    pub address: Option<SocketAddr>,
    /// When it was started, in milliseconds since 1970.
    pub started_at_ms: u64,
}

/// Timeouts and restart limits of children.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From its start until it reports that it is up; then the start command returns that it is still starting.
    pub up: Duration,
    /// Time after its own drain deadline until it is killed.
    pub margin: Duration,
    /// From an unexpected end to the first restart; each further pause in a row is twice as long, with jitter.
    pub first_pause: Duration,
    /// The longest of those pauses.
    pub longest_pause: Duration,
    /// Maximum restarts in a row after unexpected ends.
    pub tries: u32,
    /// A child that stays up this long resets the count.
    pub settled: Duration,
}

/// Configuration of a local fleet.
pub struct LocalConfig {
    /// The name of this host, the zone of its children.
    pub host: String,
    /// The file with the children that should run.
    pub file: PathBuf,
    /// Maximum children of each role.
    pub most: u16,
    /// Children to run if there is no such file.
    pub first: Vec<InstanceId>,
    /// The nodes within this process.
    pub inner: Vec<Inner>,
    /// How long a child may take to finish its work.
    pub drain_deadline: Duration,
    /// Other timeouts and limits.
    pub patience: Patience,
    /// How a child is started.
    pub launch: Launcher,
    /// Where its stderr goes.
    pub lines: Lines,
}

/// Why a local fleet cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The file of children cannot be read.
    #[error("cannot read the list of child processes in {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file has an unknown format.
    #[error(
        "{} is not a valid list of child processes; delete it to start with one worker",
        file.display()
    )]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The children of this process. They end when its lifecycle drains.
pub struct LocalFleet {
    config: Arc<LocalConfig>,
    slots: BTreeMap<InstanceId, Slot>,
    force: CancellationToken,
}

struct Slot {
    role: &'static str,
    orders: mpsc::Sender<Order>,
    view: watch::Receiver<View>,
}

impl LocalFleet {
    /// A fleet without running children.
    ///
    /// # Errors
    /// If the file of children cannot be read.
    pub fn new(config: LocalConfig, lifecycle: &Lifecycle) -> Result<Self, LocalError> {
        let memory = Arc::new(Memory::read(config.file.clone(), &config.first)?);
        let config = Arc::new(config);
        let force = CancellationToken::new();
        let mut slots = BTreeMap::new();
        for (id, role) in slot::all(config.most) {
            let (orders, taken) = mpsc::channel(ORDERS);
            let (view, seen) = watch::channel(View::EMPTY);
            let supervisor = Supervisor {
                id: id.clone(),
                role,
                config: Arc::clone(&config),
                memory: Arc::clone(&memory),
                orders: taken,
                view,
                end: lifecycle.draining(),
                force: force.clone(),
                deaths: Deaths::none(&config.patience),
            };
            lifecycle.spawn("child process", async move {
                supervisor.run().await;
                Ok(())
            });
            let slot = Slot {
                role,
                orders,
                view: seen,
            };
            slots.insert(id, slot);
        }
        Ok(Self {
            config,
            slots,
            force,
        })
    }

    /// Starts the children that were running when the previous process ended; at the first start those of
    /// [`LocalConfig::first`]. Returns one outcome for each when it is up or has failed; a failed one is still restarted,
    /// like any child that dies.
    pub async fn resume(&self) -> Vec<Outcome> {
        let resuming = self.slots.iter().map(async |(id, slot)| {
            let (code, message) = ask(slot, Order::Resume, &|_| {}).await;
            let id = id.clone();
            Outcome { id, code, message }
        });
        let outcomes = join_all(resuming).await;
        let unwanted = |outcome: &Outcome| outcome.code == OutcomeCode::Already;
        outcomes
            .into_iter()
            .filter(|outcome| !unwanted(outcome))
            .collect()
    }

    /// Running and desired number of children of a role.
    #[must_use]
    pub fn running(&self, role: &str) -> (usize, usize) {
        let of_role = self.slots.values().filter(|slot| slot.role == role);
        of_role.fold((0, 0), |(running, wanted), slot| {
            let view = slot.view.borrow();
            let runs = view.state == InstanceState::Running;
            (
                running + usize::from(runs),
                wanted + usize::from(view.wanted),
            )
        })
    }

    /// Kills the remaining children and waits for them. For the end of the process, after the drain.
    pub async fn end(&self) {
        self.force.cancel();
        let ends = self.slots.values().map(async |slot| {
            let mut view = slot.view.clone();
            // A removed slot has no child.
            let _ = view.wait_for(|view| view.pid.is_none()).await;
        });
        join_all(ends).await;
    }

    async fn each(
        &self,
        ids: &[InstanceId],
        order: fn(oneshot::Sender<(OutcomeCode, String)>) -> Order,
        progress: Progress<'_>,
    ) -> Vec<Outcome> {
        let doing = ids.iter().map(async |id| {
            let (code, message) = match self.slots.get(id) {
                Some(slot) => ask(slot, order, &|text| progress(id, text)).await,
                None if self.config.inner.iter().any(|inner| inner.id == *id) => {
                    (OutcomeCode::Obstacle, Obstacle::ThisProcess.to_string())
                }
                None => slot::refusal(id, self.config.most),
            };
            let id = id.clone();
            Outcome { id, code, message }
        });
        join_all(doing).await
    }
}

/// Sends a command and waits for its outcome.
async fn ask(
    slot: &Slot,
    order: fn(oneshot::Sender<(OutcomeCode, String)>) -> Order,
    progress: &(dyn Fn(String) + Send + Sync),
) -> (OutcomeCode, String) {
    let ending = || {
        let text = "skictl up is shutting down, together with its child processes";
        (OutcomeCode::Refused, text.to_owned())
    };
    let mut view = slot.view.clone();
    let (waiting, mut told) = oneshot::channel();
    if slot.orders.send(order(waiting)).await.is_err() {
        return ending();
    }
    let mut is_watched = true;
    loop {
        tokio::select! {
            told = &mut told => return told.unwrap_or_else(|_| ending()),
            changed = view.changed(), if is_watched => {
                is_watched = changed.is_ok();
                let view = view.borrow_and_update().clone();
                let of_process = view.pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
                progress(format!("{}{of_process}", view.state));
            }
        }
    }
}

#[async_trait]
impl Fleet for LocalFleet {
    fn kind(&self) -> FleetKind {
        FleetKind::Local
    }

    async fn list(&self) -> Result<Vec<Instance>, FleetError> {
        let instance = |id: &InstanceId, role: &str| Instance {
            id: id.clone(),
            role: role.to_owned(),
            name: None,
            instance_type: "process".to_owned(),
            zone: self.config.host.clone(),
            state: InstanceState::Stopped,
            reason: None,
            started_at_ms: None,
            address: None,
            is_spot: false,
            obstacle: None,
        };
        let inner = self.config.inner.iter().map(|inner| Instance {
            state: InstanceState::Running,
            started_at_ms: Some(inner.started_at_ms),
            address: inner.address.map(|address| address.to_string()),
            obstacle: Some(Obstacle::ThisProcess),
            ..instance(&inner.id, &inner.role)
        });
        let children = self.slots.iter().map(|(id, slot)| {
            let view = slot.view.borrow().clone();
            Instance {
                state: view.state,
                reason: view.reason,
                started_at_ms: view.started_at_ms,
                address: view.address.map(|address| address.to_string()),
                ..instance(id, slot.role)
            }
        });
        let mut all: Vec<Instance> = inner.chain(children).collect();
        all.sort_by(|one, other| (&one.role, &one.id).cmp(&(&other.role, &other.id)));
        Ok(all)
    }

    async fn preflight(&self, _verb: Verb, _ids: &[InstanceId]) -> Result<(), FleetError> {
        // The user of this process may start and stop its children.
        Ok(())
    }

    async fn start(&self, ids: &[InstanceId], progress: Progress<'_>) -> Vec<Outcome> {
        self.each(ids, Order::Start, progress).await
    }

    async fn stop(&self, ids: &[InstanceId], progress: Progress<'_>) -> Vec<Outcome> {
        self.each(ids, Order::Stop, progress).await
    }
}
