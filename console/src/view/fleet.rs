//! The instances that nodes run on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /admin/v1/fleet`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetView {
    /// When this was collected, in milliseconds since 1970.
    pub at_ms: u64,
    /// Kind of fleet: "ec2", "local" (child processes), or "none".
    pub kind: String,
    /// The region; null if unknown.
    pub region: Option<String>,
    /// Age of the list, in milliseconds; null if it was never read.
    pub age_ms: Option<u64>,
    /// Why the current list is unknown; `instances` is then the last known list.
    pub error: Option<String>,
    /// Current and permitted numbers per role.
    pub roles: Vec<FleetRoleView>,
    /// Sorted by role, zone and id.
    pub instances: Vec<InstanceView>,
    /// The plan that is starting or stopping instances now.
    pub plan: Option<String>,
}

/// Current and permitted numbers of instances of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetRoleView {
    /// "api" or "worker".
    pub role: String,
    /// Number running or starting; null if never listed.
    pub running: Option<u64>,
    /// Number stopped that can be started; null if never listed.
    pub stopped: Option<u64>,
    /// Configured minimum.
    pub min: u64,
    /// Configured maximum.
    pub max: u64,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    /// Its id.
    pub id: String,
    /// Its role: "api", "worker", or another value of its tag.
    pub role: String,
    /// Its name tag.
    pub name: Option<String>,
    /// Its type, for example "c7g.large"; "process" for a child process.
    pub instance_type: String,
    /// Its availability zone.
    pub zone: String,
    /// "pending", "running", "stopping", "stopped", "shutting-down" or "terminated".
    pub state: String,
    /// Reason of the state; null if none is given.
    pub reason: Option<String>,
    /// When it was last started, in milliseconds since 1970.
    pub started_at_ms: Option<u64>,
    /// Its private IP address.
    pub address: Option<String>,
    /// Price while it runs, in USD per hour.
    pub usd_per_h: Option<f64>,
    /// Why the price is unknown; null if it is known.
    pub price_error: Option<String>,
    /// Nodes on it that send heartbeats.
    pub nodes: Vec<String>,
    /// Why it cannot be started or stopped here; null if it can.
    pub obstacle: Option<String>,
}
