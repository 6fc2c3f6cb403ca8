//! Drains: the nodes of machines that stop finish what they have. Who does not finish in time goes on working, unless it was
//! said that he stops anyway.

use std::collections::HashSet;
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::control::{BootId, Document, DrainMark, NodeId, Role};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::Changes;
use skilift_fleet::instance::InstanceId;
use tokio::time::Instant;

use super::Run;
use crate::roster::{Known, KnownNode};
use crate::view::nodes::NodeState;

/// How long a mark counts unless it is renewed: a console that is gone for good leaves no node idle for ever.
const LEASE: Duration = Duration::from_secs(60);
/// How often marks are renewed.
const RENEWAL: Duration = Duration::from_secs(20);
/// Silent for so long, a lost node is not waited for: what it held has come back to the others.
const DEAD_AFTER_MS: u64 = 60_000;

/// The marks that a plan has set.
#[derive(Default)]
pub(super) struct Marks {
    lives: HashSet<(NodeId, BootId)>,
    renewed: Option<Instant>,
}

impl Run {
    /// Why a machine is not to be stopped yet, where that is so.
    pub(super) fn is_busy(&self, known: &Known, id: &InstanceId) -> Option<String> {
        let on_it: Vec<&KnownNode> = known.nodes.iter().filter(|node| is_on(node, id)).collect();
        let mut heard = on_it.iter().filter(|node| !node.is_gone).peekable();
        if heard.peek().is_some() {
            let mut busy = heard.filter(|node| !self.is_drained(node));
            let of = busy.next()?;
            let node = &of.node;
            return Some(match (of.held, of.role) {
                (0, Role::Api) => {
                    format!("{node} still takes rides, until its balancer has noticed")
                }
                (0, Role::Worker) => format!("{node} has not said yet that it has finished"),
                (held, _) => format!("{node} still holds {held}"),
            });
        }
        let mut lost = on_it.iter().filter(|node| node.state == NodeState::Lost);
        if let Some(node) = lost.find(|node| node.silent_ms < DEAD_AFTER_MS) {
            return Some(format!("{} is not heard, and may still work", node.node));
        }
        if on_it.is_empty() && !known.is_complete {
            return Some("whether its node works is not known yet".to_owned());
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
            "no node is heard on it, and it is not known where {} runs",
            stray.node
        ))
    }

    /// Whether a node has finished what it had, and takes nothing as long as this plan's mark stands.
    fn is_drained(&self, node: &KnownNode) -> bool {
        // One that was drained by a mark that is gone may just be taking up work again.
        let document = self.console.desired.document();
        node.drained_by.as_ref().is_some_and(|plan| {
            let marks = document.drains.iter();
            let mut of_it = marks.filter(|mark| mark.node == node.node && mark.boot == node.boot);
            of_it.any(|mark| mark.plan == *plan)
        })
    }

    /// Has the nodes on these machines drain, and nobody else by this plan.
    pub(super) async fn renew<'a>(
        &self,
        marks: &mut Marks,
        known: &Known,
        on: impl Iterator<Item = &'a InstanceId> + Clone,
    ) {
        let lives: HashSet<_> = known
            .nodes
            .iter()
            .filter(|node| node.state != NodeState::Ended)
            .filter(|node| on.clone().any(|id| is_on(node, id)))
            .map(|node| (node.node.clone(), node.boot))
            .collect();
        let is_due = marks.renewed.is_none_or(|at| at.elapsed() >= RENEWAL);
        if !is_due && lives == marks.lives {
            return;
        }
        let until_ms = epoch_ms() + u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        let is_ours = |mark: &DrainMark| mark.plan == self.plan;
        let is_known = |mark: &DrainMark| known.nodes.iter().any(|node| node.node == mark.node);
        self.change_drains(|drains| {
            // Whom an earlier life of the console had drain, and who is not heard yet by this one, goes on draining.
            drains.retain(|mark| !is_ours(mark) || !is_known(mark));
            for mark in drains.iter_mut().filter(|mark| is_ours(mark)) {
                mark.until_ms = Some(until_ms);
            }
            drains.extend(lives.iter().map(|(node, boot)| DrainMark {
                node: node.clone(),
                boot: *boot,
                plan: self.plan.clone(),
                until_ms: Some(until_ms),
            }));
        })
        .await;
        marks.lives = lives;
        marks.renewed = Some(Instant::now());
    }

    /// Has everybody work on whom this plan had drain.
    pub(super) async fn unmark(&self) {
        self.change_drains(|drains| drains.retain(|mark| mark.plan != self.plan))
            .await;
    }

    async fn change_drains(&self, change: impl FnOnce(&mut Vec<DrainMark>)) {
        let _turn = self.console.desired.turn.lock().await;
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
            let mut changes = Changes::default();
            self.console.state.put_document(&mut changes, &after);
            let doing = "write which nodes drain";
            self.console.state.commit(doing, changes, Vec::new()).await
        }
        .await;
        match written {
            Ok(()) => self.console.desired.set(after),
            // Then the process is about to end.
            Err(error) => tracing::error!("cannot write which nodes drain: {error}"),
        }
    }
}

fn is_on(node: &KnownNode, id: &InstanceId) -> bool {
    node.instance.as_deref() == Some(id.as_str())
}
