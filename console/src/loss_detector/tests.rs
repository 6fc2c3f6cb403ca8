//! Tests of loss detection, with examples and a simulated queue.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use skilift_core::embedded::records::Records;
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
    oldest_held_ms: None,
    delivered: 0,
    since_worker_lost: None,
};

/// A directory for detectors that write nothing.
static RECORDS: LazyLock<(tempfile::TempDir, Arc<Records>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::open(folder.path()).unwrap();
    (folder, records)
});

/// A detector without a past.
fn detector() -> LossDetector {
    LossDetector::open(RECORDS.1.table("losses").unwrap()).unwrap()
}

#[test]
fn a_message_that_is_nowhere_in_an_empty_queue_is_lost() {
    let (mut loss_detector, epochs, books) = (detector(), epochs(5), books(&[(1, 3), (5, 5)]));
    let mut update = |now, queue| {
        loss_detector.update(&Observation {
            now,
            epochs: &epochs,
            books: &books,
            queue,
        })
    };
    assert_eq!(update(0, Some(EMPTY)).outstanding, 1);
    assert_eq!(update(1_000, Some(EMPTY)).suspect, 0);
    // What cannot be read may have changed meanwhile.
    assert_eq!(update(9_000, None).suspect, 0);
    assert_eq!(update(10_000, Some(EMPTY)).suspect, 0);
    assert_eq!(update(19_000, Some(EMPTY)).suspect, 0);
    let suspect = update(20_000, Some(EMPTY));
    assert_eq!((suspect.suspect, suspect.lost), (1, 0));
    let lost_worker = QueueSnapshot {
        since_worker_lost: Some(20_000),
        ..EMPTY
    };
    let suspended = update(39_000, Some(lost_worker));
    assert_eq!((suspended.suspect, suspended.lost), (0, 0));
    assert_eq!(update(50_000, Some(EMPTY)).lost, 0);
    assert_eq!(update(79_000, Some(EMPTY)).lost, 0);
    let lost = update(80_000, Some(EMPTY));
    assert_eq!((lost.outstanding, lost.suspect, lost.lost), (1, 0, 1));
    assert_eq!(lost.lost_of, BTreeMap::from([(EPOCH, 1)]));
    assert_eq!(lost.named[0].to_string(), "0000000000000007-0-4");
    let many = LostRange {
        last: 48_300,
        ..lost.named[0]
    };
    assert_eq!(many.to_string(), "0000000000000007-0-4..48300");
}

#[test]
fn what_is_lost_stays_so_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (epochs, gone) = (epochs(9), books(&[(1, 3), (6, 9)]));
    let at = |now, queue| Observation {
        now,
        epochs: &epochs,
        books: &gone,
        queue,
    };
    {
        let records = Records::open(folder.path()).unwrap();
        let mut detector = LossDetector::open(records.table("losses").unwrap()).unwrap();
        detector.update(&at(0, Some(EMPTY)));
        detector.update(&at(1_000, Some(EMPTY)));
        assert!(detector.take_changes().is_empty());
        assert_eq!(detector.update(&at(31_000, Some(EMPTY))).lost, 2);
        records
            .commit_here("test", detector.take_changes())
            .unwrap();
        assert!(detector.take_changes().is_empty());
    }
    let records = Records::open(folder.path()).unwrap();
    let mut detector = LossDetector::open(records.table("losses").unwrap()).unwrap();
    assert_eq!(detector.update(&at(0, None)).lost, 2);
    assert!(detector.take_changes().is_empty());
    // One of them turns up after all.
    let less = books(&[(1, 4), (6, 9)]);
    let found = Observation {
        books: &less,
        ..at(1_000, None)
    };
    assert_eq!(detector.update(&found).lost, 1);
    records
        .commit_here("test", detector.take_changes())
        .unwrap();
    drop(detector);
    let mut detector = LossDetector::open(records.table("losses").unwrap()).unwrap();
    assert_eq!(detector.update(&found).lost, 1);
}

#[test]
fn a_pause_is_no_loss() {
    let (mut detector, epochs) = (detector(), epochs(1_200));
    let mut suspects = 0;
    for second in 0..240_u64 {
        // A hundred messages a second are stored, but for two pauses of a minute.
        let paused = (30..90).contains(&second) || (120..180).contains(&second);
        let stored = match second {
            0..30 => second * 3,
            30..90 => 90,
            90..120 => 90 + (second - 90) * 3,
            120..180 => 180,
            _ => 180 + (second - 180) * 13,
        };
        let queue = QueueSnapshot {
            ready: 1_200 - stored - if paused { 0 } else { 100 },
            held: if paused { 0 } else { 100 },
            // The oldest is as old as the queue.
            oldest_held_ms: (!paused).then_some(second * 1_000 + 500),
            delivered: stored + 100 + second,
            ..EMPTY
        };
        let report = detector.update(&Observation {
            now: second * 1_000,
            epochs: &epochs,
            books: &books(&[(1, stored.max(1))]),
            queue: Some(queue),
        });
        suspects += report.suspect + report.lost;
    }
    assert_eq!(suspects, 0);
}

#[test]
fn a_message_that_waits_or_is_held_is_not_lost() {
    let (mut loss_detector, epochs, books) = (detector(), epochs(5), books(&[(1, 3)]));
    for second in 0..300 {
        let queue = QueueSnapshot {
            ready: 1,
            held: 1,
            oldest_held_ms: Some(second * 1_000),
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
    let (mut loss_detector, epochs, books) = (detector(), epochs(6_000), books(&every_second));
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
    let mut loss_detector = detector();
    let mut first_lost = None;
    for second in 0..60 {
        let settled = 100 + second * 50;
        let books = books(&[(1, 41), (43, settled)]);
        let queue = QueueSnapshot {
            ready: 200,
            held: 20,
            oldest_held_ms: Some(400),
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
            assert_eq!(
                (loss_report.lost, loss_report.named[0].first.sequence),
                (1, 42)
            );
        }
    }
    assert_eq!(first_lost, Some(31));
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
    /// When each message was accepted, from the first on.
    accepted_at: Vec<u64>,
    ready: VecDeque<u64>,
    held: VecDeque<u64>,
    delivered: u64,
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
                self.accepted_at.resize(self.published as usize, self.now);
            }
            Event::Deliver(count) => {
                for _ in 0..count {
                    let Some(message) = self.ready.pop_front() else {
                        break;
                    };
                    self.delivered += 1;
                    self.held.push_back(message);
                }
            }
            Event::Settle { count, newest } => {
                for _ in 0..count {
                    let settled = if newest {
                        self.held.pop_back()
                    } else {
                        self.held.pop_front()
                    };
                    let Some(message) = settled else { break };
                    self.marked.insert(message);
                }
            }
            Event::Return => {
                // A queue puts them where they were.
                let returned = std::mem::take(&mut self.held);
                self.ready.extend(returned);
                self.ready.make_contiguous().sort_unstable();
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
        let age = |message: &u64| self.now - self.accepted_at[*message as usize - 1];
        let oldest = self.held.iter().map(age).max();
        loss_detector.update(&Observation {
            now: self.now,
            epochs: &epochs(self.published),
            books: &books(&marked),
            queue: Some(QueueSnapshot {
                ready: self.ready.len() as u64,
                held: self.held.len() as u64,
                oldest_held_ms: oldest,
                delivered: self.delivered,
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
        let (mut simulation, mut loss_detector) = (Simulation::default(), detector());
        for event in &events {
            simulation.happen(event);
            let loss_report = simulation.observe(&mut loss_detector);
            for id in &loss_report.named {
                for number in id.first.sequence..=id.last {
                    prop_assert!(simulation.removed.contains(&number), "{id} is not gone");
                }
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
            tracked = gap::track(tracked, &gaps, || Gap::first_seen(now));
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
