//! One machine, as it was seen.

use std::fmt;

use crate::SCALED_ROLES;

/// The id of a machine: EC2's, as `i-0123456789abcdef0`, or that of a child process, as `local-worker-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(String);

impl InstanceId {
    /// The id as it is written. Whether there is such a machine is another matter.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A machine of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// What it does, as its tag `skilift:role` says: "api" and "worker" are ours to start and stop, any other is not.
    pub role: String,
    /// What people call it, where it has a name.
    pub name: Option<String>,
    /// Its type, as "c7g.large"; "process" for a child process.
    pub instance_type: String,
    /// Where it stands, as "eu-central-1a"; the host for a child process.
    pub zone: String,
    /// How it is.
    pub state: InstanceState,
    /// Why it is so, where that is told: EC2's `StateReason`, or how a child process ended.
    pub reason: Option<StateReason>,
    /// When it was started last, in milliseconds since 1970.
    pub started_at_ms: Option<u64>,
    /// Its address within the network. It is another one after a start.
    pub address: Option<String>,
    /// Whether it is a Spot instance, whose price is another one each hour.
    pub is_spot: bool,
    /// What keeps it from being started and stopped here, when something does.
    pub obstacle: Option<Obstacle>,
}

impl Instance {
    /// Whether its role is one whose machines are started and stopped.
    #[must_use]
    pub fn is_scaled(&self) -> bool {
        SCALED_ROLES.contains(&self.role.as_str())
    }
}

/// How a machine is (`InstanceState`, of whose code only the low byte counts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstanceState {
    /// It starts.
    Pending,
    /// It runs.
    Running,
    /// It is being removed.
    ShuttingDown,
    /// It is gone for ever.
    Terminated,
    /// It stops.
    Stopping,
    /// It can be started.
    Stopped,
}

impl InstanceState {
    /// The state of one of EC2's codes.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        match code & 0xff {
            0 => Some(Self::Pending),
            16 => Some(Self::Running),
            32 => Some(Self::ShuttingDown),
            48 => Some(Self::Terminated),
            64 => Some(Self::Stopping),
            80 => Some(Self::Stopped),
            _ => None,
        }
    }

    /// Whether it is or is about to be at work.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// Whether there is nothing left of it to start or stop.
    #[must_use]
    pub fn is_gone(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        })
    }
}

/// Why a machine is in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateReason {
    /// For programs, as "Server.InsufficientInstanceCapacity".
    pub code: String,
    /// For people.
    pub message: String,
}

impl fmt::Display for StateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // EC2's messages begin with the code, most of them.
        if self.message.starts_with(&self.code) {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.code, self.message)
        }
    }
}

/// What keeps a machine from being started and stopped here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// It belongs to an Auto Scaling group, which replaces what is stopped.
    AutoScaling {
        /// The group.
        group: String,
    },
    /// A one-time Spot instance: it can be neither stopped nor started.
    OneTimeSpot,
    /// EC2 took a Spot instance back: EC2 alone starts it again.
    InterruptedSpot,
    /// Its root volume is an instance store, which a stop would lose.
    InstanceStore,
    /// It is this very process.
    ThisProcess,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AutoScaling { group } => write!(
                f,
                "it belongs to the Auto Scaling group {group}, which would replace it: change the group's desired capacity, or put \
                 it in standby first"
            ),
            Self::OneTimeSpot => f.write_str(
                "it is a one-time Spot instance, which can be neither stopped nor started: use a persistent request",
            ),
            Self::InterruptedSpot => f.write_str(
                "EC2 took this Spot instance back and alone starts it again, when there is room",
            ),
            Self::InstanceStore => f.write_str(
                "its root volume is an instance store, so that it cannot be stopped",
            ),
            Self::ThisProcess => {
                f.write_str("it is part of skictl up itself, and ends with it")
            }
        }
    }
}
