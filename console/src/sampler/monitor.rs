//! The collected state, and the latest snapshot.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::conflicts::ConflictDetector;
use super::node_events::NodeEvents;
use super::raised::Raised;
use super::readings::Collectors;
use super::snapshot::Snapshot;
use crate::history::History;
use crate::lag::{Backlogs, Oldest};
use crate::loss_detector::LossDetector;
use crate::producer_epochs::ProducerEpochs;
use crate::registry::{NodeRegistry, REMOVED_AFTER_MS, StoredNodes};
use crate::state::ConsoleState;
use crate::tuning::measurement::{Figures, Measurement};
use crate::view::aging::Aging;
use crate::view::nodes::NodeDetailView;
use crate::view::queue::HistoryView;

/// Value of the console's clock at its start, so that earlier heartbeats have a time on it.
pub(super) const START_MS: u64 = 2 * REMOVED_AFTER_MS;
/// The collected state, and the latest snapshot.
pub(crate) struct Monitor {
    pub(super) latest: watch::Sender<Option<Arc<Snapshot>>>,
    state: Mutex<MonitorState>,
    collectors: Mutex<Collectors>,
    /// What is still to be written to the console's directory.
    unwritten: Mutex<WriteBatch>,
    /// Notified when something must be written at once.
    pub(super) write_now: Notify,
    started: Instant,
}

/// State carried from one collection to the next.
pub(super) struct MonitorState {
    pub(super) registry: NodeRegistry,
    pub(super) kept: StoredNodes,
    pub(super) conflicts: ConflictDetector,
    pub(super) epochs: ProducerEpochs,
    pub(super) history: History,
    pub(super) node_events: NodeEvents,
    pub(super) loss_detector: LossDetector,
    pub(super) backlogs: Backlogs,
    pub(super) oldest: Oldest,
    pub(super) raised: Raised,
    /// A measurement of a sweep, while there is one.
    pub(super) measurement: Option<Measurement>,
}

impl Monitor {
    pub(crate) fn open(state: &ConsoleState) -> Result<Self, DiskError> {
        let mut registry = NodeRegistry::default();
        let kept = StoredNodes::open(state.table("nodes")?, &mut registry, START_MS, epoch_ms())?;
        Ok(Self {
            latest: watch::Sender::default(),
            state: Mutex::new(MonitorState {
                registry,
                kept,
                conflicts: ConflictDetector::default(),
                epochs: ProducerEpochs::open(state.table("lives")?)?,
                history: History::open(state.table("minutes")?)?,
                node_events: NodeEvents::open(state.table("node-events")?)?,
                loss_detector: LossDetector::open(state.table("losses")?)?,
                backlogs: Backlogs::default(),
                oldest: Oldest::default(),
                raised: Raised::open(state.table("alarms")?)?,
                measurement: None,
            }),
            collectors: Mutex::default(),
            unwritten: Mutex::default(),
            write_now: Notify::new(),
            started: Instant::now(),
        })
    }

    /// The latest snapshot; `None` before the first collection.
    pub(crate) fn latest(&self) -> Option<Arc<Snapshot>> {
        self.latest.borrow().clone()
    }

    /// The queue as JSON; `None` before the first collection.
    pub(crate) fn queue_json(&self) -> Option<Bytes> {
        Some(self.latest()?.queue_json(self.now()))
    }

    /// The nodes as JSON; `None` before the first collection.
    pub(crate) fn nodes_json(&self) -> Option<Bytes> {
        Some(self.latest()?.nodes_json(self.now()))
    }

    /// Part of the latest snapshot, with its ages as of now; `None` before the first collection, or if there is no such part.
    pub(crate) fn part<T: Aging + Clone>(
        &self,
        part: impl FnOnce(&Snapshot) -> Option<&T>,
    ) -> Option<T> {
        let latest = self.latest()?;
        Some(latest.aged(part(&latest)?, self.now()))
    }

    /// A node and what happened to it; `None` if it is not known.
    pub(crate) fn node(&self, id: &str) -> Option<NodeDetailView> {
        Some(NodeDetailView {
            node: self.part(|seen| seen.nodes.nodes.iter().find(|node| node.id == id))?,
            events: self.state().node_events.of(id),
        })
    }

    /// The recorded history.
    pub(crate) fn history(&self, step_s: u64, since_ms: u64) -> HistoryView {
        self.state().history.since(step_s, since_ms)
    }

    /// Begins a measurement of a sweep, instead of an earlier one.
    pub(crate) fn begin_measurement(&self) {
        let now = self.now();
        self.state().measurement = Some(Measurement::begin(now));
    }

    /// A number of the measurement so far; 0 without one.
    pub(crate) fn measured_so_far(&self, number: impl FnOnce(&Measurement) -> u64) -> u64 {
        self.state().measurement.as_ref().map_or(0, number)
    }

    /// Ends the measurement.
    ///
    /// # Errors
    /// If a node was not there all the time.
    pub(crate) fn end_measurement(&self) -> Result<Figures, String> {
        let now = self.now();
        let measurement = self.state().measurement.take();
        measurement
            .ok_or("the measurement was not begun")?
            .figures(now)
    }

    /// Milliseconds of a monotonic clock: [`START_MS`] when the console started.
    pub(super) fn now(&self) -> u64 {
        let ran_ms = u64::try_from(self.started.elapsed().as_millis());
        ran_ms.map_or(u64::MAX, |ran_ms| ran_ms.saturating_add(START_MS))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, MonitorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unwritten(&self) -> MutexGuard<'_, WriteBatch> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn collectors(&self) -> MutexGuard<'_, Collectors> {
        self.collectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
