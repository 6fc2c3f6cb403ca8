//! Reconciliation: its counters, its verdict and the message.

use skilift_core::reconciliation::Reconciliation;

use super::readings::Cached;
use crate::loss_detector::LossReport;
use crate::producer_epochs::ProducerEpochs;
use crate::view::figures::counted;
use crate::view::reconciliation::{ReconciliationView, Verdict};

/// The latest reconciliation. `discarded`: dead letters that were discarded. `disconnected`: why no heartbeats are received.
pub(super) fn view(
    source: &Cached<Reconciliation>,
    loss_report: Option<&LossReport>,
    epochs: &ProducerEpochs,
    discarded: u64,
    now: u64,
    disconnected: Option<&str>,
) -> ReconciliationView {
    let of = |term: fn(&Reconciliation) -> u64| source.reading(now, term);
    let found = |number: fn(&LossReport) -> u64| {
        let counted = loss_report.map_or(0, number);
        source.reading(now, |_| counted)
    };
    let outstanding = source.reading(now, |books| match books.own_queue {
        Some(own) => own.waiting,
        None => epochs.outstanding_rides(books),
    });
    let (verdict, says) = match (source.known(now), loss_report) {
        (Ok((books, _)), Some(loss_report)) => {
            verdict(loss_report, outstanding.value.unwrap_or(0), books, epochs)
        }
        (Err((why, _)), _) => unreadable(&why),
        (Ok(_), None) => unreadable("not read yet"),
    };
    let is_calm = matches!(verdict, Verdict::Balanced | Verdict::InFlight);
    let (verdict, says) = match disconnected {
        // What the nodes have accepted since is not known.
        Some(why) if is_calm => unreadable(why),
        _ => (verdict, says),
    };
    ReconciliationView {
        verdict,
        message: says,
        age_ms: outstanding.age_ms,
        accepted: source.reading(now, |books| match books.own_queue {
            Some(own) => own.accepted,
            None => epochs.accepted_rides(books),
        }),
        settled: of(|books| books.settled),
        replayed: of(|books| books.replayed),
        foreign: of(|books| books.foreign),
        applied: of(|books| books.applied),
        // A batch is applied slightly before it is settled.
        duplicate: of(|books| u64::try_from(books.duplicate()).unwrap_or(0)),
        dead_letters: of(|books| books.dead),
        discarded: crate::view::Reading::of(discarded, 0),
        outstanding,
        outstanding_messages: found(|loss_report| loss_report.outstanding),
        lost_messages: found(|loss_report| loss_report.lost),
        lost_message_ids: loss_report
            .map(|loss_report| loss_report.named.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
    }
}

fn unreadable(why: &str) -> (Verdict, String) {
    (Verdict::Unknown, format!("unavailable: {why}"))
}

/// The verdict and its message. `rides`: outstanding rides.
fn verdict(
    loss_report: &LossReport,
    rides: u64,
    books: &Reconciliation,
    epochs: &ProducerEpochs,
) -> (Verdict, String) {
    if loss_report.lost > 0 {
        return (Verdict::Loss, alarm(loss_report, books, epochs));
    }
    if loss_report.suspect > 0 {
        let messages = counted(loss_report.suspect, "message is", "messages are");
        let says = format!("{messages} overdue, possibly lost");
        return (Verdict::SuspectedLoss, says);
    }
    if loss_report.forgotten_rides > 0 {
        let rides = counted(loss_report.forgotten_rides, "ride", "rides");
        let says = format!(
            "Redis counts {rides} less than before, possibly lost: it was emptied, or replaced by an older copy"
        );
        return (Verdict::SuspectedLoss, says);
    }
    let messages = || counted(loss_report.outstanding, "message", "messages");
    let in_flight = match (loss_report.outstanding, rides) {
        (0, 0) => {
            let says = "every accepted ride is settled, none lost".to_owned();
            return (Verdict::Balanced, says);
        }
        // A data directory counts rides that are waiting, not messages.
        (0, rides) => counted(rides, "ride", "rides"),
        (_, 0) => messages(),
        (_, rides) => format!("{} in {}", counted(rides, "ride", "rides"), messages()),
    };
    (
        Verdict::InFlight,
        format!("{in_flight} in flight, none overdue"),
    )
}

fn alarm(loss_report: &LossReport, books: &Reconciliation, epochs: &ProducerEpochs) -> String {
    let (rides, is_exact) = epochs.lost_rides(books, &loss_report.lost_of);
    let messages = counted(loss_report.lost, "message", "messages");
    let about = if is_exact { "" } else { "about " };
    let rides = counted(rides, "ride", "rides");
    let are = if loss_report.lost == 1 { "is" } else { "are" };
    let publishers = epochs.publishers(loss_report.lost_of.keys());
    let by = if publishers.is_empty() {
        String::new()
    } else {
        format!("; published by {}", publishers.join(", "))
    };
    format!(
        "{messages} with {about}{rides} {are} lost: RabbitMQ confirmed them, but they are neither stored nor queued{by}"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use skilift_core::control::heartbeat::LaneConfirmed;
    use skilift_core::embedded::records::Records;

    use super::*;

    #[test]
    fn the_alarm_tells_rides_and_publishers() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let mut epochs = ProducerEpochs::open(records.table("lives").unwrap()).unwrap();
        let epoch = LaneConfirmed {
            epoch: 5,
            channel: 0,
            high_watermark: 112,
            rides: 225,
            ended: false,
        };
        epochs.record("api-host-8080", &[epoch], 1_000);
        let loss_report = |lost, outstanding| LossReport {
            outstanding,
            lost,
            lost_of: BTreeMap::from([((5, 0), lost)]),
            ..LossReport::default()
        };
        let says = |loss_report: &LossReport| {
            verdict(loss_report, 225, &Reconciliation::default(), &epochs)
        };
        let (verdict, all) = says(&loss_report(112, 112));
        assert_eq!(verdict, Verdict::Loss);
        assert!(
            all.starts_with("112 messages with 225 rides are lost: "),
            "{all}"
        );
        assert!(all.contains("published by api-host-8080"), "{all}");
        let (_, part) = says(&loss_report(1, 112));
        assert!(
            part.starts_with("1 message with about 2 rides is lost: "),
            "{part}"
        );
        let waiting = LossReport {
            outstanding: 1_200,
            ..LossReport::default()
        };
        assert_eq!(
            says(&waiting).1,
            "225 rides in 1,200 messages in flight, none overdue"
        );
    }

    #[test]
    fn a_store_that_has_forgotten_rides_is_suspected_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let epochs = ProducerEpochs::open(records.table("lives").unwrap()).unwrap();
        let table = records.table("losses").unwrap();
        let mut detector = crate::loss_detector::LossDetector::open(table).unwrap();
        let mut verdict_with = |settled| {
            let books = Reconciliation {
                settled,
                ..Reconciliation::default()
            };
            let loss_report = detector.update(&crate::loss_detector::Observation {
                now: 1_000,
                epochs: &BTreeMap::new(),
                books: &books,
                queue: None,
            });
            verdict(&loss_report, 0, &books, &epochs)
        };
        assert_eq!(verdict_with(700).0, Verdict::Balanced);
        let (found, says) = verdict_with(0);
        assert_eq!(found, Verdict::SuspectedLoss);
        assert!(says.starts_with("Redis counts 700 rides less"), "{says}");
        assert_eq!(verdict_with(699).0, Verdict::SuspectedLoss);
        assert_eq!(verdict_with(700).0, Verdict::Balanced);
    }

    #[test]
    fn nothing_is_calm_while_no_heartbeat_is_received() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let epochs = ProducerEpochs::open(records.table("lives").unwrap()).unwrap();
        let mut source = Cached::default();
        source.take(Ok(Reconciliation::default()), 1_000);
        let verdict_of = |loss_report: &LossReport, disconnected| {
            let found = view(&source, Some(loss_report), &epochs, 0, 1_000, disconnected);
            (found.verdict, found.message)
        };
        let none = LossReport::default();
        assert_eq!(verdict_of(&none, None).0, Verdict::Balanced);
        let (verdict, says) = verdict_of(&none, Some("connection lost"));
        assert_eq!(verdict, Verdict::Unknown);
        assert!(says.ends_with("connection lost"), "{says}");
        let lost = LossReport {
            lost: 1,
            ..LossReport::default()
        };
        assert_eq!(verdict_of(&lost, Some("connection lost")).0, Verdict::Loss);
    }

    #[test]
    fn books_with_rides_that_wait_are_not_closed() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let epochs = ProducerEpochs::open(records.table("lives").unwrap()).unwrap();
        let of = |rides| {
            verdict(
                &LossReport::default(),
                rides,
                &Reconciliation::default(),
                &epochs,
            )
            .0
        };
        assert_eq!((of(0), of(3)), (Verdict::Balanced, Verdict::InFlight));
    }
}
