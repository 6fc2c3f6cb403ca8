//! The work of plans that take their time: it goes on by itself, tells how far it is, and is gone on with after a restart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::apply::{Outcome, conclude};
use crate::admin::ApiError;
use crate::console::Console;
use crate::view::audit::AuditEntry;
use crate::view::plan::{OutcomeResult, OutcomeView, PlanState, PlanView, StepView};

/// What takes its time, and can be done again from its beginning when it was cut off.
pub(crate) struct Work {
    /// Does it, and tells what came of each action.
    pub(crate) doing: BoxFuture<'static, Vec<StepView>>,
    /// How far it is.
    pub(crate) progress: Progress,
}

/// How far work is.
#[derive(Clone)]
pub(crate) enum Progress {
    /// In words, the same for all that the plan does.
    Words(watch::Receiver<String>),
    /// Step by step.
    Steps(watch::Receiver<Vec<StepView>>),
}

/// The work that goes on now.
pub(crate) struct Jobs {
    /// When it shall stop, to be gone on with at the next start.
    drain: CancellationToken,
    progress: Mutex<HashMap<String, Progress>>,
}

impl Jobs {
    /// None yet.
    pub(crate) fn new(drain: CancellationToken) -> Self {
        Self {
            drain,
            progress: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does a plan's work by itself. Gives back what came of it, or after `patience` how far it is.
pub(super) async fn run(
    console: &Arc<Console>,
    plan: PlanView,
    work: Work,
    line: AuditEntry,
    patience: Duration,
) -> Result<OutcomeView, ApiError> {
    let begun = plan.clone();
    console.jobs.lock().insert(plan.id.clone(), work.progress);
    let working = {
        let console = Arc::clone(console);
        async move {
            let id = plan.id.clone();
            let steps = console.jobs.drain.run_until_cancelled(work.doing).await;
            let outcome = match steps {
                Some(steps) => {
                    let _turn = console.desired.turn.lock().await;
                    let outcome = Outcome::of(steps);
                    conclude(&console, plan, outcome, line).await.map(Some)
                }
                None => {
                    tracing::info!(plan = id, "plan {id} goes on at the next start");
                    Ok(None)
                }
            };
            console.jobs.lock().remove(&id);
            outcome
        }
    };
    let working = console.tasks.spawn(working);
    match tokio::time::timeout(patience, working).await {
        Ok(ended) => match ended.map_err(ApiError::internal)?? {
            Some(outcome) => Ok(outcome),
            None => Ok(saying(&begun, "it goes on when the console is there again")),
        },
        Err(_) => Ok(under_way(console, &begun)),
    }
}

/// A plan, with how far it is while it is being applied.
pub(crate) fn find(console: &Console, id: &str) -> Result<Option<PlanView>, ApiError> {
    let found = console.state.plan(id)?;
    Ok(found.map(|mut plan| {
        if plan.state == PlanState::Applying {
            plan.outcome = Some(under_way(console, &plan));
        }
        plan
    }))
}

/// How far a plan is that is being applied.
fn under_way(console: &Console, plan: &PlanView) -> OutcomeView {
    let progress = console.jobs.lock().get(&plan.id).cloned();
    match progress {
        Some(Progress::Words(words)) => saying(plan, &words.borrow()),
        Some(Progress::Steps(steps)) => going_on(steps.borrow().clone()),
        None => saying(plan, ""),
    }
}

/// What goes on, with what is said of each step.
pub(super) fn going_on(steps: Vec<StepView>) -> OutcomeView {
    OutcomeView {
        result: OutcomeResult::Running,
        steps,
        secret: None,
        made: None,
    }
}

fn saying(plan: &PlanView, message: &str) -> OutcomeView {
    let message = (!message.is_empty()).then(|| message.to_owned());
    let step = |action| StepView {
        message: message.clone(),
        ..StepView::of(action)
    };
    going_on(plan.actions.iter().cloned().map(step).collect())
}
