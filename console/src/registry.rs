//! The nodes, from their heartbeats. A node whose heartbeats stop is lost unless it announced its shutdown, and stays listed
//! for a day.
//!
//! Times are milliseconds of the console's monotonic clock; a node's clock is only used to show its skew. While the feed of
//! heartbeats is disconnected no node is lost; once it is connected again, every node has its full time again.

mod heartbeat_feed;
mod node;
mod stored;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use skilift_core::control::heartbeat::{Activity, Report};
use skilift_core::control::{BootId, Heartbeat, NodeId, Role};

use crate::roster::{Known, KnownNode};
use heartbeat_feed::HeartbeatFeed;
pub(crate) use node::Node;
use node::REPLACED_AFTER_MS;
pub(crate) use stored::StoredNodes;
pub(crate) use window::{Counts, Window};

/// A node without a heartbeat for this long is lost.
pub(crate) const LOST_AFTER_MS: u64 = 5_000;
/// A node that is gone is removed after a day.
pub(crate) const REMOVED_AFTER_MS: u64 = 24 * 3_600_000;
/// Maximum number of nodes; the one that has been lost longest is removed first.
const MAX_NODES: usize = 2_000;

/// All nodes that sent heartbeats recently.
#[derive(Debug, Default)]
pub(crate) struct NodeRegistry {
    nodes: BTreeMap<NodeId, Node>,
    /// Messages delivered to workers since this console started, over all boots.
    delivered_messages: u64,
    /// When a worker was last lost.
    worker_lost_at: Option<u64>,
    feed: HeartbeatFeed,
}

impl NodeRegistry {
    /// Records a heartbeat. `now` is the console's clock, `now_epoch_ms` the wall clock.
    pub(crate) fn record(&mut self, heartbeat: Heartbeat, now: u64, now_epoch_ms: u64) {
        self.mark_connected(now);
        let skew_ms = heartbeat.sent_at_ms.cast_signed() - now_epoch_ms.cast_signed();
        let ran_ms = heartbeat.sent_at_ms.saturating_sub(heartbeat.started_at_ms);
        let booted_at = now.checked_sub(ran_ms);
        let mut is_new_boot = true;
        let (mut before, mut window, mut rival) = (0, Window::default(), None);
        if let Some(known) = self.nodes.get_mut(&heartbeat.node) {
            let is_same_boot = known.last.boot_id == heartbeat.boot_id;
            let is_silent = now.saturating_sub(known.received_at) >= REPLACED_AFTER_MS;
            let is_late = if is_same_boot {
                heartbeat.number < known.last.number
            } else {
                heartbeat.started_at_ms < known.last.started_at_ms
                    && !is_silent
                    && !known.has_ended()
            };
            if is_late {
                if !is_same_boot {
                    known.note_rival(heartbeat.boot_id, now);
                }
                return;
            }
            rival = known.rival;
            if is_same_boot {
                before = delivered(&known.last.report);
                is_new_boot = false;
            }
            window = std::mem::take(&mut known.window);
        }
        // A node that started before the subscription is known from its first heartbeat on.
        let has_booted_while_connected = booted_at.is_some() && booted_at >= self.feed.since();
        if is_new_boot && (has_booted_while_connected || !window.is_empty()) {
            window.begin(booted_at.unwrap_or(0));
        }
        let delivered = delivered(&heartbeat.report);
        if is_new_boot && !has_booted_while_connected {
            before = delivered;
        }
        self.delivered_messages += delivered.saturating_sub(before);
        window.add(&heartbeat, now);
        if heartbeat.activity == Activity::Stopped {
            let id = &heartbeat.node;
            tracing::info!(node = %id, "{id} stopped after a shutdown request");
            if heartbeat.role() == Role::Worker {
                self.worker_lost_at = Some(now);
            }
        }
        let node = Node {
            last: heartbeat,
            received_at: now,
            without_heartbeat_ms: 0,
            skew_ms,
            window,
            is_lost: false,
            may_hold: true,
            rival,
        };
        self.nodes.insert(node.last.node.clone(), node);
        self.remove_excess();
    }

    /// Adds a node known from before the restart of this console.
    fn restore(&mut self, node: Node, now: u64) {
        if node.last.role() == Role::Worker && node.is_lost {
            // The latest time at which it may have been lost; its messages may still be redelivered for a while.
            let lost_at = (node.received_at + 2 * LOST_AFTER_MS).min(now);
            self.worker_lost_at = self.worker_lost_at.max(Some(lost_at));
        }
        self.nodes.insert(node.last.node.clone(), node);
    }

    /// Marks the heartbeat feed as connected: missing heartbeats mean nothing before that.
    pub(crate) fn mark_connected(&mut self, now: u64) {
        if self.feed.prove(now) {
            // Workers may have been lost unnoticed meanwhile.
            self.worker_lost_at = Some(now);
        }
    }

    /// Marks the heartbeat feed as disconnected until [`Self::mark_connected`].
    pub(crate) fn mark_disconnected(&mut self) {
        self.feed.fail();
    }

    /// Whether heartbeats may not be received at present.
    pub(crate) fn is_disconnected(&self, now: u64) -> bool {
        self.feed.is_disconnected(now)
    }

    /// For how long the heartbeat feed has been connected.
    pub(crate) fn connected_for_ms(&self, now: u64) -> u64 {
        let since = self.feed.since();
        since.map_or(0, |since| self.feed.until(now).saturating_sub(since))
    }

    /// Since when the heartbeat feed has been connected.
    pub(crate) fn connected_since(&self) -> u64 {
        self.feed.since().unwrap_or(0)
    }

    /// Marks nodes without heartbeats as lost, and removes those gone for a day.
    pub(crate) fn check_liveness(&mut self, now: u64) {
        let (since, until) = (self.connected_since(), self.feed.until(now));
        for node in self.nodes.values_mut() {
            node.without_heartbeat_ms = until.saturating_sub(node.received_at.max(since));
            node.window.forget_before(node.time());
            if node.without_heartbeat_ms >= LOST_AFTER_MS && !node.is_gone() {
                node.is_lost = true;
                let id = &node.last.node;
                tracing::warn!(node = %id, "no heartbeat from {id}");
                if node.last.role() == Role::Worker {
                    self.worker_lost_at = Some(now);
                }
            }
        }
        let live = self.nodes.values().filter(|node| node.is_live());
        let replaced_on: BTreeSet<(Role, String)> = live
            .filter_map(|node| Some((node.last.role(), node.last.instance_id.clone()?)))
            .collect();
        // Another process of the same role runs on the instance of a lost one: that one was replaced.
        let is_replaced = |node: &Node| {
            let instance = node.last.instance_id.clone();
            instance.is_some_and(|instance| replaced_on.contains(&(node.last.role(), instance)))
        };
        self.nodes.retain(|_, node| {
            let is_recent = now.saturating_sub(node.received_at) < REMOVED_AFTER_MS;
            !node.is_gone() || (is_recent && !is_replaced(node))
        });
    }

    /// Records how many consumers the queue of rides has. Without more than the heard workers run, those that are silent hold nothing.
    pub(crate) fn record_consumers(&mut self, consumers: u64) {
        let lanes = |node: &Node| match &node.last.report {
            Report::Worker(worker) => worker.consumers.len() as u64,
            Report::Api(_) => 0,
        };
        let workers = self.live(Role::Worker).filter(|node| !node.is_unheard());
        if consumers <= workers.map(lanes).sum() {
            for node in self.nodes.values_mut().filter(|node| node.is_unheard()) {
                node.may_hold = false;
            }
        }
    }

    /// Workers without heartbeats that may still hold messages.
    pub(crate) fn unheard_workers(&self) -> impl Iterator<Item = &Node> {
        let workers = self.nodes.values();
        workers.filter(|node| node.last.role() == Role::Worker && node.is_unheard())
    }

    /// Removes the node of this name if it is still gone and was not started again since.
    pub(crate) fn forget(&mut self, name: &[u8], boot: BootId) {
        self.nodes.retain(|id, node| {
            let is_it = id.as_str().as_bytes() == name && node.last.boot_id == boot;
            !(is_it && node.is_gone())
        });
    }

    fn remove_excess(&mut self) {
        if self.nodes.len() <= MAX_NODES {
            return;
        }
        let longest_without_heartbeat = self.nodes.values().min_by_key(|node| node.received_at);
        if let Some(id) = longest_without_heartbeat.map(|node| node.last.node.clone()) {
            self.nodes.remove(&id);
        }
    }

    /// Every node, by name.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The nodes of a role that send heartbeats.
    pub(crate) fn live(&self, role: Role) -> impl Iterator<Item = &Node> {
        let nodes = self.nodes.values();
        nodes.filter(move |node| node.last.role() == role && node.is_live())
    }

    /// Whether there may be nodes that are not confirmed to be running since the console started.
    pub(crate) fn has_unconfirmed_nodes(&self) -> bool {
        self.nodes.values().any(Node::is_unconfirmed)
    }

    /// The nodes whose name another process has as well.
    pub(crate) fn with_rivals(&self, now: u64) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(move |node| node.has_rival(now))
    }

    /// Messages delivered to workers since the console started.
    pub(crate) fn delivered_messages(&self) -> u64 {
        self.delivered_messages
    }

    /// Time since a worker was last lost.
    pub(crate) fn since_worker_lost(&self, now: u64) -> Option<u64> {
        self.worker_lost_at.map(|at| now.saturating_sub(at))
    }

    /// The highest heartbeat age of all live workers.
    pub(crate) fn max_heartbeat_age(&self, now: u64) -> u64 {
        let heartbeat_age = |node: &Node| now.saturating_sub(node.received_at);
        self.live(Role::Worker)
            .map(heartbeat_age)
            .max()
            .unwrap_or(0)
    }

    /// Unacked messages of live workers.
    pub(crate) fn held(&self) -> u64 {
        let workers = self.live(Role::Worker);
        workers.map(|node| held(&node.last.report)).sum()
    }

    /// The largest difference of a node's clock from the console's, in milliseconds.
    pub(crate) fn max_clock_skew(&self) -> u64 {
        let skews = self.nodes.values().map(|node| node.skew_ms.unsigned_abs());
        skews.max().unwrap_or(0)
    }

    /// The nodes as plans and settings need them.
    pub(crate) fn roster(&self, now: u64) -> Known {
        let known = |node: &Node| KnownNode {
            node: node.last.node.clone(),
            boot: node.last.boot_id,
            role: node.last.role(),
            generation: node.last.generation,
            works: !node.is_lost()
                && matches!(node.last.activity, Activity::Active | Activity::Paused),
            is_gone: node.is_gone(),
            without_heartbeat_ms: node.without_heartbeat_ms,
            instance: node.last.instance_id.clone(),
            state: node.state(),
            drained_by: match &node.last.activity {
                Activity::Drained { plan } => Some(plan.clone()),
                _ => None,
            },
            message: node.last.health.message.clone(),
            held: held(&node.last.report),
        };
        let settled = self.nodes.values().filter(|node| !node.is_unconfirmed());
        Known {
            nodes: settled.map(known).collect(),
            is_complete: !self.is_disconnected(now)
                && self.connected_for_ms(now) >= LOST_AFTER_MS
                && !self.has_unconfirmed_nodes(),
        }
    }
}

/// Pending work of a node: a worker's unacked messages, an API node's rides in flight.
pub(crate) fn held(report: &Report) -> u64 {
    match report {
        Report::Api(api) => api.in_flight_rides,
        Report::Worker(worker) => {
            let held = worker.consumers.iter().map(|lane| lane.unacked_messages);
            held.map(u64::from).sum()
        }
    }
}

/// Messages delivered to a worker.
fn delivered(report: &Report) -> u64 {
    match report {
        Report::Worker(report) => report.delivered_messages,
        Report::Api(_) => 0,
    }
}

#[cfg(test)]
pub(crate) mod tests;
