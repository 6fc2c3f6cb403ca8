//! Starts: done only when the instance runs, EC2's status checks have passed, and its node sends heartbeats and runs the
//! desired settings.

use std::collections::BTreeSet;
use std::time::Duration;

use skilift_core::control::{Generation, Role};
use skilift_fleet::instance::{Instance, InstanceId};
use skilift_fleet::outcome::{Outcome, OutcomeCode};
use tokio::time::{Instant, sleep};

use super::{Run, START};
use crate::fleet::choice::startable;
use crate::fleet::up;
use crate::plan::scale::machine_view;
use crate::roster::KnownNode;
use crate::view::change::ScaledRole;
use crate::view::nodes::NodeState;
use crate::view::plan::{ActionView, StepCode, StepView};

/// Maximum time from the start of the instance to the first heartbeat of its node.
const NODE_LIMIT: Duration = Duration::from_secs(5 * 60);
/// Polling interval for that heartbeat.
const NODE_INTERVAL: Duration = Duration::from_millis(500);

impl Run {
    /// Starts the instances of the plan, and replacements for those that EC2 has no capacity for.
    pub(super) async fn start_all(&self) {
        let mut batch = self.open(START);
        let mut started = Vec::new();
        while !batch.is_empty() {
            if self.cancel.is_cancelled() {
                for (place, _) in &batch {
                    let why = match self.journal.has_begun(*place) {
                        true => "cancelled while it was starting; see its state in `skictl ec2`",
                        false => "cancelled before it began",
                    };
                    self.journal.fail(*place, StepCode::Cancelled, why);
                }
                break;
            }
            let outcomes = self.start(&batch).await;
            let mut full = Vec::new();
            for ((place, id), outcome) in batch.iter().zip(&outcomes) {
                let (code, message) = self.already(outcome);
                if outcome.code.is_good() {
                    self.journal
                        .tell(*place, format!("{message}; waiting for its node"));
                    started.push((*place, id.clone(), code));
                    continue;
                }
                self.journal.fail(*place, code, message);
                if outcome.code == OutcomeCode::NoCapacity && !self.cancel.is_cancelled() {
                    full.push((*place, id));
                }
            }
            let mut next = Vec::new();
            for (place, id) in full {
                next.extend(self.another(place, id).await);
            }
            self.journal.write().await;
            batch = next;
        }
        self.wait_for_nodes(started).await;
        self.journal.write().await;
    }

    async fn start(&self, batch: &[(usize, InstanceId)]) -> Vec<Outcome> {
        let ids: Vec<InstanceId> = batch.iter().map(|(_, id)| id.clone()).collect();
        for (place, _) in batch {
            self.journal.tell(*place, "starting");
        }
        self.journal.write().await;
        let Ok(fleet) = self.console.machines.fleet() else {
            return Vec::new();
        };
        let progress = |id: &InstanceId, how: String| {
            if let Some((place, _)) = batch.iter().find(|(_, of)| of == id) {
                self.journal.tell(*place, how);
            }
        };
        fleet.start(&ids, &progress).await
    }

    /// The replacement for an instance that there is no capacity for: the next stopped instance of the same role, preferably
    /// in another zone. Only if the plan asked for a count; an instance that was named is not replaced.
    async fn another(&self, place: usize, full: &InstanceId) -> Option<(usize, InstanceId)> {
        let instances = self.console.machines.refresh().await.ok()?;
        let of_full = instances.iter().find(|instance| instance.id == *full)?;
        let role = self.scale.roles.iter().map(|wanted| wanted.role);
        let role = role
            .into_iter()
            .find(|role| role.to_string() == of_full.role)?;
        let steps = self.journal.steps();
        let tried: BTreeSet<&str> = steps
            .iter()
            .map(|step| step.action.target.as_str())
            .collect();
        let without_room = steps
            .iter()
            .filter(|step| step.code == Some(StepCode::NoCapacity))
            .filter_map(|step| step.action.instance.as_ref())
            .map(|machine| (machine.instance_type.as_str(), machine.zone.as_str()));
        let chosen = next_best(&instances, role, &tried, &without_room.collect())?;
        let step = StepView::of(ActionView {
            action: START.to_owned(),
            target: chosen.id.to_string(),
            before: Some(chosen.state.to_string()),
            after: Some(format!("running, in place of {full}")),
            instance: Some(machine_view(chosen)),
        });
        Some((self.journal.replace(place, step), chosen.id.clone()))
    }

    /// Waits until the nodes of running instances send heartbeats and run the desired settings.
    async fn wait_for_nodes(&self, started: Vec<(usize, InstanceId, StepCode)>) {
        let limit = Instant::now() + NODE_LIMIT;
        let mut open = started;
        while !open.is_empty() {
            let nodes = self.console.roster.nodes();
            open.retain(|(place, id, code)| {
                let how = match self.node_on(&nodes, id) {
                    Ok(node) => {
                        self.journal
                            .done(*place, *code, Some(format!("{node} is up")));
                        return false;
                    }
                    Err(how) => how,
                };
                if self.cancel.is_cancelled() {
                    let why = format!("running, but the plan was cancelled: {how}");
                    self.journal.fail(*place, StepCode::Cancelled, why);
                    return false;
                }
                if Instant::now() >= limit {
                    let minutes = NODE_LIMIT.as_secs() / 60;
                    self.journal.fail(
                        *place,
                        StepCode::NoNode,
                        format!(
                            "running, but after {minutes} minutes {how}; see the log of its service"
                        ),
                    );
                    return false;
                }
                self.journal.tell(*place, format!("running; {how}"));
                true
            });
            let _: Option<()> = self.cancel.run_until_cancelled(sleep(NODE_INTERVAL)).await;
        }
    }

    /// The node on an instance that runs the desired settings, or what is missing.
    fn node_on(&self, nodes: &[KnownNode], id: &InstanceId) -> Result<String, String> {
        let on_it = nodes
            .iter()
            .filter(|node| node.instance.as_deref() == Some(id.as_str()) && !node.is_gone);
        let mut missing = "no heartbeat from its node".to_owned();
        for node in on_it {
            let name = &node.node;
            missing = match node.state {
                NodeState::Ready | NodeState::Degraded | NodeState::Paused
                    if node.generation == self.desired(node.role) =>
                {
                    return Ok(name.to_string());
                }
                NodeState::Ready | NodeState::Degraded | NodeState::Paused => {
                    format!("{name} has not picked up the settings yet")
                }
                _ => match &node.message {
                    Some(why) => format!("{name} is not ready yet: {why}"),
                    None => format!("{name} is not ready yet"),
                },
            };
        }
        Err(missing)
    }

    fn desired(&self, role: Role) -> Option<Generation> {
        let document = self.console.desired.document();
        match role {
            Role::Worker => document.worker.map(|set| set.generation),
            Role::Api => document.api.map(|set| set.generation),
        }
    }
}

/// The instance to start when another one has no capacity: of a type and in a zone that may have capacity, and where the
/// fewest run.
fn next_best<'a>(
    instances: &'a [Instance],
    role: ScaledRole,
    tried: &BTreeSet<&str>,
    without_room: &BTreeSet<(&str, &str)>,
) -> Option<&'a Instance> {
    let left = startable(instances, role).filter(|instance| !tried.contains(instance.id.as_str()));
    left.min_by_key(|instance| {
        let is_full = without_room.contains(&(&*instance.instance_type, &*instance.zone));
        let there = up(instances, role).filter(|other| other.zone == instance.zone);
        (is_full, there.count(), &instance.id)
    })
}
