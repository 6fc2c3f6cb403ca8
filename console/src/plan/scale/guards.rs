//! What a plan of machines costs and does to the flow, how dangerous it is, and what is refused.

use std::time::Duration;

use skilift_core::control::STILL_WELCOME;

use super::worked_out::Named;
use super::*;
use crate::fleet::capacity::Capacity;
use crate::fleet::cost::usd_per_h;
use crate::view::Reading;
use crate::view::cost::CostChangeView;

/// Each start is billed for a minute at least, which is this part of an hour.
const LEAST_BILLED_H: f64 = 1.0 / 60.0;
/// So long after a node is drained it is certainly known.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// Adds effects, cost, danger and refusals.
pub(super) fn guard(
    console: &Console,
    mut prepared: Prepared,
    worked_out: &WorkedOut<'_>,
    scale: &Scale,
    plan: &str,
    threads: Option<(u32, u32)>,
) -> Result<Prepared, ApiError> {
    let under_way = console.state.plans_under_way()?;
    if let Some(other) = under_way
        .iter()
        .find(|other| other.id != plan && matches!(other.change, Change::Scale(_)))
    {
        let id = &other.id;
        prepared = prepared.refuse(
            format!(
                "{id} starts or stops machines now: wait for its end (skictl scale --follow {id})"
            ),
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
            let why = format!(
                "{role}={wanted} and the machines that are named do not agree: {after} would be up"
            );
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
                "{} has the role {:?}: only api and worker are started and stopped here",
                named.id, foreign.role
            );
            prepared = prepared.refuse(why, false);
        }
        if let Some((code, why)) = impossible(named) {
            prepared = prepared.effect(why.clone());
            if !is_any_possible {
                prepared.refusals.push(RefusalView {
                    why,
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

/// Why nothing can come of what is asked of a machine, where that is known beforehand.
fn impossible(named: &Named<'_>) -> Option<(StepCode, String)> {
    let id = &named.id;
    let Some(instance) = named.instance else {
        let why = format!("{id} is not one of this stack's machines: skictl ec2 list shows them");
        return Some((StepCode::NotFound, why));
    };
    let obstacle = instance.obstacle.as_ref()?;
    let why = format!("{id} is left as it is: {obstacle}");
    Some((StepCode::Obstacle, why))
}

/// Refuses a drain for which there is not the time.
fn welcome(prepared: Prepared, worked_out: &WorkedOut<'_>, scale: &Scale) -> Prepared {
    let stops_api = worked_out
        .stops
        .iter()
        .any(|named| named.is_of(ScaledRole::Api));
    let least_s = (STILL_WELCOME + HEARD_WITHIN).as_secs();
    let given_s = scale.drain_timeout_s.map(u64::from);
    match given_s.filter(|given_s| *given_s < least_s && stops_api && !scale.stop_anyway) {
        Some(given_s) => prepared.refuse(
            format!(
                "{given_s} s are too short to drain an API node: it takes rides for {} s more, so that its balancer notices; --drain-timeout {least_s}s or longer, or --stop-anyway",
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
            "{role}={wanted} cannot be: {can_be} of them are up and cannot be stopped here"
        );
    }
    format!(
        "{role}={wanted} cannot be: {can_be} are all that there are ({} stopped that can be started); skictl ec2 list shows them",
        worked_out.startable(role)
    )
}

fn within_bounds(
    console: &Console,
    mut prepared: Prepared,
    role: ScaledRole,
    (before, after): (usize, usize),
    scale: &Scale,
) -> Prepared {
    let (min, max) = of_role(&fleet::bounds(console), role);
    let nobody = match role {
        ScaledRole::Api => "no ride is accepted until one runs again",
        ScaledRole::Worker => {
            "rides are accepted and wait, and none is stored until one runs again"
        }
    };
    if after == 0 && !scale.allow_zero {
        prepared = prepared.refuse(
            format!(
                "it stops the last machine of the role {role}: {nobody}; --allow-zero allows it"
            ),
            false,
        );
    } else if after != 0 && after < min as usize && after < before {
        prepared = prepared.refuse(
            format!(
                "{after} machines of the role {role} are fewer than {min}, the least that is set: skictl settings set fleet --{role}-min changes it"
            ),
            false,
        );
    }
    if after > max as usize && after > before {
        prepared = prepared.refuse(
            format!(
                "{after} machines of the role {role} are more than {max}, the most that is set: skictl settings set fleet --{role}-max changes it"
            ),
            false,
        );
    }
    let stack = console.config.stack.to_string();
    if after == 0 {
        prepared = prepared.effect(nobody).severe(stack);
    } else if before.saturating_sub(after) >= 2 && after * 2 < before {
        prepared = prepared
            .effect(format!(
                "it stops {} of {before} machines of the role {role}, more than half",
                before - after
            ))
            .severe(stack);
    }
    prepared
}

/// So many nodes of a role, in words.
fn many(role: ScaledRole, count: usize) -> String {
    match (role, count) {
        (ScaledRole::Worker, 1) => "1 worker".to_owned(),
        (ScaledRole::Worker, many) => format!("{many} workers"),
        (ScaledRole::Api, 1) => "1 API node".to_owned(),
        (ScaledRole::Api, many) => format!("{many} API nodes"),
    }
}

/// What it does to what the role can do, as measured now.
fn flow(
    console: &Console,
    prepared: Prepared,
    worked_out: &WorkedOut<'_>,
    role: ScaledRole,
    (before, after): (usize, usize),
    threads: Option<(u32, u32)>,
) -> Prepared {
    let Some(seen) = console.observed.latest() else {
        return prepared
            .effect("what it does to the flow is not known: the console has only just started");
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
            return prepared.effect("what it does to the flow is not known: consumption is paused");
        }
        Err(why) => {
            return prepared.effect(format!(
                "what it does to the rides a second that they can {does} is not known: {why}"
            ));
        }
    };
    let (more, stopped) = (after.saturating_sub(before), worked_out.stopped());
    // More threads are not taken for more capacity before they are measured; fewer are taken for less.
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
    let mut prepared = prepared.effect(format!(
        "{} can {does} {about} {now:.0} rides/s, as measured now; {after} can {does} {about} {then:.0}",
        many(role, before)
    ));
    let Some(publish) = seen.queue.rates.publish_per_s.value else {
        return prepared.effect("how many rides are accepted is not known");
    };
    if role == ScaledRole::Worker {
        prepared = match seen.queue.total_rides.value {
            None => prepared.effect("how many rides wait is not known"),
            // No more than arrives within a second: rides are on their way.
            Some(backlog) if backlog as f64 <= publish.max(1.0) => prepared,
            Some(backlog) => {
                let gone = |could: f64| match could - publish {
                    margin if margin > 0.0 => {
                        format!("in {:.0} s", (backlog as f64 / margin).ceil())
                    }
                    _ => "never".to_owned(),
                };
                prepared.effect(format!(
                    "the backlog of {backlog} rides would be gone {} as it is, and {} afterwards",
                    gone(now),
                    gone(then)
                ))
            }
        };
    }
    if after < before && then < publish && capacity.is_at_least {
        prepared = prepared.effect(format!(
            "whether that is enough for the {publish:.0} rides/s that arrive is not known: they do too little now to be measured"
        ));
    } else if after < before && then < publish {
        let margin = publish - then;
        prepared = prepared.refuse(
            format!(
                "{} can {does} {about} {then:.0} rides/s, and {publish:.0} rides/s arrive now: {margin:.0} too few",
                many(role, after)
            ),
            true,
        );
    }
    prepared
}

/// What machines of the scaled roles cost before and after.
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
