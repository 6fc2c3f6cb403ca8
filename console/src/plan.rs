//! Every change is planned first: exact actions, the state they depend on, and their danger. A caller with the required role
//! then applies the plan.
//!
//! - [`planned_change`]: what a change would do. It is computed when the plan is created and again when it is applied; if the
//!   state it depends on has changed in between, the plan is stale.
//! - `settings`, `alarms`, `consumption`, `users`, `ingest_keys`, `dead_letters`, `archive`, `scale`: the changes. [`job`]: long-running work; `machines`:
//!   starts and stops of instances.
//! - `unchanged`: the settings that a plan's command does not list. `difference`: why a plan is stale.
//! - [`apply`]: the journal: intent before, outcome after; and recovery of plans that a crash interrupted. [`cancel`], [`list`].

mod alarms;
pub(crate) mod apply;
pub(crate) mod archive;
pub(crate) mod cancel;
mod consumption;
mod dead_letters;
mod difference;
mod ingest_keys;
pub(crate) mod job;
pub(crate) mod job_runner;
pub(crate) mod list;
mod machines;
pub(crate) mod planned_change;
mod repair;
mod scale;
mod settings;
mod unchanged;
mod users;

use std::sync::Arc;

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::records::WriteBatch;

use self::planned_change::{ApplySecrets, PlannedChange};
use crate::access::Caller;
use crate::audit;
use crate::console::Console;
use crate::error::Error;
use crate::tuning;
use crate::view::ProblemCode;
use crate::view::access::UserRole;
use crate::view::audit::{AuditEntry, AuditOutcome};
use crate::view::change::{Change, Scale};
use crate::view::plan::{PlanState, PlanView};

/// How long a plan can be applied, in milliseconds.
const VALID_MS: u64 = 15 * 60 * 1000;

/// Computes what a change would do now.
pub(crate) fn prepare(
    console: &Arc<Console>,
    change: &Change,
    by: &str,
    plan: &str,
    secrets: &ApplySecrets,
) -> Result<PlannedChange, Error> {
    match change {
        Change::SetWorker { .. }
        | Change::SetApi { .. }
        | Change::SetIngest { .. }
        | Change::SetFleet { .. }
        | Change::Rollback { .. } => settings::prepare(console, change, by, plan),
        Change::Scale(scale) => scale::prepare(console, scale, by, plan),
        Change::Pause { for_s } => consumption::pause(console, *for_s, by),
        Change::Resume => consumption::resume(console),
        Change::Drain { node } => consumption::drain(console, node, plan),
        Change::Undrain { node } => consumption::undrain(console, node),
        Change::Forget { node } => consumption::forget(console, node),
        Change::AddUser { .. }
        | Change::SetPassword { .. }
        | Change::SetRole { .. }
        | Change::RemoveUser { .. }
        | Change::AddToken { .. }
        | Change::RevokeToken { .. } => users::prepare(console, change, by, secrets),
        Change::AddKey { name, resorts } => ingest_keys::add(console, name, resorts.as_deref(), by),
        Change::RevokeKey { id } => ingest_keys::revoke(console, id),
        Change::Replay {
            dead_letters: letters,
            per_s,
        } => dead_letters::replay(console, letters, *per_s, plan),
        Change::Discard {
            dead_letters: letters,
        } => dead_letters::discard_letters(console, letters, plan),
        Change::Acknowledge { alarm, reason } => {
            alarms::acknowledge(console, *alarm, reason.as_deref(), by)
        }
        Change::Repair {
            resort,
            season,
            day,
        } => repair::repair(console, *resort, season, *day),
        Change::Archive(days) => archive::prepare(console, days, archive::Direction::ToFiles, plan),
        Change::Restore(days) => archive::prepare(console, days, archive::Direction::ToRedis, plan),
    }
}

/// Checks whether a change could be planned now.
///
/// # Errors
/// If the console is read-only or the change is invalid.
pub(crate) fn check(console: &Arc<Console>, change: &Change) -> Result<(), Error> {
    check_may_change(console)?;
    prepare(console, change, "", "", &ApplySecrets::default())?;
    Ok(())
}

/// Whether a plan's state is what it depends on. Plans of instances are only checked when they are applied: that asks the fleet.
pub(crate) fn is_current(console: &Arc<Console>, plan: &PlanView) -> bool {
    if matches!(&plan.change, Change::Scale(scale) if scale.is_of_machines()) {
        return true;
    }
    let secrets = ApplySecrets::default();
    let now = prepare(console, &plan.change, &plan.created_by, &plan.id, &secrets);
    now.is_ok_and(|now| now.fingerprint() == plan.fingerprint)
}

/// The lowest role that may plan a change.
pub(crate) fn role_for(change: &Change) -> UserRole {
    match change {
        Change::AddUser { .. }
        | Change::SetPassword { .. }
        | Change::SetRole { .. }
        | Change::RemoveUser { .. }
        | Change::AddToken { .. }
        | Change::RevokeToken { .. }
        | Change::AddKey { .. }
        | Change::RevokeKey { .. } => UserRole::Admin,
        _ => UserRole::Operator,
    }
}

/// Short name of a change, used as the target in the audit log.
fn word(change: &Change) -> &'static str {
    match change {
        Change::SetWorker { .. } => "set worker",
        Change::SetApi { .. } => "set api",
        Change::SetIngest { .. } => "set ingest",
        Change::SetFleet { .. } => "set fleet",
        Change::Scale(Scale {
            roles, start, stop, ..
        }) => match (roles.is_empty(), start.is_empty(), stop.is_empty()) {
            (true, false, true) => "start",
            (true, true, false) => "stop",
            _ => "scale",
        },
        Change::Rollback { .. } => "rollback",
        Change::Pause { .. } => "pause",
        Change::Resume => "resume",
        Change::Drain { .. } => "drain",
        Change::Undrain { .. } => "undrain",
        Change::Forget { .. } => "forget",
        Change::Replay { .. } => "replay",
        Change::Discard { .. } => "discard",
        Change::Acknowledge { .. } => "acknowledge",
        Change::Repair { .. } => "repair",
        Change::Archive(_) => "archive",
        Change::Restore(_) => "restore",
        Change::AddUser { .. } => "add user",
        Change::SetPassword { .. } => "set password",
        Change::SetRole { .. } => "set role",
        Change::RemoveUser { .. } => "remove user",
        Change::AddToken { .. } => "add token",
        Change::RevokeToken { .. } => "revoke token",
        Change::AddKey { .. } => "add key",
        Change::RevokeKey { .. } => "revoke key",
    }
}

/// Creates and stores a plan for a change.
///
/// # Errors
/// If the caller's role is too low, the console is read-only, or the change is invalid.
pub(crate) async fn make(
    console: &Arc<Console>,
    caller: &Caller,
    change: Change,
) -> Result<PlanView, Error> {
    let line = AuditEntry {
        target: Some(word(&change).to_owned()),
        outcome: AuditOutcome::Planned,
        ..audit::by(caller, "plan")
    };
    let planned = plan_for(console, caller, change).await;
    let (plan, mut line) = match planned {
        Ok(plan) => (plan, line),
        Err(error) => return refuse(console, caller, line, error).await,
    };
    line.plan = Some(plan.id.clone());
    let (before, after) = in_words(&plan);
    (line.before, line.after) = (before, after);
    let mut refusals = plan.refusals.iter();
    if let Some(refusal) = refusals.find(|refusal| !refusal.can_override) {
        line.outcome = AuditOutcome::Refused;
        line.reason = Some(refusal.reason.clone());
    }
    let mut changes = WriteBatch::default();
    console.state.put_plan(&mut changes, &plan)?;
    console
        .state
        .commit("store a plan", changes, vec![line])
        .await?;
    Ok(plan)
}

async fn plan_for(
    console: &Arc<Console>,
    caller: &Caller,
    change: Change,
) -> Result<PlanView, Error> {
    check_may_change(console)?;
    let role = role_for(&change);
    if caller.role < role {
        return Err(Error::forbidden(format!(
            "{} requires the role {role}; {} has the role {}",
            word(&change),
            caller.name,
            caller.role
        )));
    }
    refresh_machines(console, &change).await?;
    let id = crate::state::plan_id(console.state.next_plan().await);
    let mut prepared = prepare(
        console,
        &change,
        &caller.name,
        &id,
        &ApplySecrets::default(),
    )?;
    if let Some(Change::Scale(scale)) = &prepared.resolved {
        let asked = scale::preflight(console, scale).await;
        prepared.effects.extend(asked.effects);
        prepared.refusals.extend(asked.refusals);
    }
    let asked = archive::preflight(console, &change).await?;
    prepared.effects.extend(asked.effects);
    prepared.refusals.extend(asked.refusals);
    let leased = tuning::lease::refusal(&console.tuning, &change, caller);
    prepared.refusals.extend(leased);
    let now = epoch_ms();
    Ok(PlanView {
        id,
        fingerprint: prepared.fingerprint(),
        command: unchanged::without_unchanged(&change, &prepared.actions).command(),
        change: prepared.resolved.unwrap_or(change),
        created_by: caller.name.clone(),
        created_at_ms: now,
        expires_at_ms: now + VALID_MS,
        actions: prepared.actions,
        effects: prepared.effects,
        cost: prepared.cost,
        danger: prepared.danger,
        confirm: prepared.confirm,
        refusals: prepared.refusals,
        state: PlanState::Planned,
        outcome: None,
        is_cancelling: false,
        applied_by: None,
        applied_at_ms: None,
        ended_at_ms: None,
    })
}

/// Lists the instances, if the change depends on them.
async fn refresh_machines(console: &Console, change: &Change) -> Result<(), Error> {
    if let Change::Scale(scale) = change
        && scale.is_of_machines()
    {
        console.machines.refresh().await?;
    }
    Ok(())
}

/// Refuses every change of a read-only console.
pub(crate) fn check_may_change(console: &Console) -> Result<(), Error> {
    if console.config.read_only {
        return Err(Error::refused(
            "this console runs with --read-only and rejects all changes",
        ));
    }
    Ok(())
}

/// Records a refused attempt in the audit log, and returns its error.
///
/// # Errors
/// Always.
pub(crate) async fn refuse<T>(
    console: &Console,
    caller: &Caller,
    line: AuditEntry,
    error: Error,
) -> Result<T, Error> {
    let entry = if error.code() == ProblemCode::Forbidden {
        audit::denied(line, error.message())
    } else {
        audit::refused(line, error.message())
    };
    audit::record_refusal(console, caller, entry).await?;
    Err(error)
}

/// Before and after of a plan's actions, for the audit log.
fn in_words(plan: &PlanView) -> (Option<String>, Option<String>) {
    let join = |side: fn(&crate::view::plan::ActionView) -> Option<&String>| {
        let said: Vec<String> = plan
            .actions
            .iter()
            .filter_map(|action| {
                let said = side(action)?;
                Some(format!("{}, {}: {said}", action.action, action.target))
            })
            .take(20)
            .collect();
        (!said.is_empty()).then(|| said.join("; "))
    };
    (
        join(|action| action.before.as_ref()),
        join(|action| action.after.as_ref()),
    )
}
