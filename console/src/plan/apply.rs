//! Applies plans: one at a time while they write; the intent is written before, the outcome after.
//!
//! A plan's changes to the console's data directory are committed together with its outcome: after a crash, either both are
//! there or neither. The intent is written before. A plan that is still "applying" when the console starts was therefore
//! interrupted before its change, or during work that can be repeated from the beginning.

use std::sync::Arc;
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::control::Document;
use skilift_core::embedded::records::WriteBatch;

use super::difference;
use super::job_runner::is_made_good;
use super::planned_change::{ApplySecrets, Mutation, PlannedChange};
use super::{
    check_may_change, in_words, job, machines, prepare, refresh_machines, refuse, role_for, word,
};
use tokio::sync::MutexGuard;

use crate::access::{Caller, password};
use crate::audit;
use crate::console::Console;
use crate::error::Error;
use crate::sampler;
use crate::tuning;
use crate::view::ProblemCode;
use crate::view::access::UserRole;
use crate::view::audit::{AuditEntry, AuditOutcome};
use crate::view::change::Change;
use crate::view::plan::{
    ApplyRequest, Danger, OutcomeResult, OutcomeView, PlanState, PlanView, RefusalView, StepCode,
    StepView,
};

/// How long an apply waits for work before it returns the progress.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// Applies a plan, to its end even if the caller goes away.
///
/// # Errors
/// If the caller's role is too low, the plan is stale or was already applied, a guard refuses it, or its confirmation is
/// missing.
pub(crate) async fn apply(
    console: &Arc<Console>,
    caller: &Caller,
    id: &str,
    request: ApplyRequest,
) -> Result<OutcomeView, Error> {
    let (of, caller, id) = (Arc::clone(console), caller.clone(), id.to_owned());
    let applying = async move { apply_here(&of, &caller, &id, request).await };
    console
        .tasks
        .spawn(applying)
        .await
        .map_err(Error::internal)?
}

async fn apply_here(
    console: &Arc<Console>,
    caller: &Caller,
    id: &str,
    request: ApplyRequest,
) -> Result<OutcomeView, Error> {
    let mut line = audit::by(caller, "apply");
    line.plan = Some(id.chars().take(32).collect());
    match begin(console, caller, id, request, &mut line).await {
        Ok(started) => finish(console, started, line, TIMEOUT).await,
        Err(error) => refuse(console, caller, line, error).await,
    }
}

/// A plan that may be applied and whose intent is written.
struct StartedPlan<'a> {
    plan: PlanView,
    prepared: PlannedChange,
    /// While this lock is held, no state that plans depend on changes.
    write_lock: MutexGuard<'a, ()>,
}

/// Everything before the first change: permission, staleness check, and the intent.
async fn begin<'a>(
    console: &'a Arc<Console>,
    caller: &Caller,
    id: &str,
    request: ApplyRequest,
    line: &mut AuditEntry,
) -> Result<StartedPlan<'a>, Error> {
    check_may_change(console)?;
    let plan = find(console, id)?;
    line.target = Some(word(&plan.change).to_owned());
    check_role(&plan, plan.danger, caller)?;
    check_is_planned(&plan)?;
    let takes_password = matches!(
        plan.change,
        Change::AddUser { .. } | Change::SetPassword { .. }
    );
    let password = request.password.filter(|_| takes_password);
    let secrets = ApplySecrets {
        password: hashed(console, password).await?,
    };
    refresh_machines(console, &plan.change).await?;
    let write_lock = console.desired.write_lock.lock().await;
    let mut plan = find(console, id)?;
    check_is_planned(&plan)?;
    if plan.expires_at_ms <= epoch_ms() {
        return stale(console, plan, "it has expired").await;
    }
    let mut prepared = match prepare(console, &plan.change, &caller.name, id, &secrets) {
        // The state is not what the change expects.
        Err(error) if error.code() == ProblemCode::Conflict => {
            return stale(console, plan, error.message()).await;
        }
        prepared => prepared?,
    };
    if prepared.fingerprint() != plan.fingerprint {
        let why = difference::since(&plan.actions, &prepared.actions);
        return stale(console, plan, &why).await;
    }
    check_role(&plan, prepared.danger, caller)?;
    let leased = tuning::lease::refusal(&console.tuning, &plan.change, caller);
    let is_leased = leased.is_some();
    prepared.refusals.extend(leased);
    // EC2 permissions were checked when it was planned, and are not checked again.
    let is_denied = |refusal: &&RefusalView| {
        matches!(refusal.code, Some(StepCode::Denied | StepCode::Credentials))
    };
    if let Some(denied) = plan.refusals.iter().find(is_denied) {
        return Err(Error::refused(denied.reason.clone()));
    }
    check_guards(&prepared, caller, request.override_reason.as_deref(), line)?;
    if prepared.danger == Danger::Severe && request.confirm != prepared.confirm {
        let name = prepared.confirm.unwrap_or_default();
        return Err(Error::refused(format!(
            "{id} is a severe plan: set `confirm` to {name:?}"
        )));
    }
    if prepared.needs_password && secrets.password.is_none() {
        return Err(Error::invalid(
            "this change requires a password in the field `password`",
        ));
    }
    if is_leased {
        tuning::lease::note_broken(&console.tuning, caller, id);
    }
    (line.before, line.after) = in_words(&plan);
    plan.state = PlanState::Applying;
    plan.applied_by = Some(caller.name.clone());
    plan.applied_at_ms = Some(epoch_ms());
    let intent = AuditEntry {
        outcome: AuditOutcome::Started,
        ..line.clone()
    };
    let mut changes = WriteBatch::default();
    let mutation = &mut prepared.mutation;
    let mut first = None;
    if mutation.job.is_some() {
        changes.append(std::mem::take(&mut mutation.changes));
        first = mutation.document.take();
    }
    console.state.put_plan(&mut changes, &plan)?;
    if let Some(document) = &first {
        console.state.put_document(&mut changes, document);
    }
    console
        .state
        .commit("begin a plan", changes, vec![intent])
        .await?;
    if let Some(document) = first {
        console.desired.set(document);
    }
    Ok(StartedPlan {
        plan,
        prepared,
        write_lock,
    })
}

/// Performs the change and records its outcome.
async fn finish(
    console: &Arc<Console>,
    started: StartedPlan<'_>,
    line: AuditEntry,
    patience: Duration,
) -> Result<OutcomeView, Error> {
    let StartedPlan {
        plan,
        prepared,
        write_lock,
    } = started;
    let Mutation {
        changes,
        document,
        made,
        secret,
        job,
    } = prepared.mutation;
    // Other plans do not wait for long-running work.
    if let Some(job) = job {
        job::register(console, &plan.id, &job);
        drop(write_lock);
        return job::run(console, plan, job, line, patience).await;
    }
    // The change is stored; nodes receive it as soon as they can be reached.
    let unreachable = console.desired.unreachable().filter(|_| document.is_some());
    let message = unreachable.map(|why| format!("saved; not yet delivered to nodes: {why}"));
    let done = |action| StepView {
        done: true,
        message: message.clone(),
        ..StepView::of(action)
    };
    let steps = prepared.actions.into_iter().map(done).collect();
    let outcome = Outcome {
        steps,
        changes,
        document,
        made,
        secret,
    };
    let recorded = record_outcome(console, plan, outcome, line).await;
    drop(write_lock);
    recorded
}

/// The result of a plan, and what is written with it.
#[derive(Default)]
pub(super) struct Outcome {
    steps: Vec<StepView>,
    changes: WriteBatch,
    document: Option<Document>,
    made: Option<String>,
    secret: Option<String>,
}

impl Outcome {
    /// The result of work that has already written its changes.
    pub(super) fn of(steps: Vec<StepView>) -> Self {
        Self {
            steps,
            ..Self::default()
        }
    }
}

/// Writes the change with its outcome, and publishes it.
pub(super) async fn record_outcome(
    console: &Console,
    mut plan: PlanView,
    outcome: Outcome,
    mut line: AuditEntry,
) -> Result<OutcomeView, Error> {
    let Outcome {
        steps,
        mut changes,
        document,
        made,
        secret,
    } = outcome;
    let done = steps
        .iter()
        .filter(|step| is_made_good(step, &steps))
        .count();
    let result = match done {
        _ if plan.actions.is_empty() => OutcomeResult::Unchanged,
        done if done == steps.len() => OutcomeResult::Succeeded,
        0 => OutcomeResult::Failed,
        _ => OutcomeResult::Partial,
    };
    let is_good = matches!(result, OutcomeResult::Unchanged | OutcomeResult::Succeeded);
    plan.state = OutcomeView::state(result, &steps);
    plan.ended_at_ms = Some(epoch_ms());
    line.outcome = match result {
        _ if plan.state == PlanState::Cancelled => AuditOutcome::Cancelled,
        OutcomeResult::Partial => AuditOutcome::Partial,
        _ if is_good => AuditOutcome::Succeeded,
        _ => AuditOutcome::Failed,
    };
    let failed = steps.iter().find(|step| !is_made_good(step, &steps));
    if let Some(why) = failed.and_then(|step| step.message.clone()) {
        line.reason = Some(why);
    }
    let mut view = OutcomeView {
        result,
        steps,
        secret: None,
        created_id: made,
    };
    plan.outcome = Some(view.clone());
    console.state.put_plan(&mut changes, &plan)?;
    if let Some(document) = &document {
        console.state.put_document(&mut changes, document);
    }
    console
        .state
        .commit("apply a plan", changes, vec![line])
        .await?;
    if let Some(document) = document {
        console.desired.set(document);
    }
    console.access.reload(&console.state)?;
    // The next query sees the change.
    sampler::refresh(console)?;
    view.secret = secret;
    Ok(view)
}

/// Resumes plans that a crash interrupted, or marks them as failed.
///
/// # Errors
/// If the data directory cannot be read or written.
pub(crate) async fn resume(console: &Arc<Console>) -> Result<(), Error> {
    for plan in console.state.plans_under_way()? {
        tracing::warn!(
            plan = plan.id,
            "plan {} was interrupted when the console stopped",
            plan.id
        );
        let mut line = audit::own("apply");
        line.reason = Some("continued after the console restarted".to_owned());
        if let Some(by) = &plan.applied_by {
            line.actor.clone_from(by);
        }
        line.plan = Some(plan.id.clone());
        line.target = Some(word(&plan.change).to_owned());
        (line.before, line.after) = in_words(&plan);
        let write_lock = console.desired.write_lock.lock().await;
        let prepared = match &plan.change {
            // It continues where its journal ends.
            Change::Scale(scale) => Ok(machines::go_on(console, &plan, scale)),
            change => prepare(
                console,
                change,
                &plan.created_by,
                &plan.id,
                &ApplySecrets::default(),
            ),
        };
        match prepared
            .map_err(|error| error.message().to_owned())
            .and_then(|prepared| may_go_on(&plan, prepared))
        {
            Ok(prepared) => {
                let started = StartedPlan {
                    plan,
                    prepared,
                    write_lock,
                };
                finish(console, started, line, Duration::ZERO).await?;
            }
            Err(why) => {
                let message = format!(
                    "the console stopped before anything was changed ({why}); create a new plan"
                );
                let failed = |action| StepView {
                    message: Some(message.clone()),
                    ..StepView::of(action)
                };
                let steps = plan.actions.iter().cloned().map(failed).collect();
                record_outcome(console, plan, Outcome::of(steps), line).await?;
            }
        }
    }
    Ok(())
}

/// Whether an interrupted plan can be resumed without further input.
fn may_go_on(plan: &PlanView, prepared: PlannedChange) -> Result<PlannedChange, String> {
    if prepared.needs_password || prepared.mutation.secret.is_some() {
        return Err("its password or secret was lost with the restart".to_owned());
    }
    if prepared.mutation.job.is_none() && prepared.fingerprint() != plan.fingerprint {
        return Err("the state it depends on has changed".to_owned());
    }
    Ok(prepared)
}

pub(super) fn find(console: &Console, id: &str) -> Result<PlanView, Error> {
    let found = console.state.plan(id)?;
    found.ok_or_else(|| Error::not_found(format!("plan {id:?} does not exist")))
}

/// The lowest role that may apply a plan of this danger.
pub(crate) fn role_to_apply(plan: &PlanView, danger: Danger) -> UserRole {
    role_for(&plan.change).max(match danger {
        Danger::None | Danger::Moderate => UserRole::Operator,
        Danger::Severe => UserRole::Admin,
    })
}

/// Checks that the caller may apply a plan of this danger.
fn check_role(plan: &PlanView, danger: Danger, caller: &Caller) -> Result<(), Error> {
    let needed = role_to_apply(plan, danger);
    if caller.role < needed {
        return Err(Error::forbidden(format!(
            "applying {} requires the role {needed}; {} has the role {}",
            plan.id, caller.name, caller.role
        )));
    }
    Ok(())
}

fn check_is_planned(plan: &PlanView) -> Result<(), Error> {
    let id = &plan.id;
    match plan.state {
        PlanState::Planned => Ok(()),
        PlanState::Applying => Err(Error::conflict(format!("{id} is being applied"))),
        PlanState::Applied | PlanState::Failed => {
            Err(Error::conflict(format!("{id} was already applied")))
        }
        PlanState::Stale => Err(Error::conflict(format!("{id} is stale; create a new plan"))),
        PlanState::Cancelled => Err(Error::conflict(format!(
            "{id} was cancelled; create a new plan"
        ))),
    }
}

async fn stale<T>(console: &Console, mut plan: PlanView, why: &str) -> Result<T, Error> {
    let message = format!(
        "{} is stale: {why}. Nothing was changed; create a new plan",
        plan.id
    );
    plan.state = PlanState::Stale;
    let mut changes = WriteBatch::default();
    console.state.put_plan(&mut changes, &plan)?;
    console
        .state
        .commit("mark a plan as stale", changes, vec![])
        .await?;
    Err(Error::conflict(message))
}

/// The hash of the password in the request.
async fn hashed(console: &Console, password: Option<String>) -> Result<Option<String>, Error> {
    let Some(password) = password else {
        return Ok(None);
    };
    password::check_length(&password)?;
    Ok(Some(console.access.passwords.hash(password).await?))
}

/// Returns the refusal of a guard, unless an admin overrides it with a reason.
fn check_guards(
    prepared: &PlannedChange,
    caller: &Caller,
    reason: Option<&str>,
    line: &mut AuditEntry,
) -> Result<(), Error> {
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    for refusal in &prepared.refusals {
        if !refusal.can_override {
            return Err(Error::refused(refusal.reason.clone()));
        }
        if reason.is_none() {
            return Err(Error::refused(format!(
                "{}; an admin can override this with a reason",
                refusal.reason
            )));
        }
        if caller.role < UserRole::Admin {
            return Err(Error::forbidden(
                "overriding a refusal requires the role admin",
            ));
        }
        let reason: String = reason.unwrap_or_default().chars().take(500).collect();
        line.reason = Some(format!("overridden: {reason}"));
    }
    Ok(())
}
