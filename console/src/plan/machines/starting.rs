//! Starts: a machine runs, EC2's checks have passed, its node is heard and does what it shall. Only then is it done.

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

/// How long after its machine a node may take to be heard.
const NODE_LIMIT: Duration = Duration::from_secs(5 * 60);
/// How often it is looked for.
const NODE_INTERVAL: Duration = Duration::from_millis(500);

impl Run {
    /// Starts what shall run, and others where there is no room for those.
    pub(super) async fn start_all(&self) {
        let mut batch = self.open(START);
        let mut started = Vec::new();
        while !batch.is_empty() {
            let outcomes = self.start(&batch).await;
            let mut full = Vec::new();
            for ((place, id), outcome) in batch.iter().zip(&outcomes) {
                let (code, message) = self.already(outcome);
                if outcome.code.is_good() {
                    self.journal
                        .tell(*place, format!("{message}; waits for its node"));
                    started.push((*place, id.clone(), code));
                    continue;
                }
                self.journal.fail(*place, code, message);
                if outcome.code == OutcomeCode::NoCapacity {
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
            self.journal.tell(*place, "is to start");
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

    /// The next stopped machine of the same role, in another zone where there is one, for one that there is no room for. Only
    /// where a number was asked for: who names a machine means that one.
    async fn another(&self, place: usize, full: &InstanceId) -> Option<(usize, InstanceId)> {
        let instances = self.console.machines.look().await.ok()?;
        let of_full = instances.iter().find(|instance| instance.id == *full)?;
        let role = self.scale.roles.iter().map(|wanted| wanted.role);
        let role = role
            .into_iter()
            .find(|role| role.to_string() == of_full.role)?;
        let steps = self.journal.steps();
        let tried: BTreeSet<&str> = steps.iter().map(|step| step.action.to.as_str()).collect();
        let without_room = steps
            .iter()
            .filter(|step| step.code == Some(StepCode::NoCapacity))
            .filter_map(|step| step.action.machine.as_ref())
            .map(|machine| (machine.instance_type.as_str(), machine.zone.as_str()));
        let chosen = next_best(&instances, role, &tried, &without_room.collect())?;
        let step = StepView::of(ActionView {
            does: START.to_owned(),
            to: chosen.id.to_string(),
            before: Some(chosen.state.to_string()),
            after: Some(format!("running, in place of {full}")),
            machine: Some(machine_view(chosen)),
        });
        Some((self.journal.replace(place, step), chosen.id.clone()))
    }

    /// Waits until the nodes of machines that run are heard and do what they shall.
    async fn wait_for_nodes(&self, started: Vec<(usize, InstanceId, StepCode)>) {
        let limit = Instant::now() + NODE_LIMIT;
        let mut open = started;
        while !open.is_empty() {
            let nodes = self.console.roster.nodes();
            open.retain(|(place, id, code)| {
                let how = match self.node_on(&nodes, id) {
                    Ok(node) => {
                        self.journal.done(*place, *code, Some(format!("{node} works on it")));
                        return false;
                    }
                    Err(how) => how,
                };
                if Instant::now() >= limit {
                    let minutes = NODE_LIMIT.as_secs() / 60;
                    self.journal.fail(
                        *place,
                        StepCode::NoNode,
                        format!("it runs, but after {minutes} minutes {how}: look at the log of its service"),
                    );
                    return false;
                }
                self.journal.tell(*place, format!("runs; {how}"));
                true
            });
            sleep(NODE_INTERVAL).await;
        }
    }

    /// The node on a machine that does what it shall, or what is missing.
    fn node_on(&self, nodes: &[KnownNode], id: &InstanceId) -> Result<String, String> {
        let on_it = nodes
            .iter()
            .filter(|node| node.instance.as_deref() == Some(id.as_str()) && !node.is_gone);
        let mut missing = "no node on it is heard".to_owned();
        for node in on_it {
            let name = &node.node;
            missing = match node.state {
                NodeState::Working | NodeState::Degraded | NodeState::Paused
                    if node.generation == self.desired(node.role) =>
                {
                    return Ok(name.to_string());
                }
                NodeState::Working | NodeState::Degraded | NodeState::Paused => {
                    format!("{name} does not follow the settings yet")
                }
                _ => match &node.message {
                    Some(why) => format!("{name} does not work yet: {why}"),
                    None => format!("{name} does not work yet"),
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

/// The machine to start where there is no room for another: of a type and in a zone that there may be room for, and where the
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
