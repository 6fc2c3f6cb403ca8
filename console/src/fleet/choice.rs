//! Which instances to start and stop if only their number is given: zones stay balanced, and the least work is interrupted.

use std::collections::BTreeMap;

use skilift_fleet::instance::{Instance, InstanceState};

use super::{is_live, on_it, up};
use crate::view::change::ScaledRole;
use crate::view::nodes::NodeView;

/// The instances of a role that can be started.
pub(crate) fn startable(
    instances: &[Instance],
    role: ScaledRole,
) -> impl Iterator<Item = &Instance> {
    let role = role.to_string();
    instances.iter().filter(move |instance| {
        instance.role == role
            && instance.state == InstanceState::Stopped
            && instance.obstacle.is_none()
    })
}

/// `count` instances to start, each in the zone where the fewest run; fewer if there are not enough.
pub(crate) fn to_start(instances: &[Instance], role: ScaledRole, count: usize) -> Vec<&Instance> {
    let mut by_zone = by_zone(up(instances, role));
    let mut left: Vec<&Instance> = startable(instances, role).collect();
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let emptiest = left.iter().enumerate().min_by_key(|(_, instance)| {
            let there = by_zone.get(&*instance.zone).copied().unwrap_or(0);
            (there, &instance.zone, &instance.id)
        });
        let Some((place, _)) = emptiest else { break };
        let instance = left.remove(place);
        *by_zone.entry(&instance.zone).or_default() += 1;
        chosen.push(instance);
    }
    chosen
}

/// `count` instances to stop, each in the zone where the most run, and there the one whose nodes do least; fewer if not
/// enough can be stopped.
pub(crate) fn to_stop<'a>(
    instances: &'a [Instance],
    nodes: &[NodeView],
    role: ScaledRole,
    count: usize,
) -> Vec<&'a Instance> {
    let mut by_zone = by_zone(up(instances, role));
    let mut left: Vec<&Instance> = up(instances, role)
        .filter(|instance| instance.obstacle.is_none())
        .collect();
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let fullest = left.iter().enumerate().min_by(|(_, one), (_, other)| {
            let there = |of: &Instance| by_zone.get(&*of.zone).copied().unwrap_or(0);
            there(other)
                .cmp(&there(one))
                .then_with(|| work(nodes, one).total_cmp(&work(nodes, other)))
                .then_with(|| other.id.cmp(&one.id))
        });
        let Some((place, _)) = fullest else { break };
        let instance = left.remove(place);
        if let Some(there) = by_zone.get_mut(&*instance.zone) {
            *there -= 1;
        }
        chosen.push(instance);
    }
    chosen
}

/// Number running per zone.
fn by_zone<'a>(up: impl Iterator<Item = &'a Instance>) -> BTreeMap<&'a str, usize> {
    let mut by_zone = BTreeMap::new();
    for instance in up {
        *by_zone.entry(instance.zone.as_str()).or_default() += 1;
    }
    by_zone
}

/// Work that would have to be finished or moved: rides/s and unacked messages.
fn work(nodes: &[NodeView], instance: &Instance) -> f64 {
    let live = on_it(nodes, instance).filter(|node| is_live(node));
    live.map(|node| 1.0 + node.outstanding() as f64 + node.rides_per_s.value.unwrap_or(0.0))
        .sum()
}
