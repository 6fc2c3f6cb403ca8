//! What an operator should know now, the gravest first.

use skilift_core::control::heartbeat::Report;

use super::Watched;
use super::sources::Sources;
use crate::console::Console;
use crate::registry::LOST_AFTER_MS;
use crate::view::books::Verdict;
use crate::view::nodes::NodeState;
use crate::view::queue::QueueView;

/// A clock that is further off than this makes latencies wrong.
const SKEW_MS: u64 = 2_000;
/// Nodes that are named in one sentence.
const MOST_NAMED: usize = 5;

/// In words.
pub(super) fn of(
    console: &Console,
    watched: &Watched,
    sources: &Sources,
    view: &QueueView,
    now: u64,
) -> Vec<String> {
    let registry = &watched.registry;
    let mut alarms = Vec::new();
    if matches!(view.books.verdict, Verdict::Lost | Verdict::Suspect) {
        alarms.push(view.books.says.clone());
    }
    if let Some(why) = &sources.deaf {
        alarms.push(format!(
            "heartbeats are not heard, nodes are as they were: {why}"
        ));
    }
    if let Err((why, _)) = sources.depth.known(now) {
        alarms.push(format!("it is not known how much waits: {why}"));
    }
    if let Err((why, _)) = sources.books.known(now) {
        alarms.push(format!("the store cannot be asked: {why}"));
    }
    let named = |state: NodeState| {
        let nodes = registry.nodes().filter(|node| node.state() == state);
        let names: Vec<String> = nodes.map(|node| node.last.node.to_string()).collect();
        list(&names)
    };
    // Who has listened for a moment only has not heard everybody.
    if sources.deaf.is_none() && registry.hears_for(now) >= LOST_AFTER_MS {
        if view.utilisation.worker.nodes == 0 {
            alarms.push("no worker is heard: no ride is stored".to_owned());
        }
        if view.utilisation.api.nodes == 0 {
            alarms.push("no API node is heard: no ride is accepted".to_owned());
        }
    }
    if let Some(names) = named(NodeState::Lost) {
        alarms.push(format!("not heard any more: {names}"));
    }
    if let Some(names) = named(NodeState::Unavailable) {
        alarms.push(format!("cannot work: {names}"));
    }
    if let Some(names) = named(NodeState::Degraded) {
        alarms.push(format!("work, but not well: {names}"));
    }
    for node in registry.nodes().filter(|node| node.is_heard()) {
        if let Report::Api(api) = &node.last.report
            && !api.shedding.is_empty()
        {
            let why = api.shedding.join("; ");
            alarms.push(format!("{} refuses rides: {why}", node.last.node));
        }
    }
    if view.paused.is_some() {
        alarms.push("consumption is paused: rides are accepted and wait".to_owned());
    }
    if let Some(why) = console.letters.hindrance() {
        alarms.push(format!(
            "dead letters are not taken from their queue: {why}"
        ));
    }
    if let Some(letters) = view.dead_letters.value.filter(|letters| *letters > 0) {
        let (letters, wait) = match letters {
            1 => ("1 dead letter".to_owned(), "waits"),
            many => (format!("{many} dead letters"), "wait"),
        };
        let at_least = match &view.dead_letters.unknown {
            Some(_) => "at least ",
            None => "",
        };
        alarms.push(format!("{at_least}{letters} {wait} for somebody to decide"));
    }
    if watched.others.change_this(now) {
        alarms.push(
            "another console changes this stack, too: what one of them sets the other takes over or overrules".to_owned(),
        );
    }
    let skewed = registry
        .nodes()
        .filter(|node| node.is_heard() && node.skew_ms.unsigned_abs() > SKEW_MS);
    let skewed: Vec<String> = skewed.map(|node| node.last.node.to_string()).collect();
    if let Some(names) = list(&skewed) {
        alarms.push(format!(
            "clocks are off by more than {} s, and latencies with them: {names}",
            SKEW_MS / 1_000
        ));
    }
    alarms
}

fn list(names: &[String]) -> Option<String> {
    let shown = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>();
    match names.len() {
        0 => None,
        all if all > MOST_NAMED => Some(format!(
            "{} and {} more",
            shown.join(", "),
            all - MOST_NAMED
        )),
        _ => Some(shown.join(", ")),
    }
}
