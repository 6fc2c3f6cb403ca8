//! All that a node follows, in one document: whoever has the newer one has all of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::identity::{BootId, NodeId};
use super::settings::{ApiSettings, FleetBounds, Ingest, Versioned, WorkerSettings};
use crate::clock::epoch_ms;

/// How long an API node that drains still takes rides: until its balancer has seen that it is not ready and sends it none. Two
/// checks, five seconds apart, are the least that AWS's needs for that.
pub const STILL_WELCOME: Duration = Duration::from_secs(12);

/// What the nodes of a stack shall do. A part that is `None` was never said: each node's flags rule there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Document {
    /// Grows with every change, so that an older document never replaces a newer one.
    pub serial: u64,
    /// How workers work.
    pub worker: Option<Versioned<WorkerSettings>>,
    /// How API nodes publish.
    pub api: Option<Versioned<ApiSettings>>,
    /// Who may post rides.
    pub ingest: Option<Versioned<Ingest>>,
    /// How many nodes may run; `None` where nobody said so, which is [`FleetBounds::default`].
    #[serde(default)]
    pub fleet: Option<Versioned<FleetBounds>>,
    /// Set while no worker shall consume.
    pub pause: Option<Pause>,
    /// The nodes that shall drain.
    pub drains: Vec<DrainMark>,
    /// [`IngestKeys::serial`](super::ingest_key::IngestKeys::serial) of the keys that count.
    pub keys_serial: u64,
}

/// That consumption is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Who paused it.
    pub by: String,
}

/// That one life of a node shall drain. A mark for another life of it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainMark {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub boot: BootId,
    /// The plan that asks for it.
    pub plan: String,
    /// When the mark ends unless it is renewed, in milliseconds since 1970; `None` where an operator asked for it, and
    /// only he ends it.
    pub until_ms: Option<u64>,
}

impl Document {
    /// The serial of the document after this one. It is a time, too: nodes follow a console that lost its folder together
    /// with what Redis had, although they remember what it said before.
    #[must_use]
    pub fn next_serial(&self) -> u64 {
        epoch_ms().max(self.serial.saturating_add(1))
    }

    /// The serial of the keys after those that it names, a time likewise.
    #[must_use]
    pub fn next_keys_serial(&self) -> u64 {
        epoch_ms().max(self.keys_serial.saturating_add(1))
    }

    /// This document after `before`, of which stays what this one does not say: to start anew neither opens the doors nor
    /// takes settings back.
    #[must_use]
    pub(super) fn after(self, before: Option<&Self>) -> Self {
        Self {
            worker: self.worker.or(before.and_then(|before| before.worker)),
            api: self.api.or(before.and_then(|before| before.api)),
            ingest: self.ingest.or(before.and_then(|before| before.ingest)),
            fleet: self.fleet.or(before.and_then(|before| before.fleet)),
            ..self
        }
    }

    /// The mark that makes this life of the node drain now, if one does.
    #[must_use]
    pub fn drain_of(&self, node: &NodeId, boot: BootId, now_ms: u64) -> Option<&DrainMark> {
        self.drains.iter().find(|mark| {
            mark.node == *node
                && mark.boot == boot
                && mark.until_ms.is_none_or(|until| now_ms < until)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_that_starts_anew_is_followed_and_opens_nothing() {
        let before = Document {
            serial: 7,
            ingest: Some(Versioned::new(3, Ingest::Keys)),
            keys_serial: 5,
            pause: Some(Pause {
                since_ms: 1,
                by: "ann".to_owned(),
            }),
            ..Document::default()
        };
        let anew = Document::default();
        assert!(anew.next_serial() > before.next_serial() - 1_000);
        assert!(anew.next_serial() > before.serial && anew.next_keys_serial() > 5);
        let followed = anew.after(Some(&before));
        assert_eq!((followed.ingest, followed.pause), (before.ingest, None));
        let far = Document {
            serial: u64::MAX - 1,
            ..before
        };
        assert_eq!(far.next_serial(), u64::MAX);
    }
}
