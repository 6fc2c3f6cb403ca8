//! What is seen of the queue, and the verdict on the books.

use skilift_core::books::Books;
use skilift_core::control::Role;
use skilift_core::control::heartbeat::Report;
use skilift_core::queue::depth::Depth;

use super::sources::Sources;
use super::{Watched, alarms};
use crate::console::{Console, EngineKind};
use crate::lag::{drain_time, latency, no_node, rate};
use crate::lives::Lives;
use crate::registry::{Counts, Registry};
use crate::verdict::{Findings, Observation, QueueSeen};
use crate::view::Reading;
use crate::view::books::{BooksView, Verdict};
use crate::view::queue::{
    ConsumerView, HistoryPoint, PauseView, QueueView, RatesView, RoleUtilisationView,
    UtilisationView,
};

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
    let deaf = sources.deaf.as_ref().map(|(why, _)| why.clone());
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
    let seen = match (&deaf, sources.depth.known(now)) {
        (None, Ok((depth, _))) => Some(QueueSeen {
            ready: depth.ready_messages,
            held,
            longest_held_ms,
            delivered: registry.delivered_messages(),
            redelivered: registry.redelivered_messages(),
            since_worker_lost: registry.since_worker_lost(now),
        }),
        _ => None,
    };
    let books = sources.books.known(now);
    let findings = books.as_ref().ok().map(|(books, _)| {
        verdicts.look(&Observation {
            now,
            lives: lives.known(),
            books,
            queue: seen,
        })
    });
    let books_view = books_view(console, sources, findings.as_ref(), lives, now);

    let total_rides = total_rides(console, sources, &total_messages, &books_view, now);
    if let Some(rides) = total_rides.value {
        backlogs.saw(now, rides);
    }
    let held_accepted_at = oldest_held(registry, now);
    let held_ms = held_accepted_at.map(|accepted| at.epoch_ms.saturating_sub(accepted));
    let oldest_ms = oldest.look(
        now,
        total_messages.value,
        registry.delivered_messages(),
        held_ms.filter(|_| deaf.is_none()),
    );
    let stored_after = latency(
        registry
            .heard(Role::Worker, now)
            .flat_map(|node| node.window.durations(now)),
        1,
        0,
    );
    let dead_in_queue = sources
        .depth
        .reading(now, |depth: &Depth| depth.dead_messages);
    let kept = console.letters.counts().dead;
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
            not_yet: still_consuming(registry, now),
        }),
        ready_messages,
        unacked_messages,
        total_messages,
        drain: drain_time(&total_rides, &rates.publish_per_s, &rates.ack_per_s),
        total_rides,
        dead_letters: Reading {
            value: dead_in_queue.value.map(|in_queue| in_queue + kept),
            ..dead_in_queue
        },
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
    view.alarms = alarms::of(console, registry, sources, &view, now);
    view
}

/// The point of the history that a view makes.
pub(super) fn point(view: &QueueView) -> HistoryPoint {
    let whole = |reading: &Reading<u64>| reading.value.map(|value| value as f64);
    let workers = &view.utilisation.worker;
    let is_known = workers.rss_bytes.value.is_some();
    HistoryPoint {
        at_ms: view.at_ms,
        publish_per_s: view.rates.publish_per_s.value,
        ack_per_s: view.rates.ack_per_s.value,
        reads_per_s: view.rates.reads_per_s.value,
        backlog_rides: whole(&view.total_rides),
        stored_after_p99_ms: whole(&view.stored_after.p99_ms),
        oldest_ms: whole(&view.oldest_ms),
        dead_letters: whole(&view.dead_letters),
        workers: is_known.then_some(workers.nodes as f64),
        threads: is_known.then_some(workers.threads as f64),
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

fn books_view(
    console: &Console,
    sources: &Sources,
    findings: Option<&Findings>,
    lives: &Lives,
    now: u64,
) -> BooksView {
    let source = &sources.books;
    let of = |term: fn(&Books) -> u64| source.reading(now, term);
    let found = |number: fn(&Findings) -> u64| {
        let counted = findings.map_or(0, number);
        source.reading(now, |_| counted)
    };
    let outstanding = source.reading(now, |books| match books.own_queue {
        Some(own) => own.waiting,
        None => lives.outstanding_rides(books),
    });
    let why = source.known(now).err().map(|(why, _)| why);
    let (verdict, says) = verdict(findings, why);
    BooksView {
        verdict,
        says,
        accepted: source.reading(now, |books| match books.own_queue {
            Some(own) => own.accepted,
            None => lives.accepted_rides(),
        }),
        settled: of(|books| books.settled),
        replayed: of(|books| books.replayed),
        foreign: of(|books| books.foreign),
        applied: of(|books| books.applied),
        // A batch is applied a moment before it is settled.
        duplicate: of(|books| u64::try_from(books.duplicate()).unwrap_or(0)),
        dead: of(|books| books.dead),
        discarded: Reading::of(console.letters.counts().discarded, 0),
        outstanding,
        outstanding_messages: found(|findings| findings.outstanding),
        lost_messages: found(|findings| findings.lost),
        lost: findings
            .map(|findings| findings.named.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
    }
}

fn verdict(findings: Option<&Findings>, why: Option<String>) -> (Verdict, String) {
    let Some(findings) = findings.filter(|_| why.is_none()) else {
        let why = why.unwrap_or_else(|| "they were not read yet".to_owned());
        return (Verdict::Unknown, format!("the books cannot be read: {why}"));
    };
    match findings {
        Findings { lost, .. } if *lost > 0 => (
            Verdict::Lost,
            format!(
                "{} lost: the queue had confirmed what is neither stored nor in it any more. Look who removed messages, and \
                 have the gates send again",
                messages_are(*lost)
            ),
        ),
        Findings { suspect, .. } if *suspect > 0 => (
            Verdict::Suspect,
            format!(
                "{} overdue; whether anything is lost is not certain yet",
                messages_are(*suspect)
            ),
        ),
        Findings { outstanding: 0, .. } => (
            Verdict::Closed,
            "every accepted ride is settled, none is lost".to_owned(),
        ),
        Findings { outstanding, .. } => (
            Verdict::Open,
            format!("{} on the way, none is lost", messages_are(*outstanding)),
        ),
    }
}

fn messages_are(count: u64) -> String {
    match count {
        1 => "1 message is".to_owned(),
        _ => format!("{count} messages are"),
    }
}

fn oldest_held(registry: &Registry, now: u64) -> Option<u64> {
    let workers = registry.heard(Role::Worker, now);
    let oldest = workers.filter_map(|node| match &node.last.report {
        Report::Worker(worker) => worker.oldest_held_accepted_at_ms,
        Report::Api(_) => None,
    });
    oldest.min()
}

fn still_consuming(registry: &Registry, now: u64) -> Vec<String> {
    let workers = registry.heard(Role::Worker, now);
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
        .filter(|node| node.is_lost(now));
    let lost = lost.count() as u64;
    let (mut nodes, mut threads, mut rss_bytes) = (0, 0, 0);
    for node in registry.heard(role, now) {
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
        let lost = node.is_lost(at.now);
        for (number, lane) in worker.lanes.iter().enumerate() {
            let acked = |counts: &Counts| counts.lanes.get(number).copied().unwrap_or(0);
            let ack_per_s = match (deaf, lost, node.window.per_s(acked)) {
                (Some(why), ..) => Reading::unknown(why),
                (None, true, _) => Reading::unknown("its node is not heard any more"),
                (None, false, Some(rate)) => Reading::of(rate, node.silent_for(at.now)),
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
