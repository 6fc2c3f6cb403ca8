//! Starting and stopping the machines of a plan: nodes are drained first, and heard before a start counts as done.
//!
//! The plan's steps are its journal. The intent of each is written before the call and what came of it afterwards, so that a
//! console that was killed goes on where the journal ends; whatever is done then begins with a look at how things are.

mod draining;
mod journal;
mod starting;
mod stopping;

use std::sync::Arc;

use futures_util::FutureExt;
use skilift_core::clock::epoch_ms;
use skilift_fleet::instance::InstanceId;
use skilift_fleet::outcome::{Outcome, OutcomeCode};
use tokio::sync::watch;

use self::journal::Journal;
use super::prepared::Prepared;
use super::work::{Progress, Work};
use crate::console::Console;
use crate::view::change::Scale;
use crate::view::plan::{PlanView, StepCode, StepView};

/// What is done to a machine, in the plan's words.
pub(super) const START: &str = "start";
/// See [`START`].
pub(super) const STOP: &str = "stop";
/// How long a node may take to finish what it has when nobody says, in seconds.
const DRAIN_TIMEOUT_S: u32 = 120;

/// The work of a plan, from these steps on.
pub(super) fn work(
    console: &Arc<Console>,
    plan: &str,
    scale: &Scale,
    steps: Vec<StepView>,
    resumed: Option<&PlanView>,
) -> Work {
    let (told, progress) = watch::channel(steps);
    let run = Run {
        journal: Journal::new(Arc::clone(console), plan.to_owned(), told),
        console: Arc::clone(console),
        plan: plan.to_owned(),
        scale: scale.clone(),
        is_resumed: resumed.is_some(),
        planned_at_ms: resumed.map_or_else(epoch_ms, |plan| plan.made_at_ms),
    };
    Work {
        doing: run.until_done().boxed(),
        progress: Progress::Steps(progress),
    }
}

/// Goes on with a plan that was cut off.
pub(super) fn go_on(console: &Arc<Console>, plan: &PlanView, scale: &Scale) -> Prepared {
    let written = plan.outcome.as_ref().map(|outcome| outcome.steps.clone());
    let from_actions = || plan.actions.iter().cloned().map(StepView::of).collect();
    let steps = written.filter(|steps| !steps.is_empty());
    let steps = steps.unwrap_or_else(from_actions);
    let mut prepared = Prepared::new("a plan that was cut off");
    prepared.actions.clone_from(&plan.actions);
    prepared.effect.work = Some(work(console, &plan.id, scale, steps, Some(plan)));
    prepared
}

struct Run {
    console: Arc<Console>,
    plan: String,
    scale: Scale,
    journal: Journal,
    /// Whether an earlier life of the console began it.
    is_resumed: bool,
    /// When it was planned, or later, in milliseconds of the epoch.
    planned_at_ms: u64,
}

impl Run {
    async fn until_done(self) -> Vec<StepView> {
        self.settings_are_set();
        // Starts come first, so that there is never less than before and after.
        self.start_all().await;
        self.stop_all().await;
        // Who looks next sees what was done; where they cannot be listed, that is told there.
        let _ = self.console.machines.look().await;
        self.journal.steps()
    }

    /// Settings were written together with the intent.
    fn settings_are_set(&self) {
        let unreachable = self.console.desired.unreachable();
        for (place, step) in self.journal.steps().into_iter().enumerate() {
            if !is_of_machine(&step) {
                let message = unreachable
                    .as_ref()
                    .map(|why| format!("kept here; nodes cannot be told yet: {why}"));
                self.journal.done(place, StepCode::Done, message);
            }
        }
    }

    /// The steps that do this and have not come to an end, by their place.
    fn open(&self, does: &str) -> Vec<(usize, InstanceId)> {
        let steps = self.journal.steps().into_iter().enumerate();
        steps
            .filter(|(_, step)| step.action.does == does && is_open(step))
            .map(|(place, step)| (place, InstanceId::new(step.action.to)))
            .collect()
    }

    /// What is said of a machine that is as it shall be before anything was done.
    fn already(&self, outcome: &Outcome) -> (StepCode, String) {
        // An earlier life of the console may have done it, and had no time to write that down.
        if self.is_resumed && outcome.code == OutcomeCode::Already {
            return (
                StepCode::Done,
                "done before the console was started anew".to_owned(),
            );
        }
        (StepCode::from(outcome.code), outcome.message.clone())
    }
}

fn is_of_machine(step: &StepView) -> bool {
    step.action.does == START || step.action.does == STOP
}

/// Whether nothing final was written of a step.
fn is_open(step: &StepView) -> bool {
    !step.done
        && matches!(
            step.code,
            None | Some(StepCode::Waiting | StepCode::UnderWay)
        )
}

impl From<OutcomeCode> for StepCode {
    fn from(code: OutcomeCode) -> Self {
        match code {
            OutcomeCode::Done => Self::Done,
            OutcomeCode::Already => Self::Already,
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
