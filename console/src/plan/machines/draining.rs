//! Drains: the nodes of instances to be stopped finish their messages. A node that does not finish in time keeps working,
//! unless the plan stops it anyway.

use std::collections::HashSet;
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::control::{BootId, Document, DrainRequest, NodeId, Role};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use skilift_fleet::instance::InstanceId;
use tokio::time::Instant;

use super::Run;
use crate::roster::{Known, KnownNode};
use crate::view::nodes::NodeState;

/// Lease of a drain request: it expires unless renewed, so that a console that disappears leaves no node drained
/// permanently.
const LEASE: Duration = Duration::from_secs(60);
/// Interval at which leases are renewed.
const RENEWAL: Duration = Duration::from_secs(20);
/// After this heartbeat age a lost node is not waited for: its messages have been redelivered to other nodes.
const DEAD_AFTER_MS: u64 = 60_000;

/// The drain requests that a plan has set.
#[derive(Default)]
pub(super) struct Marks {
    boots: HashSet<(NodeId, BootId)>,
    renewed: Option<Instant>,
}

impl Run {
    /// Why an instance must not be stopped yet, if so.
    pub(super) fn is_busy(&self, known: &Known, id: &InstanceId) -> Option<String> {
        let on_it: Vec<&KnownNode> = known.nodes.iter().filter(|node| is_on(node, id)).collect();
        let mut live = on_it.iter().filter(|node| !node.is_gone).peekable();
        if live.peek().is_some() {
            let mut busy = live.filter(|node| !self.is_drained(node));
            let of = busy.next()?;
            let node = &of.node;
            return Some(match (of.held, of.role) {
                (0, Role::Api) => {
                    format!("{node} still accepts rides until the load balancer has removed it")
                }
                (0, Role::Worker) => format!("{node} has not reported yet that it is drained"),
                (held, _) => format!("{node} still has {held} unacked or in flight"),
            });
        }
        let mut lost = on_it.iter().filter(|node| node.state == NodeState::Lost);
        if let Some(node) = lost.find(|node| node.without_heartbeat_ms < DEAD_AFTER_MS) {
            return Some(format!(
                "no recent heartbeat from {}; it may still be working",
                node.node
            ));
        }
        if on_it.is_empty() && !known.is_complete {
            return Some("the state of its node is not known yet".to_owned());
        }
        let machines = self.console.machines.listed().instances;
        let this = machines.iter().find(|machine| machine.id == *id)?;
        let is_nowhere = |node: &&KnownNode| {
            let is_listed = |id: &str| machines.iter().any(|machine| machine.id.as_str() == id);
            !node.is_gone
                && node.role.to_string() == this.role
                && !node.instance.as_deref().is_some_and(is_listed)
        };
        let stray = known.nodes.iter().find(is_nowhere);
        let stray = stray.filter(|_| on_it.is_empty() && this.state.is_up())?;
        Some(format!(
            "no heartbeat from a node on this instance, and it is unknown where {} runs",
            stray.node
        ))
    }

    /// Whether a node is drained, and stays so as long as this plan's drain request is valid.
    fn is_drained(&self, node: &KnownNode) -> bool {
        // A node whose drain request is gone may be resuming work right now.
        let document = self.console.desired.document();
        node.drained_by.as_ref().is_some_and(|plan| {
            let marks = document.drains.iter();
            let mut of_it =
                marks.filter(|mark| mark.node == node.node && mark.boot_id == node.boot);
            of_it.any(|mark| mark.plan == *plan)
        })
    }

    /// Sets and renews this plan's drain requests: for the nodes on these instances and no others.
    pub(super) async fn renew<'a>(
        &self,
        marks: &mut Marks,
        known: &Known,
        on: impl Iterator<Item = &'a InstanceId> + Clone,
    ) {
        let boots: HashSet<_> = known
            .nodes
            .iter()
            .filter(|node| node.state != NodeState::Stopped)
            .filter(|node| on.clone().any(|id| is_on(node, id)))
            .map(|node| (node.node.clone(), node.boot))
            .collect();
        let is_due = marks.renewed.is_none_or(|at| at.elapsed() >= RENEWAL);
        if !is_due && boots == marks.boots {
            return;
        }
        let until_ms = epoch_ms() + u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        let is_ours = |mark: &DrainRequest| mark.plan == self.plan;
        let is_known = |mark: &DrainRequest| known.nodes.iter().any(|node| node.node == mark.node);
        self.change_drains(|drains| {
            // Nodes drained by the previous console process that have not sent a heartbeat to this one keep draining.
            drains.retain(|mark| !is_ours(mark) || !is_known(mark));
            for mark in drains.iter_mut().filter(|mark| is_ours(mark)) {
                mark.expires_at_ms = Some(until_ms);
            }
            drains.extend(boots.iter().map(|(node, boot)| DrainRequest {
                node: node.clone(),
                boot_id: *boot,
                plan: self.plan.clone(),
                expires_at_ms: Some(until_ms),
            }));
        })
        .await;
        marks.boots = boots;
        marks.renewed = Some(Instant::now());
    }

    /// Removes this plan's drain requests, so that the nodes resume work.
    pub(super) async fn unmark(&self) {
        self.change_drains(|drains| drains.retain(|mark| mark.plan != self.plan))
            .await;
    }

    async fn change_drains(&self, change: impl FnOnce(&mut Vec<DrainRequest>)) {
        let _write_lock = self.console.desired.write_lock.lock().await;
        let before = self.console.desired.document();
        let mut after = Document {
            serial: before.next_serial(),
            ..Document::clone(&before)
        };
        change(&mut after.drains);
        if after.drains == before.drains {
            return;
        }
        let written: Result<(), DiskError> = async {
            let mut changes = WriteBatch::default();
            self.console.state.put_document(&mut changes, &after);
            let doing = "write which nodes drain";
            self.console.state.commit(doing, changes, Vec::new()).await
        }
        .await;
        match written {
            Ok(()) => self.console.desired.set(after),
            // The process is about to exit.
            Err(error) => tracing::error!("cannot write which nodes drain: {error}"),
        }
    }
}

fn is_on(node: &KnownNode, id: &InstanceId) -> bool {
    node.instance.as_deref() == Some(id.as_str())
}
