//! What happened in each second of a run.

use serde::{Deserialize, Serialize};

/// A run, second by second, without gaps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The seconds in order, from 0.
    pub seconds: Vec<Second>,
}

/// One second of a run. A request counts in the second in which it ended, a try or a refusal in the one in which it happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Whole seconds since the start.
    pub at_s: u32,
    /// Requests that the run meant to send in this second; `None` in a closed loop, which sends as fast as it can.
    pub intended: Option<u64>,
    /// Requests whose first try was sent.
    pub sent: u64,
    /// Requests that ended well.
    pub succeeded: u64,
    /// Requests that were given up.
    pub failed: u64,
    /// Tries after the first.
    pub retried: u64,
    /// Times that the circuit breaker refused a sender.
    pub held_back: u64,
    /// Share of the second, 0 to 1, in which the circuit breaker was open; `None` without one.
    pub breaker_open_share: Option<f64>,
    /// Latency of the requests that ended well; `None` when none did.
    pub latency: Option<Quantiles>,
    /// Rides that waited in the server's queue; `None` when the server does not say.
    pub backlog_rides: Option<f64>,
}

/// The shape of a second's latencies, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half took no longer.
    pub p50_ms: f64,
    /// 95 % took no longer.
    pub p95_ms: f64,
    /// 99 % took no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}
