//! The nodes: what they shall do beside what they do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reading;
use super::queue::LatencyView;
use super::settings::GenerationView;

/// `GET /admin/v1/nodes`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodesView {
    /// When this was put together, in milliseconds since 1970.
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
    /// Its life.
    pub boot: String,
    /// Its host.
    pub host: String,
    /// Its EC2 instance, where that is known.
    pub instance: Option<String>,
    /// Skilift's version.
    pub version: String,
    /// How it is.
    pub state: NodeState,
    /// What is wrong with it, when something is.
    pub message: Option<String>,
    /// How long ago it was heard, in milliseconds.
    pub heard_ms: u64,
    /// How long it runs, in seconds.
    pub up_s: u64,
    /// The generation that it shall run; null where nobody said anything.
    pub desired: Option<GenerationView>,
    /// The generation that it runs; null while its flags rule.
    pub actual: Option<GenerationView>,
    /// The settings that it runs, by name.
    pub settings: std::collections::BTreeMap<String, u64>,
    /// Lanes that run.
    pub threads: u64,
    /// The part of their time that a worker's lanes are busy, from 0 to 1.
    pub busy: Reading<f64>,
    /// Rides a second that it accepted or acknowledged, over the last ten seconds.
    pub rides_per_s: Reading<f64>,
    /// A worker: messages that it holds. An API node: rides that wait for their confirm.
    pub held: u64,
    /// A worker: from acceptance to storage. An API node: duration of POSTs.
    pub latency: LatencyView,
    /// Cores used, over the last ten seconds.
    pub cpu_cores: Reading<f64>,
    /// Memory that it holds.
    pub rss_bytes: u64,
    /// How far its clock is ahead of the console's, in milliseconds; transport included.
    pub clock_skew_ms: i64,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It works.
    Working,
    /// It works, but not as well as it should.
    Degraded,
    /// It has only just started, and does not work yet.
    Starting,
    /// It cannot work.
    Unavailable,
    /// It was told to pause.
    Paused,
    /// It finishes what it has.
    Draining,
    /// It has finished, and stays.
    Drained,
    /// It ended, as it was asked to.
    Ended,
    /// It was not heard for five seconds.
    Lost,
}
