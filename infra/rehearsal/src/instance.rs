//! One instance, as its user describes it.

use std::collections::BTreeMap;

/// An instance of an [`Ec2Stub`](super::Ec2Stub).
///
/// A user writes down what matters: `Ec2Instance { zone: "eu-central-1b".to_owned(), ..Ec2Instance::new(id, state) }`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ec2Instance {
    /// `i-` and 8 to 17 lower-case hexadecimal digits.
    pub id: String,
    /// Its tags. With `aws:autoscaling:groupName` it behaves as a member of such a group: some time after it was stopped it is
    /// terminated.
    pub tags: BTreeMap<String, String>,
    /// As "c7g.large".
    pub instance_type: String,
    /// Its availability zone, as "eu-central-1a".
    pub zone: String,
    /// How it is now.
    pub state: Ec2State,
    /// The code of its `StateReason`, as "Client.UserInitiatedShutdown".
    pub state_reason: Option<String>,
    /// Its Spot request, when it has one.
    pub spot: Option<Ec2Spot>,
    /// Whether its root device is an instance store, so that it cannot be stopped.
    pub instance_store: bool,
    /// Whether `disableApiStop` is set.
    pub stop_protected: bool,
    /// Whether its status checks fail while it runs.
    pub impaired: bool,
}

impl Ec2Instance {
    /// An instance without tags, on demand, of type c7g.large in eu-central-1a.
    #[must_use]
    pub fn new(id: impl Into<String>, state: Ec2State) -> Self {
        Self {
            id: id.into(),
            tags: BTreeMap::new(),
            instance_type: "c7g.large".to_owned(),
            zone: "eu-central-1a".to_owned(),
            state,
            state_reason: None,
            spot: None,
            instance_store: false,
            stop_protected: false,
            impaired: false,
        }
    }

    /// With a tag more.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    pub(super) fn in_auto_scaling_group(&self) -> bool {
        self.tags.contains_key("aws:autoscaling:groupName")
    }
}

/// The state of an instance (`InstanceState`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ec2State {
    /// It starts.
    Pending,
    /// It runs.
    Running,
    /// It is being removed.
    ShuttingDown,
    /// It is gone permanently, but is still described.
    Terminated,
    /// It stops.
    Stopping,
    /// It can be started.
    Stopped,
}

impl Ec2State {
    /// The state that EC2 calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Pending,
            Self::Running,
            Self::ShuttingDown,
            Self::Terminated,
            Self::Stopping,
            Self::Stopped,
        ];
        all.into_iter().find(|state| state.name() == name)
    }

    /// As EC2 writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// EC2's number for it.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }
}

/// What kind of Spot request an instance belongs to. A describe of instances does not tell
/// them apart; one of the requests does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ec2Spot {
    /// It can be stopped, and started again once its request has noticed.
    Persistent,
    /// It cannot be stopped.
    OneTime,
    /// Persistent, and EC2 took it back: EC2 alone starts it again. It is stopped with the reason `Server.SpotInstanceShutdown`,
    /// unless its user gives another.
    Interrupted,
}
