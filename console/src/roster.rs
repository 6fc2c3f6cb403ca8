//! The known nodes, for plans and settings. The node registry keeps it up to date.

use std::sync::{Arc, PoisonError, RwLock};

use skilift_core::control::{BootId, Generation, NodeId, Role};

use crate::view::nodes::NodeState;

/// A node as of its last heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownNode {
    pub(crate) node: NodeId,
    pub(crate) boot: BootId,
    pub(crate) role: Role,
    /// The generation that it runs; `None` while its command-line flags apply.
    pub(crate) generation: Option<Generation>,
    /// Whether it accepts work: it sends heartbeats, and is neither draining nor drained.
    pub(crate) works: bool,
    /// Whether it has stopped or is lost.
    pub(crate) is_gone: bool,
    /// Time without a heartbeat while heartbeats could be received, in milliseconds.
    pub(crate) without_heartbeat_ms: u64,
    /// The instance that it runs on, if known.
    pub(crate) instance: Option<String>,
    /// Its state.
    pub(crate) state: NodeState,
    /// The plan that drained it, if it reports that it is drained.
    pub(crate) drained_by: Option<String>,
    /// What is wrong with it, if anything.
    pub(crate) message: Option<String>,
    /// Its pending work: a worker's unacked messages, an API node's rides in flight.
    pub(crate) held: u64,
}

/// All known nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) nodes: Arc<[KnownNode]>,
    /// Whether every running node has sent a heartbeat by now, provided that heartbeats are received.
    pub(crate) is_complete: bool,
}

/// The known nodes, shared.
#[derive(Debug, Default)]
pub(crate) struct Roster(RwLock<Known>);

impl Roster {
    /// Replaces the known nodes.
    pub(crate) fn set(&self, known: Known) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// The known nodes and whether they are complete.
    pub(crate) fn known(&self) -> Known {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The nodes.
    pub(crate) fn nodes(&self) -> Arc<[KnownNode]> {
        self.known().nodes
    }
}
