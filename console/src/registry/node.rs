//! A node, as of its last heartbeat.

use skilift_core::control::Heartbeat;
use skilift_core::control::heartbeat::Activity;
use skilift_core::health::Readiness;

use super::window::{Counts, Window};
use crate::view::nodes::NodeState;

/// How long after its start a node may still be starting.
const STARTING_MS: u64 = 10_000;

/// A node, as of its last heartbeat.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) last: Heartbeat,
    /// Time of the last heartbeat, by the console's clock.
    pub(crate) received_at: u64,
    /// How long the heartbeat feed has been disconnected since then.
    pub(super) disconnected_ms: u64,
    /// Heartbeat age at the last check, without times when the feed was disconnected.
    pub(super) without_heartbeat_ms: u64,
    /// How far its clock was ahead then, in milliseconds, including transport time.
    pub(crate) skew_ms: i64,
    /// Its counters over the last seconds.
    pub(crate) window: Window,
    /// Whether its heartbeats stopped without an announced shutdown.
    pub(super) is_lost: bool,
    /// Whether it is known from before the restart of this console, and has not sent a heartbeat since.
    pub(super) is_restored: bool,
}

impl Node {
    /// Whether it is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Whether it announced its shutdown.
    pub(crate) fn has_ended(&self) -> bool {
        self.last.activity == Activity::Stopped
    }

    /// Whether it has stopped or is lost: its last heartbeat is out of date.
    pub(crate) fn is_gone(&self) -> bool {
        self.has_ended() || self.is_lost
    }

    /// Whether it sends heartbeats: not gone, and confirmed since the console started.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_gone() && !self.is_restored
    }

    /// Whether it was known before this console started, and is not confirmed to be running yet.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        self.is_restored && !self.is_gone()
    }

    /// Growth of a counter per second; `None` with fewer than two heartbeats.
    pub(crate) fn per_s(&self, count: impl Fn(&Counts) -> u64) -> Option<f64> {
        self.window.per_s(self.time(), count)
    }

    /// Its share of a rate over the stack; `None` if none of its heartbeats is within the window. `connected_since`: since
    /// when the feed has been connected.
    pub(crate) fn share_per_s(
        &self,
        connected_since: u64,
        count: impl Fn(&Counts) -> u64,
    ) -> Option<f64> {
        self.window.share_per_s(self.time(), connected_since, count)
    }

    /// The time up to which its activity is known, without times when the feed was disconnected.
    pub(super) fn time(&self) -> u64 {
        self.received_at + self.without_heartbeat_ms
    }

    /// Its state.
    pub(crate) fn state(&self) -> NodeState {
        if self.is_lost {
            return NodeState::Lost;
        }
        let ran_ms = self.last.sent_at_ms.saturating_sub(self.last.started_at_ms);
        match (&self.last.activity, self.last.health.status) {
            (Activity::Paused, _) => NodeState::Paused,
            (Activity::Draining { .. }, _) => NodeState::Draining,
            (Activity::Drained { .. }, _) => NodeState::Drained,
            (Activity::Stopped, _) => NodeState::Stopped,
            (Activity::Active, Readiness::Ready) => NodeState::Ready,
            (Activity::Active, Readiness::Degraded) => NodeState::Degraded,
            (Activity::Active, Readiness::Starting) if ran_ms < STARTING_MS => NodeState::Starting,
            (Activity::Active, Readiness::Starting | Readiness::Unavailable) => {
                NodeState::Unavailable
            }
            (Activity::Active, Readiness::Draining) => NodeState::Draining,
        }
    }
}
