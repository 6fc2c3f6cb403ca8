//! Which nodes there are, as plans and settings need to know it. Whoever hears the heartbeats keeps it up to date.

use std::sync::{Arc, PoisonError, RwLock};

use skilift_core::control::{BootId, Generation, NodeId, Role};

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
}

/// All nodes that are known.
#[derive(Debug, Default)]
pub(crate) struct Roster(RwLock<Arc<[KnownNode]>>);

impl Roster {
    /// Replaces what was known.
    pub(crate) fn set(&self, nodes: Vec<KnownNode>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = nodes.into();
    }

    /// The nodes.
    pub(crate) fn nodes(&self) -> Arc<[KnownNode]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
