//! The nodes in the console's data directory, so that a lost node is still reported after a restart of the console.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skilift_core::control::heartbeat::Report;
use skilift_core::control::{Heartbeat, NodeId};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Table, WriteBatch};

use super::node::Node;
use super::window::Window;
use super::{MAX_NODES, NodeRegistry, REMOVED_AFTER_MS};

/// Maximum nodes per write; beyond it, those written longest ago.
const MAX_WRITTEN: usize = 200;

/// A stored node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredNode {
    /// Its last heartbeat, without durations and channel epochs.
    heartbeat: Heartbeat,
    /// When it was received, in milliseconds since 1970 by the console's clock.
    heard_at_ms: u64,
    /// How far its clock was ahead.
    skew_ms: i64,
    /// Whether it is lost.
    is_lost: bool,
}

/// The stored nodes.
pub(crate) struct StoredNodes {
    table: Table<StoredNode>,
    /// What was written per node: time of the heartbeat, whether it was lost, and the number of the write.
    written: BTreeMap<NodeId, (u64, bool, u64)>,
    writes: u64,
}

impl StoredNodes {
    /// Opens the table and adds its nodes to `registry`. `now` is the console's clock, which must be at least one day;
    /// `now_epoch_ms` is the wall clock.
    pub(crate) fn open(
        table: Table<StoredNode>,
        registry: &mut NodeRegistry,
        now: u64,
        now_epoch_ms: u64,
    ) -> Result<Self, DiskError> {
        let mut written = BTreeMap::new();
        for (_, stored) in table.range(.., MAX_NODES)? {
            let age = now_epoch_ms.saturating_sub(stored.heard_at_ms);
            let received_at = now.saturating_sub(age);
            let node = stored.heartbeat.node.clone();
            written.insert(node, (received_at, stored.is_lost, 0));
            // The next write removes it.
            if age < REMOVED_AFTER_MS {
                registry.restore(stored.into_node(received_at), now);
            }
        }
        Ok(Self {
            table,
            written,
            writes: 0,
        })
    }

    /// The changes since the last call that must be written.
    pub(crate) fn take_changes(
        &mut self,
        registry: &NodeRegistry,
        now: u64,
        now_epoch_ms: u64,
    ) -> WriteBatch {
        let mut changes = WriteBatch::default();
        self.writes += 1;
        let table = &self.table;
        self.written.retain(|id, _| {
            let is_known = registry.nodes.contains_key(id);
            if !is_known {
                table.remove(&mut changes, key(id).as_bytes());
            }
            is_known
        });
        let state = |node: &Node| (node.received_at, node.is_lost);
        let mut news: Vec<(u64, &Node)> = Vec::new();
        for node in registry.nodes.values() {
            match self.written.get(&node.last.node) {
                Some(&(received_at, is_lost, _)) if state(node) == (received_at, is_lost) => {}
                Some(&(.., write)) => news.push((write, node)),
                None => news.push((0, node)),
            }
        }
        news.sort_by_key(|(write, _)| *write);
        for (_, node) in news.into_iter().take(MAX_WRITTEN) {
            let id = node.last.node.clone();
            let heard_at_ms = now_epoch_ms.saturating_sub(now.saturating_sub(node.received_at));
            let stored = StoredNode::of(node, heard_at_ms);
            table.put(&mut changes, key(&id).as_bytes(), &stored);
            let (received_at, is_lost) = state(node);
            self.written.insert(id, (received_at, is_lost, self.writes));
        }
        changes
    }
}

fn key(id: &NodeId) -> String {
    id.to_string()
}

impl StoredNode {
    fn of(node: &Node, heard_at_ms: u64) -> Self {
        let mut heartbeat = node.last.clone();
        match &mut heartbeat.report {
            Report::Api(api) => {
                api.post_us = None;
                api.confirmed = Vec::new();
            }
            Report::Worker(worker) => worker.accept_to_stored_ms = None,
        }
        Self {
            heartbeat,
            heard_at_ms,
            skew_ms: node.skew_ms,
            is_lost: node.is_lost,
        }
    }

    fn into_node(self, received_at: u64) -> Node {
        Node {
            last: self.heartbeat,
            received_at,
            without_heartbeat_ms: 0,
            skew_ms: self.skew_ms,
            window: Window::default(),
            is_lost: self.is_lost,
            may_hold: true,
            rival: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use skilift_core::control::BootId;
    use skilift_core::embedded::records::Records;

    use super::*;
    use crate::registry::tests::worker;
    use crate::view::nodes::NodeState;

    /// A clock that began long ago, as the console's does.
    const START: u64 = 2 * REMOVED_AFTER_MS;

    #[test]
    fn a_restart_forgets_neither_the_lost_nor_those_that_fell_silent_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let boots = [BootId::random(), BootId::random(), BootId::random()];
        {
            let records = Records::open(folder.path()).unwrap();
            let mut registry = NodeRegistry::default();
            let table = records.table("nodes").unwrap();
            let mut stored = StoredNodes::open(table, &mut registry, START, 1_000).unwrap();
            registry.record(worker(1, boots[0], 1, 1_000, 5), START, 1_000);
            for second in 0..8 {
                let now = START + second * 1_000;
                for (port, boot) in [(2, boots[1]), (3, boots[2])] {
                    let beat = worker(port, boot, 1, 1_000 + second * 1_000, second);
                    registry.record(beat, now, 1_000 + second * 1_000);
                }
                registry.check_liveness(now);
            }
            let changes = stored.take_changes(&registry, START + 8_000, 9_000);
            records.commit_here("test", changes).unwrap();
            let nothing = stored.take_changes(&registry, START + 9_000, 10_000);
            assert!(nothing.is_empty());
        }
        let records = Records::open(folder.path()).unwrap();
        let mut registry = NodeRegistry::default();
        let table = records.table("nodes").unwrap();
        let mut stored = StoredNodes::open(table, &mut registry, START, 60_000).unwrap();
        registry.check_liveness(START);
        let states = |registry: &NodeRegistry| -> Vec<NodeState> {
            registry.nodes().map(Node::state).collect()
        };
        let [lost, works] = [NodeState::Lost, NodeState::Ready];
        assert_eq!(states(&registry), [lost, works, works]);
        // None of them has sent a heartbeat yet; the two live ones may hold messages.
        assert_eq!(
            registry.live(skilift_core::control::Role::Worker).count(),
            0
        );
        assert!(registry.has_unconfirmed_nodes());
        assert_eq!(registry.roster(0).nodes.len(), 1);
        // One of them continues; the messages that it received meanwhile are counted.
        for second in 0..=6 {
            let (now, sent) = (START + 3_000 + second * 1_000, 63_000 + second * 1_000);
            registry.record(worker(2, boots[1], 1, sent, 9), now, sent);
            registry.check_liveness(now);
            if second < 5 {
                assert_eq!(states(&registry), [lost, works, works]);
            }
        }
        assert_eq!(states(&registry), [lost, works, lost]);
        assert_eq!(registry.delivered_messages(), 2);
        assert!(!registry.has_unconfirmed_nodes());

        // a day after its last heartbeat, a lost node is removed, here and in the data directory.
        let later = START + REMOVED_AFTER_MS;
        registry.check_liveness(later);
        assert_eq!(registry.nodes().count(), 1);
        let changes = stored.take_changes(&registry, later, 60_000 + REMOVED_AFTER_MS);
        records.commit_here("test", changes).unwrap();
        let table: Table<StoredNode> = records.table("nodes").unwrap();
        assert_eq!(table.range(.., 10).unwrap().len(), 1);
    }
}
