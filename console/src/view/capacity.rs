//! Capacity: how many nodes a load needs, by a sweep.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /admin/v1/capacity`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CapacityView {
    /// The sweep that it is computed from.
    pub sweep: String,
    /// Rides per second, on average.
    pub rate_per_s: f64,
    /// How many times as many arrive at the peak.
    pub peak: f64,
    /// Rides per second at the peak.
    pub peak_per_s: f64,
    /// Largest 99th percentile from acceptance to storage, in milliseconds.
    pub p99_ms: f64,
    /// What meets it, best first; empty if nothing does.
    pub options: Vec<CapacityOption>,
    /// Notes on these figures, and why other settings are not listed.
    pub notes: Vec<String>,
}

/// Nodes and settings for a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CapacityOption {
    /// Workers.
    pub workers: u32,
    /// Threads of each worker.
    pub threads: u32,
    /// Maximum rides in a batch.
    pub batch: u32,
    /// API nodes; null if their use of CPU is unknown.
    pub api: Option<u32>,
    /// Type of the workers' instances, if they are alike.
    pub instance_type: Option<String>,
    /// Rides per second that the workers can store.
    pub saturation_per_s: f64,
    /// The highest utilisation of workers at which the sweep met the latency, 0 to 1.
    pub max_utilisation: f64,
    /// Rides per second that they store within the latency.
    pub capacity_per_s: f64,
    /// What is left at the peak: 0.25 is a quarter more than arrives.
    pub margin: f64,
    /// With one worker less.
    pub with_one_worker_less: OneWorkerLess,
    /// Cost of all instances, in US dollars per hour; null if a price is unknown.
    pub usd_per_h: Option<f64>,
    /// Cost per million stored rides at the average rate, in US dollars.
    pub usd_per_million: Option<f64>,
    /// Whether so many workers were measured; otherwise the number of rides that they store is estimated.
    pub is_measured: bool,
}

/// What is left without one worker.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OneWorkerLess {
    /// Rides per second that the others store within the latency.
    pub capacity_per_s: f64,
    /// Rides per second that they can store at all: as long as this is above what arrives, no backlog builds up.
    pub saturation_per_s: f64,
    /// Whether they store the peak within the latency.
    pub is_enough: bool,
    /// Whether they store the peak at all.
    pub keeps_up: bool,
}
