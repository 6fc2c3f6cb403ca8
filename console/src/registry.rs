//! The nodes, as their heartbeats tell of them. A node that falls silent is lost unless it said that it ends, and stays in
//! sight for a day.
//!
//! Times are milliseconds of the console's own clock that only goes forward; what a node's clock says is used for nothing but
//! to show how far it is off.

mod window;

use std::collections::BTreeMap;

use skilift_core::control::heartbeat::{Activity, Report};
use skilift_core::control::{Heartbeat, NodeId, Role};
use skilift_core::health::Readiness;

use crate::roster::KnownNode;
use crate::view::nodes::NodeState;
pub(crate) use window::{Counts, Window};

/// Silent for so long, a node is lost.
pub(crate) const LOST_AFTER_MS: u64 = 5_000;
/// A node that is gone is forgotten after a day.
const FORGOTTEN_AFTER_MS: u64 = 24 * 3_600_000;
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
    /// Up to when the time was counted in which nobody could be heard; `None` while they can.
    deaf_since: Option<u64>,
}

/// A node, as it was heard last.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) last: Heartbeat,
    /// When, by the console's clock.
    pub(crate) heard_at: u64,
    /// For how long nobody could be heard since then.
    deaf_ms: u64,
    /// How far its clock was ahead then, in milliseconds; transport included.
    pub(crate) skew_ms: i64,
    /// What it counted over the last seconds.
    pub(crate) window: Window,
    /// Whether it was noticed that it is gone.
    is_known_gone: bool,
}

impl Registry {
    /// Takes a heartbeat. `now` is the console's clock, `now_epoch_ms` the time of day.
    pub(crate) fn hear(&mut self, heartbeat: Heartbeat, now: u64, now_epoch_ms: u64) {
        let skew_ms = heartbeat.sent_at_ms.cast_signed() - now_epoch_ms.cast_signed();
        let (mut before, mut window) = ((0, 0), Window::default());
        if let Some(known) = self.nodes.get_mut(&heartbeat.node) {
            let is_same_life = known.last.boot == heartbeat.boot;
            let is_late = if is_same_life {
                heartbeat.sent_at_ms < known.last.sent_at_ms
            } else {
                heartbeat.started_at_ms < known.last.started_at_ms
            };
            if is_late {
                return;
            }
            if is_same_life {
                before = taken(&known.last.report);
                window = std::mem::take(&mut known.window);
            }
        }
        let (delivered, redelivered) = taken(&heartbeat.report);
        self.delivered_messages += delivered.saturating_sub(before.0);
        self.redelivered_messages += redelivered.saturating_sub(before.1);
        window.add(&heartbeat, now);
        let heard = Node {
            last: heartbeat,
            heard_at: now,
            deaf_ms: 0,
            skew_ms,
            window,
            is_known_gone: false,
        };
        self.nodes.insert(heard.last.node.clone(), heard);
        self.forget_some();
    }

    /// Notes whether heartbeats can be heard. While they cannot, nobody's silence says anything.
    pub(crate) fn listens(&mut self, can_hear: bool, now: u64) {
        self.pass(now);
        self.deaf_since = (!can_hear).then_some(now);
    }

    /// Counts for every node the time in which nobody could be heard.
    fn pass(&mut self, now: u64) {
        if let Some(since) = self.deaf_since {
            for node in self.nodes.values_mut() {
                node.deaf_ms += now.saturating_sub(since.max(node.heard_at));
            }
            self.deaf_since = Some(now);
        }
    }

    /// Notices who fell silent, and forgets who has been for a day.
    pub(crate) fn look(&mut self, now: u64) {
        self.pass(now);
        for node in self.nodes.values_mut() {
            node.window.forget_before(now);
            if node.is_gone(now) && !node.is_known_gone {
                node.is_known_gone = true;
                let id = &node.last.node;
                if node.has_ended() {
                    tracing::info!(node = %id, "{id} ended, as it was asked to");
                } else {
                    tracing::warn!(node = %id, "{id} is not heard any more");
                }
                if node.last.role() == Role::Worker {
                    self.worker_lost_at = Some(now);
                }
            }
        }
        self.nodes
            .retain(|_, node| node.silent_for(now) < FORGOTTEN_AFTER_MS);
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
    pub(crate) fn heard(&self, role: Role, now: u64) -> impl Iterator<Item = &Node> {
        let nodes = self.nodes.values();
        nodes.filter(move |node| node.last.role() == role && !node.is_gone(now))
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

    /// Messages that heard workers hold, and how long the oldest of them has been held.
    pub(crate) fn held(&self, now: u64) -> (u64, Option<u64>) {
        let mut messages = 0;
        let mut longest = None;
        for node in self.heard(Role::Worker, now) {
            if let Report::Worker(report) = &node.last.report {
                let of_lanes = report
                    .lanes
                    .iter()
                    .map(|lane| u64::from(lane.held_messages));
                messages += of_lanes.sum::<u64>();
                // What it holds it has held on since it was heard.
                let held = report.longest_held_ms;
                longest = longest.max(held.map(|ms| ms + now.saturating_sub(node.heard_at)));
            }
        }
        (messages, longest)
    }

    /// The nodes as plans and settings need to know them.
    pub(crate) fn roster(&self, now: u64) -> Vec<KnownNode> {
        let known = |node: &Node| KnownNode {
            node: node.last.node.clone(),
            boot: node.last.boot,
            role: node.last.role(),
            generation: node.last.generation,
            works: !node.is_gone(now)
                && matches!(node.last.activity, Activity::Working | Activity::Paused),
            is_gone: node.is_gone(now),
        };
        self.nodes.values().map(known).collect()
    }
}

/// Messages that a worker took, and those of them that had come back.
fn taken(report: &Report) -> (u64, u64) {
    match report {
        Report::Worker(report) => (report.delivered_messages, report.redelivered_messages),
        Report::Api(_) => (0, 0),
    }
}

impl Node {
    /// How long it has been silent while it could have been heard.
    pub(crate) fn silent_for(&self, now: u64) -> u64 {
        now.saturating_sub(self.heard_at)
            .saturating_sub(self.deaf_ms)
    }

    /// Whether it said that its process ends.
    pub(crate) fn has_ended(&self) -> bool {
        self.last.activity == Activity::Ended
    }

    /// Whether it is not heard any more, and never said that it ends.
    pub(crate) fn is_lost(&self, now: u64) -> bool {
        !self.has_ended() && self.silent_for(now) >= LOST_AFTER_MS
    }

    /// Whether it has ended or is lost: what it said last says nothing about now.
    pub(crate) fn is_gone(&self, now: u64) -> bool {
        self.has_ended() || self.is_lost(now)
    }

    /// How it is.
    pub(crate) fn state(&self, now: u64) -> NodeState {
        if self.is_lost(now) {
            return NodeState::Lost;
        }
        match (&self.last.activity, self.last.health.status) {
            (Activity::Paused, _) => NodeState::Paused,
            (Activity::Draining { .. }, _) => NodeState::Draining,
            (Activity::Drained { .. }, _) => NodeState::Drained,
            (Activity::Ended, _) => NodeState::Ended,
            (Activity::Working, Readiness::Ready) => NodeState::Working,
            (Activity::Working, Readiness::Degraded) => NodeState::Degraded,
            (Activity::Working, Readiness::Starting | Readiness::Unavailable) => {
                NodeState::Unavailable
            }
            (Activity::Working, Readiness::Draining) => NodeState::Draining,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use skilift_core::control::heartbeat::{ApiReport, ConsumerReport, WorkerReport};
    use skilift_core::control::{ApiSettings, BootId, WorkerSettings};
    use skilift_core::health::Health;

    use super::*;

    /// A worker's heartbeat, which took so many messages of ten rides.
    pub(crate) fn worker(port: u16, boot: BootId, started: u64, sent: u64, took: u64) -> Heartbeat {
        let report = WorkerReport {
            settings: WorkerSettings {
                threads: 1,
                prefetch: 4000,
                batch: 1000,
                linger_ms: 25,
            },
            busy_ms: sent.saturating_sub(started) / 2,
            applied_rides: took * 10,
            duplicate_rides: 0,
            dead_lines: 0,
            delivered_messages: took,
            delivered_rides: took * 10,
            acked_messages: took,
            acked_rides: took * 10,
            redelivered_messages: 0,
            oldest_held_accepted_at_ms: Some(sent - 100),
            longest_held_ms: Some(50),
            stored_after_ms: None,
            lanes: vec![ConsumerReport {
                lane: 0,
                prefetch_messages: 16,
                held_messages: 3,
                acked_messages: took,
                acked_rides: took * 10,
                last_ack_at_ms: Some(sent),
                hindrance: None,
            }],
        };
        heartbeat(
            Role::Worker,
            port,
            boot,
            started,
            sent,
            Report::Worker(report),
        )
    }

    /// An API node's heartbeat, which accepted so many rides.
    pub(crate) fn api(
        port: u16,
        boot: BootId,
        started: u64,
        sent: u64,
        accepted: u64,
    ) -> Heartbeat {
        let report = ApiReport {
            settings: ApiSettings {
                lanes: 1,
                message_rides: 256,
                max_in_flight: 20_000,
            },
            lanes: 1,
            accepted_rides: accepted,
            refused_requests: 0,
            reads: 0,
            in_flight_rides: 0,
            backlog_rides: None,
            shedding: Vec::new(),
            confirmed: Vec::new(),
            post_us: None,
            keys_serial: 0,
        };
        heartbeat(Role::Api, port, boot, started, sent, Report::Api(report))
    }

    fn heartbeat(
        role: Role,
        port: u16,
        boot: BootId,
        started_at_ms: u64,
        sent_at_ms: u64,
        report: Report,
    ) -> Heartbeat {
        Heartbeat {
            node: NodeId::new(role, "host", port),
            boot,
            host: "host".to_owned(),
            instance: None,
            version: "0.1.0".to_owned(),
            started_at_ms,
            sent_at_ms,
            generation: None,
            activity: Activity::Working,
            health: Health::plain(Readiness::Ready),
            cpu_ms: 0,
            rss_bytes: 1,
            report,
        }
    }

    #[test]
    fn a_silent_node_is_lost_and_returns() {
        let (mut registry, boot) = (Registry::default(), BootId::random());
        registry.hear(worker(1, boot, 1_000, 2_000, 5), 0, 2_000);
        let state = |registry: &Registry, now| registry.nodes().next().unwrap().state(now);
        assert_eq!(state(&registry, 4_999), NodeState::Working);
        registry.look(5_000);
        assert_eq!(state(&registry, 5_000), NodeState::Lost);
        assert_eq!(registry.since_worker_lost(6_000), Some(1_000));
        assert!(registry.roster(5_000)[0].is_gone && registry.held(5_000) == (0, None));
        registry.hear(worker(1, boot, 1_000, 9_000, 6), 7_000, 9_000);
        assert_eq!(state(&registry, 7_000), NodeState::Working);
        registry.look(7_000 + FORGOTTEN_AFTER_MS);
        assert_eq!(registry.nodes().count(), 0);
    }

    #[test]
    fn a_node_that_said_so_has_ended_and_is_not_lost() {
        let (mut registry, boot) = (Registry::default(), BootId::random());
        registry.hear(worker(1, boot, 1_000, 2_000, 5), 0, 2_000);
        let last = Heartbeat {
            activity: Activity::Ended,
            ..worker(1, boot, 1_000, 2_500, 5)
        };
        registry.hear(last, 500, 2_500);
        for now in [500, 60_000] {
            registry.look(now);
            let node = registry.nodes().next().unwrap();
            assert_eq!(node.state(now), NodeState::Ended);
            assert!(!node.is_lost(now) && registry.roster(now)[0].is_gone);
            assert_eq!(registry.heard(Role::Worker, now).count(), 0);
        }
        // Its next life works.
        registry.hear(
            worker(1, BootId::random(), 61_000, 62_000, 1),
            61_000,
            62_000,
        );
        let node = registry.nodes().next().unwrap();
        assert_eq!(node.state(61_000), NodeState::Working);
    }

    #[test]
    fn counts_go_on_over_lives_and_late_heartbeats_change_nothing() {
        let mut registry = Registry::default();
        let (first, second) = (BootId::random(), BootId::random());
        registry.hear(worker(1, first, 1_000, 2_000, 5), 0, 2_000);
        registry.hear(worker(1, first, 1_000, 3_000, 9), 1_000, 3_000);
        registry.hear(worker(1, first, 1_000, 2_500, 7), 1_100, 3_100);
        assert_eq!(registry.delivered_messages(), 9);
        registry.hear(worker(1, second, 4_000, 5_000, 2), 3_000, 5_000);
        registry.hear(worker(1, first, 1_000, 5_500, 11), 3_500, 5_500);
        assert_eq!(registry.delivered_messages(), 11);
        assert_eq!(registry.nodes().next().unwrap().last.boot, second);
    }

    #[test]
    fn nobody_is_lost_while_nobody_can_be_heard() {
        let (mut registry, boot) = (Registry::default(), BootId::random());
        registry.hear(worker(1, boot, 1_000, 2_000, 5), 0, 2_000);
        registry.listens(false, 1_000);
        registry.look(60_000);
        let node = |registry: &Registry, now| registry.nodes().next().unwrap().state(now);
        assert_eq!(node(&registry, 60_000), NodeState::Working);
        registry.listens(true, 61_000);
        assert_eq!(node(&registry, 64_900), NodeState::Working);
        registry.look(65_000);
        assert_eq!(node(&registry, 65_000), NodeState::Lost);
        assert_eq!(registry.since_worker_lost(65_000), Some(0));
    }

    #[test]
    fn there_are_never_too_many() {
        let mut registry = Registry::default();
        for port in 0..2_100 {
            let beat = worker(port, BootId::random(), 1_000, 2_000, 1);
            registry.hear(beat, u64::from(port), 2_000);
        }
        assert_eq!(registry.nodes().count(), MOST_NODES);
        // The ones that were silent longest went.
        assert!(registry.nodes().all(|node| node.heard_at >= 100));
    }
}
