//! The desired state of nodes, in one document: the newer document replaces the older one completely.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::identity::{BootId, NodeId};
use super::settings::{ApiSettings, FleetBounds, Ingest, Versioned, WorkerSettings};
use crate::clock::epoch_ms;

/// How long a draining API node still accepts rides: until the load balancer has detected that it is not ready and stops
/// sending requests. AWS's load balancer needs at least two checks, five seconds apart.
pub const STILL_WELCOME: Duration = Duration::from_secs(12);

/// Desired state of the nodes of a stack. A part that is `None` was never set: the flags of each node apply there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Document {
    /// Increases with every change, so that an older document never replaces a newer one.
    pub serial: u64,
    /// Settings of workers.
    pub worker: Option<Versioned<WorkerSettings>>,
    /// Settings of API nodes.
    pub api: Option<Versioned<ApiSettings>>,
    /// Ingest policy.
    pub ingest: Option<Versioned<Ingest>>,
    /// How many nodes may run; `None` if never set, which means [`FleetBounds::default`].
    #[serde(default)]
    pub fleet: Option<Versioned<FleetBounds>>,
    /// Set while consumption is paused.
    pub pause: Option<Pause>,
    /// Drain requests.
    pub drains: Vec<DrainRequest>,
    /// [`IngestKeys::serial`](super::ingest_key::IngestKeys::serial) of the valid keys.
    pub keys_serial: u64,
}

/// A pause of consumption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when, in milliseconds since 1970.
    pub paused_at_ms: u64,
    /// Who paused it.
    pub paused_by: String,
    /// When nodes resume by themselves, in milliseconds since 1970; `None` for not at all.
    #[serde(default)]
    pub resumes_at_ms: Option<u64>,
}

/// A drain request for one boot of a node. It does not apply to other boots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRequest {
    /// The node.
    pub node: NodeId,
    /// Its process instance.
    pub boot_id: BootId,
    /// The plan that set it.
    pub plan: String,
    /// When the request expires unless it is renewed, in milliseconds since 1970; `None` if an operator set it, and must end
    /// it.
    pub expires_at_ms: Option<u64>,
}

impl Document {
    /// The serial of the next document. It is also a timestamp, so that nodes follow a console that lost its data directory
    /// and the Redis data, even though they have cached older documents.
    #[must_use]
    pub fn next_serial(&self) -> u64 {
        epoch_ms().max(self.serial.saturating_add(1))
    }

    /// The serial of the next keys, also a timestamp.
    #[must_use]
    pub fn next_keys_serial(&self) -> u64 {
        epoch_ms().max(self.keys_serial.saturating_add(1))
    }

    /// This document merged over `before`: parts that are not set here are kept, so that a new console neither opens ingest
    /// nor reverts settings.
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

    /// The pause, unless it is over now.
    #[must_use]
    pub fn pause_at(&self, now_ms: u64) -> Option<&Pause> {
        let pause = self.pause.as_ref();
        pause.filter(|pause| pause.resumes_at_ms.is_none_or(|at| now_ms < at))
    }

    /// The drain request that applies to this boot of the node now, if any.
    #[must_use]
    pub fn drain_of(&self, node: &NodeId, boot: BootId, now_ms: u64) -> Option<&DrainRequest> {
        self.drains.iter().find(|mark| {
            mark.node == *node
                && mark.boot_id == boot
                && mark.expires_at_ms.is_none_or(|until| now_ms < until)
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
                paused_at_ms: 1,
                paused_by: "ann".to_owned(),
                resumes_at_ms: None,
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
