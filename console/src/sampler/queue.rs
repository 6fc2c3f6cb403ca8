//! The view of the queue, and the reconciliation verdict.

use skilift_core::control::Role;
use skilift_core::control::heartbeat::Report;

use super::backlog::{sum, total_rides, unheard};
use super::monitor::MonitorState;
use super::readings::Collectors;
use super::{alarms, reconciliation};
use crate::config::EngineKind;
use crate::console::Console;
use crate::dead_letters::LeaseHolder;
use crate::history::Totals;
use crate::lag::{Consumption, drain_time, latency, no_node, rate};
use crate::loss_detector::{Observation, QueueSnapshot};
use crate::registry::{Counts, LOST_AFTER_MS, Node, NodeRegistry};
use crate::view::Reading;
use crate::view::queue::{
    ConsumerView, HistoryPoint, LatencyView, PauseView, QueueView, RatesView, RoleUtilisationView,
    Trend, UtilisationView,
};

/// Readings that are at most this old count as simultaneous for the reconciliation verdict.
const AT_ONCE_MS: u64 = 2_000;

/// The time of a collection.
pub(super) struct Timestamps {
    /// By the monotonic clock, in milliseconds.
    pub(super) now: u64,
    /// By the wall clock, in milliseconds since 1970.
    pub(super) epoch_ms: u64,
}

/// The view of the queue.
pub(super) fn view(
    console: &Console,
    state: &mut MonitorState,
    collectors: &Collectors,
    at: &Timestamps,
) -> QueueView {
    let now = at.now;
    let MonitorState {
        registry,
        epochs,
        loss_detector,
        backlogs,
        oldest,
        ..
    } = state;
    let disconnected = collectors.disconnected.clone();
    let if_connected = |reading: Reading<f64>| match &disconnected {
        Some(why) => Reading::unknown(why.clone()),
        None => reading,
    };
    let rate = |role, count: fn(&Counts) -> u64| if_connected(rate(registry, role, now, count));
    let rates = RatesView {
        publish_per_s: rate(Role::Api, |counts| counts.accepted),
        deliver_per_s: rate(Role::Worker, |counts| counts.delivered),
        ack_per_s: rate(Role::Worker, |counts| counts.acked),
        redelivered_per_s: rate(Role::Worker, |counts| counts.redelivered),
        reads_per_s: rate(Role::Api, |counts| counts.reads),
        rejected_per_s: rate(Role::Api, |counts| counts.refused + counts.denied),
        unkeyed_per_s: rate(Role::Api, |counts| counts.unkeyed),
    };

    let held = registry.held();
    let depth = collectors.depth.known(now).ok();
    let of_queue = match console.config.engine {
        EngineKind::Servers => depth.and_then(|(depth, _)| depth.consumers),
        // Only this process uses it: one that has ended holds nothing.
        EngineKind::DataFolder => Some(0),
    };
    if let Some(consumers) = of_queue {
        registry.record_consumers(consumers);
    }
    let unheard = unheard(registry, now);
    let unacked_messages = match (&disconnected, &unheard) {
        (Some(why), _) => Reading::unknown(why.clone()),
        (None, Some(why)) => Reading::at_least((held > 0).then_some(held), Some(0), why),
        (None, None) => Reading::of(held, registry.max_heartbeat_age(now)),
    };
    let ready_messages = collectors.depth.reading(now, |depth| depth.ready_messages);
    let total_messages = sum(&ready_messages, &unacked_messages);
    let read = collectors.books.known(now);
    let books_age = read.as_ref().map_or(u64::MAX, |(_, age)| *age);
    // Simultaneous: reconciliation, depth and workers, and no node without a heartbeat that may hold messages.
    let is_at_once = |depth_age: u64| {
        let oldest = depth_age
            .max(books_age)
            .max(registry.max_heartbeat_age(now));
        oldest <= AT_ONCE_MS && !registry.has_unconfirmed_nodes() && unheard.is_none()
    };
    let seen = match (&disconnected, collectors.depth.known(now)) {
        (None, Ok((depth, age))) if is_at_once(age) => Some(QueueSnapshot {
            ready: depth.ready_messages,
            held,
            oldest_held_ms: oldest_held(registry, now)
                .map(|(age_ms, report_age_ms)| age_ms + report_age_ms + registry.max_clock_skew()),
            delivered: registry.delivered_messages(),
            since_worker_lost: registry.since_worker_lost(now),
        }),
        _ => None,
    };
    if let Ok((books, _)) = &read {
        let pruned = epochs.prune_missing(books, at.epoch_ms);
        console.monitor.unwritten().append(pruned);
    }
    let loss_report = read.as_ref().ok().map(|(books, _)| {
        loss_detector.update(&Observation {
            now,
            epochs: epochs.known(),
            books,
            queue: seen,
        })
    });
    let discarded = console.dead_letters.counts().discarded;
    let books_view = reconciliation::view(
        &collectors.books,
        loss_report.as_ref(),
        epochs,
        discarded,
        now,
        disconnected.as_deref(),
    );

    let total_rides = total_rides(
        console,
        collectors,
        &total_messages,
        &books_view,
        unheard.is_some(),
        now,
    );
    let is_backlog_known = total_rides.value.is_some();
    if let Some(rides) = total_rides.value {
        backlogs.record(now, rides);
    }
    let oldest_ms = oldest.update(
        now,
        total_messages.value,
        registry.delivered_messages(),
        oldest_held(registry, now).filter(|_| disconnected.is_none()),
        oldest_unheard(registry, now),
    );
    let stored_after = disconnected.as_deref().map(LatencyView::unknown);
    let stored_after = stored_after.unwrap_or_else(|| {
        latency(
            registry
                .nodes()
                .filter(|node| node.last.role() == Role::Worker)
                .flat_map(|node| node.window.durations(now)),
            1,
            0,
        )
    });
    let known = [&rates.publish_per_s, &rates.ack_per_s].map(|rate| rate.value.unwrap_or(0.0));
    let busiest = known[0].max(known[1]);
    // Right after the subscription, not every worker has sent a heartbeat yet.
    let is_known = disconnected.is_none() && registry.connected_for_ms(now) >= LOST_AFTER_MS;
    let document = console.desired.document();
    let paused = document.pause_at(at.epoch_ms);
    let mut view = QueueView {
        stack: console.config.stack.to_string(),
        at_ms: at.epoch_ms,
        engine: match console.config.engine {
            EngineKind::Servers => "RabbitMQ and Redis",
            EngineKind::DataFolder => "data directory",
        }
        .to_owned(),
        store_durability: console.config.store_durability,
        paused: paused.map(|pause| PauseView {
            paused_at_ms: pause.paused_at_ms,
            paused_by: pause.paused_by.clone(),
            resumes_at_ms: pause.resumes_at_ms,
            nodes_pending: still_consuming(registry),
        }),
        ready_messages,
        unacked_messages,
        total_messages,
        time_to_drain: drain_time(
            &total_rides,
            &rates.publish_per_s,
            &rates.ack_per_s,
            if paused.is_some() {
                Consumption::Paused
            } else if is_known && registry.live(Role::Worker).all(Node::is_drained) {
                Consumption::Stopped
            } else {
                Consumption::Runs
            },
        ),
        backlog_rides: total_rides,
        dead_letters: dead_letters(
            console.dead_letters.counts().dead,
            &collectors.depth.reading(now, |depth| depth.dead_messages),
            stored_elsewhere(console),
        ),
        rates,
        oldest_ride_age_ms: oldest_ms,
        accept_to_stored_ms: stored_after,
        trend: match is_backlog_known {
            true => backlogs.trend(now, busiest),
            false => Trend::Unknown,
        },
        utilisation: UtilisationView {
            api: utilisation(registry, Role::Api, disconnected.as_deref(), now),
            worker: utilisation(registry, Role::Worker, disconnected.as_deref(), now),
        },
        consumers: consumers(registry, disconnected.as_deref(), at),
        reconciliation: books_view,
        management: console
            .management
            .as_ref()
            .map(|management| management.view()),
        alarms: Vec::new(),
    };
    view.alarms = alarms::of(console, state, collectors, &view, at);
    view
}

/// The totals of a view, of which the history's minutes are differences.
pub(super) fn totals(view: &QueueView) -> Totals {
    let books = &view.reconciliation;
    let received = [&books.settled, &books.replayed, &books.foreign];
    Totals {
        accepted: books.accepted.value,
        acked: received.iter().map(|count| count.value).sum(),
    }
}

/// The history point of a view.
pub(super) fn point(view: &QueueView) -> HistoryPoint {
    let workers = &view.utilisation.worker;
    let is_known = workers.rss_bytes.value.is_some();
    HistoryPoint {
        at_ms: view.at_ms,
        publish_per_s: view.rates.publish_per_s.value,
        ack_per_s: view.rates.ack_per_s.value,
        reads_per_s: view.rates.reads_per_s.value,
        rejected_per_s: view.rates.rejected_per_s.value,
        backlog_rides: view.backlog_rides.value,
        accept_to_stored_p99_ms: view.accept_to_stored_ms.p99.value,
        oldest_ride_age_ms: view.oldest_ride_age_ms.value,
        dead_letters: view.dead_letters.value,
        workers: is_known.then_some(workers.nodes),
        threads: is_known.then_some(workers.threads),
    }
}

/// Why this console does not know all dead letters that were read from their queue.
fn stored_elsewhere(console: &Console) -> Option<&'static str> {
    // A data directory has only one console.
    if console.config.engine == EngineKind::DataFolder {
        return None;
    }
    if console.config.read_only {
        return Some(
            "not available: this console is read-only and another one stores the dead letters",
        );
    }
    match console.dead_letters.holder() {
        LeaseHolder::Us => None,
        LeaseHolder::Another => Some("another console stores them"),
        LeaseHolder::Unsure => Some("unknown whether another console stores dead letters"),
    }
}

/// Dead letters: `stored` by this console, those in their queue, and those that another console may store.
fn dead_letters(stored: u64, in_queue: &Reading<u64>, elsewhere: Option<&str>) -> Reading<u64> {
    let in_queue_unknown = in_queue
        .error
        .as_ref()
        .map(|why| format!("dead letters in the queue unknown: {why}"));
    let known = stored + in_queue.value.unwrap_or(0);
    let why: Vec<&str> = elsewhere
        .into_iter()
        .chain(in_queue_unknown.as_deref())
        .collect();
    if why.is_empty() {
        return Reading::of(known, in_queue.age_ms.unwrap_or(0));
    }
    let part = (known > 0).then_some(known);
    Reading::at_least(part, in_queue.age_ms.or(Some(0)), &why.join("; "))
}

/// Age of the oldest ride that any worker held at its last heartbeat, and the age of that heartbeat.
fn oldest_held(registry: &NodeRegistry, now: u64) -> Option<(u64, u64)> {
    let workers = registry.live(Role::Worker);
    // Not extrapolated: the worker may have stored it since.
    let oldest =
        workers.filter_map(|node| Some((oldest_of(node)?, now.saturating_sub(node.received_at))));
    oldest.max()
}

/// How old a ride may be that a worker without heartbeats holds: it was delivered before the last heartbeat, or after it.
fn oldest_unheard(registry: &NodeRegistry, now: u64) -> Option<u64> {
    let workers = registry.unheard_workers();
    let oldest = workers
        .map(|node| now.saturating_sub(node.received_at) + oldest_of(node).unwrap_or_default());
    oldest.max()
}

/// Age of the oldest ride that a worker held at its last heartbeat.
fn oldest_of(node: &Node) -> Option<u64> {
    let Report::Worker(worker) = &node.last.report else {
        return None;
    };
    let accepted_at = worker.oldest_unacked_accepted_at_ms?;
    Some(node.last.sent_at_ms.saturating_sub(accepted_at))
}

fn still_consuming(registry: &NodeRegistry) -> Vec<String> {
    let workers = registry.live(Role::Worker);
    let consuming = workers.filter(|node| match &node.last.report {
        Report::Worker(worker) => worker
            .consumers
            .iter()
            .any(|lane| lane.prefetch_messages > 0),
        Report::Api(_) => false,
    });
    consuming.map(|node| node.last.node.to_string()).collect()
}

fn utilisation(
    registry: &NodeRegistry,
    role: Role,
    disconnected: Option<&str>,
    now: u64,
) -> RoleUtilisationView {
    let of_role = |node: &&Node| node.last.role() == role;
    let lost = registry
        .nodes()
        .filter(of_role)
        .filter(|node| node.is_lost());
    let lost = lost.count() as u64;
    let (mut nodes, mut not_working, mut threads, mut rss_bytes) = (0, 0, 0, 0);
    for node in registry.live(role) {
        nodes += 1;
        not_working += u64::from(!node.works());
        rss_bytes += node.last.rss_bytes;
        threads += match &node.last.report {
            Report::Api(api) => u64::from(api.channels),
            Report::Worker(worker) => worker.consumers.len() as u64,
        };
    }
    let why = match disconnected {
        Some(why) => Some(why.to_owned()),
        None => (nodes == 0).then(|| no_node(role)),
    };
    let per_s = |count: fn(&Counts) -> u64| match &why {
        Some(why) => Reading::unknown(why.clone()),
        None => rate(registry, role, now, count),
    };
    let scaled = |reading: Reading<f64>, by: f64| Reading {
        value: reading.value.map(|value| value / by),
        ..reading
    };
    let busy = match role {
        Role::Worker => scaled(
            per_s(|counts| counts.busy_ms),
            1_000.0 * threads.max(1) as f64,
        ),
        Role::Api => Reading::unknown("not measured for API nodes"),
    };
    RoleUtilisationView {
        nodes,
        not_working,
        lost,
        threads,
        busy: Reading {
            value: busy.value.map(|busy| busy.min(1.0)),
            ..busy
        },
        cpu_cores: scaled(per_s(|counts| counts.cpu_ms), 1_000.0),
        rss_bytes: match why {
            Some(why) => Reading::unknown(why),
            None => Reading::of(rss_bytes, 0),
        },
    }
}

fn consumers(
    registry: &NodeRegistry,
    disconnected: Option<&str>,
    at: &Timestamps,
) -> Vec<ConsumerView> {
    let mut rows = Vec::new();
    for node in registry.nodes() {
        let Report::Worker(worker) = &node.last.report else {
            continue;
        };
        if node.has_ended() {
            continue;
        }
        let lost = node.is_lost();
        for (number, lane) in worker.consumers.iter().enumerate() {
            let acked = |counts: &Counts| counts.lanes.get(number).copied().unwrap_or(0);
            let ack_per_s = match (disconnected, lost, node.per_s(acked)) {
                (Some(why), ..) => Reading::unknown(why),
                (None, true, _) => Reading::unknown("no recent heartbeat from its node"),
                (None, false, Some(rate)) => {
                    Reading::of(rate, at.now.saturating_sub(node.received_at))
                }
                (None, false, None) => Reading::unknown("only one heartbeat received so far"),
            };
            // Both times are from the node's clock, which may be wrong.
            let since = |ack: u64| node.last.sent_at_ms.saturating_sub(ack);
            let heartbeat_age_ms = at.now.saturating_sub(node.received_at);
            rows.push(ConsumerView {
                node: node.last.node.to_string(),
                host: node.last.host.clone(),
                instance_id: node.last.instance_id.clone(),
                thread: lane.thread,
                prefetch_messages: lane.prefetch_messages,
                unacked_messages: lane.unacked_messages,
                ack_per_s,
                last_ack_age_ms: lane.last_ack_at_ms.map(|ack| since(ack) + heartbeat_age_ms),
                blocked_reason: lane.blocked_reason.clone(),
                lost,
                last_heartbeat_age_ms: heartbeat_age_ms,
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_that_nobody_here_counts_are_not_0() {
        let (none, away) = (Reading::of(0, 300), Reading::unknown("RabbitMQ is away"));
        assert_eq!(
            dead_letters(5, &Reading::of(2, 300), None),
            Reading::of(7, 300)
        );
        let elsewhere = dead_letters(0, &none, Some("another console stores them"));
        assert_eq!(elsewhere, Reading::unknown("another console stores them"));
        let part = dead_letters(0, &Reading::of(2, 300), Some("another console stores them"));
        assert_eq!((part.value, part.age_ms), (Some(2), Some(300)));
        // What is stored here is known without the broker.
        let stored = dead_letters(5, &away, None);
        assert_eq!(stored.value, Some(5));
        assert!(stored.error.unwrap().contains("RabbitMQ is away"));
        assert_eq!(dead_letters(0, &away, None).value, None);
    }

    #[test]
    fn the_oldest_ride_is_as_old_as_it_was_when_the_worker_said_so() {
        use crate::registry::tests::worker;
        let mut registry = NodeRegistry::default();
        let boot = skilift_core::control::BootId::random();
        // It holds a ride that was accepted 100 ms before. Its clock is an hour ahead.
        registry.record(worker(1, boot, 1, 3_600_000, 5), 1_000, 5_000);
        registry.check_liveness(1_900);
        assert_eq!(oldest_held(&registry, 1_900), Some((100, 900)));
    }
}
