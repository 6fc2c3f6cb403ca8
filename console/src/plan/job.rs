//! Long-running work of plans: it runs in the background, reports its progress, and is resumed after a restart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::apply::{Outcome, record_outcome};
use crate::console::Console;
use crate::error::Error;
use crate::view::audit::AuditEntry;
use crate::view::plan::{OutcomeResult, OutcomeView, PlanState, PlanView, StepView};

/// Long-running work that can be repeated from the beginning after an interruption.
pub(crate) struct Job {
    /// Does the work and returns the result of each action.
    pub(crate) doing: BoxFuture<'static, Vec<StepView>>,
    /// Its progress.
    pub(crate) progress: Progress,
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
    drain: CancellationToken,
    progress: Mutex<HashMap<String, Progress>>,
}

impl JobRunner {
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

/// Runs a plan's work in the background. Returns its outcome, or its progress after `patience`.
pub(super) async fn run(
    console: &Arc<Console>,
    plan: PlanView,
    job: Job,
    line: AuditEntry,
    patience: Duration,
) -> Result<OutcomeView, Error> {
    let started = plan.clone();
    console.jobs.lock().insert(plan.id.clone(), job.progress);
    let working = {
        let console = Arc::clone(console);
        async move {
            let id = plan.id.clone();
            let steps = console.jobs.drain.run_until_cancelled(job.doing).await;
            let outcome = match steps {
                Some(steps) => {
                    let _write_lock = console.desired.write_lock.lock().await;
                    let outcome = Outcome::of(steps);
                    record_outcome(&console, plan, outcome, line)
                        .await
                        .map(Some)
                }
                None => {
                    tracing::info!(plan = id, "plan {id} resumes at the next start");
                    Ok(None)
                }
            };
            console.jobs.lock().remove(&id);
            outcome
        }
    };
    let working = console.tasks.spawn(working);
    match tokio::time::timeout(patience, working).await {
        Ok(ended) => match ended.map_err(Error::internal)?? {
            Some(outcome) => Ok(outcome),
            None => Ok(saying(&started, "resumes when the console runs again")),
        },
        Err(_) => Ok(under_way(console, &started)),
    }
}

/// A plan, with its progress while it is being applied.
pub(crate) fn find(console: &Console, id: &str) -> Result<Option<PlanView>, Error> {
    let found = console.state.plan(id)?;
    Ok(found.map(|mut plan| {
        if plan.state == PlanState::Applying {
            plan.outcome = Some(under_way(console, &plan));
        }
        plan
    }))
}

/// The progress of a plan that is being applied.
fn under_way(console: &Console, plan: &PlanView) -> OutcomeView {
    let progress = console.jobs.lock().get(&plan.id).cloned();
    match progress {
        Some(Progress::Words(words)) => saying(plan, &words.borrow()),
        Some(Progress::Steps(steps)) => going_on(steps.borrow().clone()),
        None => saying(plan, ""),
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

fn saying(plan: &PlanView, message: &str) -> OutcomeView {
    let message = (!message.is_empty()).then(|| message.to_owned());
    let step = |action| StepView {
        message: message.clone(),
        ..StepView::of(action)
    };
    going_on(plan.actions.iter().cloned().map(step).collect())
}
