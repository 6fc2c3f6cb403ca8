//! Nodes: the actual state of each, and the desired one.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::error::{PageError, just_started, render};
use super::head::Head;
use super::html::{Markup, Verdict, cell, key, node_state, per_s};
use super::visitor::Visitor;
use crate::console::Console;
use crate::view::figures::{bytes, cores, grouped, percent, span};
use crate::view::nodes::{NodeState, NodeView, NodesView};
use crate::view::settings::GenerationView;

#[derive(Template)]
#[template(path = "nodes.html")]
struct NodesPage {
    head: Head,
    verdict: Verdict,
    facts: String,
    rows: Vec<Row>,
}

struct Row {
    /// Unique on the page.
    key: String,
    id: String,
    /// Instance or host.
    place: String,
    state: Markup,
    message: Option<String>,
    rides: String,
    outstanding: String,
    p99: String,
    threads: String,
    busy: String,
    settings: String,
    cores: String,
    memory: String,
    uptime: String,
    heartbeat: String,
    version: String,
    is_gone: bool,
}

/// `GET /nodes`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let nodes = console.monitor.part(|seen| Some(&seen.nodes));
    let nodes = nodes.ok_or_else(just_started)?;
    let head = Head::new(&console, &visitor, "/nodes", "Nodes").live();
    Ok(render(&NodesPage {
        head,
        verdict: verdict(&nodes),
        facts: String::new(),
        rows: nodes.nodes.iter().map(row).collect(),
    }))
}

fn is_gone(node: &NodeView) -> bool {
    matches!(node.state, NodeState::Lost | NodeState::Stopped)
}

/// Whether it runs the newest settings.
fn is_up_to_date(node: &NodeView) -> bool {
    node.desired.is_none() || node.desired == node.actual
}

fn verdict(view: &NodesView) -> Verdict {
    let count =
        |is_so: &dyn Fn(&NodeView) -> bool| view.nodes.iter().filter(|node| is_so(node)).count();
    let bad = count(&|node| matches!(node.state, NodeState::Lost | NodeState::Unavailable));
    let degraded = count(&|node| node.state == NodeState::Degraded);
    let pending = count(&|node| !is_gone(node) && !is_up_to_date(node));
    let idle = count(&|node| {
        use NodeState::{Drained, Draining, Paused};
        matches!(node.state, Paused | Draining | Drained)
    });
    let all = count(&|node| !is_gone(node));
    let (kind, message) = match (bad, degraded, pending) {
        (0, 0, 0) if all == 0 => ("warn", "No node is up.".to_owned()),
        (0, 0, 0) if idle > 0 => ("busy", format!("{} paused or drained.", are(idle))),
        (0, 0, 0) => ("ok", format!("{} up and up to date.", are(all))),
        (0, 0, pending) => (
            "busy",
            format!("{} not picked up the newest settings yet.", have(pending)),
        ),
        (0, degraded, _) => ("warn", format!("{} degraded.", are(degraded))),
        (bad, _, _) => ("bad", format!("{} lost or unavailable.", are(bad))),
    };
    Verdict { kind, message }
}

fn are(count: usize) -> String {
    match count {
        1 => "1 node is".to_owned(),
        many => format!("{many} nodes are"),
    }
}

fn have(count: usize) -> String {
    match count {
        1 => "1 node has".to_owned(),
        many => format!("{many} nodes have"),
    }
}

fn row(node: &NodeView) -> Row {
    let is_worker = node.role == "worker";
    let version = |of: &Option<GenerationView>| {
        of.as_ref()
            .map_or_else(|| "flags".to_owned(), |of| of.version.to_string())
    };
    let actual = version(&node.actual);
    let is_gone = is_gone(node);
    let known = |text: String| if is_gone { "–".to_owned() } else { text };
    Row {
        key: key(&node.id),
        id: node.id.clone(),
        place: node
            .instance_id
            .clone()
            .unwrap_or_else(|| node.host.clone()),
        state: node_state(node.state),
        message: node.message.clone(),
        rides: known(cell(&node.rides_per_s, per_s)),
        outstanding: known(grouped(node.outstanding())),
        p99: known(cell(&node.latency.p99, span)),
        threads: known(grouped(node.threads)),
        busy: if is_worker {
            known(cell(&node.busy, percent))
        } else {
            "–".to_owned()
        },
        settings: if is_up_to_date(node) {
            actual
        } else {
            format!("{actual} → {} (pending)", version(&node.desired))
        },
        cores: known(cell(&node.cpu_cores, cores)),
        memory: known(bytes(node.rss_bytes)),
        uptime: known(span(node.uptime_s * 1_000)),
        heartbeat: span(node.last_heartbeat_age_ms),
        version: node.version.clone(),
        is_gone,
    }
}
