//! The nodes in the console's folder, so that one that was lost is still missed after the console's restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skilift_core::control::heartbeat::Report;
use skilift_core::control::{Heartbeat, NodeId};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Changes, Table};

use super::node::Node;
use super::window::Window;
use super::{FORGOTTEN_AFTER_MS, MOST_NODES, Registry};

/// Nodes in one write; of more, those that were not written for longest.
const MOST_WRITTEN: usize = 200;

/// What is kept of a node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptNode {
    /// Its last heartbeat, without durations and lane lives.
    heartbeat: Heartbeat,
    /// When it was heard, in milliseconds since 1970 by the console's clock.
    heard_at_ms: u64,
    /// How far its clock was ahead.
    skew_ms: i64,
    /// Whether it was noticed that it is silent.
    is_lost: bool,
}

/// What stands in the folder.
pub(crate) struct Kept {
    table: Table<KeptNode>,
    /// What was written of each node: when it had been heard, whether it was lost; and in which write.
    written: BTreeMap<NodeId, (u64, bool, u64)>,
    writes: u64,
}

impl Kept {
    /// Opens the table, and has `registry` remember who stands in it. `now` is the console's clock, which must not be younger
    /// than a day; `now_epoch_ms` is the time of day.
    pub(crate) fn open(
        table: Table<KeptNode>,
        registry: &mut Registry,
        now: u64,
        now_epoch_ms: u64,
    ) -> Result<Self, DiskError> {
        let mut written = BTreeMap::new();
        for (_, kept) in table.range(.., MOST_NODES)? {
            let age = now_epoch_ms.saturating_sub(kept.heard_at_ms);
            let heard_at = now.saturating_sub(age);
            let node = kept.heartbeat.node.clone();
            written.insert(node, (heard_at, kept.is_lost, 0));
            // The next write removes it.
            if age < FORGOTTEN_AFTER_MS {
                registry.remember(kept.into_node(heard_at), now);
            }
        }
        Ok(Self {
            table,
            written,
            writes: 0,
        })
    }

    /// What is to be written of what changed since the last call.
    pub(crate) fn take_changes(
        &mut self,
        registry: &Registry,
        now: u64,
        now_epoch_ms: u64,
    ) -> Changes {
        let mut changes = Changes::default();
        self.writes += 1;
        let table = &self.table;
        self.written.retain(|id, _| {
            let is_known = registry.nodes.contains_key(id);
            if !is_known {
                table.remove(&mut changes, key(id).as_bytes());
            }
            is_known
        });
        let state = |node: &Node| (node.heard_at, node.is_lost);
        let mut news: Vec<(u64, &Node)> = Vec::new();
        for node in registry.nodes.values() {
            match self.written.get(&node.last.node) {
                Some(&(heard_at, is_lost, _)) if state(node) == (heard_at, is_lost) => {}
                Some(&(.., write)) => news.push((write, node)),
                None => news.push((0, node)),
            }
        }
        news.sort_by_key(|(write, _)| *write);
        for (_, node) in news.into_iter().take(MOST_WRITTEN) {
            let id = node.last.node.clone();
            let heard_at_ms = now_epoch_ms.saturating_sub(now.saturating_sub(node.heard_at));
            let kept = KeptNode::of(node, heard_at_ms);
            table.put(&mut changes, key(&id).as_bytes(), &kept);
            let (heard_at, is_lost) = state(node);
            self.written.insert(id, (heard_at, is_lost, self.writes));
        }
        changes
    }
}

fn key(id: &NodeId) -> String {
    id.to_string()
}

impl KeptNode {
    fn of(node: &Node, heard_at_ms: u64) -> Self {
        let mut heartbeat = node.last.clone();
        match &mut heartbeat.report {
            Report::Api(api) => {
                api.post_us = None;
                api.confirmed = Vec::new();
            }
            Report::Worker(worker) => worker.stored_after_ms = None,
        }
        Self {
            heartbeat,
            heard_at_ms,
            skew_ms: node.skew_ms,
            is_lost: node.is_lost,
        }
    }

    fn into_node(self, heard_at: u64) -> Node {
        Node {
            last: self.heartbeat,
            heard_at,
            deaf_ms: 0,
            silent_ms: 0,
            skew_ms: self.skew_ms,
            window: Window::default(),
            is_lost: self.is_lost,
            is_remembered: true,
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
    const START: u64 = 2 * FORGOTTEN_AFTER_MS;

    #[test]
    fn a_restart_forgets_neither_the_lost_nor_those_that_fell_silent_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let boots = [BootId::random(), BootId::random(), BootId::random()];
        {
            let records = Records::open(folder.path()).unwrap();
            let mut registry = Registry::default();
            let table = records.table("nodes").unwrap();
            let mut kept = Kept::open(table, &mut registry, START, 1_000).unwrap();
            registry.hear(worker(1, boots[0], 1, 1_000, 5), START, 1_000);
            for second in 0..8 {
                let now = START + second * 1_000;
                for (port, boot) in [(2, boots[1]), (3, boots[2])] {
                    let beat = worker(port, boot, 1, 1_000 + second * 1_000, second);
                    registry.hear(beat, now, 1_000 + second * 1_000);
                }
                registry.look(now);
            }
            let changes = kept.take_changes(&registry, START + 8_000, 9_000);
            records.commit_here("test", changes).unwrap();
            let nothing = kept.take_changes(&registry, START + 9_000, 10_000);
            assert!(nothing.is_empty());
        }
        let records = Records::open(folder.path()).unwrap();
        let mut registry = Registry::default();
        let table = records.table("nodes").unwrap();
        let mut kept = Kept::open(table, &mut registry, START, 60_000).unwrap();
        registry.look(START);
        let states =
            |registry: &Registry| -> Vec<NodeState> { registry.nodes().map(Node::state).collect() };
        let [lost, works] = [NodeState::Lost, NodeState::Working];
        assert_eq!(states(&registry), [lost, works, works]);
        // Nobody of them is heard yet; of the two it is not known whether they hold something.
        assert_eq!(
            registry.heard(skilift_core::control::Role::Worker).count(),
            0
        );
        assert!(registry.awaits_somebody());
        assert_eq!(registry.roster(0).nodes.len(), 1);
        // One goes on; the messages that it took meanwhile are counted.
        for second in 0..=6 {
            let (now, sent) = (START + 3_000 + second * 1_000, 63_000 + second * 1_000);
            registry.hear(worker(2, boots[1], 1, sent, 9), now, sent);
            registry.look(now);
            if second < 5 {
                assert_eq!(states(&registry), [lost, works, works]);
            }
        }
        assert_eq!(states(&registry), [lost, works, lost]);
        assert_eq!(registry.delivered_messages(), 2);
        assert!(!registry.awaits_somebody());

        // A day after it was heard last, a lost one is forgotten, here and in the folder.
        let later = START + FORGOTTEN_AFTER_MS;
        registry.look(later);
        assert_eq!(registry.nodes().count(), 1);
        let changes = kept.take_changes(&registry, later, 60_000 + FORGOTTEN_AFTER_MS);
        records.commit_here("test", changes).unwrap();
        let table: Table<KeptNode> = records.table("nodes").unwrap();
        assert_eq!(table.range(.., 10).unwrap().len(), 1);
    }
}
