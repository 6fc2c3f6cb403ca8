//! A node, as of its last heartbeat.

use skilift_core::control::heartbeat::Activity;
use skilift_core::control::{BootId, Heartbeat};
use skilift_core::health::Readiness;

use super::window::{Counts, Window};
use crate::view::nodes::NodeState;

/// How long after its start a node may still be starting.
const STARTING_MS: u64 = 10_000;
/// After this time without a heartbeat, a boot with an earlier start time is accepted as a restart: the clock of the node
/// was changed.
pub(super) const REPLACED_AFTER_MS: u64 = 2_000;
/// A live node without a heartbeat for this long is silent: what it did since is unknown.
const SILENT_AFTER_MS: u64 = 2_000;
/// How long a rival counts after its last heartbeat.
const RIVAL_MS: u64 = 10_000;

/// A node, as of its last heartbeat.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) last: Heartbeat,
    /// Time of the last heartbeat, by the console's clock.
    pub(crate) received_at: u64,
    /// How long at the last check the feed had been connected, without a gap, and brought no heartbeat of it.
    pub(super) without_heartbeat_ms: u64,
    /// How far its clock was ahead then, in milliseconds, including transport time.
    pub(crate) skew_ms: i64,
    /// Its counters over the last seconds.
    pub(crate) window: Window,
    /// Whether its heartbeats stopped without an announced shutdown.
    pub(super) is_lost: bool,
    /// Whether the queue has not closed all its consumers since its last heartbeat.
    pub(super) may_hold: bool,
    /// An older process that goes on to send heartbeats under the same name.
    pub(super) rival: Option<Rival>,
}

/// A process with the name of another one: on another host of that name, since no two share a port on one host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rival {
    pub(super) boot: BootId,
    /// Times of its first and its last heartbeat beside the other's.
    pub(super) first_at: u64,
    pub(super) last_at: u64,
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

    /// Whether it sends heartbeats: not gone, and heard since the console started.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_gone() && !self.window.is_empty()
    }

    /// Whether its heartbeats stopped and the queue may still have messages delivered to it.
    pub(crate) fn is_unheard(&self) -> bool {
        self.is_silent() && self.may_hold && !self.has_ended()
    }

    /// Whether its heartbeats have stopped, be it for a moment.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_lost || self.without_heartbeat_ms >= SILENT_AFTER_MS
    }

    /// Whether it was known before this console started, and is not confirmed to be running yet.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        self.window.is_empty() && !self.is_gone()
    }

    /// Notes a heartbeat of an older process under the same name.
    pub(super) fn note_rival(&mut self, boot: BootId, now: u64) {
        let known = self.rival.filter(|rival| rival.boot == boot);
        self.rival = Some(Rival {
            boot,
            first_at: known.map_or(now, |rival| rival.first_at),
            last_at: now,
        });
    }

    /// Whether another process has sent heartbeats under its name lately, for longer than a late heartbeat takes.
    pub(crate) fn has_rival(&self, now: u64) -> bool {
        self.rival.is_some_and(|rival| {
            rival.last_at - rival.first_at >= REPLACED_AFTER_MS
                && now.saturating_sub(rival.last_at) < RIVAL_MS
        })
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

    /// The time up to which its activity is known.
    pub(super) fn time(&self) -> u64 {
        self.received_at + self.without_heartbeat_ms
    }

    /// Whether it was asked to drain.
    pub(crate) fn is_drained(&self) -> bool {
        matches!(self.state(), NodeState::Draining | NodeState::Drained)
    }

    /// Whether it does its work, or would if consumption were not paused.
    pub(crate) fn works(&self) -> bool {
        matches!(
            self.state(),
            NodeState::Ready | NodeState::Degraded | NodeState::Paused
        )
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
            (Activity::Active, Readiness::Starting | Readiness::Unavailable)
                if ran_ms < STARTING_MS =>
            {
                NodeState::Starting
            }
            (Activity::Active, Readiness::Starting | Readiness::Unavailable) => {
                NodeState::Unavailable
            }
            (Activity::Active, Readiness::Draining) => NodeState::Draining,
        }
    }
}
