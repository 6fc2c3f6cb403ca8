//! The nodes: actual and desired state of each.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reading;
use super::queue::LatencyView;
use super::settings::GenerationView;
use crate::registry::LOST_AFTER_MS;

/// `GET /admin/v1/nodes`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodesView {
    /// When this was answered, in milliseconds since 1970.
    pub at_ms: u64,
    /// By role, then by name.
    pub nodes: Vec<NodeView>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// Its name.
    pub id: String,
    /// "api" or "worker".
    pub role: String,
    /// Its process instance: a new one after each start.
    pub boot_id: String,
    /// Its host.
    pub host: String,
    /// Its EC2 instance; null if unknown.
    pub instance_id: Option<String>,
    /// Skilift's version.
    pub version: String,
    /// Its state.
    pub state: NodeState,
    /// What is wrong with it; null if nothing is.
    pub message: Option<String>,
    /// Time since its last heartbeat, in milliseconds.
    pub last_heartbeat_age_ms: u64,
    /// Uptime, in seconds.
    pub uptime_s: u64,
    /// The desired generation; null if none is set.
    pub desired: Option<GenerationView>,
    /// The generation that it runs; null while its command-line flags apply.
    pub actual: Option<GenerationView>,
    /// Its current settings, by name.
    pub settings: std::collections::BTreeMap<String, u64>,
    /// Running worker threads or publisher channels.
    pub threads: u64,
    /// Fraction of time that a worker's threads are busy, from 0 to 1.
    pub busy: Reading<f64>,
    /// Rides/s that it accepted or acknowledged, over the last ten seconds.
    pub rides_per_s: Reading<f64>,
    /// Requests with rides that an API node rejected, per second; 0 of a worker.
    pub rejected_per_s: Reading<f64>,
    /// Unacked messages of a worker; null for an API node.
    pub unacked_messages: Option<u64>,
    /// Rides of an API node whose confirm is outstanding; null for a worker.
    pub in_flight_rides: Option<u64>,
    /// A worker: from acceptance to storage. An API node: duration of POSTs.
    pub latency: LatencyView,
    /// CPU cores used, over the last ten seconds.
    pub cpu_cores: Reading<f64>,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// How far its clock is ahead of the console's, in milliseconds, including transport time.
    pub clock_skew_ms: i64,
}

/// `GET /admin/v1/nodes/{id}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeDetailView {
    /// The node.
    #[serde(flatten)]
    pub node: NodeView,
    /// What happened to it, the newest first; at most the last 50 events.
    pub events: Vec<NodeEvent>,
}

/// A change of a node's process, state or settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeEvent {
    /// When the console saw it, in milliseconds since 1970.
    pub at_ms: u64,
    /// The state since then.
    pub state: NodeState,
    /// What happened.
    pub text: String,
}

impl NodeView {
    /// Whether it is lost or stopped.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.state, NodeState::Lost | NodeState::Stopped)
    }

    /// Whether its state is only the last known: no heartbeat arrived lately, and the console cannot tell whether that is the
    /// node's fault.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        !self.is_gone() && self.last_heartbeat_age_ms >= LOST_AFTER_MS
    }

    /// Unacked messages of a worker, rides in flight of an API node.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        let outstanding = self.unacked_messages.or(self.in_flight_rides);
        outstanding.unwrap_or_default()
    }
}

/// State of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It works without problems.
    Ready,
    /// It works, but with problems.
    Degraded,
    /// It has just started and does not work yet.
    Starting,
    /// It cannot work.
    Unavailable,
    /// Consumption is paused.
    Paused,
    /// It is finishing its messages.
    Draining,
    /// It has finished its messages, and keeps running idle.
    Drained,
    /// Its process ended after a shutdown request.
    Stopped,
    /// No heartbeat for five seconds.
    Lost,
}

impl NodeState {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Ready,
        Self::Degraded,
        Self::Starting,
        Self::Unavailable,
        Self::Paused,
        Self::Draining,
        Self::Drained,
        Self::Stopped,
        Self::Lost,
    ];

    /// The state in one word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Starting => "starting",
            Self::Unavailable => "unavailable",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
        }
    }
}

impl std::fmt::Display for NodeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// A node for tests, in the middle of its work.
#[cfg(test)]
pub(crate) fn sample(role: &str, id: &str) -> NodeView {
    let none = || Reading::unknown("not measured");
    let is_worker = role == "worker";
    NodeView {
        id: id.to_owned(),
        role: role.to_owned(),
        boot_id: "b".to_owned(),
        host: "host".to_owned(),
        instance_id: None,
        version: "0.1.0".to_owned(),
        state: NodeState::Ready,
        message: None,
        last_heartbeat_age_ms: 400,
        uptime_s: 60,
        desired: None,
        actual: None,
        settings: std::collections::BTreeMap::new(),
        threads: 4,
        busy: Reading::unknown("not measured"),
        rides_per_s: Reading::of(1_000.0, 400),
        rejected_per_s: Reading::of(0.0, 400),
        unacked_messages: is_worker.then_some(3),
        in_flight_rides: (!is_worker).then_some(5),
        latency: LatencyView {
            p50: none(),
            p95: none(),
            p99: none(),
        },
        cpu_cores: Reading::of(0.5, 400),
        rss_bytes: 1_048_576,
        clock_skew_ms: 0,
    }
}
