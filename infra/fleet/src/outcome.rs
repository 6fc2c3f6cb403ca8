//! Outcome of starting or stopping an instance: exactly one for each requested id.

use std::fmt;

use crate::instance::InstanceId;

/// Action on an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Stop => "stop",
        })
    }
}

/// Outcome for one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The instance.
    pub id: InstanceId,
    /// The result, for programs.
    pub code: OutcomeCode,
    /// The result, for people: what happened, and what to do.
    pub message: String,
}

/// Result for an instance. Each has a stable name for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutcomeCode {
    /// It was done and verified.
    Done,
    /// It was already in that state.
    Already,
    /// Its state does not allow it: it is terminated or terminating.
    WrongState,
    /// There is no such instance.
    NotFound,
    /// The given id is not an instance id.
    BadId,
    /// It is not one of this stack's API nodes or workers.
    NotOurs,
    /// An [`Obstacle`](crate::instance::Obstacle) prevents it.
    Obstacle,
    /// It has stop protection.
    Protected,
    /// The caller has no permission.
    Denied,
    /// Credentials are missing, invalid or expired.
    Credentials,
    /// EC2 has no capacity for it now.
    NoCapacity,
    /// The account's quota is reached.
    Quota,
    /// Throttled: too many requests.
    Throttled,
    /// It began to start, then stopped again.
    FellBack,
    /// It was accepted, but not confirmed in time.
    TimedOut,
    /// The API is unreachable, so the result is unknown.
    Unreachable,
    /// Refused for another reason.
    Refused,
}

impl OutcomeCode {
    /// Whether the requested state was reached.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Done | Self::Already)
    }
}

/// Why instances cannot be listed, started or stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FleetError {
    /// The kind of error.
    pub code: OutcomeCode,
    /// What happened, and what to do.
    pub message: String,
}
