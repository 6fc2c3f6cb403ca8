//! The rows of the page: nodes by role, each role with its totals.

use skilift_core::control::usage::Usage;

use super::filter::{CONSOLE, NodeFilter, ROLES};
use super::is_up_to_date;
use crate::pages::html::{Markup, cell, key, node_state, per_s, state};
use crate::view::figures::{bytes, cores, counted, grouped, percent, span};
use crate::view::nodes::{NodeState, NodeView};
use crate::view::settings::GenerationView;

/// Nodes per page.
const ROWS: usize = 50;
/// What does not apply.
const NONE: &str = "–";

/// What the page lists.
pub(super) struct Listing {
    pub(super) groups: Vec<Group>,
    /// "Nodes 51 to 100 of 200."; empty if all are on one page.
    pub(super) range: String,
    /// URL of the page before.
    pub(super) previous: Option<String>,
    /// URL of the page after.
    pub(super) next: Option<String>,
}

/// The nodes of a role.
pub(super) struct Group {
    /// The role, as in a URL.
    pub(super) role: &'static str,
    pub(super) title: &'static str,
    /// The totals of all its nodes that the filter selects, also of those on other pages.
    pub(super) totals: Totals,
    pub(super) rows: Vec<Row>,
}

/// The totals of a role. Nodes that are lost or stopped count only as nodes.
pub(super) struct Totals {
    pub(super) nodes: String,
    pub(super) rides: String,
    pub(super) outstanding: String,
    pub(super) threads: String,
    pub(super) cores: String,
    pub(super) memory: String,
}

/// A node.
pub(super) struct Row {
    /// Unique on the page.
    pub(super) key: String,
    pub(super) id: String,
    /// Instance or host.
    pub(super) place: String,
    pub(super) state: Markup,
    pub(super) message: Option<String>,
    pub(super) rides: String,
    pub(super) outstanding: String,
    pub(super) p99: String,
    pub(super) threads: String,
    pub(super) busy: String,
    pub(super) settings: String,
    pub(super) cores: String,
    pub(super) memory: String,
    pub(super) uptime: String,
    pub(super) heartbeat: String,
    pub(super) version: String,
    pub(super) is_gone: bool,
    /// Whether it has a page of its own.
    pub(super) has_page: bool,
}

impl Listing {
    /// A page of the nodes that a filter selects; the last one if there are fewer pages. Pages count from 1.
    pub(super) fn new(nodes: &[NodeView], filter: NodeFilter, page: usize) -> Self {
        let selected = nodes.iter();
        let selected: Vec<&NodeView> = selected
            .filter(|node| filter.fits(&node.role, node.state))
            .collect();
        let pages = selected.len().div_ceil(ROWS).max(1);
        let page = page.clamp(1, pages);
        let start = (page - 1) * ROWS;
        let end = selected.len().min(start + ROWS);
        let shown = &selected[start..end];
        let group = |(role, title): (&'static str, &'static str)| {
            let (all, here) = (of_role(&selected, role), of_role(shown, role));
            let is_listed = match role {
                CONSOLE => filter.fits(CONSOLE, NodeState::Ready),
                // A role without nodes is listed too, unless a state is looked for.
                role => !all.is_empty() || (filter.state.is_none() && filter.fits_role(role)),
            };
            is_listed.then(|| match role {
                CONSOLE => console_group(role, title),
                role => Group {
                    role,
                    title,
                    totals: Totals::of(role, &all),
                    rows: here.into_iter().map(row).collect(),
                },
            })
        };
        Self {
            groups: ROLES.into_iter().filter_map(group).collect(),
            range: if pages > 1 {
                let of = grouped(selected.len() as u64);
                format!("Nodes {} to {end} of {of}.", start + 1)
            } else {
                String::new()
            },
            previous: (page > 1).then(|| filter.url(page - 1)),
            next: (page < pages).then(|| filter.url(page + 1)),
        }
    }
}

fn of_role<'a>(nodes: &[&'a NodeView], role: &str) -> Vec<&'a NodeView> {
    let nodes = nodes.iter().copied();
    nodes.filter(|node| node.role == role).collect()
}

impl Totals {
    fn of(role: &str, nodes: &[&NodeView]) -> Self {
        let live: Vec<&NodeView> = nodes
            .iter()
            .copied()
            .filter(|node| !node.is_gone())
            .collect();
        // The figures of a heartbeat are limited, so that this does not overflow.
        let sum = |of: fn(&NodeView) -> u64| live.iter().map(|&node| of(node)).sum::<u64>();
        let known = |text: String| {
            if live.is_empty() {
                NONE.to_owned()
            } else {
                text
            }
        };
        let outstanding = grouped(sum(NodeView::outstanding));
        let threads = sum(|node| node.threads);
        let (outstanding, threads) = if role == "worker" {
            let threads = counted(threads, "thread", "threads");
            (format!("{outstanding} unacked"), threads)
        } else {
            let channels = counted(threads, "channel", "channels");
            (format!("{outstanding} in flight"), channels)
        };
        Self {
            nodes: count(nodes),
            rides: total(&live, |node| node.rides_per_s.value, per_s),
            outstanding: known(outstanding),
            threads,
            cores: total(&live, |node| node.cpu_cores.value, cores),
            memory: known(bytes(sum(|node| node.rss_bytes))),
        }
    }
}

/// "4 nodes, 3 ready".
fn count(nodes: &[&NodeView]) -> String {
    let ready = nodes.iter().filter(|node| node.state == NodeState::Ready);
    let ready = ready.count() as u64;
    let all = counted(nodes.len() as u64, "node", "nodes");
    if nodes.is_empty() {
        all
    } else {
        format!("{all}, {} ready", grouped(ready))
    }
}

/// The sum of what is known; a lower bound if it is not known of all nodes.
fn total(live: &[&NodeView], of: fn(&NodeView) -> Option<f64>, show: fn(f64) -> String) -> String {
    let known: Vec<f64> = live.iter().filter_map(|&node| of(node)).collect();
    let sum: f64 = known.iter().sum();
    match known.len() {
        _ if live.is_empty() => NONE.to_owned(),
        0 => "unknown".to_owned(),
        some if some < live.len() => format!("≥ {}", show(sum)),
        _ => show(sum),
    }
}

fn row(node: &NodeView) -> Row {
    let is_worker = node.role == "worker";
    let version = |of: &Option<GenerationView>| {
        of.as_ref()
            .map_or_else(|| "flags".to_owned(), |of| of.version.to_string())
    };
    let actual = version(&node.actual);
    let is_gone = node.is_gone();
    let known = |text: String| match node.state {
        NodeState::Lost => "unknown".to_owned(),
        _ if is_gone => NONE.to_owned(),
        _ => text,
    };
    Row {
        key: key(&node.id),
        id: node.id.clone(),
        place: node
            .instance_id
            .clone()
            .unwrap_or_else(|| node.host.clone()),
        state: node_state(node),
        message: node.message.clone(),
        rides: known(cell(&node.rides_per_s, per_s)),
        outstanding: known(grouped(node.outstanding())),
        p99: known(cell(&node.latency.p99, span)),
        threads: known(grouped(node.threads)),
        busy: if is_worker {
            known(cell(&node.busy, percent))
        } else {
            NONE.to_owned()
        },
        settings: if is_up_to_date(node) || is_gone {
            actual
        } else {
            format!("{actual} → {} (pending)", version(&node.desired))
        },
        cores: known(cell(&node.cpu_cores, cores)),
        memory: known(bytes(node.rss_bytes)),
        uptime: known(span(node.uptime_s * 1_000)),
        heartbeat: format!("{} ago", span(node.last_heartbeat_age_ms)),
        version: node.version.clone(),
        is_gone,
        has_page: true,
    }
}

/// The console itself, which is ready while it answers, and measures only its memory.
fn console_group(role: &'static str, title: &'static str) -> Group {
    let none = || NONE.to_owned();
    let memory = match Usage::now().rss_bytes {
        0 => "unknown".to_owned(),
        held => bytes(held),
    };
    Group {
        role,
        title,
        totals: Totals {
            nodes: "1 process".to_owned(),
            rides: none(),
            outstanding: none(),
            threads: none(),
            cores: none(),
            memory: memory.clone(),
        },
        rows: vec![Row {
            key: key(CONSOLE),
            id: CONSOLE.to_owned(),
            place: "this process".to_owned(),
            state: state("ok", "ready", "ok"),
            message: None,
            rides: none(),
            outstanding: none(),
            p99: none(),
            threads: none(),
            busy: none(),
            settings: none(),
            cores: none(),
            memory,
            uptime: none(),
            heartbeat: none(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            is_gone: false,
            has_page: false,
        }],
    }
}

#[cfg(test)]
mod tests;
