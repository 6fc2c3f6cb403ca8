//! The machines that nodes run on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /admin/v1/fleet`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetView {
    /// When this was put together, in milliseconds since 1970.
    pub at_ms: u64,
    /// What kind of machines they are: "ec2", "local" (child processes), or "none".
    pub kind: String,
    /// The region, where it is known.
    pub region: Option<String>,
    /// How long ago they were listed, in milliseconds; null when they never were.
    pub age_ms: Option<u64>,
    /// Why they are not known as they are now, where they are not; `instances` is then what was listed last.
    pub unknown: Option<String>,
    /// How many of each role there are and may be.
    pub roles: Vec<FleetRoleView>,
    /// By role, zone and id.
    pub instances: Vec<InstanceView>,
    /// The plan that starts or stops some of them now.
    pub plan: Option<String>,
}

/// How many machines of a role there are and may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetRoleView {
    /// "api" or "worker".
    pub role: String,
    /// How many run or start; null while they were never listed.
    pub up: Option<u64>,
    /// How many are stopped and could be started, likewise.
    pub stopped: Option<u64>,
    /// The least that shall run.
    pub min: u64,
    /// The most that may run.
    pub max: u64,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    /// Its id.
    pub id: String,
    /// What it does: "api", "worker", or what else its tag says.
    pub role: String,
    /// What people call it.
    pub name: Option<String>,
    /// Its type, as "c7g.large"; "process" for a child process.
    pub instance_type: String,
    /// Where it stands.
    pub zone: String,
    /// "pending", "running", "stopping", "stopped", "shutting-down" or "terminated".
    pub state: String,
    /// Why it is so, where that is told.
    pub reason: Option<String>,
    /// When it was started last, in milliseconds since 1970.
    pub started_at_ms: Option<u64>,
    /// Its address within the network.
    pub address: Option<String>,
    /// What it costs while it runs, in USD an hour.
    pub usd_per_h: Option<f64>,
    /// Why that is not known, where it is not.
    pub price_unknown: Option<String>,
    /// The nodes that run on it and are heard.
    pub nodes: Vec<String>,
    /// What keeps it from being started and stopped here.
    pub obstacle: Option<String>,
}
