//! Metrics for Prometheus, from each snapshot. What is unknown is NaN: a figure that is not known must not look like the last one.

use metrics::gauge;

use crate::view::Reading;
use crate::view::alarm::Severity;
use crate::view::nodes::{NodeState, NodesView};
use crate::view::queue::QueueView;
use crate::view::reconciliation::Verdict;

/// Records a snapshot.
pub(super) fn record(queue: &QueueView, nodes: &NodesView) {
    let books = &queue.reconciliation;
    gauge!("skilift_console_backlog_rides").set(known(&queue.backlog_rides));
    gauge!("skilift_console_oldest_ride_age_seconds").set(seconds(&queue.oldest_ride_age_ms));
    let stored = &queue.accept_to_stored_ms;
    for (quantile, reading) in [
        ("0.5", &stored.p50),
        ("0.95", &stored.p95),
        ("0.99", &stored.p99),
    ] {
        gauge!("skilift_console_accept_to_stored_seconds", "quantile" => quantile)
            .set(seconds(reading));
    }
    gauge!("skilift_console_accepted_rides").set(known(&books.accepted));
    gauge!("skilift_console_settled_rides").set(known(&books.settled));
    gauge!("skilift_console_lost_messages").set(known(&books.lost_messages));
    let is_suspected = match books.verdict {
        Verdict::SuspectedLoss | Verdict::Loss => 1.0,
        Verdict::Unknown => f64::NAN,
        _ => 0.0,
    };
    gauge!("skilift_console_loss_suspected").set(is_suspected);
    let rejected = queue.rates.rejected_per_s.value;
    gauge!("skilift_console_rejected_requests_per_second").set(rejected.unwrap_or(f64::NAN));
    gauge!("skilift_console_dead_letters").set(known(&queue.dead_letters));
    gauge!("skilift_console_paused").set(f64::from(u8::from(queue.paused.is_some())));
    for (severity, word) in [
        (Severity::Info, "info"),
        (Severity::Warning, "warning"),
        (Severity::Critical, "critical"),
    ] {
        let open = queue
            .alarms
            .iter()
            .filter(|alarm| alarm.severity == severity && alarm.acknowledged.is_none());
        gauge!("skilift_console_alarms", "severity" => word).set(open.count() as f64);
    }
    for role in ["api", "worker"] {
        let of_role = || nodes.nodes.iter().filter(|node| node.role == role);
        for state in NodeState::ALL {
            let count = of_role().filter(|node| node.state == state).count();
            gauge!("skilift_console_nodes", "role" => role, "state" => state.word())
                .set(count as f64);
        }
        let pending = of_role().filter(|node| {
            !node.is_gone() && node.desired.is_some() && node.desired != node.actual
        });
        gauge!("skilift_console_nodes_pending", "role" => role).set(pending.count() as f64);
    }
}

fn known(reading: &Reading<u64>) -> f64 {
    reading.value.map_or(f64::NAN, |value| value as f64)
}

fn seconds(reading: &Reading<u64>) -> f64 {
    known(reading) / 1_000.0
}
