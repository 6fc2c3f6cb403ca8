//! The seconds of a run.

use serde::{Deserialize, Serialize};

/// The seconds of a run, without gaps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The seconds in order, from 0.
    pub seconds: Vec<Second>,
}

/// One second of a run; a request counts in the second in which it ended, an attempt or a rejection when it occurred.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Whole seconds since the start.
    pub at_s: u32,
    /// Intended requests of this second; `None` in a closed loop, which sends as fast as possible.
    pub intended: Option<u64>,
    /// Requests whose first attempt was sent.
    pub sent: u64,
    /// Successful requests.
    pub succeeded: u64,
    /// Failed requests.
    pub failed: u64,
    /// Retries.
    pub retried: u64,
    /// Number of times that the circuit breaker rejected a sender.
    pub held_back: u64,
    /// Share of the second, 0 to 1, in which the circuit breaker was open; `None` without one.
    pub breaker_open_share: Option<f64>,
    /// Latency of the successful requests; `None` if there were none.
    pub latency: Option<Quantiles>,
    /// Backlog of the server; `None` if it is not reported.
    pub backlog_rides: Option<f64>,
}

/// Distribution of a second's latencies, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The median.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The maximum.
    pub max_ms: f64,
}
