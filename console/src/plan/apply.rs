//! Applying a plan: one at a time as far as they write, intent before, outcome after.
//!
//! What a plan changes in the console's folder is one write together with its outcome: after a crash it is there or it is not.
//! The intent is written before. So a plan that stands at "applying" when the console starts was cut off before its change, or
//! in the middle of work that can be done again from its beginning.

use std::sync::Arc;
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::control::Document;
use skilift_core::embedded::records::Changes;

use super::prepared::{Effect, Prepared};
use super::{
    Given, check_may_change, in_words, look_at_machines, machines, prepare, refuse, role_for, word,
    work,
};
use tokio::sync::MutexGuard;

use crate::access::{Caller, password};
use crate::admin::ApiError;
use crate::audit;
use crate::console::Console;
use crate::sampler;
use crate::view::access::UserRole;
use crate::view::audit::{AuditEntry, AuditOutcome};
use crate::view::change::Change;
use crate::view::plan::{
    ApplyRequest, Danger, OutcomeResult, OutcomeView, PlanState, PlanView, RefusalView, StepCode,
    StepView,
};
use crate::view::queue::HistoryPoint;

/// How long an apply waits for work before it tells how far that is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Applies a plan.
///
/// # Errors
/// When who asks may not, the plan is stale or was applied before, a guard refuses it, or its confirmation is missing.
pub(crate) async fn apply(
    console: &Arc<Console>,
    caller: &Caller,
    id: &str,
    request: ApplyRequest,
) -> Result<OutcomeView, ApiError> {
    let mut line = audit::by(caller, "apply");
    line.plan = Some(id.chars().take(32).collect());
    match begin(console, caller, id, request, &mut line).await {
        Ok(begun) => finish(console, begun, line, PATIENCE).await,
        Err(error) => refuse(console, caller, line, error).await,
    }
}

/// A plan that may be applied, and whose intent is written.
struct Begun<'a> {
    plan: PlanView,
    prepared: Prepared,
    /// Nothing that plans stand on changes meanwhile.
    turn: MutexGuard<'a, ()>,
}

/// Everything before the first change: who may, whether it still holds, and the intent.
async fn begin<'a>(
    console: &'a Arc<Console>,
    caller: &Caller,
    id: &str,
    request: ApplyRequest,
    line: &mut AuditEntry,
) -> Result<Begun<'a>, ApiError> {
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
    let given = Given {
        password: hashed(console, password).await?,
    };
    look_at_machines(console, &plan.change).await?;
    let turn = console.desired.turn.lock().await;
    let mut plan = find(console, id)?;
    check_is_planned(&plan)?;
    if plan.expires_at_ms <= epoch_ms() {
        return stale(console, plan, "it is too old").await;
    }
    let mut prepared = prepare(console, &plan.change, &caller.name, id, &given)?;
    if prepared.fingerprint() != plan.fingerprint {
        return stale(console, plan, "what it stands on has changed").await;
    }
    check_role(&plan, prepared.danger, caller)?;
    // What EC2 would not permit was asked when it was planned, and is not asked again.
    let is_denied = |refusal: &&RefusalView| {
        matches!(refusal.code, Some(StepCode::Denied | StepCode::Credentials))
    };
    if let Some(denied) = plan.refusals.iter().find(is_denied) {
        return Err(ApiError::refused(denied.why.clone()));
    }
    check_guards(&prepared, caller, request.override_reason.as_deref(), line)?;
    if prepared.danger == Danger::Severe && request.confirm != prepared.confirm {
        let name = prepared.confirm.unwrap_or_default();
        return Err(ApiError::refused(format!(
            "{id} is severe: confirm it with {name:?}"
        )));
    }
    if prepared.needs_password && given.password.is_none() {
        return Err(ApiError::invalid(
            "this change needs a password, in the field `password`",
        ));
    }
    (line.before, line.after) = in_words(&plan);
    plan.state = PlanState::Applying;
    let intent = AuditEntry {
        outcome: AuditOutcome::Begun,
        ..line.clone()
    };
    let mut changes = Changes::default();
    let effect = &mut prepared.effect;
    let mut first = None;
    if effect.work.is_some() {
        changes.append(std::mem::take(&mut effect.changes));
        first = effect.document.take();
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
    Ok(Begun {
        plan,
        prepared,
        turn,
    })
}

/// The change itself, and its outcome.
async fn finish(
    console: &Arc<Console>,
    begun: Begun<'_>,
    line: AuditEntry,
    patience: Duration,
) -> Result<OutcomeView, ApiError> {
    let Begun {
        plan,
        prepared,
        turn,
    } = begun;
    let Effect {
        changes,
        document,
        made,
        secret,
        work,
    } = prepared.effect;
    // Others need not wait for what takes its time.
    if let Some(work) = work {
        drop(turn);
        return work::run(console, plan, work, line, patience).await;
    }
    // It is so for the console, and for the nodes as soon as they can be told.
    let unreachable = console.desired.unreachable().filter(|_| document.is_some());
    let message = unreachable.map(|why| format!("kept here; nodes cannot be told yet: {why}"));
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
    let concluded = conclude(console, plan, outcome, line).await;
    drop(turn);
    concluded
}

/// What came of a plan, and what is to be written with it.
#[derive(Default)]
pub(super) struct Outcome {
    steps: Vec<StepView>,
    changes: Changes,
    document: Option<Document>,
    made: Option<String>,
    secret: Option<String>,
}

impl Outcome {
    /// What came of work, which has written what it changed.
    pub(super) fn of(steps: Vec<StepView>) -> Self {
        Self {
            steps,
            ..Self::default()
        }
    }
}

/// Writes the change with its outcome, and has everybody know.
pub(super) async fn conclude(
    console: &Console,
    mut plan: PlanView,
    outcome: Outcome,
    mut line: AuditEntry,
) -> Result<OutcomeView, ApiError> {
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
        _ if plan.actions.is_empty() => OutcomeResult::Already,
        done if done == steps.len() => OutcomeResult::Done,
        0 => OutcomeResult::Failed,
        _ => OutcomeResult::Partial,
    };
    let is_good = matches!(result, OutcomeResult::Already | OutcomeResult::Done);
    plan.state = if is_good {
        PlanState::Applied
    } else {
        PlanState::Failed
    };
    line.outcome = if is_good {
        AuditOutcome::Done
    } else {
        AuditOutcome::Failed
    };
    let failed = steps.iter().find(|step| !is_made_good(step, &steps));
    if let Some(why) = failed.and_then(|step| step.message.clone()) {
        line.message = Some(why);
    }
    let mut view = OutcomeView {
        result,
        steps,
        secret: None,
        made,
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
    // Who looks next sees what was done.
    let _: HistoryPoint = sampler::refresh(console)?;
    view.secret = secret;
    Ok(view)
}

/// Whether a step was done, or another one in its place.
pub(super) fn is_made_good(step: &StepView, steps: &[StepView]) -> bool {
    let instead = step.instead.as_ref();
    step.done
        || instead
            .and_then(|id| steps.iter().rfind(|other| other.action.to == *id))
            .is_some_and(|other| is_made_good(other, steps))
}

/// Goes on with plans that a crash cut off, or says that nothing came of them.
///
/// # Errors
/// When the folder fails.
pub(crate) async fn resume(console: &Arc<Console>) -> Result<(), ApiError> {
    for plan in console.state.plans_under_way()? {
        tracing::warn!(
            plan = plan.id,
            "plan {} was cut off when the console ended",
            plan.id
        );
        let mut line = audit::own("resume");
        line.plan = Some(plan.id.clone());
        line.target = Some(word(&plan.change).to_owned());
        (line.before, line.after) = in_words(&plan);
        let turn = console.desired.turn.lock().await;
        let prepared = match &plan.change {
            // It goes on where its journal ends.
            Change::Scale(scale) => Ok(machines::go_on(console, &plan, scale)),
            change => prepare(console, change, &plan.by, &plan.id, &Given::default()),
        };
        match prepared
            .map_err(|error| error.message().to_owned())
            .and_then(|prepared| may_go_on(&plan, prepared))
        {
            Ok(prepared) => {
                let begun = Begun {
                    plan,
                    prepared,
                    turn,
                };
                finish(console, begun, line, Duration::ZERO).await?;
            }
            Err(why) => {
                let message =
                    format!("the console ended before anything was changed ({why}): plan it again");
                let failed = |action| StepView {
                    message: Some(message.clone()),
                    ..StepView::of(action)
                };
                let steps = plan.actions.iter().cloned().map(failed).collect();
                conclude(console, plan, Outcome::of(steps), line).await?;
            }
        }
    }
    Ok(())
}

/// Whether a plan that was cut off can be gone on with, by nobody's word but its own.
fn may_go_on(plan: &PlanView, prepared: Prepared) -> Result<Prepared, String> {
    if prepared.needs_password || prepared.effect.secret.is_some() {
        return Err("what it would have made is known to nobody".to_owned());
    }
    if prepared.effect.work.is_none() && prepared.fingerprint() != plan.fingerprint {
        return Err("what it stands on has changed".to_owned());
    }
    Ok(prepared)
}

fn find(console: &Console, id: &str) -> Result<PlanView, ApiError> {
    let found = console.state.plan(id)?;
    found.ok_or_else(|| ApiError::not_found(format!("there is no plan {id:?}")))
}

/// Whether somebody may apply what is as dangerous as that.
fn check_role(plan: &PlanView, danger: Danger, caller: &Caller) -> Result<(), ApiError> {
    let needed = role_for(&plan.change).max(match danger {
        Danger::None | Danger::Moderate => UserRole::Operator,
        Danger::Severe => UserRole::Admin,
    });
    if caller.role < needed {
        return Err(ApiError::forbidden(format!(
            "to apply {} asks for the role {needed}; {} is {}",
            plan.id, caller.name, caller.role
        )));
    }
    Ok(())
}

fn check_is_planned(plan: &PlanView) -> Result<(), ApiError> {
    let id = &plan.id;
    match plan.state {
        PlanState::Planned => Ok(()),
        PlanState::Applying => Err(ApiError::conflict(format!("{id} is being applied"))),
        PlanState::Applied | PlanState::Failed => {
            Err(ApiError::conflict(format!("{id} was applied before")))
        }
        PlanState::Stale => Err(ApiError::conflict(format!("{id} is stale: plan it again"))),
    }
}

async fn stale<T>(console: &Console, mut plan: PlanView, why: &str) -> Result<T, ApiError> {
    let message = format!(
        "{} is stale: {why}; nothing was changed; plan it again",
        plan.id
    );
    plan.state = PlanState::Stale;
    let mut changes = Changes::default();
    console.state.put_plan(&mut changes, &plan)?;
    console
        .state
        .commit("note a stale plan", changes, vec![])
        .await?;
    Err(ApiError::conflict(message))
}

/// The hash to keep of a password that came along.
async fn hashed(console: &Console, password: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(password) = password else {
        return Ok(None);
    };
    if !password::BYTES.contains(&password.len()) {
        return Err(ApiError::invalid(format!(
            "a password has {} to {} bytes",
            password::BYTES.start(),
            password::BYTES.end()
        )));
    }
    Ok(Some(console.access.passwords.hash(password).await?))
}

/// Refuses what a guard refuses, unless an admin has a reason.
fn check_guards(
    prepared: &Prepared,
    caller: &Caller,
    reason: Option<&str>,
    line: &mut AuditEntry,
) -> Result<(), ApiError> {
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    for refusal in &prepared.refusals {
        if !refusal.can_override {
            return Err(ApiError::refused(refusal.why.clone()));
        }
        if reason.is_none() {
            return Err(ApiError::refused(format!(
                "{}; an admin may override it with a reason",
                refusal.why
            )));
        }
        if caller.role < UserRole::Admin {
            return Err(ApiError::forbidden(
                "to override a refusal asks for the role admin",
            ));
        }
        let reason: String = reason.unwrap_or_default().chars().take(500).collect();
        line.message = Some(format!("overridden: {reason}"));
    }
    Ok(())
}
