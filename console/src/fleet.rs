//! The instances that nodes run on: listed periodically, and whenever a plan depends on them.
//!
//! - `machines`: the last listing. `prices`: instance prices. `capacity`: measured capacity of nodes. `choice`: which instances to start and stop.
//! - `cost`, and this file: the views for operators.

pub(crate) mod capacity;
pub(crate) mod choice;
pub(crate) mod cost;
pub(crate) mod machines;
pub(crate) mod prices;

use std::sync::Arc;
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::control::FleetBounds;
use skilift_core::lifecycle::TaskError;
use skilift_fleet::FleetKind;
use skilift_fleet::instance::Instance;
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::error::Error;
use crate::view::change::{Change, ScaledRole};
use crate::view::fleet::{FleetRoleView, FleetView, InstanceView};
use crate::view::nodes::NodeView;

/// How often instances are listed from EC2: its request quota is shared by the whole account.
const EC2_INTERVAL: Duration = Duration::from_secs(15);
/// The same while a plan is starting or stopping instances.
const BUSY_INTERVAL: Duration = Duration::from_secs(3);
/// How often local child processes are listed, which is cheap.
const LOCAL_INTERVAL: Duration = Duration::from_secs(1);

/// Lists periodically until `drain`.
pub(crate) async fn run(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    let Ok(fleet) = console.machines.fleet() else {
        drain.cancelled().await;
        return Ok(());
    };
    let listing = async {
        loop {
            // An error is recorded and logged.
            let _ = console.machines.refresh().await;
            let is_busy = console.state.plans_under_way().is_ok_and(|plans| {
                plans
                    .iter()
                    .any(|plan| matches!(plan.change, Change::Scale(_)))
            });
            let interval = match fleet.kind() {
                FleetKind::Local => LOCAL_INTERVAL,
                FleetKind::Ec2 { .. } if is_busy => BUSY_INTERVAL,
                FleetKind::Ec2 { .. } => EC2_INTERVAL,
            };
            tokio::time::sleep(interval).await;
        }
    };
    drain.run_until_cancelled(listing).await;
    Ok(())
}

/// The view for operators.
pub(crate) fn view(console: &Console) -> Result<FleetView, Error> {
    let listed = console.machines.listed();
    let nodes = nodes(console);
    let kind = console.machines.fleet.as_ref().map(|fleet| fleet.kind());
    let region = region(console);
    let bounds = bounds(console);
    let known = |count: usize| listed.at.map(|_| count as u64);
    let roles = [ScaledRole::Api, ScaledRole::Worker].map(|role| {
        let (min, max) = of_role(&bounds, role);
        FleetRoleView {
            role: role.to_string(),
            running: known(up(&listed.instances, role).count()),
            stopped: known(choice::startable(&listed.instances, role).count()),
            min: min.into(),
            max: max.into(),
        }
    });
    let instance_view = |instance: &Instance| {
        let price = console.config.prices.of(instance, region.as_deref());
        InstanceView {
            id: instance.id.to_string(),
            role: instance.role.clone(),
            name: instance.name.clone(),
            instance_type: instance.instance_type.clone(),
            zone: instance.zone.clone(),
            state: instance.state.to_string(),
            reason: instance.reason.as_ref().map(ToString::to_string),
            started_at_ms: instance.started_at_ms,
            address: instance.address.clone(),
            usd_per_h: price.as_ref().ok().copied(),
            price_error: price.err(),
            nodes: on_it(&nodes, instance)
                .filter(|node| is_live(node))
                .map(|node| node.id.clone())
                .collect(),
            obstacle: instance.obstacle.as_ref().map(ToString::to_string),
        }
    };
    let under_way = console.state.plans_under_way()?;
    let scaling = under_way
        .into_iter()
        .find(|plan| matches!(plan.change, Change::Scale(_)));
    Ok(FleetView {
        at_ms: epoch_ms(),
        kind: match &kind {
            None => "none",
            Some(FleetKind::Local) => "local",
            Some(FleetKind::Ec2 { .. }) => "ec2",
        }
        .to_owned(),
        region: region.clone(),
        error: console.machines.unknown(),
        age_ms: listed.age_ms(),
        roles: roles.into(),
        instances: listed.instances.iter().map(instance_view).collect(),
        plan: scaling.map(|plan| plan.id),
    })
}

/// The region of the instances, if known.
pub(crate) fn region(console: &Console) -> Option<String> {
    match console.machines.fleet.as_ref()?.kind() {
        FleetKind::Ec2 { region } => region,
        FleetKind::Local => None,
    }
}

/// How many nodes may run.
pub(crate) fn bounds(console: &Console) -> FleetBounds {
    let document = console.desired.document();
    document.fleet.map(|set| set.value).unwrap_or_default()
}

/// Minimum and maximum of a role.
pub(crate) fn of_role(bounds: &FleetBounds, role: ScaledRole) -> (u32, u32) {
    match role {
        ScaledRole::Api => (bounds.api_min, bounds.api_max),
        ScaledRole::Worker => (bounds.worker_min, bounds.worker_max),
    }
}

/// The nodes of the latest snapshot.
pub(crate) fn nodes(console: &Console) -> Vec<NodeView> {
    let latest = console.monitor.latest();
    latest
        .map(|seen| seen.nodes.nodes.clone())
        .unwrap_or_default()
}

/// The nodes on an instance.
pub(crate) fn on_it<'a>(
    nodes: &'a [NodeView],
    instance: &Instance,
) -> impl Iterator<Item = &'a NodeView> + use<'a> {
    let id = instance.id.to_string();
    nodes
        .iter()
        .filter(move |node| node.instance_id.as_deref() == Some(&id))
}

/// Whether a node is running now.
pub(crate) fn is_live(node: &NodeView) -> bool {
    !node.is_gone()
}

/// The instances of a role that are running or starting.
pub(crate) fn up(instances: &[Instance], role: ScaledRole) -> impl Iterator<Item = &Instance> {
    let role = role.to_string();
    instances
        .iter()
        .filter(move |instance| instance.role == role && instance.state.is_up())
}
