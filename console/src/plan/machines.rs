//! Starts and stops the instances of a plan: nodes are drained before a stop, and a start is done only when its node sends
//! heartbeats.
//!
//! The plan's steps are its journal. The intent of each step is written before the call and its result afterwards, so that a
//! console that was killed continues where the journal ends; each step then starts by reading the current state.

mod draining;
mod journal;
mod starting;
mod stopping;

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::FutureExt;
use skilift_core::clock::epoch_ms;
use skilift_fleet::instance::InstanceId;
use skilift_fleet::outcome::{Outcome, OutcomeCode};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::journal::{Journal, is_open};
use super::job_runner::{Job, Progress};
use super::planned_change::PlannedChange;
use crate::console::Console;
use crate::view::change::Scale;
use crate::view::plan::{PlanView, StepCode, StepView};

/// Action of a plan on an instance.
pub(super) const START: &str = "start";
/// See [`START`].
pub(super) const STOP: &str = "stop";
/// Default drain timeout, in seconds.
const DRAIN_TIMEOUT_S: u32 = 120;

/// The work of a plan, starting from these steps.
pub(super) fn job(
    console: &Arc<Console>,
    plan: &str,
    scale: &Scale,
    mut steps: Vec<StepView>,
    resumed: Option<&PlanView>,
) -> Job {
    for step in &mut steps {
        if is_of_machine(step) && !step.done && step.code.is_none() {
            step.code = Some(StepCode::Waiting);
        }
    }
    let (progress_sender, progress) = watch::channel(steps);
    let cancel = CancellationToken::new();
    if resumed.is_some_and(|plan| plan.is_cancelling) {
        cancel.cancel();
    }
    let run = Run {
        cancel: cancel.clone(),
        journal: Journal::new(
            Arc::clone(console),
            plan.to_owned(),
            progress_sender,
            cancel.clone(),
        ),
        console: Arc::clone(console),
        plan: plan.to_owned(),
        scale: scale.clone(),
        is_resumed: resumed.is_some(),
        planned_at_ms: resumed.map_or_else(epoch_ms, |plan| plan.created_at_ms),
    };
    Job {
        doing: run.until_done().boxed(),
        progress: Progress::Steps(progress),
        cancel: Some(cancel),
    }
}

/// Resumes an interrupted plan.
pub(super) fn go_on(console: &Arc<Console>, plan: &PlanView, scale: &Scale) -> PlannedChange {
    let written = plan.outcome.as_ref().map(|outcome| outcome.steps.clone());
    let from_actions = || plan.actions.iter().cloned().map(StepView::of).collect();
    let steps = written.filter(|steps| !steps.is_empty());
    let steps = steps.unwrap_or_else(from_actions);
    let mut prepared = PlannedChange::new("an interrupted plan");
    prepared.actions.clone_from(&plan.actions);
    prepared.mutation.job = Some(job(console, &plan.id, scale, steps, Some(plan)));
    prepared
}

struct Run {
    console: Arc<Console>,
    plan: String,
    scale: Scale,
    journal: Journal,
    /// Whether an earlier process of the console started it.
    is_resumed: bool,
    /// When it was planned, or later, in milliseconds of the epoch.
    planned_at_ms: u64,
    /// Cancelled if no further step may begin.
    cancel: CancellationToken,
}

impl Run {
    async fn until_done(self) -> Vec<StepView> {
        self.settings_are_set();
        let working = async {
            // Starts come first, so that capacity never falls below the smaller of before and after.
            self.start_all().await;
            self.stop_all().await;
        };
        tokio::select! {
            () = working => {}
            never = self.keep_from_beginning() => match never {},
        }
        // Refreshes the list for the next query; a failure to list is reported there.
        let _ = self.console.machines.refresh().await;
        self.journal.steps()
    }

    /// Once the plan is cancelled, ends the steps that have not begun. Those that have are ended where they are.
    async fn keep_from_beginning(&self) -> Infallible {
        self.cancel.cancelled().await;
        for (place, step) in self.journal.steps().into_iter().enumerate() {
            if is_of_machine(&step) && is_open(&step) && step.code != Some(StepCode::UnderWay) {
                self.journal
                    .fail(place, StepCode::Cancelled, "cancelled before it began");
            }
        }
        self.journal.write().await;
        std::future::pending().await
    }

    /// Settings were written together with the intent.
    fn settings_are_set(&self) {
        let unreachable = self.console.desired.unreachable();
        for (place, step) in self.journal.steps().into_iter().enumerate() {
            if !is_of_machine(&step) {
                let message = unreachable
                    .as_ref()
                    .map(|why| format!("saved; not yet delivered to nodes: {why}"));
                self.journal.done(place, StepCode::Succeeded, message);
            }
        }
    }

    /// Open steps with this action, with their position.
    fn open(&self, does: &str) -> Vec<(usize, InstanceId)> {
        let steps = self.journal.steps().into_iter().enumerate();
        steps
            .filter(|(_, step)| step.action.action == does && is_open(step))
            .map(|(place, step)| (place, InstanceId::new(step.action.target)))
            .collect()
    }

    /// Code and message for a fleet outcome; adjusted for resumed plans.
    fn already(&self, outcome: &Outcome) -> (StepCode, String) {
        // The console may have done it before it was restarted, without recording it.
        if self.is_resumed && outcome.code == OutcomeCode::Already {
            return (
                StepCode::Succeeded,
                "done before the console restarted".to_owned(),
            );
        }
        (StepCode::from(outcome.code), outcome.message.clone())
    }
}

fn is_of_machine(step: &StepView) -> bool {
    step.action.action == START || step.action.action == STOP
}

impl From<OutcomeCode> for StepCode {
    fn from(code: OutcomeCode) -> Self {
        match code {
            OutcomeCode::Done => Self::Succeeded,
            OutcomeCode::Already => Self::Unchanged,
            OutcomeCode::WrongState => Self::WrongState,
            OutcomeCode::NotFound => Self::NotFound,
            OutcomeCode::BadId => Self::BadId,
            OutcomeCode::NotOurs => Self::NotOurs,
            OutcomeCode::Obstacle => Self::Obstacle,
            OutcomeCode::Protected => Self::Protected,
            OutcomeCode::Denied => Self::Denied,
            OutcomeCode::Credentials => Self::Credentials,
            OutcomeCode::NoCapacity => Self::NoCapacity,
            OutcomeCode::Quota => Self::Quota,
            OutcomeCode::Throttled => Self::Throttled,
            OutcomeCode::FellBack => Self::FellBack,
            OutcomeCode::TimedOut => Self::TimedOut,
            OutcomeCode::Unreachable => Self::Unreachable,
            OutcomeCode::Refused => Self::Refused,
        }
    }
}
