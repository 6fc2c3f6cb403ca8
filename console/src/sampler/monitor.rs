//! The collected state, and the latest snapshot.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use tokio::sync::watch;
use tokio::time::Instant;

use super::conflicts::ConflictDetector;
use super::raised::Raised;
use super::readings::Collectors;
use super::snapshot::Snapshot;
use crate::history::History;
use crate::lag::{Backlogs, Oldest};
use crate::loss_detector::LossDetector;
use crate::producer_epochs::ProducerEpochs;
use crate::registry::{NodeRegistry, REMOVED_AFTER_MS, StoredNodes};
use crate::state::ConsoleState;
use crate::view::aging::Aging;
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
    started: Instant,
}

/// State carried from one collection to the next.
pub(super) struct MonitorState {
    pub(super) registry: NodeRegistry,
    pub(super) kept: StoredNodes,
    pub(super) conflicts: ConflictDetector,
    pub(super) epochs: ProducerEpochs,
    pub(super) history: History,
    pub(super) loss_detector: LossDetector,
    pub(super) backlogs: Backlogs,
    pub(super) oldest: Oldest,
    pub(super) raised: Raised,
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
                loss_detector: LossDetector::default(),
                backlogs: Backlogs::default(),
                oldest: Oldest::default(),
                raised: Raised::default(),
            }),
            collectors: Mutex::default(),
            unwritten: Mutex::default(),
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

    /// The recorded history.
    pub(crate) fn history(&self, step_s: u64, since_ms: u64) -> HistoryView {
        self.state().history.since(step_s, since_ms)
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
