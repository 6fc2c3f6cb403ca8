//! What the nodes of a role could do, from what they do now: a worker that is busy for a third of its time could store three
//! times as much. It is an estimate from measured figures, and says so.

use skilift_fleet::instance::Instance;

use super::prices::Prices;
use crate::view::change::ScaledRole;
use crate::view::nodes::{NodeState, NodeView};

/// Less busy than this, a node says little about what it could do: it is taken as this busy.
const LEAST_BUSY: f64 = 0.05;

/// What the nodes of a role could do, in rides a second.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Capacity {
    /// By machine; a node that is on no machine has none.
    by_machine: Vec<(Option<String>, f64)>,
    /// Whether all that were measured are so little used that they could do more than is told by that.
    pub(crate) is_at_least: bool,
}

impl Capacity {
    /// What is known of a role. A node that does too little to be measured, or was not heard for long enough, is taken for as
    /// able as the others are on average.
    ///
    /// # Errors
    /// Why nothing is known of it.
    pub(crate) fn of(
        role: ScaledRole,
        nodes: &[NodeView],
        instances: &[Instance],
        prices: &Prices,
    ) -> Result<Self, String> {
        let name = role.to_string();
        let (mut measured, mut little, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        let mut why = format!("no {name} node works");
        let working = nodes.iter().filter(|node| {
            node.role == name && matches!(node.state, NodeState::Working | NodeState::Degraded)
        });
        for node in working {
            let used = match role {
                ScaledRole::Worker => node.busy.value,
                ScaledRole::Api => cores_used(node, instances, prices),
            };
            let machine = node.instance.clone();
            match (node.rides_per_s.value, used) {
                (Some(rate), Some(used)) if used < LEAST_BUSY => {
                    little.push((machine, rate / LEAST_BUSY));
                }
                (Some(rate), Some(used)) => measured.push((machine, rate / used.min(1.0))),
                (None, _) => {
                    why = format!("it is not known yet how much {} does", node.id);
                    unknown.push(machine);
                }
                (_, None) => {
                    why = format!("it is not known how much of {} is used", node.id);
                    unknown.push(machine);
                }
            }
        }
        let is_at_least = measured.is_empty();
        let told = if is_at_least { &little } else { &measured };
        if told.is_empty() {
            return Err(why);
        }
        let all: f64 = told.iter().map(|(_, could)| could).sum();
        if all <= 0.0 {
            return Err(format!(
                "no {name} node has anything to do, by which it could be measured"
            ));
        }
        let average = all / told.len() as f64;
        let mut by_machine = measured;
        let guessed = little.into_iter();
        by_machine.extend(guessed.map(|(machine, could)| (machine, could.max(average))));
        by_machine.extend(unknown.into_iter().map(|machine| (machine, average)));
        Ok(Self {
            by_machine,
            is_at_least,
        })
    }

    /// What all of them could do.
    pub(crate) fn all(&self) -> f64 {
        self.by_machine.iter().map(|(_, could)| could).sum()
    }

    /// What they could do with so many more machines, as able as these are on average, and without those that stop.
    pub(crate) fn after(&self, more: usize, stopped: &[&Instance]) -> f64 {
        let stays = |machine: &Option<String>| {
            !stopped
                .iter()
                .any(|instance| machine.as_deref() == Some(instance.id.as_str()))
        };
        let stay = self.by_machine.iter().filter(|(machine, _)| stays(machine));
        let left: f64 = stay.map(|(_, could)| could).sum();
        let each = self.all() / self.by_machine.len().max(1) as f64;
        left + each * more as f64
    }
}

/// Which part of its machine's cores a node uses, where it is known how many there are.
fn cores_used(node: &NodeView, instances: &[Instance], prices: &Prices) -> Option<f64> {
    let on = instances
        .iter()
        .find(|instance| node.instance.as_deref() == Some(instance.id.as_str()))?;
    let vcpus = prices.vcpus(&on.instance_type)?;
    Some(node.cpu_cores.value? / f64::from(vcpus))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A worker on the machine of the same name that stores so much while it is busy for this part of its time.
    fn worker(name: &str, rate: Option<f64>, busy: f64) -> NodeView {
        let unknown = json!({"value": null, "age_ms": null, "at_most": false, "unknown": "new"});
        let known =
            |value: f64| json!({"value": value, "age_ms": 1, "at_most": false, "unknown": null});
        let view = json!({
            "id": name, "role": "worker", "boot": "b", "host": "h", "instance": name, "version": "1",
            "state": "working", "message": null, "heard_ms": 0, "up_s": 0, "desired": null, "actual": null,
            "settings": {}, "threads": 1, "busy": known(busy),
            "rides_per_s": rate.map_or(unknown.clone(), known), "held": 0,
            "latency": {"p50_ms": unknown, "p95_ms": unknown, "p99_ms": unknown},
            "cpu_cores": unknown, "rss_bytes": 0, "clock_skew_ms": 0,
        });
        serde_json::from_value(view).unwrap()
    }

    fn of(nodes: &[NodeView]) -> Result<Capacity, String> {
        Capacity::of(ScaledRole::Worker, nodes, &[], &Prices::built_in().unwrap())
    }

    #[test]
    fn who_is_not_measured_is_taken_for_as_able_as_the_others() {
        let measured = worker("a", Some(500.0), 0.5);
        let new = worker("b", None, 0.5);
        let idle = worker("c", Some(1.0), 0.001);
        let capacity = of(&[measured, new.clone(), idle.clone()]).unwrap();
        assert!((capacity.all() - 3_000.0).abs() < 1e-6, "{capacity:?}");
        assert!(!capacity.is_at_least);
        // Where all do little, it is a lower bound, and says so.
        let capacity = of(&[idle, new.clone()]).unwrap();
        assert!((capacity.all() - 40.0).abs() < 1e-6, "{capacity:?}");
        assert!(capacity.is_at_least);
        assert!(of(&[new]).unwrap_err().contains("b does"));
        assert!(of(&[]).unwrap_err().contains("no worker node works"));
        let idle = worker("d", Some(0.0), 0.0);
        assert!(of(&[idle]).unwrap_err().contains("anything to do"));
    }
}
