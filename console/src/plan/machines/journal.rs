//! Progress of a plan's steps, stored in the plan itself.

use std::sync::Arc;

use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::plan::job_runner::going_on;
use crate::view::plan::{StepCode, StepView};

/// Whether a step has no final result yet.
pub(super) fn is_open(step: &StepView) -> bool {
    !step.done
        && matches!(
            step.code,
            None | Some(StepCode::Waiting | StepCode::UnderWay)
        )
}

/// The steps of one plan.
pub(super) struct Journal {
    console: Arc<Console>,
    plan: String,
    told: watch::Sender<Vec<StepView>>,
    /// Whether the plan was cancelled meanwhile.
    cancel: CancellationToken,
}

impl Journal {
    pub(super) fn new(
        console: Arc<Console>,
        plan: String,
        told: watch::Sender<Vec<StepView>>,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            console,
            plan,
            told,
            cancel,
        }
    }

    /// The current steps.
    pub(super) fn steps(&self) -> Vec<StepView> {
        self.told.borrow().clone()
    }

    /// Whether a step has no final result yet.
    pub(super) fn is_open(&self, place: usize) -> bool {
        self.told.borrow().get(place).is_some_and(is_open)
    }

    /// Whether a step has begun, and has no final result yet.
    pub(super) fn has_begun(&self, place: usize) -> bool {
        let steps = self.told.borrow();
        let step = steps.get(place);
        step.is_some_and(|step| !step.done && step.code == Some(StepCode::UnderWay))
    }

    /// Records the progress of a running step.
    pub(super) fn tell(&self, place: usize, how: impl Into<String>) {
        let how = how.into();
        self.change(place, |step| {
            step.code = Some(StepCode::UnderWay);
            step.message = Some(how);
        });
    }

    /// Records that a step succeeded.
    pub(super) fn done(&self, place: usize, code: StepCode, message: Option<String>) {
        self.change(place, |step| {
            step.done = true;
            step.code = Some(code);
            step.message = message;
        });
    }

    /// Records that a step failed.
    pub(super) fn fail(&self, place: usize, code: StepCode, message: impl Into<String>) {
        let message = message.into();
        self.change(place, |step| {
            step.done = false;
            step.code = Some(code);
            step.message = Some(message);
        });
    }

    /// Adds a step that replaces a failed one. Returns its position.
    pub(super) fn replace(&self, place: usize, by: StepView) -> usize {
        let instead = by.action.target.clone();
        let mut at = 0;
        self.told.send_modify(|steps| {
            if let Some(step) = steps.get_mut(place) {
                step.started_instead = Some(instead);
            }
            at = steps.len();
            steps.push(by);
        });
        at
    }

    fn change(&self, place: usize, change: impl FnOnce(&mut StepView)) {
        self.told.send_modify(|steps| {
            if let Some(step) = steps.get_mut(place) {
                change(step);
            }
        });
    }

    /// Stores the progress: before a call, and after its result. If the write fails, the process is about to exit.
    pub(super) async fn write(&self) {
        if let Err(error) = self.try_write().await {
            tracing::error!(
                plan = self.plan,
                "cannot write the journal of {}: {error}",
                self.plan
            );
        }
    }

    async fn try_write(&self) -> Result<(), DiskError> {
        let Some(mut plan) = self.console.state.plan(&self.plan)? else {
            return Ok(());
        };
        plan.outcome = Some(going_on(self.steps()));
        plan.is_cancelling |= self.cancel.is_cancelled();
        let mut changes = WriteBatch::default();
        self.console.state.put_plan(&mut changes, &plan)?;
        let doing = "write the progress of a plan";
        self.console.state.commit(doing, changes, Vec::new()).await
    }
}
