//! Tests of loss detection, with examples and a simulated queue.

use std::collections::VecDeque;

use proptest::prelude::*;
use skilift_core::reconciliation::SettledRanges;

use super::*;

const EPOCH: EpochKey = (7, 0);

fn epochs(through: u64) -> BTreeMap<EpochKey, LaneConfirmed> {
    let confirmed = LaneConfirmed {
        epoch: EPOCH.0,
        channel: EPOCH.1,
        high_watermark: through,
        rides: through,
        ended: false,
    };
    BTreeMap::from([(EPOCH, confirmed)])
}

fn books(marked: &[(u64, u64)]) -> Reconciliation {
    Reconciliation {
        epochs: vec![SettledRanges {
            epoch: EPOCH.0,
            channel: EPOCH.1,
            rides: 0,
            marked: marked.to_vec(),
        }],
        ..Reconciliation::default()
    }
}

const EMPTY: QueueSnapshot = QueueSnapshot {
    ready: 0,
    held: 0,
    longest_held_ms: None,
    delivered: 0,
    redelivered: 0,
    since_worker_lost: None,
};

#[test]
fn a_message_that_is_nowhere_in_an_empty_queue_is_lost() {
    let (mut loss_detector, epochs, books) =
        (LossDetector::default(), epochs(5), books(&[(1, 3), (5, 5)]));
    let mut update = |now, queue| {
        loss_detector.update(&Observation {
            now,
            epochs: &epochs,
            books: &books,
            queue,
        })
    };
    assert_eq!(
        (
            update(0, Some(EMPTY)).outstanding,
            update(500, None).suspect
        ),
        (1, 0)
    );
    assert_eq!(update(1_000, Some(EMPTY)).suspect, 0);
    let suspect = update(3_000, Some(EMPTY));
    assert_eq!((suspect.suspect, suspect.lost), (1, 0));
    assert_eq!(update(30_000, Some(EMPTY)).lost, 0);
    let lost_worker = QueueSnapshot {
        since_worker_lost: Some(20_000),
        ..EMPTY
    };
    assert_eq!(update(31_000, Some(lost_worker)).lost, 0);
    let lost = update(31_500, Some(EMPTY));
    assert_eq!((lost.outstanding, lost.suspect, lost.lost), (1, 0, 1));
    assert_eq!(lost.lost_of, BTreeMap::from([(EPOCH, (1, 1))]));
    assert_eq!(lost.named[0].to_string(), "0000000000000007-0-4");
}

#[test]
fn a_message_that_waits_or_is_held_is_not_lost() {
    let (mut loss_detector, epochs, books) = (LossDetector::default(), epochs(5), books(&[(1, 3)]));
    for second in 0..300 {
        let queue = QueueSnapshot {
            ready: 1,
            held: 1,
            longest_held_ms: Some(second * 1_000),
            delivered: 4,
            ..EMPTY
        };
        let loss_report = loss_detector.update(&Observation {
            now: second * 1_000,
            epochs: &epochs,
            books: &books,
            queue: Some(queue),
        });
        assert_eq!(
            (
                loss_report.outstanding,
                loss_report.suspect,
                loss_report.lost
            ),
            (2, 0, 0)
        );
    }
}

#[test]
fn thousands_of_gaps_that_do_not_touch_are_followed() {
    let every_second: Vec<(u64, u64)> = (1..=3_000).map(|n| (2 * n, 2 * n)).collect();
    let (mut loss_detector, epochs, books) =
        (LossDetector::default(), epochs(6_000), books(&every_second));
    for now in [0, 1_000, 2_000] {
        let loss_report = loss_detector.update(&Observation {
            now,
            epochs: &epochs,
            books: &books,
            queue: Some(QueueSnapshot {
                held: 3_000,
                ..EMPTY
            }),
        });
        assert_eq!((loss_report.outstanding, loss_report.suspect), (3_000, 0));
    }
}

#[test]
fn a_message_that_a_busy_queue_has_passed_by_is_lost() {
    let mut loss_detector = LossDetector::default();
    let mut first_lost = None;
    for second in 0..60 {
        let settled = 100 + second * 50;
        let books = books(&[(1, 41), (43, settled)]);
        let queue = QueueSnapshot {
            ready: 200,
            held: 20,
            longest_held_ms: Some(400),
            delivered: settled + 20,
            ..EMPTY
        };
        let loss_report = loss_detector.update(&Observation {
            now: second * 1_000,
            epochs: &epochs(settled + 220),
            books: &books,
            queue: Some(queue),
        });
        assert_eq!(loss_report.outstanding, 221);
        if loss_report.lost > 0 {
            first_lost.get_or_insert(second);
            assert_eq!((loss_report.lost, loss_report.named[0].sequence), (1, 42));
        }
    }
    assert_eq!(first_lost, Some(30));
}

/// What happens to a queue.
#[derive(Debug, Clone)]
enum Event {
    Publish(u64),
    Deliver(u64),
    /// The oldest or the newest of what is held is settled.
    Settle {
        count: u64,
        newest: bool,
    },
    /// Requeues all unacked messages, as after the end of a consumer.
    Return,
    Pass(u64),
    /// Removes a message from the queue without an acknowledgement.
    Remove,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (1..20_u64).prop_map(Event::Publish),
        3 => (1..20_u64).prop_map(Event::Deliver),
        3 => (1..20_u64, any::<bool>()).prop_map(|(count, newest)| Event::Settle { count, newest }),
        1 => Just(Event::Return),
        3 => (0..4_000_u64).prop_map(Event::Pass),
        1 => Just(Event::Remove),
    ]
}

/// A queue with one worker, as a console observes them.
#[derive(Default)]
struct Simulation {
    now: u64,
    published: u64,
    ready: VecDeque<u64>,
    held: VecDeque<(u64, u64)>,
    delivered: u64,
    redelivered: u64,
    returned: std::collections::BTreeSet<u64>,
    marked: std::collections::BTreeSet<u64>,
    removed: std::collections::BTreeSet<u64>,
}

impl Simulation {
    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Publish(count) => {
                self.ready
                    .extend(self.published + 1..=self.published + count);
                self.published += count;
            }
            Event::Deliver(count) => {
                for _ in 0..count {
                    let Some(message) = self.ready.pop_front() else {
                        break;
                    };
                    self.delivered += 1;
                    self.redelivered += u64::from(self.returned.remove(&message));
                    self.held.push_back((message, self.now));
                }
            }
            Event::Settle { count, newest } => {
                for _ in 0..count {
                    let settled = if newest {
                        self.held.pop_back()
                    } else {
                        self.held.pop_front()
                    };
                    let Some((message, _)) = settled else { break };
                    self.marked.insert(message);
                }
            }
            Event::Return => {
                for (message, _) in std::mem::take(&mut self.held).into_iter().rev() {
                    self.returned.insert(message);
                    self.ready.push_front(message);
                }
            }
            Event::Pass(ms) => self.now += ms,
            Event::Remove => self.removed.extend(self.ready.pop_front()),
        }
    }

    fn observe(&self, loss_detector: &mut LossDetector) -> LossReport {
        let mut marked: Vec<(u64, u64)> = Vec::new();
        for &number in &self.marked {
            match marked.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => marked.push((number, number)),
            }
        }
        let oldest = self.held.iter().map(|(_, since)| self.now - since).max();
        loss_detector.update(&Observation {
            now: self.now,
            epochs: &epochs(self.published),
            books: &books(&marked),
            queue: Some(QueueSnapshot {
                ready: self.ready.len() as u64,
                held: self.held.len() as u64,
                longest_held_ms: oldest,
                delivered: self.delivered,
                redelivered: self.redelivered,
                since_worker_lost: None,
            }),
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_rings_for_what_is_gone_and_for_nothing_else(
        events in prop::collection::vec(event(), 1..300)
    ) {
        let (mut simulation, mut loss_detector) = (Simulation::default(), LossDetector::default());
        for event in &events {
            simulation.happen(event);
            let loss_report = simulation.observe(&mut loss_detector);
            for id in &loss_report.named {
                prop_assert!(simulation.removed.contains(&id.sequence), "{id} is not gone");
            }
        }
        // In the end all that is left is stored, and the queue stays empty.
        simulation.happen(&Event::Deliver(u64::MAX));
        simulation.happen(&Event::Settle { count: u64::MAX, newest: false });
        for _ in 0..32 {
            simulation.happen(&Event::Pass(1_000));
            simulation.observe(&mut loss_detector);
        }
        let loss_report = simulation.observe(&mut loss_detector);
        prop_assert_eq!(loss_report.lost, simulation.removed.len() as u64);
        prop_assert_eq!(loss_report.outstanding, loss_report.lost);
    }

    #[test]
    fn what_is_missing_is_followed_exactly(
        steps in prop::collection::vec(prop::collection::btree_set(1..60_u64, 0..40), 1..8)
    ) {
        let mut tracked = Vec::new();
        let mut first_seen = BTreeMap::new();
        for (now, gone) in (0..).zip(&steps) {
            let gaps: Vec<(u64, u64)> = gone.iter().map(|&number| (number, number)).collect();
            let epochs = epochs(60);
            let books = books(&[]);
            let seen = Observation { now, epochs: &epochs, books: &books, queue: None };
            tracked = gap::track(tracked, &gaps, || Gap::first_seen(&seen));
            first_seen.retain(|number, _| gone.contains(number));
            for number in gone {
                first_seen.entry(*number).or_insert(now);
            }
            let followed: BTreeMap<u64, u64> = tracked
                .iter()
                .flat_map(|one| (one.span.0..=one.span.1).map(|number| (number, one.since())))
                .collect();
            prop_assert_eq!(&followed, &first_seen);
        }
    }
}
