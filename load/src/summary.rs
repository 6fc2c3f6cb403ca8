//! Summary of a run. Its JSON form is stable and documented in `docs/load.md`.

use serde::Serialize;

use crate::verify::Verification;

/// A run as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The server, as a URL.
    pub target: String,
    /// The seed; the same one repeats the run.
    pub seed: u64,
    /// The pace.
    pub pace: PaceKind,
    /// Maximum number of connections, each with one request at a time.
    pub connections: usize,
    /// How it ended.
    pub ended: Ended,
    /// Time from the start to the last response, in seconds.
    pub elapsed_s: f64,
    /// Requests.
    pub requests: Requests,
    /// Rides in them.
    pub rides: Rides,
    /// Share of failed requests among the finished ones, 0 to 1; none if none finished.
    pub failed_share: Option<f64>,
    /// Successful requests per second; none if no time passed.
    pub throughput_per_s: Option<f64>,
    /// Accepted rides per second.
    pub accepted_rides_per_s: Option<f64>,
    /// Latency of successful requests: in an open loop from the intended start, in a closed one from the send.
    pub latency: Option<Latency>,
    /// The same of the posts.
    pub latency_of_posts: Option<Latency>,
    /// The same of the reads.
    pub latency_of_reads: Option<Latency>,
    /// In an open loop, latency from the send, which ignores the lateness of the send.
    pub latency_from_send: Option<Latency>,
    /// In an open loop, delay of the send after the intended start.
    pub send_lateness: Option<Latency>,
    /// Statistics of the circuit breaker, if there was one.
    pub breaker: Option<BreakerFigures>,
    /// Failed attempts by kind, most frequent first.
    pub errors: Vec<ErrorGroup>,
    /// Result of the verification, if it was requested and possible.
    pub verify: Option<Verification>,
}

/// Pace of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaceKind {
    /// Each sender waited for its response.
    ClosedLoop,
    /// A schedule.
    OpenLoop,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Completely.
    Complete,
    /// Stopped early.
    Interrupted,
    /// The target stopped responding.
    TargetLost,
    /// There were no distinct rides left before its time was over.
    RidesUsedUp,
}

/// Counts of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
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
    /// Intended but unsent requests.
    pub unsent: u64,
    /// Reads among the sent requests.
    pub reads: u64,
}

/// Counts of rides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rides {
    /// Rides that were sent at least once.
    pub sent: u64,
    /// Rides that the server confirmed.
    pub accepted: u64,
    /// Rides that the server rejected.
    pub refused: u64,
    /// Rides that may or may not be stored: no response, or an unclear one.
    pub unknown: u64,
}

/// Distribution of durations, in milliseconds, to three digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// The mean.
    pub mean_ms: f64,
    /// The minimum.
    pub min_ms: f64,
    /// The median.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The 99.9th percentile.
    pub p999_ms: f64,
    /// The maximum.
    pub max_ms: f64,
}

/// Statistics of the circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BreakerFigures {
    /// Number of times that it opened.
    pub opens: u64,
    /// Total time open, in seconds.
    pub open_s: f64,
}

/// Failed attempts of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorGroup {
    /// The kind.
    pub kind: String,
    /// Number of attempts.
    pub count: u64,
    /// Message of the first one.
    pub example: String,
}
