//! Alarms, most severe first. One cause gives one alarm: what follows from it is part of its message.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use skilift_core::control::Role;
use skilift_core::control::heartbeat::Report;
use skilift_fleet::instance::GIVEN_UP;

use super::monitor::{MonitorState, START_MS};
use super::queue::Timestamps;
use super::readings::Collectors;
use crate::config::EngineKind;
use crate::console::Console;
use crate::lag::rate;
use crate::registry::{LOST_AFTER_MS, Node};
use crate::view::alarm::{AcknowledgedView, AlarmCode, AlarmView, Severity};
use crate::view::figures::{grouped, moment};
use crate::view::nodes::NodeState;
use crate::view::queue::QueueView;
use crate::view::reconciliation::Verdict;

/// Clock skew above this distorts latencies.
const SKEW_MS: u64 = 2_000;
/// A listing of the instances may fail for so long: EC2 throttles at times.
const UNLISTED: Duration = Duration::from_secs(60);
/// Maximum nodes named in one message.
const MAX_NAMED: usize = 5;

/// The alarms of a snapshot.
pub(super) fn of(
    console: &Console,
    state: &mut MonitorState,
    collectors: &Collectors,
    view: &QueueView,
    at: &Timestamps,
) -> Vec<AlarmView> {
    let mut alarms = Alarms::default();
    losses(&mut alarms, view);
    outages(&mut alarms, console, state, collectors, at.now);
    nodes(&mut alarms, console, state, collectors, view, at.now);
    others(&mut alarms, console, state, view, at.now);
    let changes = state
        .raised
        .date(&mut alarms.0, view, at.epoch_ms, at.now - START_MS);
    console.monitor.unwritten().append(changes);
    for alarm in &mut alarms.0 {
        alarm.acknowledged = acknowledged(console, alarm);
    }
    alarms
        .0
        .sort_by_key(|alarm| (Reverse(alarm.severity), alarm.code));
    alarms.0
}

/// Who acknowledged an alarm since it was raised.
fn acknowledged(console: &Console, alarm: &AlarmView) -> Option<AcknowledgedView> {
    let code = alarm.code.to_string();
    let found = console.state.acknowledgements.get(code.as_bytes());
    let found = found.ok().flatten()?;
    let has_grown = alarm.count > found.count
        || found
            .severity
            .is_some_and(|severity| alarm.severity > severity);
    (found.since_at_ms == alarm.since_at_ms && !has_grown).then_some(AcknowledgedView {
        by: found.by,
        at_ms: found.at_ms,
        reason: found.reason,
    })
}

#[derive(Default)]
struct Alarms(Vec<AlarmView>);

impl Alarms {
    fn raise(
        &mut self,
        code: AlarmCode,
        severity: Severity,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.raise_about(0, code, severity, message, remedy);
    }

    /// Raises an alarm about so many messages, nodes or dead letters.
    fn raise_about(
        &mut self,
        count: u64,
        code: AlarmCode,
        severity: Severity,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.0.push(AlarmView {
            code,
            severity,
            since_at_ms: 0,
            count,
            message: message.into(),
            remedy: remedy.into(),
            link: code.page().to_owned(),
            acknowledged: None,
        });
    }

    fn has(&self, code: AlarmCode) -> bool {
        self.0.iter().any(|alarm| alarm.code == code)
    }
}

fn losses(alarms: &mut Alarms, view: &QueueView) {
    let message = &view.reconciliation.message;
    match view.reconciliation.verdict {
        Verdict::Loss => alarms.raise_about(
            view.reconciliation.lost_messages.value.unwrap_or_default(),
            AlarmCode::Loss,
            Severity::Critical,
            message,
            "Find out what removed the messages (purge, policy, another consumer), then resend the rides from the gates.",
        ),
        Verdict::SuspectedLoss => alarms.raise(
            AlarmCode::SuspectedLoss,
            Severity::Warning,
            message,
            "Wait half a minute: then messages are either stored or reported as lost. If Redis was emptied, restore its newest copy and have the gates send the missing days again.",
        ),
        _ => {}
    }
}

/// Queue and store, and the rides that API nodes reject.
fn outages(
    alarms: &mut Alarms,
    console: &Console,
    state: &MonitorState,
    collectors: &Collectors,
    now: u64,
) {
    let (queue, store) = match console.config.engine {
        EngineKind::Servers => ("RabbitMQ", "Redis"),
        EngineKind::DataFolder => ("the queue", "the store"),
    };
    let rejected = rejected(state, now);
    let and_rejected = rejected
        .as_ref()
        .map_or_else(String::new, |(what, _)| format!("; {what}"));
    let ran_ms = now - START_MS;
    if let Some(why) = collectors.depth.outage(now, ran_ms) {
        alarms.raise(
            AlarmCode::QueueUnreachable,
            Severity::Critical,
            format!("{queue} is unreachable, the backlog is unknown: {why}{and_rejected}"),
            format!("Check that {queue} runs and can be reached: `skictl doctor`. Gates resend rejected rides by themselves."),
        );
    } else if let Some((what, reasons)) = rejected {
        alarms.raise(
            AlarmCode::RidesRejected,
            Severity::Critical,
            match reasons.as_str() {
                "" => what,
                _ => format!("{what}: {reasons}"),
            },
            "Remove the cause. Gates resend rejected rides by themselves.",
        );
    }
    if let Some(why) = collectors.books.outage(now, ran_ms) {
        alarms.raise(
            AlarmCode::StoreUnreachable,
            Severity::Critical,
            format!("{store} is unreachable, rides are queued but not stored: {why}"),
            format!("Check that {store} runs and can be reached: `skictl doctor`."),
        );
    }
}

/// What is rejected, and the reasons; `None` if no node rejects rides.
fn rejected(state: &MonitorState, now: u64) -> Option<(String, String)> {
    // A node that was asked to drain is no fault while no rides arrive at it.
    let rejects = |node: &&Node| {
        let is_shedding = matches!(&node.last.report, Report::Api(api) if !api.shedding.is_empty());
        (is_shedding && !node.is_drained()) || node.window.has_grown(|counts| counts.refused)
    };
    let nodes: Vec<&Node> = state.registry.live(Role::Api).filter(rejects).collect();
    let (names, _) = list(nodes.iter().map(|node| node.last.node.to_string()))?;
    let reasons: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| match &node.last.report {
            Report::Api(api) => Some(api.shedding.iter().map(String::as_str)),
            Report::Worker(_) => None,
        })
        .flatten()
        .collect();
    let reasons: Vec<&str> = reasons.into_iter().collect();
    let per_s = rate(&state.registry, Role::Api, now, |counts| counts.refused);
    let per_s = match per_s.value {
        Some(per_s) if per_s >= 1.0 => format!(", {per_s:.0} requests/s"),
        Some(per_s) => format!(", {per_s:.1} requests/s"),
        None => String::new(),
    };
    let what = format!("rides are rejected with 503 by {names}{per_s}");
    Some((what, reasons.join("; ")))
}

fn nodes(
    alarms: &mut Alarms,
    console: &Console,
    state: &MonitorState,
    collectors: &Collectors,
    view: &QueueView,
    now: u64,
) {
    let registry = &state.registry;
    let is_outage = alarms.has(AlarmCode::QueueUnreachable)
        || alarms.has(AlarmCode::StoreUnreachable)
        || collectors.depth.is_unsettled(now)
        || collectors.books.is_unsettled(now);
    if let Some(why) = &collectors.disconnected {
        // Heartbeats come through the store.
        if !alarms.has(AlarmCode::StoreUnreachable) {
            alarms.raise(
                AlarmCode::NoHeartbeats,
                Severity::Warning,
                format!("no heartbeats received; node states are stale: {why}"),
                "Check that the console reaches Redis: `skictl doctor`.",
            );
        }
        return;
    }
    // Right after the subscription, not every node has sent a heartbeat yet.
    if registry.connected_for_ms(now) >= LOST_AFTER_MS {
        if has_none(state, Role::Api) {
            alarms.raise(
                AlarmCode::NoApiNode,
                Severity::Critical,
                format!(
                    "no API node is up: no ride is accepted{}",
                    given_up(console)
                ),
                "Start one: `skictl serve api`, or `skictl scale api=1`.",
            );
        }
        let are_all_drained = registry.live(Role::Worker).all(Node::is_drained);
        if has_none(state, Role::Worker) {
            alarms.raise(
                AlarmCode::NoWorker,
                Severity::Critical,
                format!(
                    "no worker is up: rides are queued but not stored{}",
                    given_up(console)
                ),
                "Start one: `skictl serve worker`, or `skictl scale worker=1`.",
            );
        } else if view.paused.is_none() && are_all_drained {
            let (severity, others) = match view.utilisation.worker.lost {
                0 => (Severity::Warning, ""),
                _ => (Severity::Critical, " that is not lost"),
            };
            alarms.raise(
                AlarmCode::NoWorker,
                severity,
                format!("every worker{others} is drained: rides are queued but not stored"),
                "Undrain one: `skictl nodes undrain NAME`, or start another.",
            );
        }
    }
    let named = |state: NodeState| {
        let nodes = registry.nodes().filter(move |node| node.state() == state);
        list(nodes.map(|node| node.last.node.to_string()))
    };
    if let Some((names, count)) = named(NodeState::Lost) {
        alarms.raise_about(
            count,
            AlarmCode::NodesLost,
            Severity::Warning,
            format!("no heartbeat from {names}{}", given_up(console)),
            "Check its process and host; what it had not finished is redelivered. `skictl nodes show NODE` has the details; if it is gone for good: `skictl nodes forget NODE`.",
        );
    }
    let rivals = registry.with_rivals(now);
    if let Some((names, count)) = list(rivals.map(|node| node.last.node.to_string())) {
        alarms.raise_about(
            count,
            AlarmCode::DuplicateNodes,
            Severity::Warning,
            format!("two processes have the same name, and only the newer one is shown: {names}"),
            "Give their hosts different names, or their health and metrics different ports (`--metrics-listen`).",
        );
    }
    // An outage explains why nodes cannot work, and why they cannot work again at once.
    if is_outage {
        return;
    }
    if let Some((names, count)) = named(NodeState::Unavailable) {
        let works = |role| {
            registry
                .live(role)
                .any(|node| matches!(node.state(), NodeState::Ready | NodeState::Degraded))
        };
        let is_idle = |role: Role| registry.live(role).next().is_some() && !works(role);
        let severity = if is_idle(Role::Api) || is_idle(Role::Worker) {
            Severity::Critical
        } else {
            Severity::Warning
        };
        alarms.raise_about(
            count,
            AlarmCode::NodesUnavailable,
            severity,
            format!("nodes are unavailable: {names}"),
            "`skictl nodes` shows the reason of each.",
        );
    }
    if let Some((names, count)) = named(NodeState::Degraded) {
        alarms.raise_about(
            count,
            AlarmCode::NodesDegraded,
            Severity::Warning,
            format!("nodes are degraded: {names}"),
            "`skictl nodes` shows the reason of each.",
        );
    }
}

/// Whether no node of a role is up. One that starts ends that only once it works: it may end before, again and again.
fn has_none(state: &MonitorState, role: Role) -> bool {
    let code = match role {
        Role::Api => AlarmCode::NoApiNode,
        Role::Worker => AlarmCode::NoWorker,
    };
    let is_raised = state.raised.is_raised(code);
    let is_up =
        |node: &Node| !is_raised || (node.state() != NodeState::Starting && !node.is_silent());
    !state.registry.live(role).any(is_up)
}

/// The child processes that are not started again, as the end of a message.
fn given_up(console: &Console) -> String {
    let instances = console.machines.listed().instances;
    let reasons = instances.iter().filter_map(|instance| {
        let reason = instance.reason.as_ref();
        let reason = reason.filter(|reason| reason.code == GIVEN_UP)?;
        Some(format!("; {} is {reason}", instance.id))
    });
    reasons.collect()
}

/// Rides without a valid ingest key.
fn denied(alarms: &mut Alarms, state: &MonitorState, view: &QueueView, now: u64) {
    let denied = rate(&state.registry, Role::Api, now, |counts| counts.denied);
    let Some(per_s) = denied.value.filter(|per_s| *per_s > 0.0) else {
        return;
    };
    let is_all = view.rates.publish_per_s.value == Some(0.0);
    let (severity, none) = if is_all {
        (Severity::Critical, "; no ride is accepted")
    } else {
        (Severity::Warning, "")
    };
    alarms.raise(
        AlarmCode::RidesDenied,
        severity,
        format!("{per_s:.1} requests/s are rejected with 401 or 403: they have no valid ingest key{none}"),
        "Give the gates a key (`skictl keys add`), or open ingest (`skictl settings set ingest open`).",
    );
}

fn others(
    alarms: &mut Alarms,
    console: &Console,
    state: &MonitorState,
    view: &QueueView,
    now: u64,
) {
    denied(alarms, state, view, now);
    if let Some(pause) = &view.paused {
        alarms.raise(
            AlarmCode::Paused,
            Severity::Info,
            format!(
                "consumption paused by {}{}: rides are accepted and queued, but not stored",
                pause.paused_by,
                pause
                    .resumes_at_ms
                    .map_or_else(String::new, |at| format!(" until {}", moment(at)))
            ),
            "Resume it with `skictl queue resume`.",
        );
    }
    if let Some(why) = console.dead_letters.hindrance()
        && !alarms.has(AlarmCode::QueueUnreachable)
    {
        alarms.raise(
            AlarmCode::DeadLettersUnread,
            Severity::Warning,
            format!("dead letters are not being read from their queue: {why}"),
            "They stay in their queue until then.",
        );
    }
    if let Some(count) = view.dead_letters.value.filter(|letters| *letters > 0) {
        let (letters, wait) = match count {
            1 => ("1 dead letter".to_owned(), "needs"),
            many => (format!("{} dead letters", grouped(many)), "need"),
        };
        let at_least = match &view.dead_letters.error {
            Some(_) => "at least ",
            None => "",
        };
        alarms.raise_about(
            count,
            AlarmCode::DeadLetters,
            Severity::Warning,
            format!("{at_least}{letters} {wait} attention"),
            "`skictl queue dead list` shows why; then replay or discard them.",
        );
    }
    if state.conflicts.change_this(now) {
        alarms.raise(
            AlarmCode::ConflictingConsole,
            Severity::Warning,
            "another console manages this stack as well; the two overwrite each other's settings",
            "Stop one of them, or run it with --read-only.",
        );
    }
    if let Some((why, failing)) = console.machines.failing()
        && failing >= UNLISTED
    {
        alarms.raise(
            AlarmCode::InstancesUnknown,
            Severity::Warning,
            format!("the instances cannot be listed: {why}"),
            "Check the console's network and its permissions on EC2; nothing can be scaled until then.",
        );
    }
    if let Some(found) = console.archive_faults.latest() {
        alarms.raise_about(
            found.days,
            AlarmCode::ArchiveUnreadable,
            Severity::Warning,
            format!("the archive cannot be read: {}", found.why),
            "Mount the directory of --archive, or restore its files from a backup: `skictl archive list` shows which.",
        );
    }
    let skewed = state
        .registry
        .nodes()
        .filter(|node| node.is_live() && node.skew_ms.unsigned_abs() > SKEW_MS);
    if let Some((names, count)) = list(skewed.map(|node| node.last.node.to_string())) {
        alarms.raise_about(
            count,
            AlarmCode::ClockSkew,
            Severity::Warning,
            format!(
                "clock skew above {} s, latencies are inaccurate: {names}",
                SKEW_MS / 1_000
            ),
            "Synchronise the clocks (NTP).",
        );
    }
}

/// The first names and how many more there are, and their number; `None` without any.
fn list(names: impl Iterator<Item = String>) -> Option<(String, u64)> {
    let names: Vec<String> = names.collect();
    let shown = names.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>();
    let shown = shown.join(", ");
    let shown = match names.len() {
        0 => return None,
        all if all > MAX_NAMED => format!("{shown} and {} more", all - MAX_NAMED),
        _ => shown,
    };
    Some((shown, names.len() as u64))
}
