//! Plans the number and choice of running instances and the settings of their nodes, with cost and measured capacity.

mod guards;
mod worked_out;

use std::collections::BTreeSet;
use std::sync::Arc;

use skilift_core::control::{ApiSettings, Document, WorkerSettings};
use skilift_fleet::FleetKind;
use skilift_fleet::instance::{Instance, InstanceId, InstanceState};
use skilift_fleet::outcome::Verb;

use self::worked_out::WorkedOut;
pub(super) use self::worked_out::machine_view;
use super::machines::{self, START, STOP};
use super::planned_change::PlannedChange;
use super::settings;
use crate::console::Console;
use crate::error::Error;
use crate::fleet::choice::{startable, to_start, to_stop};
use crate::fleet::{self, of_role, up};
use crate::state::Settings;
use crate::view::change::{Change, Count, RoleCount, Scale, ScaledRole};
use crate::view::plan::{ActionView, MachineView, RefusalView, StepCode, StepView};
use crate::view::settings::Section;

/// Range of the drain timeout, in seconds.
const DRAIN_TIMEOUT_S: std::ops::RangeInclusive<u32> = 1..=3600;

/// Computes what a change of instances and settings would do.
pub(super) fn prepare(
    console: &Arc<Console>,
    scale: &Scale,
    by: &str,
    plan: &str,
) -> Result<PlannedChange, Error> {
    check(scale)?;
    let listed = console.machines.listed();
    let document = console.desired.document();
    let mut worked_out = WorkedOut::new(console, &listed.instances);
    for wanted in &scale.roles {
        worked_out.count(wanted, scale)?;
    }
    worked_out.name(&scale.start, &scale.stop);

    let (mut prepared, after) = settings(console, scale, &document, by, plan)?;
    let threads = match (&document.worker, &after.worker) {
        (Some(before), Some(after)) => Some((before.value.threads, after.value.threads)),
        _ => None,
    };
    let settings_steps = prepared.actions.len();
    prepared.actions.extend(worked_out.actions());
    prepared.basis += &worked_out.basis(&document);
    if prepared.actions.is_empty() && !worked_out.has_machines() {
        return Ok(PlannedChange::already(prepared.basis));
    }
    let steps = prepared.actions.iter().cloned().map(StepView::of).collect();
    let mut resolved = worked_out.resolved(scale);
    resolved.expect_running = None;
    if worked_out.has_machines() {
        prepared = guards::guard(console, prepared, &worked_out, scale, plan, threads)?;
        prepared.mutation.job = Some(machines::job(console, plan, &resolved, steps, None));
        prepared.resolved = Some(Change::Scale(resolved));
    }
    if settings_steps > 0 {
        prepared.mutation.document = Some(after);
        if let Some(why) = console.desired.unreachable() {
            prepared = prepared.with_effect(format!(
                "nodes cannot be reached now and apply this when they can be: {why}"
            ));
        }
    }
    Ok(prepared)
}

fn check(scale: &Scale) -> Result<(), Error> {
    let roles: BTreeSet<ScaledRole> = scale.roles.iter().map(|wanted| wanted.role).collect();
    if roles.len() != scale.roles.len() {
        return Err(Error::invalid("each role may be given only once"));
    }
    if let Some(seconds) = scale.drain_timeout_s
        && !DRAIN_TIMEOUT_S.contains(&seconds)
    {
        return Err(Error::invalid(format!(
            "drain_timeout_s must be from {} to {}, not {seconds}",
            DRAIN_TIMEOUT_S.start(),
            DRAIN_TIMEOUT_S.end()
        )));
    }
    if scale.expect_running.is_some() && scale.roles.len() != 1 {
        return Err(Error::invalid("expect_running requires exactly one role"));
    }
    if let Some(id) = scale.start.iter().find(|id| scale.stop.contains(id)) {
        let shown: String = id.chars().take(100).collect();
        return Err(Error::invalid(format!(
            "{shown:?} cannot be started and stopped in one plan"
        )));
    }
    let is_nothing = !scale.is_of_machines()
        && scale.threads.is_none()
        && scale.prefetch.is_none()
        && scale.batch.is_none()
        && scale.channels.is_none();
    if is_nothing {
        return Err(Error::invalid(
            "specify a number of instances for a role, instances to start or stop, or a setting",
        ));
    }
    Ok(())
}

/// The settings of the plan, and the resulting document.
fn settings(
    console: &Arc<Console>,
    scale: &Scale,
    document: &Document,
    by: &str,
    plan: &str,
) -> Result<(PlannedChange, Document), Error> {
    let mut prepared = PlannedChange::new("scale");
    let mut after = document.clone();
    if scale.threads.is_some() || scale.prefetch.is_some() || scale.batch.is_some() {
        let now = document.worker.map(|set| set.value);
        let now = now.ok_or_else(|| unknown_settings("worker"))?;
        let wanted = WorkerSettings {
            threads: scale.threads.unwrap_or(now.threads),
            prefetch: scale.prefetch.unwrap_or(now.prefetch),
            batch: scale.batch.unwrap_or(now.batch),
            linger_ms: now.linger_ms,
        };
        let wanted = Settings::Worker(wanted);
        prepared = settings::add(
            console,
            prepared,
            &mut after,
            Section::Worker,
            wanted,
            by,
            plan,
        )?;
    }
    if let Some(lanes) = scale.channels {
        let now = document.api.map(|set| set.value);
        let now = now.ok_or_else(|| unknown_settings("API"))?;
        let wanted = Settings::Api(ApiSettings {
            channels: lanes,
            ..now
        });
        prepared = settings::add(
            console,
            prepared,
            &mut after,
            Section::Api,
            wanted,
            by,
            plan,
        )?;
    }
    after.serial = document.next_serial();
    Ok((prepared, after))
}

fn unknown_settings(role: &str) -> Error {
    Error::refused(format!(
        "the settings of {role} nodes are unknown: none has sent a heartbeat yet; set all values with `skictl settings set`"
    ))
}

/// Result of the permission check before anything is done.
#[derive(Default)]
pub(super) struct Preflight {
    pub(super) effects: Vec<String>,
    pub(super) refusals: Vec<RefusalView>,
}

/// Checks whether the starts and stops of a plan would be permitted.
pub(super) async fn preflight(console: &Console, scale: &Scale) -> Preflight {
    let mut asked = Preflight::default();
    let Ok(fleet) = console.machines.fleet() else {
        return asked;
    };
    if fleet.kind() == FleetKind::Local {
        return asked;
    }
    let listed = console.machines.listed();
    let known = |ids: &[String]| -> Vec<InstanceId> {
        let there = listed.instances.iter();
        let known = there.filter(|instance| ids.iter().any(|id| id == instance.id.as_str()));
        known.map(|instance| instance.id.clone()).collect()
    };
    let mut permitted = Vec::new();
    for (verb, ids) in [
        (Verb::Start, known(&scale.start)),
        (Verb::Stop, known(&scale.stop)),
    ] {
        if ids.is_empty() {
            continue;
        }
        match fleet.preflight(verb, &ids).await {
            Ok(()) => permitted.push(match verb {
                Verb::Start => "these starts; it does not guarantee capacity",
                Verb::Stop => "these stops",
            }),
            Err(error) => {
                let code = StepCode::from(error.code);
                match code {
                    StepCode::Denied | StepCode::Credentials => asked.refusals.push(RefusalView {
                        reason: error.message,
                        can_override: false,
                        code: Some(code),
                    }),
                    _ => asked.effects.push(format!(
                        "cannot check the permission to {verb} these instances: {error}"
                    )),
                }
            }
        }
    }
    if !permitted.is_empty() {
        asked
            .effects
            .push(format!("EC2 permits {}", permitted.join(", and ")));
    }
    asked
}
