//! What a sweep measures.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /admin/v1/tuning`, and the file of `skictl tune run --file`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SweepSpec {
    /// The configurations to measure.
    pub space: SweepSpace,
    /// The load under which they are measured.
    pub load: SweepLoad,
    /// What a configuration must do.
    pub objective: SweepObjective,
    /// The sweep stops when its instances have cost this much, in US dollars.
    pub max_usd: Option<f64>,
    /// Measurements of each point, 1 to 10.
    pub repeats: u32,
    /// How long the load runs before a measurement, in seconds, 1 to 600.
    pub warm_up_s: u32,
    /// Length of a measurement, in seconds, 5 to 3600.
    pub measure_s: u32,
    /// How long the backlog may take to empty before and after a measurement, in seconds, 5 to 3600.
    pub drain_timeout_s: u32,
    /// Seed of the order of the measurements; null for a random one.
    pub seed: Option<u64>,
    /// Whether the recommended point is applied at the end. Otherwise the settings and instances of before are restored.
    pub apply: bool,
}

impl Default for SweepSpec {
    fn default() -> Self {
        Self {
            space: SweepSpace::default(),
            load: SweepLoad::default(),
            objective: SweepObjective::default(),
            max_usd: None,
            repeats: 3,
            warm_up_s: 5,
            measure_s: 20,
            drain_timeout_s: 60,
            seed: None,
            apply: false,
        }
    }
}

/// The values of each dimension. An empty list stands for the current value. Prefetch follows the batch: four batches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SweepSpace {
    /// EC2 instance types of the workers. Empty: workers of any type, as `skictl scale` chooses them. Else each point runs on workers
    /// of one type, of which the stack must have enough.
    pub worker_types: Vec<String>,
    /// Numbers of API nodes.
    pub api: Vec<u32>,
    /// Numbers of workers.
    pub workers: Vec<u32>,
    /// Threads of each worker.
    pub threads: Vec<u32>,
    /// Maximum rides in a batch.
    pub batch: Vec<u32>,
}

/// The load: options of `skictl load`, by which it is sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SweepLoad {
    /// URL of the API; null for the console's own.
    pub target: Option<String>,
    /// Requests per second; null for a closed loop, as many as are answered.
    pub rate: Option<f64>,
    /// Connections.
    pub threads: Option<u32>,
    /// Rides per request; null for one, posted to its skier's day.
    pub bulk: Option<u32>,
    /// Share of reads among the requests, 0 to 1.
    pub reads: Option<f64>,
    /// Resorts: N, or A-B.
    pub resorts: Option<String>,
    /// Season.
    pub season: Option<u32>,
    /// Days of the season: N, or A-B.
    pub days: Option<String>,
    /// Skiers: N, or A-B.
    pub skiers: Option<String>,
    /// Rides and reads in an interval above which the circuit breaker opens.
    pub breaker_open: Option<u64>,
    /// Rides and reads in an interval below which it closes.
    pub breaker_close: Option<u64>,
}

/// What a configuration must do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SweepObjective {
    /// Largest 99th percentile of the latency, in milliseconds.
    pub p99_ms: Option<f64>,
    /// The latency.
    pub latency: SweepLatency,
    /// Least rides stored per second; reads per second if the load has only reads.
    pub min_rate: Option<f64>,
    /// Largest cost of the instances, in US dollars per hour.
    pub max_usd_per_h: Option<f64>,
}

/// A latency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepLatency {
    /// From the acceptance of a ride until it is stored.
    #[default]
    AcceptToStored,
    /// Of a request: POSTs of a ride in the API nodes; reads, if the load has only reads, in the load process.
    Request,
}

impl SweepLatency {
    /// Its name in texts.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AcceptToStored => "accept to stored, p99",
            Self::Request => "request, p99",
        }
    }
}
