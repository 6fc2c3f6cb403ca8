//! Fleet: which instances run, where, and at what cost; start, drain and stop.

mod capacity;
mod map;
mod recent;
mod summary;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use skilift_core::clock::epoch_ms;

use self::map::{MapRow, rows};
use self::recent::{Recent, recent};
pub(super) use self::summary::{Summary, summary};
use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, Verdict, key, sentence, state, time, usd};
use super::visitor::Visitor;
use crate::console::Console;
use crate::fleet::prices::PROCESS;
use crate::fleet::{self, cost};
use crate::view::cost::CostView;
use crate::view::figures::{counted, grouped, span};
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
    /// Whether the instances were listed.
    is_listed: bool,
    zones: Vec<String>,
    map: Vec<MapRow>,
    instances: Vec<InstanceRow>,
    cost: Cost,
    capacity: Vec<capacity::Line>,
    recent: Vec<Recent>,
}

struct RoleRow {
    role: String,
    running: String,
    stopped: String,
    max: u64,
    bounds: String,
    /// The number that was typed.
    typed: String,
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
    price_note: String,
    /// Why it cannot be started or stopped here.
    obstacle: Option<String>,
    is_checked: bool,
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
    let head = Head::new(&console, &visitor, "/fleet", "Fleet").live();
    let (roles, instances) = (view.roles.iter(), view.instances.iter());
    Ok(render(&FleetPage {
        verdict: verdict(&view),
        facts: facts(&view),
        has_fleet: view.kind != "none",
        age: age(&view),
        roles: roles.map(|of| role_row(of, &head)).collect(),
        map: rows(&view.instances, &zones),
        zones,
        is_listed: view.age_ms.is_some(),
        instances: instances.map(|of| instance_row(of, &head)).collect(),
        cost: cost_of(&cost::view(&console)),
        capacity: capacity::lines(&console),
        recent: recent(&console)?,
        plan: view.plan,
        head,
    }))
}

fn age(view: &FleetView) -> String {
    match view.age_ms {
        Some(ms) => format!("listed {} ago", span(ms)),
        None => "not listed yet".to_owned(),
    }
}

fn verdict(view: &FleetView) -> Verdict {
    let (kind, message) = match (&*view.kind, &view.error, &view.plan) {
        ("none", ..) => ("busy", "This stack has no fleet.".to_owned()),
        (_, Some(_), _) => ("warn", "The instances cannot be listed now.".to_owned()),
        (_, None, Some(_)) => ("busy", "The fleet is scaling.".to_owned()),
        (_, None, None) if view.age_ms.is_none() => {
            ("busy", "The instances have not been listed yet.".to_owned())
        }
        (_, None, None) if without_node(view) > 0 => (
            "warn",
            format!(
                "{} without a node that sends heartbeats.",
                counted(without_node(view), "instance runs", "instances run")
            ),
        ),
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

/// Instances that run, and whose node does not.
fn without_node(view: &FleetView) -> u64 {
    let all = view.instances.iter();
    all.filter(|of| has_no_node(of)).count() as u64
}

fn has_no_node(of: &InstanceView) -> bool {
    of.state == "running" && of.nodes.is_empty() && matches!(&*of.role, "api" | "worker")
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

fn role_row(of: &FleetRoleView, head: &Head) -> RoleRow {
    let known = |count: Option<u64>| count.map_or_else(|| "unknown".to_owned(), grouped);
    let typed = head.typed("scale", &of.role);
    RoleRow {
        role: of.role.clone(),
        running: known(of.running),
        stopped: known(of.stopped),
        max: of.max,
        bounds: format!("{} to {}", of.min, of.max),
        typed: typed.unwrap_or_default().to_owned(),
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

fn instance_row(of: &InstanceView, head: &Head) -> InstanceRow {
    let is_up = matches!(&*of.state, "running" | "pending");
    let is_process = of.instance_type == PROCESS;
    let (price, price_note) = match of.usd_per_h {
        Some(price) if is_up => (format!("{price:.4}"), String::new()),
        // Its disk is billed, which is not known here.
        Some(price) => ("0".to_owned(), format!("{price:.4} while it runs")),
        None => {
            let price = if is_process { "–" } else { "unknown" };
            (price.to_owned(), of.price_error.clone().unwrap_or_default())
        }
    };
    InstanceRow {
        key: key(&of.id),
        id: of.id.clone(),
        name: of.name.clone().unwrap_or_default(),
        state: instance_state(&of.state),
        reason: of.reason.as_deref().map(said),
        since: of
            .started_at_ms
            .filter(|_| is_up)
            .map(|ms| time(ms, epoch_ms())),
        role: of.role.clone(),
        zone: of.zone.clone(),
        nodes: if has_no_node(of) {
            vec!["no node".to_owned()]
        } else {
            of.nodes.clone()
        },
        instance_type: of.instance_type.clone(),
        price,
        price_note,
        obstacle: of.obstacle.clone().or_else(|| {
            let is_scaled = matches!(&*of.role, "api" | "worker");
            (!is_scaled).then(|| "not scaled".to_owned())
        }),
        is_checked: head.has("instances", "id", &of.id),
    }
}

/// A reason of EC2 without its code, which is in the admin API.
fn said(reason: &str) -> String {
    let (code, text) = reason.split_once(": ").unwrap_or(("", reason));
    let is_code = code.starts_with("Client.") || code.starts_with("Server.");
    if is_code { text } else { reason }.to_owned()
}

fn cost_of(view: &CostView) -> Cost {
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
