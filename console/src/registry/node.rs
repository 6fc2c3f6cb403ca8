//! A node, as it was heard last.

use skilift_core::control::Heartbeat;
use skilift_core::control::heartbeat::Activity;
use skilift_core::health::Readiness;

use super::window::{Counts, Window};
use crate::view::nodes::NodeState;

/// So long after its start a node may be busy with starting.
const STARTING_MS: u64 = 10_000;

/// A node, as it was heard last.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) last: Heartbeat,
    /// When, by the console's clock.
    pub(crate) heard_at: u64,
    /// For how long nobody could be heard since then.
    pub(super) deaf_ms: u64,
    /// How long it was silent at the last look, while it could have been heard.
    pub(super) silent_ms: u64,
    /// How far its clock was ahead then, in milliseconds; transport included.
    pub(crate) skew_ms: i64,
    /// What it counted over the last seconds.
    pub(crate) window: Window,
    /// Whether it was noticed that it is silent without having said that it ends.
    pub(super) is_lost: bool,
    /// Whether it was heard by an earlier life of this console, and not yet by this one.
    pub(super) is_remembered: bool,
}

impl Node {
    /// Whether it is not heard any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Whether it said that its process ends.
    pub(crate) fn has_ended(&self) -> bool {
        self.last.activity == Activity::Ended
    }

    /// Whether it has ended or is lost: what it said last says nothing about now.
    pub(crate) fn is_gone(&self) -> bool {
        self.has_ended() || self.is_lost
    }

    /// Whether it is heard: not gone, and not only remembered.
    pub(crate) fn is_heard(&self) -> bool {
        !self.is_gone() && !self.is_remembered
    }

    /// Whether it was heard before this console started, and it is not known yet whether it still is there.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_remembered && !self.is_gone()
    }

    /// How much a count of it grows each second; `None` while fewer than two heartbeats were heard.
    pub(crate) fn per_s(&self, count: impl Fn(&Counts) -> u64) -> Option<f64> {
        self.window.per_s(self.time(), count)
    }

    /// What it adds to the sum of a rate over the stack; `None` where nothing of it is within the last seconds.
    /// `hearing_since` is from when on it would have been heard.
    pub(crate) fn share_per_s(
        &self,
        hearing_since: u64,
        count: impl Fn(&Counts) -> u64,
    ) -> Option<f64> {
        self.window.share_per_s(self.time(), hearing_since, count)
    }

    /// The time up to which it is known what it did, the time in which nobody could be heard left out.
    pub(super) fn time(&self) -> u64 {
        self.heard_at + self.silent_ms
    }

    /// How it is.
    pub(crate) fn state(&self) -> NodeState {
        if self.is_lost {
            return NodeState::Lost;
        }
        let ran_ms = self.last.sent_at_ms.saturating_sub(self.last.started_at_ms);
        match (&self.last.activity, self.last.health.status) {
            (Activity::Paused, _) => NodeState::Paused,
            (Activity::Draining { .. }, _) => NodeState::Draining,
            (Activity::Drained { .. }, _) => NodeState::Drained,
            (Activity::Ended, _) => NodeState::Ended,
            (Activity::Working, Readiness::Ready) => NodeState::Working,
            (Activity::Working, Readiness::Degraded) => NodeState::Degraded,
            (Activity::Working, Readiness::Starting) if ran_ms < STARTING_MS => NodeState::Starting,
            (Activity::Working, Readiness::Starting | Readiness::Unavailable) => {
                NodeState::Unavailable
            }
            (Activity::Working, Readiness::Draining) => NodeState::Draining,
        }
    }
}
