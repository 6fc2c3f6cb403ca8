//! The machines that nodes run on, behind one port ([`Fleet`]): [child processes](local) of one machine here, EC2 instances in the
//! crate `skilift-ec2`.
//!
//! [`Fleet`] is what a console needs of either: which there are, start these, stop those. Draining a node before its machine
//! stops, and choosing which machine, is the business of the console.

pub mod instance;
pub mod local;
pub mod outcome;

use async_trait::async_trait;

use crate::instance::{Instance, InstanceId};
use crate::outcome::{FleetError, Outcome, Verb};

/// The roles whose machines may be started and stopped: never the broker, the store or the console.
pub const SCALED_ROLES: [&str; 2] = ["api", "worker"];

/// Hears, while something is done, how far each machine is.
pub type Progress<'a> = &'a (dyn Fn(&InstanceId, String) + Send + Sync);

/// The machines of a stack.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// What kind of machines they are, in a word or two.
    fn kind(&self) -> FleetKind;

    /// All machines of the stack, of whatever role, by role, zone and id. Those that are gone for ever are left out.
    ///
    /// # Errors
    /// When they cannot be listed.
    async fn list(&self) -> Result<Vec<Instance>, FleetError>;

    /// Asks whether starting or stopping these would be permitted. It proves that, and nothing else.
    ///
    /// # Errors
    /// When it would not be, or nobody answers.
    async fn preflight(&self, verb: Verb, ids: &[InstanceId]) -> Result<(), FleetError>;

    /// Has machines run, and waits until they do and are well. Exactly one outcome for each id, in the order of `ids`.
    async fn start(&self, ids: &[InstanceId], progress: Progress<'_>) -> Vec<Outcome>;

    /// Has machines stopped, and waits until they are. Exactly one outcome for each id, in the order of `ids`.
    async fn stop(&self, ids: &[InstanceId], progress: Progress<'_>) -> Vec<Outcome>;
}

/// What kind of machines a fleet has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetKind {
    /// EC2 instances.
    Ec2 {
        /// The region, where it is known.
        region: Option<String>,
    },
    /// Child processes.
    Local,
}
