//! The view of the nodes.

use std::collections::BTreeMap;

use skilift_core::control::Generation;
use skilift_core::control::heartbeat::Report;

use super::queue::Timestamps;
use super::readings::Collectors;
use crate::console::Console;
use crate::lag::latency;
use crate::registry::{Counts, Node, NodeRegistry, held};
use crate::view::Reading;
use crate::view::nodes::{NodeView, NodesView};
use crate::view::settings::GenerationView;

/// Microseconds in a millisecond.
const US_PER_MS: u64 = 1_000;

/// All nodes, by role and then by name.
pub(super) fn view(
    console: &Console,
    registry: &NodeRegistry,
    collectors: &Collectors,
    at: &Timestamps,
) -> NodesView {
    let document = console.desired.document();
    let desired = |node: &Node| match &node.last.report {
        Report::Api(_) => document.api.map(|set| set.generation),
        Report::Worker(_) => document.worker.map(|set| set.generation),
    };
    let disconnected = collectors.disconnected.as_deref();
    let mut nodes: Vec<NodeView> = registry
        .nodes()
        .map(|node| node_view(node, desired(node), disconnected, at))
        .collect();
    nodes.sort_by(|one, other| (&one.role, &one.id).cmp(&(&other.role, &other.id)));
    NodesView {
        at_ms: at.epoch_ms,
        nodes,
    }
}

fn node_view(
    node: &Node,
    desired: Option<Generation>,
    disconnected: Option<&str>,
    at: &Timestamps,
) -> NodeView {
    let heartbeat = &node.last;
    let heartbeat_age_ms = at.now.saturating_sub(node.received_at);
    let rate = |count: fn(&Counts) -> u64| {
        if node.is_gone() {
            return Reading::unknown("no recent heartbeat");
        }
        match (disconnected, node.per_s(count)) {
            (Some(why), _) => Reading::unknown(why),
            (None, Some(rate)) => Reading::of(rate, heartbeat_age_ms),
            (None, None) => Reading::unknown("only one heartbeat received so far"),
        }
    };
    let (threads, settings, per_ms) = match &heartbeat.report {
        Report::Api(api) => {
            let settings = [
                ("channels", api.settings.channels),
                ("message_rides", api.settings.message_rides),
                ("max_in_flight", api.settings.max_in_flight),
            ];
            (u64::from(api.channels), settings.to_vec(), US_PER_MS)
        }
        Report::Worker(worker) => {
            let settings = [
                ("threads", worker.settings.threads),
                ("prefetch", worker.settings.prefetch),
                ("batch", worker.settings.batch),
                ("linger_ms", worker.settings.linger_ms),
            ];
            let threads = worker.consumers.len() as u64;
            (threads, settings.to_vec(), 1)
        }
    };
    let is_worker = matches!(heartbeat.report, Report::Worker(_));
    let lanes = threads.max(1) as f64;
    let mut busy = if is_worker {
        rate(|counts| counts.busy_ms)
    } else {
        Reading::unknown("not measured for API nodes")
    };
    busy.value = busy.value.map(|ms| (ms / 1_000.0 / lanes).min(1.0));
    let mut cpu_cores = rate(|counts| counts.cpu_ms);
    cpu_cores.value = cpu_cores.value.map(|ms| ms / 1_000.0);
    NodeView {
        id: heartbeat.node.to_string(),
        role: heartbeat.role().to_string(),
        boot_id: heartbeat.boot_id.to_string(),
        host: heartbeat.host.clone(),
        instance_id: heartbeat.instance_id.clone(),
        version: heartbeat.version.clone(),
        state: node.state(),
        message: message(node, disconnected, heartbeat_age_ms),
        last_heartbeat_age_ms: heartbeat_age_ms,
        uptime_s: heartbeat.sent_at_ms.saturating_sub(heartbeat.started_at_ms) / 1_000,
        desired: desired.map(generation_view),
        actual: heartbeat.generation.map(generation_view),
        settings: by_name(settings),
        threads,
        busy,
        rides_per_s: if is_worker {
            rate(|counts| counts.acked)
        } else {
            rate(|counts| counts.accepted)
        },
        rejected_per_s: rate(|counts| counts.refused + counts.denied),
        unacked_messages: is_worker.then(|| held(&heartbeat.report)),
        in_flight_rides: (!is_worker).then(|| held(&heartbeat.report)),
        latency: latency(node.window.durations(at.now), per_ms, heartbeat_age_ms),
        cpu_cores,
        rss_bytes: heartbeat.rss_bytes,
        clock_skew_ms: node.skew_ms,
    }
}

fn message(node: &Node, disconnected: Option<&str>, heartbeat_age_ms: u64) -> Option<String> {
    if node.has_ended() {
        return None;
    }
    if node.is_lost() {
        return Some(format!("no heartbeat for {} s", heartbeat_age_ms / 1_000));
    }
    if let Some(why) = disconnected {
        return Some(format!("no heartbeats received: {why}"));
    }
    if node.is_unconfirmed() {
        return Some("no heartbeat since the console started".to_owned());
    }
    node.last.health.message.clone()
}

fn by_name(values: Vec<(&str, u32)>) -> BTreeMap<String, u64> {
    let named = values.into_iter();
    named
        .map(|(name, value)| (name.to_owned(), u64::from(value)))
        .collect()
}

pub(super) fn generation_view(generation: Generation) -> GenerationView {
    GenerationView {
        version: generation.version,
        hash: generation.hash,
    }
}
