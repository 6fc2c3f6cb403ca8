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

use crate::roster::KnownNode;
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
    pub(crate) fn roster(&self) -> Vec<KnownNode> {
        let known = |node: &Node| KnownNode {
            node: node.last.node.clone(),
            boot: node.last.boot,
            role: node.last.role(),
            generation: node.last.generation,
            works: !node.is_lost()
                && matches!(node.last.activity, Activity::Working | Activity::Paused),
            is_gone: node.is_gone(),
        };
        let settled = self.nodes.values().filter(|node| !node.is_awaited());
        settled.map(known).collect()
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
pub(crate) mod tests {
    use skilift_core::control::heartbeat::{ApiReport, ConsumerReport, WorkerReport};
    use skilift_core::control::{ApiSettings, BootId, WorkerSettings};
    use skilift_core::health::{Health, Readiness};

    use super::*;
    use crate::view::nodes::NodeState;

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
            number: sent_at_ms,
            sent_at_ms,
            generation: None,
            activity: Activity::Working,
            health: Health::plain(Readiness::Ready),
            cpu_ms: 0,
            rss_bytes: 1,
            report,
        }
    }

    /// Hears nothing at `now`, but could.
    fn pass(registry: &mut Registry, now: u64) -> NodeState {
        registry.can_hear(now);
        registry.look(now);
        registry.nodes().next().unwrap().state()
    }

    #[test]
    fn a_silent_node_is_lost_and_returns() {
        let (mut registry, boot) = (Registry::default(), BootId::random());
        registry.hear(worker(1, boot, 1_000, 2_000, 5), 0, 2_000);
        for now in [0, 1_000, 2_000, 3_000, 4_000, 4_999] {
            assert_eq!(pass(&mut registry, now), NodeState::Working);
        }
        assert_eq!(pass(&mut registry, 5_000), NodeState::Lost);
        assert_eq!(registry.since_worker_lost(6_000), Some(1_000));
        assert!(registry.roster()[0].is_gone && registry.held(5_000) == (0, None));
        registry.hear(worker(1, boot, 1_000, 9_000, 6), 7_000, 9_000);
        assert_eq!(pass(&mut registry, 7_000), NodeState::Working);
        for now in (8_000..=13_000).step_by(1_000) {
            pass(&mut registry, now);
        }
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
            registry.can_hear(now);
            assert_eq!(pass(&mut registry, now), NodeState::Ended);
            let node = registry.nodes().next().unwrap();
            assert!(!node.is_lost() && registry.roster()[0].is_gone);
            assert_eq!(registry.heard(Role::Worker).count(), 0);
        }
        // Its next life works, whatever its clock says.
        registry.hear(worker(1, BootId::random(), 100, 300, 1), 61_000, 62_000);
        assert_eq!(pass(&mut registry, 61_000), NodeState::Working);
    }

    #[test]
    fn a_clock_that_is_set_back_hides_nobody_and_a_past_is_no_news() {
        let (mut registry, first) = (Registry::default(), BootId::random());
        registry.hear(worker(1, first, 1_000_000, 1_002_000, 500), 0, 1_002_000);
        // What it took before it was heard is not taken now.
        assert_eq!(registry.delivered_messages(), 0);
        let beat = |number, sent, took| Heartbeat {
            number,
            ..worker(1, first, 1_000_000, sent, took)
        };
        registry.hear(beat(1_002_001, 400_000, 503), 1_000, 1_003_000);
        assert_eq!(registry.delivered_messages(), 3);
        // A late one of the life before is no new life; one that comes when that is silent is.
        let second = || worker(1, BootId::random(), 300_000, 302_000, 1);
        registry.hear(second(), 2_000, 1_004_000);
        assert_eq!(registry.nodes().next().unwrap().last.boot, first);
        registry.hear(second(), 3_000, 1_005_000);
        assert_ne!(registry.nodes().next().unwrap().last.boot, first);
    }

    #[test]
    fn a_node_that_starts_is_not_unavailable() {
        let state = |sent| {
            let mut registry = Registry::default();
            let mut beat = worker(1, BootId::random(), 1_000, sent, 0);
            beat.health = Health::because(Readiness::Starting, "connects");
            registry.hear(beat, 0, sent);
            pass(&mut registry, 100)
        };
        assert_eq!(state(3_000), NodeState::Starting);
        assert_eq!(state(11_000), NodeState::Unavailable);
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
        pass(&mut registry, 1_000);
        registry.cannot_hear();
        registry.look(60_000);
        assert_eq!(registry.nodes().next().unwrap().state(), NodeState::Working);
        for now in [61_000, 62_000, 63_000, 64_000, 64_900] {
            assert_eq!(pass(&mut registry, now), NodeState::Working);
        }
        assert_eq!(pass(&mut registry, 65_000), NodeState::Lost);
        assert_eq!(registry.since_worker_lost(65_000), Some(0));
    }

    #[test]
    fn when_everybody_falls_silent_together_nobody_is_lost() {
        let (mut registry, boot) = (Registry::default(), BootId::random());
        registry.hear(worker(1, boot, 1_000, 2_000, 5), 0, 2_000);
        // The way stalls: no heartbeat comes, no answer and no failure.
        registry.look(2_000);
        assert!(!registry.is_deaf(2_000));
        registry.look(9_000);
        assert_eq!(registry.nodes().next().unwrap().state(), NodeState::Working);
        assert!(registry.is_deaf(9_000));
        // It answers again: from then on silence counts.
        assert_eq!(pass(&mut registry, 20_000), NodeState::Working);
        assert!(!registry.is_deaf(20_000) && registry.hears_for(20_500) == 0);
        for now in [22_000, 24_000, 24_900] {
            assert_eq!(pass(&mut registry, now), NodeState::Working);
        }
        assert_eq!(pass(&mut registry, 25_000), NodeState::Lost);
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
