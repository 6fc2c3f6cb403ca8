//! What happened to each node: changes of its process, state and settings, kept in the console's data directory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Table, WriteBatch};

use crate::view::figures::span;
use crate::view::nodes::{NodeEvent, NodeState, NodeView};

/// Events kept for each node.
const KEPT: usize = 50;
/// Nodes read at start; see the registry, which knows no more.
const MAX_NODES: usize = 2_000;

/// What a node was like from a moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stage {
    /// In milliseconds since 1970.
    at_ms: u64,
    state: NodeState,
    boot_id: String,
    /// Version of the settings that it ran; null for its flags.
    settings: Option<u64>,
    /// What was wrong with it.
    message: Option<String>,
}

/// The stored events of a node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredEvents {
    node: String,
    /// The oldest first.
    stages: VecDeque<Stage>,
}

/// Events of all nodes.
pub(crate) struct NodeEvents {
    table: Table<StoredEvents>,
    nodes: BTreeMap<String, StoredEvents>,
    /// Nodes whose events are not written yet.
    unwritten: BTreeSet<String>,
}

impl NodeEvents {
    pub(super) fn open(table: Table<StoredEvents>) -> Result<Self, DiskError> {
        let stored = table.range(.., MAX_NODES)?.into_iter();
        Ok(Self {
            nodes: stored
                .map(|(_, events)| (events.node.clone(), events))
                .collect(),
            table,
            unwritten: BTreeSet::new(),
        })
    }

    /// Compares the nodes with what they were like before; forgets those that are listed no more.
    pub(super) fn update(&mut self, nodes: &[NodeView], now_epoch_ms: u64) {
        for node in nodes {
            let stage = Stage {
                at_ms: now_epoch_ms,
                state: node.state,
                boot_id: node.boot_id.clone(),
                settings: node.actual.map(|settings| settings.version),
                message: node.message.clone(),
            };
            if let Some(known) = self.nodes.get_mut(&node.id) {
                if known.stages.back().is_some_and(|last| last.is_like(&stage)) {
                    continue;
                }
                known.stages.push_back(stage);
                if known.stages.len() > KEPT {
                    known.stages.pop_front();
                }
            } else {
                let events = StoredEvents {
                    node: node.id.clone(),
                    stages: VecDeque::from([stage]),
                };
                self.nodes.insert(node.id.clone(), events);
            }
            self.unwritten.insert(node.id.clone());
        }
        if self.nodes.len() > nodes.len() {
            let listed: BTreeSet<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
            for (id, _) in self
                .nodes
                .extract_if(.., |id, _| !listed.contains(id.as_str()))
            {
                self.unwritten.insert(id);
            }
        }
    }

    /// The changes since the last call that must be written.
    pub(super) fn take_changes(&mut self) -> WriteBatch {
        let mut changes = WriteBatch::default();
        for id in std::mem::take(&mut self.unwritten) {
            match self.nodes.get(&id) {
                Some(events) => self.table.put(&mut changes, id.as_bytes(), events),
                None => self.table.remove(&mut changes, id.as_bytes()),
            }
        }
        changes
    }

    /// Events of a node, the newest first.
    pub(super) fn of(&self, node: &str) -> Vec<NodeEvent> {
        let Some(known) = self.nodes.get(node) else {
            return Vec::new();
        };
        let stages = known.stages.iter().enumerate().rev();
        let event = |(at, stage): (usize, &Stage)| NodeEvent {
            at_ms: stage.at_ms,
            state: stage.state,
            text: stage.text(
                at.checked_sub(1)
                    .and_then(|before| known.stages.get(before)),
                known.since(at),
            ),
        };
        stages.map(event).collect()
    }
}

impl StoredEvents {
    /// Since when the process was in the state that it was in before the stage `at`: stages between may have changed its settings
    /// only.
    fn since(&self, at: usize) -> u64 {
        let like = |stage: &Stage| (stage.state, stage.boot_id.clone());
        let before = self.stages.iter().take(at).rev();
        let last = before.clone().next().map(like);
        let same = before.take_while(|stage| Some(like(stage)) == last);
        same.last().map_or(0, |stage| stage.at_ms)
    }
}

impl Stage {
    /// Whether nothing happened between the two. Messages change without an event: they may contain durations.
    fn is_like(&self, other: &Self) -> bool {
        (self.state, &self.boot_id, self.settings) == (other.state, &other.boot_id, other.settings)
    }

    /// What happened, given what the node was like before, in a state since `since_ms`.
    fn text(&self, before: Option<&Self>, since_ms: u64) -> String {
        let settings = |version: Option<u64>| {
            version.map_or_else(
                || "flags".to_owned(),
                |version| format!("version {version}"),
            )
        };
        let same_process = before.filter(|before| before.boot_id == self.boot_id);
        let Some(before) = same_process else {
            let process = if before.is_some() {
                "new process"
            } else {
                "first heartbeat received"
            };
            let (state, boot) = (self.described(), &self.boot_id);
            return format!(
                "{state}; {process}, boot id {boot}, settings: {}",
                settings(self.settings)
            );
        };
        let mut parts = Vec::new();
        if before.state != self.state {
            let lasted = span(self.at_ms.saturating_sub(since_ms));
            parts.push(format!(
                "{}; {} for {lasted} before",
                self.described(),
                before.state
            ));
        }
        if before.settings != self.settings {
            let (from, to) = (settings(before.settings), settings(self.settings));
            parts.push(format!("settings: {from} → {to}"));
        }
        parts.join("; ")
    }

    fn described(&self) -> String {
        match &self.message {
            Some(message) => format!("{}: {message}", self.state),
            None => self.state.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use skilift_core::embedded::records::Records;

    use super::*;
    use crate::view::nodes::sample;
    use crate::view::settings::GenerationView;

    #[test]
    fn what_happened_is_told_newest_first_and_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut seen = sample("worker", "worker-1");
        {
            let records = Records::open(folder.path()).unwrap();
            let mut events = NodeEvents::open(records.table("node-events").unwrap()).unwrap();
            let mut happens =
                |seen: &NodeView, at_ms: u64| events.update(std::slice::from_ref(seen), at_ms);
            seen.boot_id = "b1".to_owned();
            seen.state = NodeState::Starting;
            seen.actual = None;
            happens(&seen, 1_000);
            seen.state = NodeState::Ready;
            seen.actual = Some(GenerationView {
                version: 7,
                hash: 1,
            });
            happens(&seen, 3_000);
            happens(&seen, 4_000);
            seen.actual.as_mut().unwrap().version = 8;
            happens(&seen, 30_000);
            seen.state = NodeState::Lost;
            seen.message = Some("no heartbeat for 5 s".to_owned());
            happens(&seen, 63_000);
            records.commit_here("test", events.take_changes()).unwrap();
            assert!(events.take_changes().is_empty());
        }
        let records = Records::open(folder.path()).unwrap();
        let mut events = NodeEvents::open(records.table("node-events").unwrap()).unwrap();
        seen.message = Some("no heartbeat for 9 s".to_owned());
        events.update(std::slice::from_ref(&seen), 67_000);
        (seen.state, seen.message) = (NodeState::Ready, None);
        seen.boot_id = "b2".to_owned();
        events.update(std::slice::from_ref(&seen), 70_000);
        let texts: Vec<String> = events
            .of("worker-1")
            .into_iter()
            .map(|event| event.text)
            .collect();
        assert_eq!(
            texts,
            [
                "ready; new process, boot id b2, settings: version 8",
                "lost: no heartbeat for 5 s; ready for 1 min 0 s before",
                "settings: version 7 → version 8",
                "ready; starting for 2.0 s before; settings: flags → version 7",
                "starting; first heartbeat received, boot id b1, settings: flags",
            ]
        );
        events.update(&[], 80_000);
        assert!(events.of("worker-1").is_empty());
        records.commit_here("test", events.take_changes()).unwrap();
        let table: Table<StoredEvents> = records.table("node-events").unwrap();
        assert_eq!(table.count().unwrap(), 0);
    }

    #[test]
    fn a_node_that_flaps_keeps_its_last_events() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let mut events = NodeEvents::open(records.table("node-events").unwrap()).unwrap();
        let mut seen = sample("worker", "worker-1");
        for second in 0..200 {
            seen.state = [NodeState::Ready, NodeState::Degraded][second % 2];
            events.update(std::slice::from_ref(&seen), second as u64 * 1_000);
        }
        let kept = events.of("worker-1");
        assert_eq!((kept.len(), kept[0].at_ms), (KEPT, 199_000));
    }
}
