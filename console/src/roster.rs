//! Which nodes there are, as plans and settings need to know it. Whoever hears the heartbeats keeps it up to date.

use std::sync::{Arc, PoisonError, RwLock};

use skilift_core::control::{BootId, Generation, NodeId, Role};

use crate::view::nodes::NodeState;

/// A node as it was heard last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownNode {
    pub(crate) node: NodeId,
    pub(crate) boot: BootId,
    pub(crate) role: Role,
    /// The generation that it runs; `None` while its flags rule.
    pub(crate) generation: Option<Generation>,
    /// Whether it takes work: it is heard, and neither drains nor is drained.
    pub(crate) works: bool,
    /// Whether it has ended, or is not heard any more.
    pub(crate) is_gone: bool,
    /// For how long it is silent, while it could have been heard, in milliseconds.
    pub(crate) silent_ms: u64,
    /// The machine that it runs on, where that is known.
    pub(crate) instance: Option<String>,
    /// How it is.
    pub(crate) state: NodeState,
    /// The plan by which it is drained, when it says that it is.
    pub(crate) drained_by: Option<String>,
    /// What is wrong with it, when something is.
    pub(crate) message: Option<String>,
    /// What it holds: a worker's messages, an API node's rides.
    pub(crate) held: u64,
}

/// All nodes that are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) nodes: Arc<[KnownNode]>,
    /// Whether every node that runs has been heard by now, as far as heartbeats come.
    pub(crate) is_complete: bool,
}

/// All nodes that are known, at any time.
#[derive(Debug, Default)]
pub(crate) struct Roster(RwLock<Known>);

impl Roster {
    /// Replaces what was known.
    pub(crate) fn set(&self, known: Known) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// What is known.
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
