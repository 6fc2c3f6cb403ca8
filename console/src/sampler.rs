//! Collects all state once a second for every reader: a query only returns what was collected last.
//!
//! - `collectors`: what is polled over the network, each in its own task, so that one that does not answer does not block the
//!   others.
//! - `queue`, `reconciliation`, `nodes`, `alarms`: what is derived from it. `conflicts`: detects other consoles that manage the same
//!   stack.

mod alarms;
mod collectors;
mod conflicts;
mod nodes;
mod queue;
mod reconciliation;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use skilift_core::lifecycle::TaskError;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::history::History;
use crate::lag::{Backlogs, Oldest};
use crate::loss_detector::LossDetector;
use crate::producer_epochs::{ProducerEpochs, REPLAY_PUBLISHER};
use crate::registry::{NodeRegistry, REMOVED_AFTER_MS, StoredNodes};
use crate::state::ConsoleState;
use crate::view::nodes::NodesView;
use crate::view::queue::{HistoryPoint, HistoryView, QueueView};
use collectors::Collectors;
use conflicts::ConflictDetector;

/// Collection interval.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the confirmed high-water marks of the publisher channels are written.
const WRITE_INTERVAL: Duration = Duration::from_secs(5);
/// How often expired epochs of publisher channels are pruned.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// Value of the console's clock at its start, so that earlier heartbeats have a time on it.
const START_MS: u64 = 2 * REMOVED_AFTER_MS;
/// Until this uptime, missing heartbeats only mean that the console has just subscribed.
const BEGIN_LISTENING_MS: u64 = 3_000;

/// The state at one moment.
pub(crate) struct Snapshot {
    pub(crate) queue: QueueView,
    pub(crate) nodes: NodesView,
    /// Both as JSON: there may be hundreds of queries per second.
    pub(crate) queue_json: Vec<u8>,
    pub(crate) nodes_json: Vec<u8>,
}

/// The collected state, and the latest snapshot.
pub(crate) struct Monitor {
    latest: RwLock<Option<Arc<Snapshot>>>,
    state: Mutex<MonitorState>,
    collectors: Mutex<Collectors>,
    started: Instant,
}

/// State carried from one collection to the next.
struct MonitorState {
    registry: NodeRegistry,
    kept: StoredNodes,
    conflicts: ConflictDetector,
    epochs: ProducerEpochs,
    history: History,
    loss_detector: LossDetector,
    backlogs: Backlogs,
    oldest: Oldest,
}

impl Monitor {
    pub(crate) fn open(state: &ConsoleState) -> Result<Self, DiskError> {
        let mut registry = NodeRegistry::default();
        let kept = StoredNodes::open(state.table("nodes")?, &mut registry, START_MS, epoch_ms())?;
        Ok(Self {
            latest: RwLock::default(),
            state: Mutex::new(MonitorState {
                registry,
                kept,
                conflicts: ConflictDetector::default(),
                epochs: ProducerEpochs::open(state.table("lives")?)?,
                history: History::open(state.table("minutes")?)?,
                loss_detector: LossDetector::default(),
                backlogs: Backlogs::default(),
                oldest: Oldest::default(),
            }),
            collectors: Mutex::default(),
            started: Instant::now(),
        })
    }

    /// The latest snapshot; `None` before the first collection.
    pub(crate) fn latest(&self) -> Option<Arc<Snapshot>> {
        self.latest
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The recorded history.
    pub(crate) fn history(&self, step_s: u64, since_ms: u64) -> HistoryView {
        self.state().history.since(step_s, since_ms)
    }

    /// Milliseconds of a monotonic clock: [`START_MS`] when the console started.
    fn now(&self) -> u64 {
        let ran_ms = u64::try_from(self.started.elapsed().as_millis());
        ran_ms.map_or(u64::MAX, |ran_ms| ran_ms.saturating_add(START_MS))
    }

    fn state(&self) -> MutexGuard<'_, MonitorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collectors(&self) -> MutexGuard<'_, Collectors> {
        self.collectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Collects until `drain`.
pub(crate) async fn run(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    let collecting = async {
        let (collected, (), (), ()) = tokio::join!(
            collect_each_second(&console),
            collectors::receive_heartbeats(&console),
            collectors::poll_queue_depth(&console),
            collectors::poll_reconciliation(&console),
        );
        collected
    };
    let ended = drain.run_until_cancelled(collecting).await;
    // The next console process needs these high-water marks for reconciliation.
    write(&console, WriteBatch::default()).await?;
    ended.unwrap_or(Ok(()))
}

async fn collect_each_second(console: &Console) -> Result<(), TaskError> {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut written, mut pruned) = (Instant::now(), Instant::now());
    loop {
        ticks.tick().await;
        let changes = collect(console)?;
        if !changes.is_empty() || written.elapsed() >= WRITE_INTERVAL {
            written = Instant::now();
            write(console, changes).await?;
        }
        if pruned.elapsed() >= PRUNE_INTERVAL {
            pruned = Instant::now();
            prune_expired(console).await?;
        }
    }
}

/// Collects the current state, adds it to the history, and returns what must be written.
fn collect(console: &Console) -> Result<WriteBatch, DiskError> {
    let point = refresh(console)?;
    Ok(console.monitor.state().history.add(point))
}

/// Collects the current state; also called after a change, so that the next query shows it.
pub(crate) fn refresh(console: &Console) -> Result<HistoryPoint, DiskError> {
    let monitor = &console.monitor;
    let now = monitor.now();
    let audit = console.state.audit_before(u64::MAX, conflicts::MAX_LINES)?;
    let mut state = monitor.state();
    let mut collectors = monitor.collectors();
    let at = queue::Timestamps {
        now,
        epoch_ms: epoch_ms(),
    };
    state.conflicts.update(&audit, now);
    state.registry.check_liveness(now);
    collectors.update_connection(state.registry.is_disconnected(now), now - START_MS);
    let confirmed = console.sources.dead_letter_queue.confirmed();
    state
        .epochs
        .record(REPLAY_PUBLISHER, &confirmed, at.epoch_ms);
    console.roster.set(state.registry.roster(now));
    let nodes = nodes::view(console, &state.registry, &collectors, &at);
    let queue = queue::view(console, &mut state, &collectors, &at);
    drop(collectors);
    drop(state);
    let point = queue::point(&queue);
    let json = |view: serde_json::Result<Vec<u8>>| view.unwrap_or_default();
    let snapshot = Snapshot {
        // Names, numbers and text always serialise.
        queue_json: json(serde_json::to_vec(&queue)),
        nodes_json: json(serde_json::to_vec(&nodes)),
        queue,
        nodes,
    };
    *monitor
        .latest
        .write()
        .unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(snapshot));
    Ok(point)
}

async fn write(console: &Console, mut changes: WriteBatch) -> Result<(), DiskError> {
    {
        let now = console.monitor.now();
        let mut state = console.monitor.state();
        let MonitorState { registry, kept, .. } = &mut *state;
        changes.append(kept.take_changes(registry, now, epoch_ms()));
        changes.append(state.epochs.take_changes());
    }
    if changes.is_empty() {
        return Ok(());
    }
    let doing = "write the collected state";
    console.state.commit(doing, changes, Vec::new()).await
}

/// Prunes epochs of publisher channels that ended long ago and have no missing messages.
async fn prune_expired(console: &Console) -> Result<(), DiskError> {
    if console.config.read_only {
        return Ok(());
    }
    let expired = console.monitor.state().epochs.expired(epoch_ms());
    for epoch in expired {
        // One by one, so that it is known which were pruned.
        match console.sources.reader.prune_epochs(&[epoch]).await {
            Ok(0) => {}
            Ok(_) => {
                let changes = console.monitor.state().epochs.prune(&[epoch]);
                let doing = "prune a finished publisher channel";
                console.state.commit(doing, changes, Vec::new()).await?;
            }
            Err(error) => {
                tracing::debug!("cannot prune finished publisher channels yet: {error}");
                return Ok(());
            }
        }
    }
    Ok(())
}
