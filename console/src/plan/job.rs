//! Long-running work of plans: it runs in the background, reports its progress, and is resumed after a restart.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use skilift_core::clock::epoch_ms;

use super::apply::{Outcome, record_outcome};
use super::job_runner::{Job, Progress, RunningJob, going_on};
use crate::console::Console;
use crate::error::Error;
use crate::view::audit::AuditEntry;
use crate::view::plan::{OutcomeView, PlanState, PlanView, StepCode, StepView};

/// Lists work as running, so that it can be cancelled.
pub(super) fn register(console: &Console, plan: &str, job: &Job) {
    let running = RunningJob {
        progress: job.progress.clone(),
        cancel: job.cancel.clone(),
    };
    console.jobs.lock().insert(plan.to_owned(), running);
}

/// Runs a plan's registered work in the background. Returns its outcome, or its progress after `patience`.
pub(super) async fn run(
    console: &Arc<Console>,
    plan: PlanView,
    job: Job,
    line: AuditEntry,
    patience: Duration,
) -> Result<OutcomeView, Error> {
    let started = plan.clone();
    let working = {
        let console = Arc::clone(console);
        async move {
            let id = plan.id.clone();
            let doing = AssertUnwindSafe(job.doing).catch_unwind();
            let steps = console.jobs.drain.run_until_cancelled(doing).await;
            let steps = steps.map(|steps| steps.unwrap_or_else(|_| panicked(&console, &plan)));
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

/// The steps of work that panicked: what was not done has failed.
fn panicked(console: &Console, plan: &PlanView) -> Vec<StepView> {
    let mut steps = under_way(console, plan).steps;
    let is_open = |step: &&mut StepView| {
        let code = step.code;
        !step.done && matches!(code, None | Some(StepCode::Waiting | StepCode::UnderWay))
    };
    for step in steps.iter_mut().filter(is_open) {
        let before = step.message.take().map(|how| format!(" ({how})"));
        step.code = None;
        step.message = Some(format!(
            "internal error{}; see the log of the console, and check the target before you plan it again",
            before.unwrap_or_default()
        ));
    }
    steps
}

/// A plan, with its progress while it is being applied.
pub(crate) fn find(console: &Console, id: &str) -> Result<Option<PlanView>, Error> {
    let found = console.state.plan(id)?;
    Ok(found.map(|mut plan| {
        if plan.state == PlanState::Planned && plan.expires_at_ms <= epoch_ms() {
            plan.state = PlanState::Stale;
        }
        if plan.state == PlanState::Applying {
            plan.outcome = Some(under_way(console, &plan));
        }
        plan
    }))
}

/// The progress of a plan that is being applied.
fn under_way(console: &Console, plan: &PlanView) -> OutcomeView {
    let jobs = console.jobs.lock();
    let progress = jobs.get(&plan.id).map(|job| job.progress.clone());
    drop(jobs);
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
