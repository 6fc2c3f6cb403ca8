//! Long-running work of plans: it runs in the background, reports its progress, and is resumed after a restart.

use std::sync::Arc;
use std::time::Duration;

use super::apply::{Outcome, record_outcome};
use super::job_runner::{Job, Progress, going_on};
use crate::console::Console;
use crate::error::Error;
use crate::view::audit::AuditEntry;
use crate::view::plan::{OutcomeView, PlanState, PlanView, StepView};

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

fn saying(plan: &PlanView, message: &str) -> OutcomeView {
    let message = (!message.is_empty()).then(|| message.to_owned());
    let step = |action| StepView {
        message: message.clone(),
        ..StepView::of(action)
    };
    going_on(plan.actions.iter().cloned().map(step).collect())
}
