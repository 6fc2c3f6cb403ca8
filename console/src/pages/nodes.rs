//! Nodes: the actual state of each, and the desired one.

mod filter;
mod groups;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;

use self::filter::{CONSOLE, FilterLink, NodesQuery};
use self::groups::Listing;
use super::error::{PageError, just_started, render};
use super::head::Head;
use super::html::Verdict;
use super::visitor::Visitor;
use crate::console::Console;
use crate::view::figures::counted;
use crate::view::nodes::{NodeState, NodeView, NodesView};

#[derive(Template)]
#[template(path = "nodes.html")]
struct NodesPage {
    head: Head,
    verdict: Verdict,
    facts: String,
    roles: Vec<FilterLink>,
    states: Vec<FilterLink>,
    /// Whether no node is known.
    is_empty: bool,
    listing: Listing,
}

/// `GET /nodes`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Query(query): Query<NodesQuery>,
) -> Result<Response, PageError> {
    let (filter, page) = (query.filter()?, query.page()?);
    let nodes = console.monitor.part(|seen| Some(&seen.nodes));
    let nodes = nodes.ok_or_else(just_started)?;
    let head = Head::new(&console, &visitor, "/nodes", "Nodes").live();
    let known = nodes.nodes.iter();
    let mut states: Vec<(&str, NodeState)> =
        known.map(|node| (node.role.as_str(), node.state)).collect();
    states.push((CONSOLE, NodeState::Ready));
    Ok(render(&NodesPage {
        head,
        verdict: verdict(&nodes),
        facts: String::new(),
        roles: filter.role_links(&states),
        states: filter.state_links(&states),
        is_empty: nodes.nodes.is_empty(),
        listing: Listing::new(&nodes.nodes, filter, page),
    }))
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
    let pending = count(&|node| !node.is_gone() && !is_up_to_date(node));
    let idle = count(&|node| {
        use NodeState::{Drained, Draining, Paused};
        matches!(node.state, Paused | Draining | Drained)
    });
    let all = count(&|node| !node.is_gone());
    // While the console cannot receive heartbeats, nodes keep their last known states.
    let stale = count(&NodeView::is_stale);
    let (kind, message) = match (bad, degraded, pending) {
        (0, 0, 0) if all == 0 => ("warn", "No node is up.".to_owned()),
        (0, 0, 0) if stale > 0 => (
            "warn",
            format!(
                "{} no recent heartbeat: states are the last known.",
                have(stale)
            ),
        ),
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
    counted(count as u64, "node is", "nodes are")
}

fn have(count: usize) -> String {
    counted(count as u64, "node has", "nodes have")
}
