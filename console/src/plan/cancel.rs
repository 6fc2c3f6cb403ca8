//! Cancels plans: one that was not applied can no longer be; one that is being applied ends before its next step.

use std::sync::Arc;

use skilift_core::embedded::records::WriteBatch;
use tokio::time::{Instant, sleep};

use super::apply::{TIMEOUT, find};
use super::{check_may_change, job, refuse, role_for, word};
use crate::access::Caller;
use crate::audit;
use crate::console::Console;
use crate::error::Error;
use crate::view::audit::{AuditEntry, AuditOutcome};
use crate::view::plan::{PlanState, PlanView};

/// Interval at which the end of a cancelled plan is looked for.
const INTERVAL: std::time::Duration = std::time::Duration::from_millis(20);

/// Cancels a plan. What it has done is not undone. Returns the plan, with its progress if a step of it is still running.
///
/// # Errors
/// If the caller may not make this change, or the plan has ended, ends meanwhile, or consists of a single step that has begun.
pub(crate) async fn cancel(
    console: &Arc<Console>,
    caller: &Caller,
    id: &str,
) -> Result<PlanView, Error> {
    let (of, caller, id) = (Arc::clone(console), caller.clone(), id.to_owned());
    let cancelling = async move {
        let mut line = audit::by(&caller, "cancel");
        line.plan = Some(id.chars().take(32).collect());
        let cancelled = async {
            let was_applying = cancel_here(&of, &caller, &id, &mut line).await?;
            let plan = ended(&of, &id).await?;
            if was_applying && plan.state == PlanState::Cancelled {
                commit(&of, WriteBatch::default(), line.clone()).await?;
            }
            Ok(plan)
        }
        .await;
        match cancelled {
            Ok(plan) => Ok(plan),
            Err(error) => refuse(&of, &caller, line, error).await,
        }
    };
    console
        .tasks
        .spawn(cancelling)
        .await
        .map_err(Error::internal)?
}

/// Whether a plan that is being applied can be cancelled.
pub(crate) fn is_possible(console: &Console, id: &str) -> bool {
    let jobs = console.jobs.lock();
    jobs.get(id).is_some_and(|job| {
        job.cancel
            .as_ref()
            .is_some_and(|token| !token.is_cancelled())
    })
}

/// Returns whether the plan was being applied; then its end is still to come.
async fn cancel_here(
    console: &Arc<Console>,
    caller: &Caller,
    id: &str,
    line: &mut AuditEntry,
) -> Result<bool, Error> {
    check_may_change(console)?;
    let needed = role_for(&find(console, id)?.change);
    let _write_lock = console.desired.write_lock.lock().await;
    let mut plan = find(console, id)?;
    line.target = Some(word(&plan.change).to_owned());
    if caller.role < needed {
        return Err(Error::forbidden(format!(
            "cancelling {id} requires the role {needed}; {} has the role {}",
            caller.name, caller.role
        )));
    }
    let mut changes = WriteBatch::default();
    match plan.state {
        PlanState::Planned => {
            plan.state = PlanState::Cancelled;
            console.state.put_plan(&mut changes, &plan)?;
            commit(console, changes, line.clone()).await?;
            Ok(false)
        }
        PlanState::Applying => {
            let running = console.jobs.lock().get(id).map(|job| job.cancel.clone());
            let token = match running {
                Some(Some(token)) => token,
                Some(None) => {
                    return Err(Error::conflict(format!(
                        "{id} cannot be cancelled: it has a single step, which has begun"
                    )));
                }
                None => {
                    return Err(Error::conflict(format!(
                        "{id} has just ended, or continues when the console has restarted; see its state"
                    )));
                }
            };
            // A console that restarts before the end does not go on with it.
            plan.is_cancelling = true;
            console.state.put_plan(&mut changes, &plan)?;
            let request = AuditEntry {
                outcome: AuditOutcome::Started,
                ..line.clone()
            };
            commit(console, changes, request).await?;
            token.cancel();
            Ok(true)
        }
        PlanState::Applied | PlanState::Failed => {
            Err(Error::conflict(format!("{id} was already applied")))
        }
        PlanState::Stale => Err(Error::conflict(format!(
            "{id} is stale and can no longer be applied"
        ))),
        PlanState::Cancelled => Err(Error::conflict(format!("{id} is already cancelled"))),
    }
}

async fn commit(console: &Console, changes: WriteBatch, line: AuditEntry) -> Result<(), Error> {
    let doing = "cancel a plan";
    console.state.commit(doing, changes, vec![line]).await?;
    Ok(())
}

/// The plan once it has ended, or after a while: a call to EC2 that was made is waited for.
async fn ended(console: &Console, id: &str) -> Result<PlanView, Error> {
    let limit = Instant::now() + TIMEOUT;
    loop {
        let plan = job::find(console, id)?;
        let plan = plan.ok_or_else(|| Error::not_found(format!("plan {id:?} does not exist")))?;
        if matches!(plan.state, PlanState::Applied | PlanState::Failed) {
            return Err(Error::conflict(format!(
                "{id} ended before it could be cancelled; see its outcome"
            )));
        }
        if plan.state != PlanState::Applying || Instant::now() >= limit {
            return Ok(plan);
        }
        sleep(INTERVAL).await;
    }
}
