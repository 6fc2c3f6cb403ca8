//! One instance, as listed.

use std::fmt;

use crate::SCALED_ROLES;

/// The id of an instance: of EC2, such as `i-0123456789abcdef0`, or of a child process, such as `local-worker-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(String);

impl InstanceId {
    /// An id, which is not checked for existence.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
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

/// An instance of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its role, from its tag `skilift:role`: only "api" and "worker" can be started and stopped.
    pub role: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its type, for example "c7g.large"; "process" for a child process.
    pub instance_type: String,
    /// Its zone, for example "eu-central-1a"; the host for a child process.
    pub zone: String,
    /// Its state.
    pub state: InstanceState,
    /// Reason of the state, if given: EC2's `StateReason`, or how a child process ended.
    pub reason: Option<StateReason>,
    /// When it was last started, in milliseconds since 1970.
    pub started_at_ms: Option<u64>,
    /// Its private IP address. It may change after a start.
    pub address: Option<String>,
    /// Whether it is a Spot instance, whose price varies.
    pub is_spot: bool,
    /// Why it cannot be started or stopped here, if so.
    pub obstacle: Option<Obstacle>,
}

impl Instance {
    /// Whether its role can be started and stopped.
    #[must_use]
    pub fn is_scaled(&self) -> bool {
        SCALED_ROLES.contains(&self.role.as_str())
    }
}

/// Code of the [reason](Instance::reason) of a child process that ended too often to be started again.
pub const GIVEN_UP: &str = "given up";

/// State of an instance (`InstanceState`, of whose code only the low byte is used).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstanceState {
    /// It is starting.
    Pending,
    /// It is running.
    Running,
    /// It is being removed.
    ShuttingDown,
    /// It is terminated.
    Terminated,
    /// It is stopping.
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

    /// Whether it is running or starting.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// Whether it is terminated or terminating.
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

/// Why an instance is in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateReason {
    /// For programs, for example "Server.InsufficientInstanceCapacity".
    pub code: String,
    /// For people.
    pub message: String,
}

impl fmt::Display for StateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Most messages of EC2 start with the code.
        if self.message.starts_with(&self.code) {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.code, self.message)
        }
    }
}

/// Why an instance cannot be started or stopped here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// It belongs to an Auto Scaling group, which replaces what is stopped.
    AutoScaling {
        /// The group.
        group: String,
    },
    /// A one-time Spot instance: it cannot be stopped or started.
    OneTimeSpot,
    /// EC2 interrupted a Spot instance: only EC2 can restart it.
    InterruptedSpot,
    /// Its root volume is an instance store, which a stop would lose.
    InstanceStore,
    /// It runs inside this process.
    ThisProcess,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AutoScaling { group } => write!(
                f,
                "it belongs to the Auto Scaling group {group}, which would replace it; change the group's desired capacity, or put it in standby first"
            ),
            Self::OneTimeSpot => f.write_str(
                "it is a one-time Spot instance, which cannot be stopped or started; use a persistent request",
            ),
            Self::InterruptedSpot => f.write_str(
                "EC2 interrupted this Spot instance, and only EC2 can restart it when capacity is available",
            ),
            Self::InstanceStore => f.write_str(
                "its root volume is an instance store, so it cannot be stopped",
            ),
            Self::ThisProcess => {
                f.write_str("it runs inside the skictl up process and stops with it")
            }
        }
    }
}
