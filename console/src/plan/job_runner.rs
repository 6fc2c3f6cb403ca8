//! The work of plans, and its progress.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::view::plan::{OutcomeResult, OutcomeView, StepView};

/// Long-running work that can be repeated from the beginning after an interruption.
pub(crate) struct Job {
    /// Does the work and returns the result of each action.
    pub(crate) doing: BoxFuture<'static, Vec<StepView>>,
    /// Its progress.
    pub(crate) progress: Progress,
    /// Stops the work before its next step; `None` if it has only one.
    pub(crate) cancel: Option<CancellationToken>,
}

/// Work in progress.
pub(super) struct RunningJob {
    pub(super) progress: Progress,
    pub(super) cancel: Option<CancellationToken>,
}

/// The progress of work.
#[derive(Clone)]
pub(crate) enum Progress {
    /// As text, the same for all actions of the plan.
    Words(watch::Receiver<String>),
    /// Step by step.
    Steps(watch::Receiver<Vec<StepView>>),
}

/// The work in progress.
pub(crate) struct JobRunner {
    /// Cancelled when the work must stop; it is resumed at the next start.
    pub(super) drain: CancellationToken,
    running: Mutex<HashMap<String, RunningJob>>,
}

impl JobRunner {
    /// None yet.
    pub(crate) fn new(drain: CancellationToken) -> Self {
        Self {
            drain,
            running: Mutex::default(),
        }
    }

    /// The work of each plan that is being applied.
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<String, RunningJob>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running outcome with these steps.
pub(super) fn going_on(steps: Vec<StepView>) -> OutcomeView {
    OutcomeView {
        result: OutcomeResult::Running,
        steps,
        secret: None,
        created_id: None,
    }
}

/// Whether a step, or the step that replaced it, was done.
pub(super) fn is_made_good(step: &StepView, steps: &[StepView]) -> bool {
    let instead = step.started_instead.as_ref();
    step.done
        || instead
            .and_then(|id| steps.iter().rfind(|other| other.action.target == *id))
            .is_some_and(|other| is_made_good(other, steps))
}
