//! Which machines are started and stopped when only their number is said: zones are kept even, and the least work is lost.

use std::collections::BTreeMap;

use skilift_fleet::instance::{Instance, InstanceState};

use super::{is_heard, on_it, up};
use crate::view::change::ScaledRole;
use crate::view::nodes::NodeView;

/// The machines of a role that could be started.
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

/// So many machines to start, each where the fewest run; fewer where there are not so many.
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

/// So many machines to stop, each where the most run, and of those the one whose nodes do least; fewer where there are not so
/// many that can be stopped.
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

/// How many run in each zone.
fn by_zone<'a>(up: impl Iterator<Item = &'a Instance>) -> BTreeMap<&'a str, usize> {
    let mut by_zone = BTreeMap::new();
    for instance in up {
        *by_zone.entry(instance.zone.as_str()).or_default() += 1;
    }
    by_zone
}

/// What would have to be finished or done elsewhere: rides a second, and what is held.
fn work(nodes: &[NodeView], instance: &Instance) -> f64 {
    let heard = on_it(nodes, instance).filter(|node| is_heard(node));
    heard
        .map(|node| 1.0 + node.held as f64 + node.rides_per_s.value.unwrap_or(0.0))
        .sum()
}
