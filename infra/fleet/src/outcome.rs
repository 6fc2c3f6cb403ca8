//! What came of starting or stopping a machine: exactly one outcome for each that was asked for.

use std::fmt;

use crate::instance::InstanceId;

/// What is done to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Have it run.
    Start,
    /// Have it stopped.
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

/// What came of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The machine.
    pub id: InstanceId,
    /// What came of it, for programs.
    pub code: OutcomeCode,
    /// What came of it, for people: what happened, and what to do.
    pub message: String,
}

/// What came of a machine. Each has its own text in scripts, which stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutcomeCode {
    /// It was done, and is seen to be so.
    Done,
    /// It was so before.
    Already,
    /// Its state allows it no more: it is gone, or on its way to be.
    WrongState,
    /// There is no such machine.
    NotFound,
    /// What was asked for is no id.
    BadId,
    /// It is not one of this stack's API nodes or workers.
    NotOurs,
    /// An [`Obstacle`](crate::instance::Obstacle) is in the way.
    Obstacle,
    /// It is protected from being stopped.
    Protected,
    /// Whoever asks may not.
    Denied,
    /// Who asks is not known: credentials are missing, wrong or too old.
    Credentials,
    /// There is no room for it now.
    NoCapacity,
    /// The account's limit is reached.
    Quota,
    /// Asked too often, and not answered in time.
    Throttled,
    /// It began to start, and fell back.
    FellBack,
    /// It was accepted, and not seen to be so in time.
    TimedOut,
    /// Nobody answers, so that it is not known.
    Unreachable,
    /// Refused for another reason.
    Refused,
}

impl OutcomeCode {
    /// Whether it is as it was to be.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Done | Self::Already)
    }
}

/// Why the machines cannot be listed, or nothing be asked of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FleetError {
    /// Of what kind it is.
    pub code: OutcomeCode,
    /// What happened, and what to do.
    pub message: String,
}
