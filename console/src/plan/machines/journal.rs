//! What a plan has done of its steps, in the plan itself.

use std::sync::Arc;

use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::Changes;
use tokio::sync::watch;

use crate::console::Console;
use crate::plan::work::going_on;
use crate::view::plan::{StepCode, StepView};

/// The steps of one plan.
pub(super) struct Journal {
    console: Arc<Console>,
    plan: String,
    told: watch::Sender<Vec<StepView>>,
}

impl Journal {
    pub(super) fn new(
        console: Arc<Console>,
        plan: String,
        told: watch::Sender<Vec<StepView>>,
    ) -> Self {
        Self {
            console,
            plan,
            told,
        }
    }

    /// The steps as they are.
    pub(super) fn steps(&self) -> Vec<StepView> {
        self.told.borrow().clone()
    }

    /// A step is under way; how far it is.
    pub(super) fn tell(&self, place: usize, how: impl Into<String>) {
        let how = how.into();
        self.change(place, |step| {
            step.code = Some(StepCode::UnderWay);
            step.message = Some(how);
        });
    }

    /// A step came to its end as it should.
    pub(super) fn done(&self, place: usize, code: StepCode, message: Option<String>) {
        self.change(place, |step| {
            step.done = true;
            step.code = Some(code);
            step.message = message;
        });
    }

    /// A step came to its end, and not as it should.
    pub(super) fn fail(&self, place: usize, code: StepCode, message: impl Into<String>) {
        let message = message.into();
        self.change(place, |step| {
            step.done = false;
            step.code = Some(code);
            step.message = Some(message);
        });
    }

    /// Another step takes the place of one that failed. Where it stands.
    pub(super) fn replace(&self, place: usize, by: StepView) -> usize {
        let instead = by.action.to.clone();
        let mut at = 0;
        self.told.send_modify(|steps| {
            if let Some(step) = steps.get_mut(place) {
                step.instead = Some(instead);
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

    /// Writes down how far it is: before a call, and when something came of it. When the disk does not take it, the process is
    /// about to end.
    pub(super) async fn write(&self) {
        if let Err(error) = self.try_write().await {
            tracing::error!(
                plan = self.plan,
                "the journal of {} cannot be written: {error}",
                self.plan
            );
        }
    }

    async fn try_write(&self) -> Result<(), DiskError> {
        let Some(mut plan) = self.console.state.plan(&self.plan)? else {
            return Ok(());
        };
        plan.outcome = Some(going_on(self.steps()));
        let mut changes = Changes::default();
        self.console.state.put_plan(&mut changes, &plan)?;
        let doing = "write how far a plan is";
        self.console.state.commit(doing, changes, Vec::new()).await
    }
}
