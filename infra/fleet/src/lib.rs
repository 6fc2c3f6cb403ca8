//! The instances that nodes run on, behind one trait ([`Fleet`]): [child processes](local) on one host here, EC2 instances
//! in the crate `skilift-ec2`.
//!
//! [`Fleet`] lists, starts and stops instances. Draining a node before its instance is stopped, and choosing the instance,
//! is the task of the console.

pub mod instance;
pub mod local;
pub mod outcome;

use async_trait::async_trait;

use crate::instance::{Instance, InstanceId};
use crate::outcome::{FleetError, Outcome, Verb};

/// The roles whose instances can be started and stopped: never the broker, the store or the console.
pub const SCALED_ROLES: [&str; 2] = ["api", "worker"];

/// Callback for the progress of each instance.
pub type Progress<'a> = &'a (dyn Fn(&InstanceId, String) + Send + Sync);

/// The instances of a stack.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// The kind of instances.
    fn kind(&self) -> FleetKind;

    /// All instances of the stack, of any role, sorted by role, zone and id. Terminated ones are left out.
    ///
    /// # Errors
    /// If they cannot be listed.
    async fn list(&self) -> Result<Vec<Instance>, FleetError>;

    /// Checks whether starting or stopping these would be permitted. It checks permissions only.
    ///
    /// # Errors
    /// If it would be denied, or the API is unreachable.
    async fn preflight(&self, verb: Verb, ids: &[InstanceId]) -> Result<(), FleetError>;

    /// Starts instances, and waits until they run and are healthy. Returns exactly one outcome for each id, in the order of
    /// `ids`.
    async fn start(&self, ids: &[InstanceId], progress: Progress<'_>) -> Vec<Outcome>;

    /// Stops instances, and waits until they are stopped. Returns exactly one outcome for each id, in the order of `ids`.
    async fn stop(&self, ids: &[InstanceId], progress: Progress<'_>) -> Vec<Outcome>;
}

/// Kind of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetKind {
    /// EC2 instances.
    Ec2 {
        /// The region, if known.
        region: Option<String>,
    },
    /// Child processes.
    Local,
}
