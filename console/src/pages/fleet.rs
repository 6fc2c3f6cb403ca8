//! Fleet: which instances run, where, and at what cost; start, drain and stop.

mod map;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use skilift_core::clock::epoch_ms;

use self::map::{MapRow, rows};
use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, Verdict, cell, counted, key, sentence, state, time};
use super::visitor::Visitor;
use crate::console::Console;
use crate::fleet::{self, cost};
use crate::view::Reading;
use crate::view::cost::CostView;
use crate::view::figures::{grouped, span};
use crate::view::fleet::{FleetRoleView, FleetView, InstanceView};

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    head: Head,
    verdict: Verdict,
    facts: String,
    /// The plan that is starting or stopping instances.
    plan: Option<String>,
    has_fleet: bool,
    age: String,
    roles: Vec<RoleRow>,
    zones: Vec<String>,
    map: Vec<MapRow>,
    instances: Vec<InstanceRow>,
    cost: Cost,
}

struct RoleRow {
    role: String,
    running: String,
    stopped: String,
    max: u64,
    bounds: String,
}

struct InstanceRow {
    key: String,
    id: String,
    name: String,
    state: Markup,
    reason: Option<String>,
    since: Option<Markup>,
    role: String,
    zone: String,
    nodes: Vec<String>,
    instance_type: String,
    price: String,
    /// Why the price is unknown.
    price_error: String,
    /// Why it cannot be started or stopped here.
    obstacle: Option<String>,
}

struct Cost {
    prices: String,
    rows: Vec<(String, String, String)>,
    total: String,
    per_million: String,
    notes: Vec<String>,
}

/// `GET /fleet`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let view = fleet::view(&console)?;
    let zones = map::zones(&view.instances);
    Ok(render(&FleetPage {
        head: Head::new(&console, &visitor, "/fleet", "Fleet").live(),
        verdict: verdict(&view),
        facts: facts(&view),
        has_fleet: view.kind != "none",
        age: match view.age_ms {
            Some(ms) => format!("listed {} ago", span(ms)),
            None => "not listed yet".to_owned(),
        },
        roles: view.roles.iter().map(role_row).collect(),
        map: rows(&view.instances, &zones),
        zones,
        instances: view.instances.iter().map(instance_row).collect(),
        cost: cost_of(&cost::view(&console)),
        plan: view.plan,
    }))
}

fn verdict(view: &FleetView) -> Verdict {
    let (kind, message) = match (&*view.kind, &view.error, &view.plan) {
        ("none", ..) => ("busy", "This stack has no fleet.".to_owned()),
        (_, Some(_), _) => ("warn", "The instances cannot be listed now.".to_owned()),
        (_, None, Some(_)) => ("busy", "The fleet is scaling.".to_owned()),
        (_, None, None) if view.age_ms.is_none() => {
            ("busy", "The instances have not been listed yet.".to_owned())
        }
        (_, None, None) => {
            let up = |role: &str| {
                let of = view.roles.iter().find(|of| of.role == role);
                of.and_then(|of| of.running).unwrap_or_default()
            };
            let api = counted(up("api"), "API node", "API nodes");
            let workers = counted(up("worker"), "worker", "workers");
            ("ok", format!("{api} and {workers} run."))
        }
    };
    Verdict { kind, message }
}

fn facts(view: &FleetView) -> String {
    match (&*view.kind, &view.error) {
        ("none", _) => {
            "Its nodes are started and stopped by other means; see Nodes for their state."
                .to_owned()
        }
        (_, Some(error)) => sentence(error),
        ("local", None) => "They are processes on this machine.".to_owned(),
        (_, None) => match &view.region {
            Some(region) => format!("EC2 instances in {region}."),
            None => "EC2 instances.".to_owned(),
        },
    }
}

fn role_row(of: &FleetRoleView) -> RoleRow {
    let known = |count: Option<u64>| count.map_or_else(|| "unknown".to_owned(), grouped);
    RoleRow {
        role: of.role.clone(),
        running: known(of.running),
        stopped: known(of.stopped),
        max: of.max,
        bounds: format!("{} to {}", of.min, of.max),
    }
}

/// The state of an instance.
fn instance_state(of: &str) -> Markup {
    match of {
        "running" => state("ok", "running", "ok"),
        "pending" => state("busy", "pending", "wait"),
        "stopping" => state("busy", "stopping", "stopping"),
        "stopped" => state("idle", "stopped", "stopped"),
        "shutting-down" => state("warn", "shutting down", "stopping"),
        "terminated" => state("idle", "terminated", "skip"),
        _ => state("idle", "unknown", "unknown"),
    }
}

fn instance_row(of: &InstanceView) -> InstanceRow {
    let is_up = matches!(&*of.state, "running" | "pending");
    InstanceRow {
        key: key(&of.id),
        id: of.id.clone(),
        name: of.name.clone().unwrap_or_default(),
        state: instance_state(&of.state),
        reason: of.reason.clone(),
        since: of
            .started_at_ms
            .filter(|_| is_up)
            .map(|ms| time(ms, epoch_ms())),
        role: of.role.clone(),
        zone: of.zone.clone(),
        nodes: of.nodes.clone(),
        instance_type: of.instance_type.clone(),
        price: of
            .usd_per_h
            .map_or_else(|| "unknown".to_owned(), |price| format!("{price:.4}")),
        price_error: of.price_error.clone().unwrap_or_default(),
        obstacle: of.obstacle.clone(),
    }
}

fn cost_of(view: &CostView) -> Cost {
    let usd = |reading: &Reading<f64>| match (&reading.error, reading.value) {
        (Some(_), Some(_)) => format!("≥ {}", cell(reading, |usd| format!("{usd:.4}"))),
        _ => cell(reading, |usd| format!("{usd:.4}")),
    };
    let row = |of: &crate::view::cost::RoleCostView| {
        (of.role.clone(), grouped(of.running), usd(&of.usd_per_h))
    };
    let why = view.usd_per_million_stored.error.as_deref();
    Cost {
        prices: format!("{}, {}", view.prices.source, view.prices.date),
        rows: view.roles.iter().map(row).collect(),
        total: usd(&view.usd_per_h),
        per_million: match why {
            Some(why) if view.usd_per_million_stored.value.is_none() => format!("unknown: {why}"),
            _ => format!("${}", usd(&view.usd_per_million_stored)),
        },
        notes: view.notes.iter().map(|note| sentence(note)).collect(),
    }
}
