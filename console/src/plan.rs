//! Every change is a plan first: exact actions, what they stand on, how dangerous they are. Then it is applied, by whoever may.
//!
//! - [`prepared`]: what a change would do. It is worked out when the plan is made and again when it is applied; when what it
//!   stands on is another one then, the plan is stale.
//! - `sections`, `switches`, `people`, `gates`, `letters`, `scale`: the changes. [`work`]: what takes its time, `machines` the
//!   starts and stops of it.
//! - [`apply`]: the journal: intent before, outcome after; and what becomes of plans that a crash cut off.

pub(crate) mod apply;
mod gates;
mod letters;
mod machines;
mod people;
pub(crate) mod prepared;
mod repair;
mod scale;
mod sections;
mod switches;
pub(crate) mod work;

use std::sync::Arc;

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::records::Changes;

use self::prepared::Prepared;
use crate::access::Caller;
use crate::admin::ApiError;
use crate::audit;
use crate::console::Console;
use crate::view::access::UserRole;
use crate::view::audit::AuditEntry;
use crate::view::change::{Change, Scale};
use crate::view::plan::{PlanState, PlanView};

/// How long a plan can be applied, in milliseconds.
const VALID_MS: u64 = 15 * 60 * 1000;

/// What a change takes that the plan must not keep.
#[derive(Default)]
pub(crate) struct Given {
    /// The hash of the password that came with the apply.
    pub(crate) password: Option<String>,
}

/// Works out what a change would do now.
pub(crate) fn prepare(
    console: &Arc<Console>,
    change: &Change,
    by: &str,
    plan: &str,
    given: &Given,
) -> Result<Prepared, ApiError> {
    match change {
        Change::SetWorker { .. }
        | Change::SetApi { .. }
        | Change::SetIngest { .. }
        | Change::SetFleet { .. }
        | Change::Rollback { .. } => sections::prepare(console, change, by, plan),
        Change::Scale(scale) => scale::prepare(console, scale, by, plan),
        Change::Pause => switches::pause(console, by),
        Change::Resume => switches::resume(console),
        Change::Drain { node } => switches::drain(console, node, plan),
        Change::Undrain { node } => switches::undrain(console, node),
        Change::AddUser { .. }
        | Change::SetPassword { .. }
        | Change::SetRole { .. }
        | Change::RemoveUser { .. }
        | Change::AddToken { .. }
        | Change::RevokeToken { .. } => people::prepare(console, change, by, given),
        Change::AddKey { name, resorts } => gates::add(console, name, resorts.as_deref(), by),
        Change::RevokeKey { id } => gates::revoke(console, id),
        Change::Replay { letters, per_s } => letters::replay(console, letters, *per_s, plan),
        Change::Discard { letters } => letters::throw_away(console, letters, plan),
        Change::Repair {
            resort,
            season,
            day,
        } => repair::repair(console, *resort, season, *day),
    }
}

/// The smallest role that may plan a change.
fn role_for(change: &Change) -> UserRole {
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

/// The change in a word or two, as the audit calls it.
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
        Change::Pause => "pause",
        Change::Resume => "resume",
        Change::Drain { .. } => "drain",
        Change::Undrain { .. } => "undrain",
        Change::Replay { .. } => "replay",
        Change::Discard { .. } => "discard",
        Change::Repair { .. } => "repair",
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

/// Makes a plan for a change, and keeps it.
///
/// # Errors
/// When who asks may not, the console may change nothing, or the change makes no sense.
pub(crate) async fn make(
    console: &Arc<Console>,
    caller: &Caller,
    change: Change,
) -> Result<PlanView, ApiError> {
    let line = AuditEntry {
        target: Some(word(&change).to_owned()),
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
    let mut changes = Changes::default();
    console.state.put_plan(&mut changes, &plan)?;
    console
        .state
        .commit("keep a plan", changes, vec![line])
        .await?;
    Ok(plan)
}

async fn plan_for(
    console: &Arc<Console>,
    caller: &Caller,
    change: Change,
) -> Result<PlanView, ApiError> {
    check_may_change(console)?;
    let role = role_for(&change);
    if caller.role < role {
        return Err(ApiError::forbidden(format!(
            "to {} asks for the role {role}; {} is {}",
            word(&change),
            caller.name,
            caller.role
        )));
    }
    look_at_machines(console, &change).await?;
    let id = crate::state::plan_id(console.state.next_plan().await);
    let mut prepared = prepare(console, &change, &caller.name, &id, &Given::default())?;
    if let Some(Change::Scale(scale)) = &prepared.resolved {
        let asked = scale::preflight(console, scale).await;
        prepared.effects.extend(asked.effects);
        prepared.refusals.extend(asked.refusals);
    }
    let now = epoch_ms();
    Ok(PlanView {
        id,
        fingerprint: prepared.fingerprint(),
        change: prepared.resolved.unwrap_or(change),
        by: caller.name.clone(),
        made_at_ms: now,
        expires_at_ms: now + VALID_MS,
        actions: prepared.actions,
        effects: prepared.effects,
        cost: prepared.cost,
        danger: prepared.danger,
        confirm: prepared.confirm,
        refusals: prepared.refusals,
        state: PlanState::Planned,
        outcome: None,
    })
}

/// Lists the machines, where a change stands on them.
async fn look_at_machines(console: &Console, change: &Change) -> Result<(), ApiError> {
    if let Change::Scale(scale) = change
        && scale.is_of_machines()
    {
        console.machines.look().await?;
    }
    Ok(())
}

fn check_may_change(console: &Console) -> Result<(), ApiError> {
    if console.config.read_only {
        return Err(ApiError::refused(
            "this console runs with --read-only: nothing can be changed through it",
        ));
    }
    Ok(())
}

/// Audits an attempt that was refused.
async fn refuse<T>(
    console: &Console,
    caller: &Caller,
    line: AuditEntry,
    error: ApiError,
) -> Result<T, ApiError> {
    audit::note_refusal(console, caller, line, error.message()).await?;
    Err(error)
}

/// What a plan changes, before and after, for a line of the audit.
fn in_words(plan: &PlanView) -> (Option<String>, Option<String>) {
    let join = |side: fn(&crate::view::plan::ActionView) -> Option<&String>| {
        let said: Vec<String> = plan
            .actions
            .iter()
            .filter_map(|action| {
                let said = side(action)?;
                Some(format!("{}, {}: {said}", action.does, action.to))
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
