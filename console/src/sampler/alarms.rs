//! Alarms, most severe first.

use skilift_core::control::heartbeat::Report;

use super::MonitorState;
use super::collectors::Collectors;
use crate::console::Console;
use crate::registry::LOST_AFTER_MS;
use crate::view::nodes::NodeState;
use crate::view::queue::QueueView;
use crate::view::reconciliation::Verdict;

/// Clock skew above this distorts latencies.
const SKEW_MS: u64 = 2_000;
/// Maximum nodes named in one message.
const MAX_NAMED: usize = 5;

/// The alarms of a snapshot.
pub(super) fn of(
    console: &Console,
    state: &MonitorState,
    collectors: &Collectors,
    view: &QueueView,
    now: u64,
) -> Vec<String> {
    let registry = &state.registry;
    let mut alarms = Vec::new();
    if matches!(
        view.reconciliation.verdict,
        Verdict::Loss | Verdict::SuspectedLoss
    ) {
        alarms.push(view.reconciliation.message.clone());
    }
    if let Some(why) = &collectors.disconnected {
        alarms.push(format!(
            "no heartbeats received; node states are stale: {why}"
        ));
    }
    if let Err((why, _)) = collectors.depth.known(now) {
        alarms.push(format!("backlog unknown: {why}"));
    }
    if let Err((why, _)) = collectors.books.known(now) {
        alarms.push(format!("store unreachable: {why}"));
    }
    let named = |state: NodeState| {
        let nodes = registry.nodes().filter(|node| node.state() == state);
        let names: Vec<String> = nodes.map(|node| node.last.node.to_string()).collect();
        list(&names)
    };
    // Right after the subscription, not every node has sent a heartbeat yet.
    if collectors.disconnected.is_none() && registry.connected_for_ms(now) >= LOST_AFTER_MS {
        if view.utilisation.worker.nodes == 0 {
            alarms.push("no worker is up: no ride is stored".to_owned());
        }
        if view.utilisation.api.nodes == 0 {
            alarms.push("no API node is up: no ride is accepted".to_owned());
        }
    }
    if let Some(names) = named(NodeState::Lost) {
        alarms.push(format!("no heartbeat from {names}"));
    }
    if let Some(names) = named(NodeState::Unavailable) {
        alarms.push(format!("unavailable: {names}"));
    }
    if let Some(names) = named(NodeState::Degraded) {
        alarms.push(format!("degraded: {names}"));
    }
    for node in registry.nodes().filter(|node| node.is_live()) {
        if let Report::Api(api) = &node.last.report
            && !api.shedding.is_empty()
        {
            let why = api.shedding.join("; ");
            alarms.push(format!("{} rejects rides: {why}", node.last.node));
        }
    }
    if view.paused.is_some() {
        alarms.push("consumption is paused: rides are accepted and queued".to_owned());
    }
    if let Some(why) = console.dead_letters.hindrance() {
        alarms.push(format!(
            "dead letters are not being read from their queue: {why}"
        ));
    }
    if let Some(letters) = view.dead_letters.value.filter(|letters| *letters > 0) {
        let (letters, wait) = match letters {
            1 => ("1 dead letter".to_owned(), "needs"),
            many => (format!("{many} dead letters"), "need"),
        };
        let at_least = match &view.dead_letters.error {
            Some(_) => "at least ",
            None => "",
        };
        alarms.push(format!("{at_least}{letters} {wait} attention"));
    }
    if state.conflicts.change_this(now) {
        alarms.push(
            "another console manages this stack as well; the two overwrite each other's settings"
                .to_owned(),
        );
    }
    let skewed = registry
        .nodes()
        .filter(|node| node.is_live() && node.skew_ms.unsigned_abs() > SKEW_MS);
    let skewed: Vec<String> = skewed.map(|node| node.last.node.to_string()).collect();
    if let Some(names) = list(&skewed) {
        alarms.push(format!(
            "clock skew above {} s, latencies are inaccurate: {names}",
            SKEW_MS / 1_000
        ));
    }
    alarms
}

fn list(names: &[String]) -> Option<String> {
    let shown = names.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>();
    match names.len() {
        0 => None,
        all if all > MAX_NAMED => {
            Some(format!("{} and {} more", shown.join(", "), all - MAX_NAMED))
        }
        _ => Some(shown.join(", ")),
    }
}
