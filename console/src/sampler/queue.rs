//! What is seen of the queue, and the verdict on the books.

use skilift_core::control::Role;
use skilift_core::control::heartbeat::Report;

use super::sources::Sources;
use super::{Watched, alarms, books};
use crate::console::{Console, EngineKind};
use crate::lag::{drain_time, latency, no_node, rate};
use crate::letters::Holder;
use crate::registry::{Counts, Registry};
use crate::verdict::{Observation, QueueSeen};
use crate::view::Reading;
use crate::view::books::BooksView;
use crate::view::queue::{
    ConsumerView, HistoryPoint, PauseView, QueueView, RatesView, RoleUtilisationView,
    UtilisationView,
};

/// What is not older was seen at one moment, as far as the books' verdict goes.
const AT_ONCE_MS: u64 = 2_000;

/// When it is looked.
pub(super) struct At {
    /// By the clock that only goes forward, in milliseconds.
    pub(super) now: u64,
    /// By the clock on the wall.
    pub(super) epoch_ms: u64,
}

/// All of it.
pub(super) fn view(
    console: &Console,
    watched: &mut Watched,
    sources: &Sources,
    at: &At,
) -> QueueView {
    let now = at.now;
    let Watched {
        registry,
        lives,
        verdicts,
        backlogs,
        oldest,
        ..
    } = watched;
    let deaf = sources.deaf.clone();
    let heard = |reading: Reading<f64>| match &deaf {
        Some(why) => Reading::unknown(why.clone()),
        None => reading,
    };
    let rate = |role, count: fn(&Counts) -> u64| heard(rate(registry, role, now, count));
    let rates = RatesView {
        publish_per_s: rate(Role::Api, |counts| counts.accepted),
        deliver_per_s: rate(Role::Worker, |counts| counts.delivered),
        ack_per_s: rate(Role::Worker, |counts| counts.acked),
        redelivered_per_s: rate(Role::Worker, |counts| counts.redelivered),
        reads_per_s: rate(Role::Api, |counts| counts.reads),
    };

    let (held, longest_held_ms) = registry.held(now);
    let unacked_messages = match &deaf {
        Some(why) => Reading::unknown(why.clone()),
        None => Reading::of(held, 0),
    };
    let ready_messages = sources.depth.reading(now, |depth| depth.ready_messages);
    let total_messages = sum(&ready_messages, &unacked_messages);
    let read = sources.books.known(now);
    let books_age = read.as_ref().map_or(u64::MAX, |(_, age)| *age);
    // One moment: books, depth and workers, and nobody who was not heard yet since the start and may hold something.
    let is_at_once = |depth_age: u64| {
        let oldest = depth_age.max(books_age).max(registry.longest_unheard(now));
        oldest <= AT_ONCE_MS && !registry.awaits_somebody()
    };
    let seen = match (&deaf, sources.depth.known(now)) {
        (None, Ok((depth, age))) if is_at_once(age) => Some(QueueSeen {
            ready: depth.ready_messages,
            held,
            longest_held_ms,
            delivered: registry.delivered_messages(),
            redelivered: registry.redelivered_messages(),
            since_worker_lost: registry.since_worker_lost(now),
        }),
        _ => None,
    };
    let findings = read.as_ref().ok().map(|(books, _)| {
        verdicts.look(&Observation {
            now,
            lives: lives.known(),
            books,
            queue: seen,
        })
    });
    let discarded = console.letters.counts().discarded;
    let books_view = books::view(&sources.books, findings.as_ref(), lives, discarded, now);

    let total_rides = total_rides(console, sources, &total_messages, &books_view, now);
    if let Some(rides) = total_rides.value {
        backlogs.saw(now, rides);
    }
    let oldest_ms = oldest.look(
        now,
        total_messages.value,
        registry.delivered_messages(),
        oldest_held(registry, now).filter(|_| deaf.is_none()),
    );
    let stored_after = latency(
        registry
            .nodes()
            .filter(|node| node.last.role() == Role::Worker)
            .flat_map(|node| node.window.durations(now)),
        1,
        0,
    );
    let document = console.desired.document();
    let mut view = QueueView {
        stack: console.config.stack.to_string(),
        at_ms: at.epoch_ms,
        engine: match console.config.engine {
            EngineKind::Servers => "RabbitMQ and Redis",
            EngineKind::DataFolder => "data folder",
        }
        .to_owned(),
        paused: document.pause.as_ref().map(|pause| PauseView {
            since_ms: pause.since_ms,
            by: pause.by.clone(),
            not_yet: still_consuming(registry),
        }),
        ready_messages,
        unacked_messages,
        total_messages,
        drain: drain_time(&total_rides, &rates.publish_per_s, &rates.ack_per_s),
        total_rides,
        dead_letters: dead_letters(
            console.letters.counts().dead,
            &sources.depth.reading(now, |depth| depth.dead_messages),
            kept_elsewhere(console),
        ),
        rates,
        oldest_ms,
        stored_after,
        trend: backlogs.trend(now),
        utilisation: UtilisationView {
            api: utilisation(registry, Role::Api, deaf.as_deref(), now),
            worker: utilisation(registry, Role::Worker, deaf.as_deref(), now),
        },
        consumers: consumers(registry, deaf.as_deref(), at),
        books: books_view,
        management: console
            .management
            .as_ref()
            .map(|management| management.view()),
        alarms: Vec::new(),
    };
    view.alarms = alarms::of(console, watched, sources, &view, now);
    view
}

/// The point of the history that a view makes.
pub(super) fn point(view: &QueueView) -> HistoryPoint {
    let workers = &view.utilisation.worker;
    let is_known = workers.rss_bytes.value.is_some();
    HistoryPoint {
        at_ms: view.at_ms,
        publish_per_s: view.rates.publish_per_s.value,
        ack_per_s: view.rates.ack_per_s.value,
        reads_per_s: view.rates.reads_per_s.value,
        backlog_rides: view.total_rides.value,
        stored_after_p99_ms: view.stored_after.p99_ms.value,
        oldest_ms: view.oldest_ms.value,
        dead_letters: view.dead_letters.value,
        workers: is_known.then_some(workers.nodes),
        threads: is_known.then_some(workers.threads),
    }
}

fn sum(one: &Reading<u64>, other: &Reading<u64>) -> Reading<u64> {
    match (one.value, other.value) {
        (Some(a), Some(b)) => Reading::of(a + b, one.age_ms.max(other.age_ms).unwrap_or(0)),
        (None, _) => one.clone(),
        (_, None) => other.clone(),
    }
}

/// Rides that wait or are held. A data folder counts them. RabbitMQ counts messages: what the books say of those that are
/// outstanding tells how many rides a message has.
fn total_rides(
    console: &Console,
    sources: &Sources,
    total_messages: &Reading<u64>,
    books: &BooksView,
    now: u64,
) -> Reading<u64> {
    if console.config.engine == EngineKind::DataFolder {
        return sources
            .books
            .reading(now, |books| books.own_queue.unwrap_or_default().waiting);
    }
    let Some(messages) = total_messages.value else {
        return total_messages.clone();
    };
    let rides_a_message = match (books.outstanding.value, books.outstanding_messages.value) {
        (Some(rides), Some(of)) if of > 0 && rides >= of => rides as f64 / of as f64,
        _ => 1.0,
    };
    // A mean of two counts of a few bits: exact enough.
    let rides = (messages as f64 * rides_a_message).round() as u64;
    Reading::of(rides, total_messages.age_ms.unwrap_or(0))
}

/// Why this console does not know of all letters that were taken from their queue.
fn kept_elsewhere(console: &Console) -> Option<&'static str> {
    // A data folder has one console.
    if console.config.engine == EngineKind::DataFolder {
        return None;
    }
    if console.config.read_only {
        return Some("another console keeps them, for this one is read-only");
    }
    match console.letters.holder() {
        Holder::Us => None,
        Holder::Another => Some("another console keeps them"),
        Holder::Unsure => Some("it is not known whether another console keeps some"),
    }
}

/// Dead letters that wait: `kept` by this console, those in their queue, and those of which another console may know.
fn dead_letters(kept: u64, in_queue: &Reading<u64>, elsewhere: Option<&str>) -> Reading<u64> {
    let in_queue_unknown = in_queue
        .unknown
        .as_ref()
        .map(|why| format!("those in their queue are not known: {why}"));
    let known = kept + in_queue.value.unwrap_or(0);
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

/// How old the oldest ride was that any worker held when it said so, and how long ago that was.
fn oldest_held(registry: &Registry, now: u64) -> Option<(u64, u64)> {
    let workers = registry.heard(Role::Worker);
    let oldest = workers.filter_map(|node| match &node.last.report {
        Report::Worker(worker) => {
            let accepted_at = worker.oldest_held_accepted_at_ms?;
            // Not from now on: what it held then it may have stored since.
            let age = node.last.sent_at_ms.saturating_sub(accepted_at);
            Some((age, now.saturating_sub(node.heard_at)))
        }
        Report::Api(_) => None,
    });
    oldest.max()
}

fn still_consuming(registry: &Registry) -> Vec<String> {
    let workers = registry.heard(Role::Worker);
    let consuming = workers.filter(|node| match &node.last.report {
        Report::Worker(worker) => worker.lanes.iter().any(|lane| lane.prefetch_messages > 0),
        Report::Api(_) => false,
    });
    consuming.map(|node| node.last.node.to_string()).collect()
}

fn utilisation(
    registry: &Registry,
    role: Role,
    deaf: Option<&str>,
    now: u64,
) -> RoleUtilisationView {
    let of_role = |node: &&crate::registry::Node| node.last.role() == role;
    let lost = registry
        .nodes()
        .filter(of_role)
        .filter(|node| node.is_lost());
    let lost = lost.count() as u64;
    let (mut nodes, mut threads, mut rss_bytes) = (0, 0, 0);
    for node in registry.heard(role) {
        nodes += 1;
        rss_bytes += node.last.rss_bytes;
        threads += match &node.last.report {
            Report::Api(api) => u64::from(api.lanes),
            Report::Worker(worker) => worker.lanes.len() as u64,
        };
    }
    let why = match deaf {
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
        Role::Api => Reading::unknown("the lanes of API nodes only wait"),
    };
    RoleUtilisationView {
        nodes,
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

fn consumers(registry: &Registry, deaf: Option<&str>, at: &At) -> Vec<ConsumerView> {
    let mut rows = Vec::new();
    for node in registry.nodes() {
        let Report::Worker(worker) = &node.last.report else {
            continue;
        };
        if node.has_ended() {
            continue;
        }
        let lost = node.is_lost();
        for (number, lane) in worker.lanes.iter().enumerate() {
            let acked = |counts: &Counts| counts.lanes.get(number).copied().unwrap_or(0);
            let ack_per_s = match (deaf, lost, node.per_s(acked)) {
                (Some(why), ..) => Reading::unknown(why),
                (None, true, _) => Reading::unknown("its node is not heard any more"),
                (None, false, Some(rate)) => {
                    Reading::of(rate, at.now.saturating_sub(node.heard_at))
                }
                (None, false, None) => Reading::unknown("it was heard only once so far"),
            };
            // Both times are the node's own: its clock need not be right.
            let since = |ack: u64| node.last.sent_at_ms.saturating_sub(ack);
            let heard_ms = at.now.saturating_sub(node.heard_at);
            rows.push(ConsumerView {
                node: node.last.node.to_string(),
                host: node.last.host.clone(),
                instance: node.last.instance.clone(),
                lane: lane.lane,
                prefetch_messages: lane.prefetch_messages,
                held_messages: lane.held_messages,
                ack_per_s,
                last_ack_age_ms: lane.last_ack_at_ms.map(|ack| since(ack) + heard_ms),
                hindrance: lane.hindrance.clone(),
                lost,
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
        let elsewhere = dead_letters(0, &none, Some("another console keeps them"));
        assert_eq!(elsewhere, Reading::unknown("another console keeps them"));
        let part = dead_letters(0, &Reading::of(2, 300), Some("another console keeps them"));
        assert_eq!((part.value, part.age_ms), (Some(2), Some(300)));
        // What is kept here is known without the broker.
        let kept = dead_letters(5, &away, None);
        assert_eq!(kept.value, Some(5));
        assert!(kept.unknown.unwrap().contains("RabbitMQ is away"));
        assert_eq!(dead_letters(0, &away, None).value, None);
    }

    #[test]
    fn the_oldest_ride_is_as_old_as_it_was_when_the_worker_said_so() {
        use crate::registry::tests::worker;
        let mut registry = Registry::default();
        let boot = skilift_core::control::BootId::random();
        // It holds a ride that was accepted 100 ms before. Its clock is an hour ahead.
        registry.hear(worker(1, boot, 1, 3_600_000, 5), 1_000, 5_000);
        registry.look(1_900);
        assert_eq!(oldest_held(&registry, 1_900), Some((100, 900)));
    }
}
