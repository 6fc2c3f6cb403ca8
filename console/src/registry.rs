//! The nodes, as their heartbeats tell of them. A node that falls silent is lost unless it said that it ends, and stays in
//! sight for a day.
//!
//! Times are milliseconds of the console's own clock that only goes forward; what a node's clock says is used for nothing but
//! to show how far it is off.

mod hearing;
mod kept;
mod node;
mod window;

use std::collections::BTreeMap;

use skilift_core::control::heartbeat::{Activity, Report};
use skilift_core::control::{Heartbeat, NodeId, Role};

use crate::roster::{Known, KnownNode};
use hearing::Hearing;
pub(crate) use kept::Kept;
pub(crate) use node::Node;
pub(crate) use window::{Counts, Window};

/// Silent for so long, a node is lost.
pub(crate) const LOST_AFTER_MS: u64 = 5_000;
/// A node that is gone is forgotten after a day.
pub(crate) const FORGOTTEN_AFTER_MS: u64 = 24 * 3_600_000;
/// Silent for so long, a node may have been started anew under an earlier time: its clock was set.
const REPLACED_AFTER_MS: u64 = 2_000;
/// Most nodes that are kept; a lost one that was silent longest goes first.
const MOST_NODES: usize = 2_000;

/// All nodes that were heard of late.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    nodes: BTreeMap<NodeId, Node>,
    /// Messages that workers took since this console started, over all their lives.
    delivered_messages: u64,
    /// Messages that came back, likewise.
    redelivered_messages: u64,
    /// When a worker was lost last.
    worker_lost_at: Option<u64>,
    hearing: Hearing,
}

impl Registry {
    /// Takes a heartbeat. `now` is the console's clock, `now_epoch_ms` the time of day.
    pub(crate) fn hear(&mut self, heartbeat: Heartbeat, now: u64, now_epoch_ms: u64) {
        self.can_hear(now);
        let skew_ms = heartbeat.sent_at_ms.cast_signed() - now_epoch_ms.cast_signed();
        let ran_ms = heartbeat.sent_at_ms.saturating_sub(heartbeat.started_at_ms);
        let born_at = now.checked_sub(ran_ms);
        let mut is_new_life = true;
        let (mut before, mut window) = ((0, 0), Window::default());
        if let Some(known) = self.nodes.get_mut(&heartbeat.node) {
            let is_same_life = known.last.boot == heartbeat.boot;
            let is_silent = now.saturating_sub(known.heard_at) >= REPLACED_AFTER_MS;
            let is_late = if is_same_life {
                heartbeat.number < known.last.number
            } else {
                heartbeat.started_at_ms < known.last.started_at_ms
                    && !is_silent
                    && !known.has_ended()
            };
            if is_late {
                return;
            }
            if is_same_life {
                before = taken(&known.last.report);
                is_new_life = false;
            }
            window = std::mem::take(&mut known.window);
        }
        // What ran before anybody listened is known from its first heartbeat on.
        let is_born_in_sight = born_at.is_some() && born_at >= self.hearing.since();
        if is_new_life && (is_born_in_sight || !window.is_empty()) {
            window.begin(born_at.unwrap_or(0));
        }
        let (delivered, redelivered) = taken(&heartbeat.report);
        if is_new_life && !is_born_in_sight {
            before = (delivered, redelivered);
        }
        self.delivered_messages += delivered.saturating_sub(before.0);
        self.redelivered_messages += redelivered.saturating_sub(before.1);
        window.add(&heartbeat, now);
        if heartbeat.activity == Activity::Ended {
            let id = &heartbeat.node;
            tracing::info!(node = %id, "{id} ended, as it was asked to");
            if heartbeat.role() == Role::Worker {
                self.worker_lost_at = Some(now);
            }
        }
        let heard = Node {
            last: heartbeat,
            heard_at: now,
            deaf_ms: 0,
            silent_ms: 0,
            skew_ms,
            window,
            is_lost: false,
            is_remembered: false,
        };
        self.nodes.insert(heard.last.node.clone(), heard);
        self.forget_some();
    }

    /// Remembers a node that an earlier life of this console heard.
    fn remember(&mut self, node: Node, now: u64) {
        if node.last.role() == Role::Worker && node.is_lost {
            // The latest at which it may have been lost; its messages may be on their way back for a while.
            let lost_at = (node.heard_at + 2 * LOST_AFTER_MS).min(now);
            self.worker_lost_at = self.worker_lost_at.max(Some(lost_at));
        }
        self.nodes.insert(node.last.node.clone(), node);
    }

    /// Notes that heartbeats can be heard: nobody's silence says anything before it is known that he would have been.
    pub(crate) fn can_hear(&mut self, now: u64) {
        if let Some((from, to)) = self.hearing.prove(now) {
            // Meanwhile workers may have been lost of which nobody knows.
            self.worker_lost_at = Some(now);
            for node in self.nodes.values_mut() {
                node.deaf_ms += to.saturating_sub(from.max(node.heard_at));
            }
        }
    }

    /// Notes that nobody can be heard until [`Self::can_hear`].
    pub(crate) fn cannot_hear(&mut self) {
        self.hearing.fail();
    }

    /// Whether it is not known that anybody could be heard.
    pub(crate) fn is_deaf(&self, now: u64) -> bool {
        self.hearing.is_deaf(now)
    }

    /// For how long it has been known that everybody is heard who speaks.
    pub(crate) fn hears_for(&self, now: u64) -> u64 {
        let since = self.hearing.since();
        since.map_or(0, |since| self.hearing.until(now).saturating_sub(since))
    }

    /// From when on everybody is heard who speaks.
    pub(crate) fn hears_since(&self) -> u64 {
        self.hearing.since().unwrap_or(0)
    }

    /// Notices who fell silent, and forgets who has been for a day.
    pub(crate) fn look(&mut self, now: u64) {
        let until = self.hearing.until(now);
        for node in self.nodes.values_mut() {
            let silent_ms = until.saturating_sub(node.heard_at);
            node.silent_ms = silent_ms.saturating_sub(node.deaf_ms);
            node.window.forget_before(node.time());
            if node.silent_ms >= LOST_AFTER_MS && !node.is_gone() {
                node.is_lost = true;
                let id = &node.last.node;
                tracing::warn!(node = %id, "{id} is not heard any more");
                if node.last.role() == Role::Worker {
                    self.worker_lost_at = Some(now);
                }
            }
        }
        self.nodes.retain(|_, node| {
            !node.is_gone() || now.saturating_sub(node.heard_at) < FORGOTTEN_AFTER_MS
        });
    }

    fn forget_some(&mut self) {
        if self.nodes.len() <= MOST_NODES {
            return;
        }
        let silent_longest = self.nodes.values().min_by_key(|node| node.heard_at);
        if let Some(id) = silent_longest.map(|node| node.last.node.clone()) {
            self.nodes.remove(&id);
        }
    }

    /// Every node, by its name.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The nodes of a role that are heard.
    pub(crate) fn heard(&self, role: Role) -> impl Iterator<Item = &Node> {
        let nodes = self.nodes.values();
        nodes.filter(move |node| node.last.role() == role && node.is_heard())
    }

    /// Whether there may be nodes of which it is not known yet whether they still are there.
    pub(crate) fn awaits_somebody(&self) -> bool {
        self.nodes.values().any(Node::is_awaited)
    }

    /// Messages that workers took since the console started.
    pub(crate) fn delivered_messages(&self) -> u64 {
        self.delivered_messages
    }

    /// Messages that came back since then.
    pub(crate) fn redelivered_messages(&self) -> u64 {
        self.redelivered_messages
    }

    /// How long ago a worker was lost last.
    pub(crate) fn since_worker_lost(&self, now: u64) -> Option<u64> {
        self.worker_lost_at.map(|at| now.saturating_sub(at))
    }

    /// How long ago the worker was heard that was heard longest ago, of those that are heard.
    pub(crate) fn longest_unheard(&self, now: u64) -> u64 {
        let unheard = |node: &Node| now.saturating_sub(node.heard_at);
        self.heard(Role::Worker).map(unheard).max().unwrap_or(0)
    }

    /// Messages that heard workers hold, and how long the oldest of them has been held.
    pub(crate) fn held(&self, now: u64) -> (u64, Option<u64>) {
        let mut messages = 0;
        let mut longest = None;
        for node in self.heard(Role::Worker) {
            if let Report::Worker(report) = &node.last.report {
                messages += held(&node.last.report);
                // What it holds it has held on since it was heard.
                let held = report.longest_held_ms;
                longest = longest.max(held.map(|ms| ms + now.saturating_sub(node.heard_at)));
            }
        }
        (messages, longest)
    }

    /// The nodes as plans and settings need to know them.
    pub(crate) fn roster(&self, now: u64) -> Known {
        let known = |node: &Node| KnownNode {
            node: node.last.node.clone(),
            boot: node.last.boot,
            role: node.last.role(),
            generation: node.last.generation,
            works: !node.is_lost()
                && matches!(node.last.activity, Activity::Working | Activity::Paused),
            is_gone: node.is_gone(),
            silent_ms: node.silent_ms,
            instance: node.last.instance.clone(),
            state: node.state(),
            drained_by: match &node.last.activity {
                Activity::Drained { plan } => Some(plan.clone()),
                _ => None,
            },
            message: node.last.health.message.clone(),
            held: held(&node.last.report),
        };
        let settled = self.nodes.values().filter(|node| !node.is_awaited());
        Known {
            nodes: settled.map(known).collect(),
            is_complete: !self.is_deaf(now)
                && self.hears_for(now) >= LOST_AFTER_MS
                && !self.awaits_somebody(),
        }
    }
}

/// What a node holds: a worker's messages, an API node's rides that wait for their confirm.
pub(crate) fn held(report: &Report) -> u64 {
    match report {
        Report::Api(api) => api.in_flight_rides,
        Report::Worker(worker) => {
            let held = worker.lanes.iter().map(|lane| lane.held_messages);
            held.map(u64::from).sum()
        }
    }
}

/// Messages that a worker took, and those of them that had come back.
fn taken(report: &Report) -> (u64, u64) {
    match report {
        Report::Worker(report) => (report.delivered_messages, report.redelivered_messages),
        Report::Api(_) => (0, 0),
    }
}

#[cfg(test)]
pub(crate) mod tests;
