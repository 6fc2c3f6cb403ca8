//! Reconciliation: its counters, its verdict and the message.

use skilift_core::reconciliation::Reconciliation;

use super::readings::Cached;
use crate::loss_detector::LossReport;
use crate::producer_epochs::ProducerEpochs;
use crate::view::reconciliation::{ReconciliationView, Verdict};

/// The latest reconciliation. `discarded`: dead letters that were discarded.
pub(super) fn view(
    source: &Cached<Reconciliation>,
    loss_report: Option<&LossReport>,
    epochs: &ProducerEpochs,
    discarded: u64,
    now: u64,
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
    ReconciliationView {
        verdict,
        message: says,
        age_ms: outstanding.age_ms,
        accepted: source.reading(now, |books| match books.own_queue {
            Some(own) => own.accepted,
            None => epochs.accepted_rides(),
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
    (
        Verdict::Unknown,
        format!("reconciliation unavailable: {why}"),
    )
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
        let messages = messages(loss_report.suspect);
        let says = format!("{messages} overdue, possibly lost");
        return (Verdict::SuspectedLoss, says);
    }
    // A data directory counts rides that are waiting, not messages.
    let waiting = match (loss_report.outstanding, rides) {
        (0, 0) => {
            let says = "every accepted ride is settled, none lost".to_owned();
            return (Verdict::Balanced, says);
        }
        (0, 1) => "1 ride is".to_owned(),
        (0, rides) => format!("{rides} rides are"),
        (outstanding, _) => messages(outstanding),
    };
    (Verdict::InFlight, format!("{waiting} in flight, none lost"))
}

fn alarm(loss_report: &LossReport, books: &Reconciliation, epochs: &ProducerEpochs) -> String {
    let (rides, is_exact) = epochs.lost_rides(books, &loss_report.lost_of);
    let messages = match loss_report.lost {
        1 => "1 message".to_owned(),
        many => format!("{many} messages"),
    };
    let about = if is_exact { "" } else { "about " };
    let rides = match rides {
        1 => "1 ride".to_owned(),
        many => format!("{many} rides"),
    };
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

fn messages(count: u64) -> String {
    match count {
        1 => "1 message is".to_owned(),
        many => format!("{many} messages are"),
    }
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
            lost_of: BTreeMap::from([((5, 0), (lost, outstanding))]),
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
