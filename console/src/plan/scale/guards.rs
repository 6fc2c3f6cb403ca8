//! Cost of a plan of instances, its effect on throughput, its danger, and its refusals.

use std::time::Duration;

use skilift_core::control::STILL_WELCOME;

use super::worked_out::Named;
use super::*;
use crate::fleet::capacity::Capacity;
use crate::fleet::cost::usd_per_h;
use crate::view::Reading;
use crate::view::cost::CostChangeView;
use crate::view::figures::{counted, grouped};

/// Each start is billed for at least one minute: this fraction of an hour.
const LEAST_BILLED_H: f64 = 1.0 / 60.0;
/// A drained node has reported it within this time.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// Adds effects, cost, danger and refusals.
pub(super) fn guard(
    console: &Console,
    mut prepared: PlannedChange,
    worked_out: &WorkedOut<'_>,
    scale: &Scale,
    plan: &str,
    threads: Option<(u32, u32)>,
) -> Result<PlannedChange, Error> {
    let under_way = console.state.plans_under_way()?;
    if let Some(other) = under_way
        .iter()
        .find(|other| other.id != plan && matches!(other.change, Change::Scale(_)))
    {
        let id = &other.id;
        let todo = match other.is_cancelling {
            true => format!("it is being cancelled; wait for it (skictl plans show {id} --wait)"),
            false => format!(
                "wait for it (skictl plans show {id} --wait), or cancel it (skictl plans cancel {id})"
            ),
        };
        prepared = prepared.refuse(
            format!("{id} is still starting or stopping instances; {todo}"),
            false,
        );
    }
    for (role, wanted, can_be) in &worked_out.shortages {
        prepared = prepared.refuse(shortage(worked_out, *role, *wanted, *can_be), false);
    }
    for role in [ScaledRole::Api, ScaledRole::Worker] {
        let (before, after) = worked_out.before_and_after(role);
        let wanted = worked_out.wanted(role).unwrap_or(after);
        if before != wanted {
            prepared = within_bounds(console, prepared, role, (before, wanted), scale);
        }
        let is_short = worked_out.shortages.iter().any(|(of, ..)| *of == role);
        if wanted != after && !is_short {
            let why =
                format!("{role}={wanted} contradicts the named instances: {after} would be up");
            prepared = prepared.refuse(why, false);
        }
        if before != after {
            prepared = flow(
                console,
                prepared,
                worked_out,
                role,
                (before, after),
                threads,
            );
        }
    }
    let named = || worked_out.starts.iter().chain(&worked_out.stops);
    let is_impossible = |named: &Named<'_>| impossible(named).is_some();
    let is_any_possible = !named().all(is_impossible);
    for named in named() {
        if let Some(foreign) = named.instance.filter(|instance| !instance.is_scaled()) {
            let why = format!(
                "{} has the role {:?}; only api and worker instances can be started and stopped",
                named.id, foreign.role
            );
            prepared = prepared.refuse(why, false);
        }
        if let Some((code, why)) = impossible(named) {
            prepared = prepared.with_effect(why.clone());
            if !is_any_possible {
                prepared.refusals.push(RefusalView {
                    reason: why,
                    can_override: false,
                    code: Some(code),
                });
            }
        }
    }
    prepared = welcome(prepared, worked_out, scale);
    // Child processes have no price.
    if console.machines.fleet()?.kind() != FleetKind::Local {
        prepared.cost = Some(cost(console, worked_out));
    }
    Ok(prepared)
}

/// Why an instance cannot be started or stopped, if that is known beforehand.
fn impossible(named: &Named<'_>) -> Option<(StepCode, String)> {
    let id = &named.id;
    let Some(instance) = named.instance else {
        let why = format!("{id} is not an instance of this stack; see `skictl ec2 list`");
        return Some((StepCode::NotFound, why));
    };
    let obstacle = instance.obstacle.as_ref()?;
    let why = format!("{id} is left unchanged: {obstacle}");
    Some((StepCode::Obstacle, why))
}

/// Refuses a drain timeout that is too short.
fn welcome(prepared: PlannedChange, worked_out: &WorkedOut<'_>, scale: &Scale) -> PlannedChange {
    let stops_api = worked_out
        .stops
        .iter()
        .any(|named| named.is_of(ScaledRole::Api));
    let least_s = (STILL_WELCOME + HEARD_WITHIN).as_secs();
    let given_s = scale.drain_timeout_s.map(u64::from);
    match given_s.filter(|given_s| *given_s < least_s && stops_api && !scale.stop_anyway) {
        Some(given_s) => prepared.refuse(
            format!(
                "{given_s} s is too short to drain an API node: it keeps accepting rides for {} s until the load balancer has removed it; use --drain-timeout {least_s}s or longer, or --stop-anyway",
                STILL_WELCOME.as_secs()
            ),
            false,
        ),
        None => prepared,
    }
}

fn shortage(worked_out: &WorkedOut<'_>, role: ScaledRole, wanted: usize, can_be: usize) -> String {
    if can_be > wanted {
        return format!(
            "{role}={wanted} is not possible: {} up and cannot be stopped",
            counted(can_be as u64, "instance is", "instances are")
        );
    }
    format!(
        "{role}={wanted} is not possible: only {} up or can be started ({} can be started); see `skictl ec2 list`",
        counted(can_be as u64, "instance is", "instances are"),
        worked_out.startable(role)
    )
}

fn within_bounds(
    console: &Console,
    mut prepared: PlannedChange,
    role: ScaledRole,
    (before, after): (usize, usize),
    scale: &Scale,
) -> PlannedChange {
    let (min, max) = of_role(&fleet::bounds(console), role);
    let no_node = match role {
        ScaledRole::Api => "no ride is accepted until an API node runs again",
        ScaledRole::Worker => {
            "rides are accepted and queued, but none is stored until a worker runs again"
        }
    };
    if after == 0 && !scale.allow_zero {
        prepared = prepared.refuse(
            format!(
                "this stops the last instance of the role {role}: {no_node}; use --allow-zero to allow it"
            ),
            false,
        );
    } else if after != 0 && after < min as usize && after < before {
        prepared = prepared.refuse(
            format!(
                "{after} instances of the role {role} is below the configured minimum of {min}; change it with `skictl settings set fleet --{role}-min`"
            ),
            false,
        );
    }
    if after > max as usize && after > before {
        prepared = prepared.refuse(
            format!(
                "{after} instances of the role {role} is above the configured maximum of {max}; change it with `skictl settings set fleet --{role}-max`"
            ),
            false,
        );
    }
    let stack = console.config.stack.to_string();
    if after == 0 {
        prepared = prepared.with_effect(no_node).severe(stack);
    } else if before.saturating_sub(after) >= 2 && after * 2 < before {
        prepared = prepared
            .with_effect(format!(
                "this stops {} of {before} instances of the role {role}, more than half",
                before - after
            ))
            .severe(stack);
    }
    prepared
}

/// A rate, without its unit.
fn rides(per_s: f64) -> String {
    grouped(per_s.round() as u64)
}

/// A number of nodes of a role, as text.
fn many(role: ScaledRole, count: usize) -> String {
    let (one, many) = match role {
        ScaledRole::Worker => ("worker", "workers"),
        ScaledRole::Api => ("API node", "API nodes"),
    };
    counted(count as u64, one, many)
}

/// Adds the effect on the role's capacity, based on current measurements.
fn flow(
    console: &Console,
    prepared: PlannedChange,
    worked_out: &WorkedOut<'_>,
    role: ScaledRole,
    (before, after): (usize, usize),
    threads: Option<(u32, u32)>,
) -> PlannedChange {
    let Some(seen) = console.monitor.latest() else {
        return prepared.with_effect("effect on throughput unknown: the console has just started");
    };
    let nodes = &seen.nodes.nodes;
    let does = match role {
        ScaledRole::Api => "accept",
        ScaledRole::Worker => "store",
    };
    let measured = Capacity::of(role, nodes, worked_out.instances, &console.config.prices);
    let capacity = match measured {
        Ok(capacity) if seen.queue.paused.is_none() => capacity,
        Ok(_) => {
            return prepared.with_effect("effect on throughput unknown: consumption is paused");
        }
        Err(why) => {
            return prepared.with_effect(format!("rides/s that they can {does} unknown: {why}"));
        }
    };
    let (more, stopped) = (after.saturating_sub(before), worked_out.stopped());
    // More threads are not assumed to add capacity before it is measured; fewer threads are assumed to reduce it.
    let part = match (role, threads) {
        (ScaledRole::Worker, Some((before, after))) if after < before => {
            f64::from(after) / f64::from(before)
        }
        _ => 1.0,
    };
    let (now, then) = (capacity.all(), capacity.after(more, &stopped) * part);
    let about = if capacity.is_at_least {
        "at least"
    } else {
        "about"
    };
    let afterwards = match after {
        0 => "none can, with 0".to_owned(),
        _ => format!("{after} can {does} {about} {}", rides(then)),
    };
    let mut prepared = prepared.with_effect(format!(
        "{} can {does} {about} {} rides/s (estimated: {:.0} % busy now); {afterwards}",
        many(role, before),
        rides(now),
        100.0 * capacity.busy,
    ));
    let Some(publish) = seen.queue.rates.publish_per_s.value else {
        return prepared.with_effect("rate of accepted rides unknown");
    };
    if role == ScaledRole::Worker {
        prepared = match seen.queue.backlog_rides.value {
            None => prepared.with_effect("backlog unknown"),
            // At most one second of arrivals: these rides are in flight.
            Some(backlog) if backlog as f64 <= publish.max(1.0) => prepared,
            Some(backlog) => {
                let gone = |could: f64| match could - publish {
                    margin if margin > 0.0 => {
                        format!("{:.0} s", (backlog as f64 / margin).ceil())
                    }
                    _ => "never".to_owned(),
                };
                prepared.with_effect(format!(
                    "time to drain the backlog of {}: {} now, {} afterwards",
                    counted(backlog, "ride", "rides"),
                    gone(now),
                    gone(then)
                ))
            }
        };
    }
    if after < before && then < publish && capacity.is_at_least && after > 0 {
        prepared = prepared.with_effect(format!(
            "unknown whether that is enough for the {} rides/s that arrive: the load is too low to measure the capacity",
            rides(publish),
        ));
    } else if after < before && then < publish && after > 0 {
        prepared = prepared.refuse(
            format!(
                "{} can {does} {about} {} rides/s, but {} rides/s arrive now: {} rides/s short",
                many(role, after),
                rides(then),
                rides(publish),
                rides(publish - then)
            ),
            true,
        );
    }
    prepared
}

/// Cost of the instances of the scaled roles before and after.
fn cost(console: &Console, worked_out: &WorkedOut<'_>) -> CostChangeView {
    let prices = &console.config.prices;
    let region = fleet::region(console);
    let age_ms = console.machines.listed().age_ms();
    let ours = |instance: &&Instance| instance.is_scaled() && instance.state.is_up();
    let before: Vec<&Instance> = worked_out.instances.iter().filter(ours).collect();
    let stopped = worked_out.stopped();
    let started: Vec<&Instance> = worked_out
        .starts
        .iter()
        .filter_map(|named| named.instance)
        .filter(|instance| !instance.state.is_up() && instance.obstacle.is_none())
        .collect();
    let mut after = before.clone();
    after.retain(|instance| {
        instance.obstacle.is_some() || !stopped.iter().any(|stopped| stopped.id == instance.id)
    });
    after.extend(&started);
    let price = |instances: &[&Instance]| usd_per_h(prices, region.as_deref(), instances, age_ms);
    let starts = price(&started);
    CostChangeView {
        before_usd_per_h: price(&before),
        after_usd_per_h: price(&after),
        starts_usd: Reading {
            value: starts.value.map(|usd| usd * LEAST_BILLED_H),
            ..starts
        },
        prices_date: prices.view().date,
    }
}
