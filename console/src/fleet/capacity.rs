//! Capacity of the nodes of a role, estimated from current measurements: a worker that is busy for a third of its time could
//! store three times as much.

use skilift_fleet::instance::Instance;

use super::prices::Prices;
use crate::view::change::ScaledRole;
use crate::view::nodes::{NodeState, NodeView};

/// Below this utilisation a measurement is not reliable: the node is treated as this busy.
const LEAST_BUSY: f64 = 0.05;

/// Capacity of the nodes of a role, in rides/s.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Capacity {
    /// By instance; `None` for a node without an instance.
    by_machine: Vec<(Option<String>, f64)>,
    /// Whether all measured nodes are so idle that this is only a lower bound.
    pub(crate) is_at_least: bool,
    /// Fraction of time that the measured nodes are busy, or of their cores that they use, 0 to 1.
    pub(crate) busy: f64,
}

impl Capacity {
    /// Measures a role. A node that is too idle to be measured, or has not sent heartbeats for long enough, counts as the
    /// average of the others.
    ///
    /// # Errors
    /// Why the capacity is unknown.
    pub(crate) fn of(
        role: ScaledRole,
        nodes: &[NodeView],
        instances: &[Instance],
        prices: &Prices,
    ) -> Result<Self, String> {
        let name = role.to_string();
        let (mut measured, mut little, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        let mut why = format!("no {name} node is up");
        let working = nodes.iter().filter(|node| {
            node.role == name && matches!(node.state, NodeState::Ready | NodeState::Degraded)
        });
        for node in working {
            let used = match role {
                ScaledRole::Worker => node.busy.value,
                ScaledRole::Api => cores_used(node, instances, prices),
            };
            let machine = node.instance_id.clone();
            match (node.rides_per_s.value, used) {
                (Some(rate), Some(used)) if used < LEAST_BUSY => {
                    little.push((machine, rate / LEAST_BUSY, used));
                }
                (Some(rate), Some(used)) => {
                    let used = used.min(1.0);
                    measured.push((machine, rate / used, used));
                }
                (None, _) => {
                    why = format!("the throughput of {} is not known yet", node.id);
                    unknown.push(machine);
                }
                (_, None) => {
                    why = format!("the utilisation of {} is unknown", node.id);
                    unknown.push(machine);
                }
            }
        }
        let is_at_least = measured.is_empty();
        let told = if is_at_least { &little } else { &measured };
        if told.is_empty() {
            return Err(why);
        }
        let all: f64 = told.iter().map(|(_, could, _)| could).sum();
        if all <= 0.0 {
            return Err(format!(
                "all {name} nodes are idle, so their capacity cannot be measured"
            ));
        }
        let average = all / told.len() as f64;
        let busy = told.iter().map(|(.., used)| used).sum::<f64>() / told.len() as f64;
        let measured = measured
            .into_iter()
            .map(|(machine, could, _)| (machine, could));
        let guessed = little
            .into_iter()
            .map(|(machine, could, _)| (machine, could.max(average)));
        let unknown = unknown.into_iter().map(|machine| (machine, average));
        Ok(Self {
            by_machine: measured.chain(guessed).chain(unknown).collect(),
            is_at_least,
            busy,
        })
    }

    /// Capacity of all of them.
    pub(crate) fn all(&self) -> f64 {
        self.by_machine.iter().map(|(_, could)| could).sum()
    }

    /// Capacity of all but the one that can do most.
    pub(crate) fn without_the_most_able(&self) -> f64 {
        let most = self.by_machine.iter().map(|(_, could)| *could);
        self.all() - most.fold(0.0, f64::max)
    }

    /// Capacity with more instances of average capacity, and without those that stop.
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

/// Fraction of its instance's cores that a node uses, if their number is known.
fn cores_used(node: &NodeView, instances: &[Instance], prices: &Prices) -> Option<f64> {
    let on = instances
        .iter()
        .find(|instance| node.instance_id.as_deref() == Some(instance.id.as_str()))?;
    let vcpus = prices.vcpus(&on.instance_type)?;
    Some(node.cpu_cores.value? / f64::from(vcpus))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Reading;
    use crate::view::nodes::sample;

    /// A worker on the machine of the same name that stores so much while it is busy for this part of its time.
    fn worker(name: &str, rate: Option<f64>, busy: f64) -> NodeView {
        NodeView {
            instance_id: Some(name.to_owned()),
            threads: 1,
            busy: Reading::of(busy, 1),
            rides_per_s: rate.map_or_else(|| Reading::unknown("new"), |rate| Reading::of(rate, 1)),
            rejected_per_s: Reading::of(0.0, 1),
            cpu_cores: Reading::unknown("new"),
            ..sample("worker", name)
        }
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
        assert!((capacity.without_the_most_able() - 2_000.0).abs() < 1e-6);
        assert!(!capacity.is_at_least);
        // Where all do little, it is a lower bound, and says so.
        let capacity = of(&[idle, new.clone()]).unwrap();
        assert!((capacity.all() - 40.0).abs() < 1e-6, "{capacity:?}");
        assert!(capacity.is_at_least);
        assert!(of(&[new]).unwrap_err().contains("of b is"));
        assert!(of(&[]).unwrap_err().contains("no worker node is up"));
        let idle = worker("d", Some(0.0), 0.0);
        assert!(of(&[idle]).unwrap_err().contains("are idle"));
    }
}
