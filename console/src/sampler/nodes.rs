//! What is seen of the nodes.

use std::collections::BTreeMap;

use skilift_core::control::Generation;
use skilift_core::control::heartbeat::Report;

use super::queue::At;
use super::sources::Sources;
use crate::console::Console;
use crate::lag::latency;
use crate::registry::{Counts, Node, Registry, held};
use crate::view::Reading;
use crate::view::nodes::{NodeView, NodesView};
use crate::view::settings::GenerationView;

/// Microseconds in a millisecond.
const US_PER_MS: u64 = 1_000;

/// All nodes, by role and then by name.
pub(super) fn view(
    console: &Console,
    registry: &Registry,
    sources: &Sources,
    at: &At,
) -> NodesView {
    let document = console.desired.document();
    let desired = |node: &Node| match &node.last.report {
        Report::Api(_) => document.api.map(|set| set.generation),
        Report::Worker(_) => document.worker.map(|set| set.generation),
    };
    let deaf = sources.deaf.as_deref();
    let mut nodes: Vec<NodeView> = registry
        .nodes()
        .map(|node| node_view(node, desired(node), deaf, at))
        .collect();
    nodes.sort_by(|one, other| (&one.role, &one.id).cmp(&(&other.role, &other.id)));
    NodesView {
        at_ms: at.epoch_ms,
        nodes,
    }
}

fn node_view(node: &Node, desired: Option<Generation>, deaf: Option<&str>, at: &At) -> NodeView {
    let heartbeat = &node.last;
    let heard_ms = at.now.saturating_sub(node.heard_at);
    let rate = |count: fn(&Counts) -> u64| {
        if node.is_gone() {
            return Reading::unknown("it is not heard any more");
        }
        match (deaf, node.per_s(count)) {
            (Some(why), _) => Reading::unknown(why),
            (None, Some(rate)) => Reading::of(rate, heard_ms),
            (None, None) => Reading::unknown("it was heard only once so far"),
        }
    };
    let (threads, settings, per_ms) = match &heartbeat.report {
        Report::Api(api) => {
            let settings = [
                ("lanes", api.settings.lanes),
                ("message_rides", api.settings.message_rides),
                ("max_in_flight", api.settings.max_in_flight),
            ];
            (u64::from(api.lanes), settings.to_vec(), US_PER_MS)
        }
        Report::Worker(worker) => {
            let settings = [
                ("threads", worker.settings.threads),
                ("prefetch", worker.settings.prefetch),
                ("batch", worker.settings.batch),
                ("linger_ms", worker.settings.linger_ms),
            ];
            let threads = worker.lanes.len() as u64;
            (threads, settings.to_vec(), 1)
        }
    };
    let is_worker = matches!(heartbeat.report, Report::Worker(_));
    let lanes = threads.max(1) as f64;
    let mut busy = if is_worker {
        rate(|counts| counts.busy_ms)
    } else {
        Reading::unknown("the lanes of an API node only wait")
    };
    busy.value = busy.value.map(|ms| (ms / 1_000.0 / lanes).min(1.0));
    let mut cpu_cores = rate(|counts| counts.cpu_ms);
    cpu_cores.value = cpu_cores.value.map(|ms| ms / 1_000.0);
    NodeView {
        id: heartbeat.node.to_string(),
        role: heartbeat.role().to_string(),
        boot: heartbeat.boot.to_string(),
        host: heartbeat.host.clone(),
        instance: heartbeat.instance.clone(),
        version: heartbeat.version.clone(),
        state: node.state(),
        message: message(node, deaf, heard_ms),
        heard_ms,
        up_s: heartbeat.sent_at_ms.saturating_sub(heartbeat.started_at_ms) / 1_000,
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
        held: held(&heartbeat.report),
        latency: latency(node.window.durations(at.now), per_ms, heard_ms),
        cpu_cores,
        rss_bytes: heartbeat.rss_bytes,
        clock_skew_ms: node.skew_ms,
    }
}

fn message(node: &Node, deaf: Option<&str>, heard_ms: u64) -> Option<String> {
    if node.has_ended() {
        return None;
    }
    if node.is_lost() {
        return Some(format!("not heard for {} s", heard_ms / 1_000));
    }
    if let Some(why) = deaf {
        return Some(format!("heartbeats are not heard: {why}"));
    }
    if node.is_awaited() {
        return Some("not heard yet since the console started".to_owned());
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
        number: generation.number,
        hash: generation.hash,
    }
}
