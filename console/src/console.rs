//! The console: its dependencies and parts.

use std::io::Write;
use std::sync::Arc;

use skilift_core::catalogue::Catalogue;
use skilift_core::clock::epoch_ms;
use skilift_core::control::ControlChannel;
use skilift_core::embedded::records::copy::CopyError;
use skilift_core::queue::DeadLetterQueue;
use skilift_core::queue::depth::DepthGauge;
use skilift_core::store::Reader;
use skilift_core::store::leaders::Leaders;
use skilift_fleet::Fleet;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::archived_files::ArchiveFaults;
use crate::config::{ConsoleConfig, ConsoleError};
use crate::dead_letters::store::DeadLetterStore;
use crate::desired::Desired;
use crate::doctor::{Checks, Doctor};
use crate::fleet::machines::Machines;
use crate::management::Management;
use crate::plan::job_runner::JobRunner;
use crate::roster::Roster;
use crate::sampler::monitor::Monitor;
use crate::state::ConsoleState;
use crate::tuning::Tuning;
use crate::view::alarm::{AlarmCode, AlarmView};
use crate::view::export::ExportHeader;
use crate::view::reconciliation::Verdict;

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
    /// The checks of the doctor.
    pub checks: Checks,
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
    pub(crate) archive_faults: Arc<ArchiveFaults>,
    pub(crate) management: Option<Arc<Management>>,
    pub(crate) doctor: Doctor,
    pub(crate) jobs: JobRunner,
    pub(crate) tuning: Tuning,
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

    /// Writes the whole state, as of one moment; returns the number of records.
    ///
    /// # Errors
    /// If the disk cannot be read, or `to` cannot be written.
    pub(crate) fn export(&self, to: &mut impl Write) -> Result<u64, CopyError> {
        let header = ExportHeader {
            stack: self.config.stack.clone(),
            engine: self.config.engine,
            exported_at_ms: epoch_ms(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.state.export(&header, to)
    }

    /// Age of the oldest ride not yet stored, in milliseconds; `None` if unknown, or if rides may be lost and that is not
    /// acknowledged: then statistics may lack more than what is queued.
    pub(crate) fn behind_ms(&self) -> Option<u64> {
        let queue = &self.monitor.latest()?.queue;
        let is_open = |alarm: &AlarmView| {
            matches!(alarm.code, AlarmCode::Loss | AlarmCode::SuspectedLoss)
                && alarm.acknowledged.is_none()
        };
        let is_known = queue.reconciliation.verdict != Verdict::Unknown;
        let is_whole = is_known && !queue.alarms.iter().any(is_open);
        queue.oldest_ride_age_ms.value.filter(|_| is_whole)
    }
}
