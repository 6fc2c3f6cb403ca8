//! The backlog: messages and rides that are not stored yet, from what the queue, the workers and the reconciliation say.

use skilift_core::control::Role;

use super::readings::Collectors;
use crate::config::EngineKind;
use crate::console::Console;
use crate::registry::NodeRegistry;
use crate::view::Reading;
use crate::view::figures::counted;
use crate::view::reconciliation::ReconciliationView;

/// The sum of two counts.
pub(super) fn sum(one: &Reading<u64>, other: &Reading<u64>) -> Reading<u64> {
    match (one.value, other.value) {
        (Some(a), Some(b)) => {
            // With a part that is only a lower bound, so is the sum.
            let mut bounds = [one, other].into_iter().filter(|of| of.is_lower_bound());
            Reading {
                error: bounds.next().and_then(|of| of.error.clone()),
                ..Reading::of(a + b, one.age_ms.max(other.age_ms).unwrap_or(0))
            }
        }
        (None, _) => one.clone(),
        (_, None) => other.clone(),
    }
}

/// Why workers may hold messages that no heartbeat counts: some are silent or lost, and the queue has consumers of theirs, or one has
/// the name of another.
pub(super) fn unheard(registry: &NodeRegistry, now: u64) -> Option<String> {
    let mut rivals = registry.with_rivals(now);
    if rivals.any(|node| node.last.role() == Role::Worker) {
        return Some("two workers have the same name, and one of them may hold more".to_owned());
    }
    let unheard = registry.unheard_workers().count() as u64;
    (unheard > 0).then(|| {
        let workers = counted(unheard, "worker sends", "workers send");
        format!("{workers} no heartbeat and may hold more")
    })
}

/// Rides that are ready or unacked. A data directory counts them. RabbitMQ counts messages; the rides per message follow
/// from the outstanding rides and messages of the reconciliation.
pub(super) fn total_rides(
    console: &Console,
    collectors: &Collectors,
    total_messages: &Reading<u64>,
    books: &ReconciliationView,
    is_unheard: bool,
    now: u64,
) -> Reading<u64> {
    if console.config.engine == EngineKind::DataFolder {
        return collectors
            .books
            .reading(now, |books| books.own_queue.unwrap_or_default().waiting);
    }
    rides_of(total_messages, books, is_unheard)
}

/// Rides of the messages that are not stored.
fn rides_of(
    total_messages: &Reading<u64>,
    books: &ReconciliationView,
    is_unheard: bool,
) -> Reading<u64> {
    let is_exact = !total_messages.is_lower_bound();
    let messages = match (
        total_messages.value.filter(|_| is_exact),
        books.outstanding_messages.value,
    ) {
        (Some(messages), _) => messages,
        // What workers without heartbeats hold is accepted, not settled and not lost.
        (None, Some(of)) if is_unheard => of.saturating_sub(books.lost_messages.value.unwrap_or(0)),
        (None, _) => return total_messages.clone(),
    };
    let rides_a_message = match (books.outstanding.value, books.outstanding_messages.value) {
        (Some(rides), Some(of)) if of > 0 && rides >= of => rides as f64 / of as f64,
        _ => 1.0,
    };
    // A mean of two counts of a few bits: exact enough.
    let rides = (messages as f64 * rides_a_message).round() as u64;
    Reading::of(rides, total_messages.age_ms.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_waits_for_no_one() {
        use crate::loss_detector::LossReport;
        use crate::sampler::readings::Cached;
        use skilift_core::embedded::records::Records;
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let epochs = crate::producer_epochs::ProducerEpochs::open(records.table("lives").unwrap());
        let loss_report = LossReport {
            outstanding: 112,
            lost: 100,
            ..LossReport::default()
        };
        let mut books = Cached::default();
        books.take(
            Ok(skilift_core::reconciliation::Reconciliation::default()),
            1_000,
        );
        let view = crate::sampler::reconciliation::view(
            &books,
            Some(&loss_report),
            &epochs.unwrap(),
            0,
            1_000,
            None,
        );
        let unheard = Reading::at_least(Some(2), Some(0), "1 worker sends no heartbeat");
        let rides = rides_of(&unheard, &view, true);
        assert_eq!((rides.value, rides.error), (Some(12), None));
        assert!(rides_of(&unheard, &view, false).is_lower_bound());
    }

    #[test]
    fn what_a_silent_worker_may_hold_is_not_0() {
        use crate::registry::tests::worker;
        let mut registry = NodeRegistry::default();
        let boots = [(); 2].map(|()| skilift_core::control::BootId::random());
        for second in 0..12 {
            let now = 1_000 + second * 1_000;
            for (port, boot) in (1..).zip(boots) {
                // The second one is stopped, with its connection open.
                if port == 1 || second < 3 {
                    registry.record(worker(port, boot, 1, now, second), now, now);
                }
            }
            registry.check_liveness(now);
            registry.record_consumers(2);
            assert_eq!(unheard(&registry, now).is_some(), second >= 4, "{second}");
        }
        let why = unheard(&registry, 12_000).unwrap();
        assert_eq!(why, "1 worker sends no heartbeat and may hold more");
        let total = sum(&Reading::of(7, 100), &Reading::unknown(why.clone()));
        assert_eq!(total.value, None);
        let total = sum(
            &Reading::of(7, 100),
            &Reading::at_least(Some(2), Some(0), &why),
        );
        assert!(
            total.is_lower_bound() && total.value == Some(9),
            "{total:?}"
        );
        // RabbitMQ has closed its connection, and goes on to have another consumer, of a worker that has just started.
        registry.record_consumers(1);
        assert_eq!(unheard(&registry, 12_000), None);
        registry.record_consumers(2);
        assert_eq!(unheard(&registry, 12_000), None);
    }
}
