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
    /// How far it is, in words.
    pub(crate) progress: watch::Receiver<String>,
}

/// The work that goes on now.
pub(crate) struct Jobs {
    /// When it shall stop, to be gone on with at the next start.
    drain: CancellationToken,
    progress: Mutex<HashMap<String, watch::Receiver<String>>>,
}

impl Jobs {
    /// None yet.
    pub(crate) fn new(drain: CancellationToken) -> Self {
        Self {
            drain,
            progress: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<String>>> {
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
            None => Ok(under_way(
                &begun,
                "it goes on when the console is there again",
            )),
        },
        Err(_) => Ok(under_way(&begun, &told(console, &begun.id))),
    }
}

/// A plan, with how far it is while it is being applied.
pub(crate) fn find(console: &Console, id: &str) -> Result<Option<PlanView>, ApiError> {
    let found = console.state.plan(id)?;
    Ok(found.map(|mut plan| {
        if plan.state == PlanState::Applying && console.jobs.lock().contains_key(id) {
            plan.outcome = Some(under_way(&plan, &told(console, id)));
        }
        plan
    }))
}

fn told(console: &Console, id: &str) -> String {
    let jobs = console.jobs.lock();
    let progress = jobs.get(id).map(|progress| progress.borrow().clone());
    progress.unwrap_or_default()
}

fn under_way(plan: &PlanView, message: &str) -> OutcomeView {
    let step = |action| StepView {
        action,
        done: false,
        message: Some(message.to_owned()),
    };
    OutcomeView {
        result: OutcomeResult::Running,
        steps: plan.actions.iter().cloned().map(step).collect(),
        secret: None,
        made: None,
    }
}
