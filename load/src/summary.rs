//! What a run came to, in one value. Its JSON form is stable and described in `docs/load.md`.

use serde::Serialize;

use crate::verify::Verification;

/// A run as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The server, as a URL.
    pub target: String,
    /// The seed; the same one repeats the run.
    pub seed: u64,
    /// What set the pace.
    pub pace: PaceKind,
    /// Connections that it might use, each with one request at a time.
    pub connections: usize,
    /// How it ended.
    pub ended: Ended,
    /// From the first moment at which a request might be sent to the last answer, in seconds.
    pub elapsed_s: f64,
    /// Requests.
    pub requests: Requests,
    /// Rides in them.
    pub rides: Rides,
    /// Failed requests as a share of those that ended, 0 to 1; none when none ended.
    pub failed_share: Option<f64>,
    /// Requests that succeeded, a second; none when no time passed.
    pub throughput_per_s: Option<f64>,
    /// Rides that were accepted, a second.
    pub accepted_rides_per_s: Option<f64>,
    /// Latency of the requests that succeeded: in an open loop from the intended start, in a closed one from the send.
    pub latency: Option<Latency>,
    /// In an open loop, latency from the send: what it would look like if only the server's own time counted.
    pub latency_from_send: Option<Latency>,
    /// In an open loop, how much later than intended requests were sent.
    pub send_lateness: Option<Latency>,
    /// The circuit breaker, where there was one.
    pub breaker: Option<BreakerFigures>,
    /// Tries that went wrong, by kind, the most frequent first.
    pub errors: Vec<ErrorGroup>,
    /// What became of the rides, where that was asked for and could be done.
    pub verify: Option<Verification>,
}

/// What set the pace of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaceKind {
    /// Each sender waited for its answer.
    ClosedLoop,
    /// A schedule.
    OpenLoop,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// As it was meant to.
    Complete,
    /// It was asked to stop.
    Interrupted,
    /// The target gave no answer any more.
    TargetLost,
    /// There were no distinct rides left before its time was over.
    RidesUsedUp,
}

/// Counts of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Whose first try was sent.
    pub sent: u64,
    /// That ended well.
    pub succeeded: u64,
    /// That were given up.
    pub failed: u64,
    /// Tries after the first.
    pub retried: u64,
    /// Times that the circuit breaker refused a sender.
    pub held_back: u64,
    /// That were meant to be sent and were not.
    pub unsent: u64,
    /// Questions among those sent.
    pub reads: u64,
}

/// Counts of rides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rides {
    /// That left for the server at least once.
    pub sent: u64,
    /// That the server has said are safe.
    pub accepted: u64,
    /// That the server has refused.
    pub refused: u64,
    /// That may be there or not: no answer, or one that does not tell.
    pub unknown: u64,
}

/// The shape of many durations, in milliseconds, to three digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// The mean.
    pub mean_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// Half took no longer.
    pub p50_ms: f64,
    /// 95 % took no longer.
    pub p95_ms: f64,
    /// 99 % took no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// What the circuit breaker did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BreakerFigures {
    /// How often it opened.
    pub opens: u64,
    /// How long it was open, in seconds.
    pub open_s: f64,
}

/// Tries that went wrong in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorGroup {
    /// The way.
    pub kind: String,
    /// How many tries.
    pub count: u64,
    /// What the first of them said.
    pub example: String,
}
