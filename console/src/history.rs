//! History: a point per second for an hour, and per minute for a week. The minutes are stored in the console's data
//! directory.

use std::collections::VecDeque;

use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Table, WriteBatch};

use crate::view::queue::{HistoryPoint, HistoryView};

/// Points of one second: an hour.
const SECONDS: usize = 3_600;
/// Points of one minute: a week.
const MINUTES: usize = 7 * 24 * 60;
const MINUTE_MS: u64 = 60_000;

/// The points.
pub(crate) struct History {
    table: Table<HistoryPoint>,
    seconds: VecDeque<HistoryPoint>,
    minutes: VecDeque<HistoryPoint>,
    /// The points of the current minute.
    minute: Vec<HistoryPoint>,
    accepted: Growth,
    acked: Growth,
}

/// Counts that only grow: a minute's rates are their growth, so that minutes add up to what was counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Rides accepted; `None` if unknown.
    pub(crate) accepted: Option<u64>,
    /// Rides acknowledged; `None` if unknown.
    pub(crate) acked: Option<u64>,
}

/// The growth of a count within the current minute.
#[derive(Default)]
struct Growth {
    /// When it was known last, in milliseconds since 1970, and its value then.
    last: Option<(u64, u64)>,
    grown: Option<u64>,
}

impl Growth {
    /// Adds what it has grown since it was known last. After a longer gap it is unknown when that was.
    fn add(&mut self, at_ms: u64, count: Option<u64>) {
        let Some(count) = count else { return };
        if let Some((last_ms, last)) = self.last.replace((at_ms, count))
            && at_ms.saturating_sub(last_ms) <= MINUTE_MS
            && let Some(more) = count.checked_sub(last)
        {
            *self.grown.get_or_insert(0) += more;
        }
    }

    /// The rate of a whole minute with this growth, per second; ends the minute.
    fn take_per_s(&mut self) -> Option<f64> {
        let seconds = MINUTE_MS as f64 / 1_000.0;
        self.grown.take().map(|grown| grown as f64 / seconds)
    }
}

impl History {
    pub(crate) fn open(table: Table<HistoryPoint>) -> Result<Self, DiskError> {
        let kept = table.range(.., usize::MAX)?;
        Ok(Self {
            table,
            seconds: VecDeque::new(),
            minutes: kept.into_iter().map(|(_, point)| point).collect(),
            minute: Vec::new(),
            accepted: Growth::default(),
            acked: Growth::default(),
        })
    }

    /// Adds a point of one second. If it starts a new minute, returns the previous minute to be written.
    pub(crate) fn add(&mut self, point: HistoryPoint, totals: Totals) -> WriteBatch {
        let mut changes = WriteBatch::default();
        let began = |point: &HistoryPoint| point.at_ms - point.at_ms % MINUTE_MS;
        if let Some(first) = self.minute.first()
            && began(first) != began(&point)
        {
            let mut minute = mean(began(first), &self.minute);
            self.minute.clear();
            minute.publish_per_s = self.accepted.take_per_s();
            minute.ack_per_s = self.acked.take_per_s();
            self.table.put(&mut changes, &key(minute.at_ms), &minute);
            self.minutes.push_back(minute);
            while self.minutes.len() > MINUTES {
                if let Some(oldest) = self.minutes.pop_front() {
                    self.table.remove(&mut changes, &key(oldest.at_ms));
                }
            }
        }
        self.accepted.add(point.at_ms, totals.accepted);
        self.acked.add(point.at_ms, totals.acked);
        self.minute.push(point);
        self.seconds.push_back(point);
        if self.seconds.len() > SECONDS {
            self.seconds.pop_front();
        }
        changes
    }

    /// The points since `since_ms`, with a step of 1 or 60 seconds.
    pub(crate) fn since(&self, step_s: u64, since_ms: u64) -> HistoryView {
        let points = if step_s == 1 {
            &self.seconds
        } else {
            &self.minutes
        };
        let wanted = points.iter().filter(|point| point.at_ms >= since_ms);
        HistoryView {
            step_s,
            points: wanted.copied().collect(),
        }
    }
}

fn key(at_ms: u64) -> [u8; 8] {
    at_ms.to_be_bytes()
}

/// The means of the known values; of rides, see [`Totals`]; of delays the highest, because a mean of quantiles says nothing.
fn mean(at_ms: u64, points: &[HistoryPoint]) -> HistoryPoint {
    let of = |value: fn(&HistoryPoint) -> Option<f64>| {
        let known: Vec<f64> = points.iter().filter_map(value).collect();
        let count = known.len();
        (count > 0).then(|| known.into_iter().sum::<f64>() / count as f64)
    };
    let whole = |value: fn(&HistoryPoint) -> Option<u64>| {
        let known: Vec<u64> = points.iter().filter_map(value).collect();
        let count = known.len();
        let sum: u128 = known.into_iter().map(u128::from).sum();
        (count > 0).then(|| (sum as f64 / count as f64).round() as u64)
    };
    let highest = |value: fn(&HistoryPoint) -> Option<u64>| points.iter().filter_map(value).max();
    HistoryPoint {
        at_ms,
        publish_per_s: of(|point| point.publish_per_s),
        ack_per_s: of(|point| point.ack_per_s),
        reads_per_s: of(|point| point.reads_per_s),
        rejected_per_s: of(|point| point.rejected_per_s),
        backlog_rides: whole(|point| point.backlog_rides),
        accept_to_stored_p99_ms: highest(|point| point.accept_to_stored_p99_ms),
        oldest_ride_age_ms: highest(|point| point.oldest_ride_age_ms),
        dead_letters: whole(|point| point.dead_letters),
        workers: whole(|point| point.workers),
        threads: whole(|point| point.threads),
    }
}

#[cfg(test)]
mod tests {
    use skilift_core::embedded::records::Records;

    use super::*;

    fn point(at_ms: u64, backlog_rides: Option<u64>) -> HistoryPoint {
        HistoryPoint {
            backlog_rides,
            ..mean(at_ms, &[])
        }
    }

    #[test]
    fn seconds_become_minutes_which_stay() {
        let folder = tempfile::tempdir().unwrap();
        {
            let records = Records::open(folder.path()).unwrap();
            let mut history = History::open(records.table("minutes").unwrap()).unwrap();
            for second in 0..4_000_u64 {
                let backlog = (second < 60).then_some(second % 2 * 5);
                let changes = history.add(point(second * 1_000, backlog), Totals::default());
                records.commit_here("test", changes).unwrap();
            }
            let seconds = history.since(1, 0).points;
            assert_eq!((seconds.len(), seconds[0].at_ms), (3_600, 400_000));
            assert_eq!(history.since(1, 3_999_000).points.len(), 1);
        }
        let records = Records::open(folder.path()).unwrap();
        let history = History::open(records.table("minutes").unwrap()).unwrap();
        let minutes = history.since(60, 0).points;
        assert_eq!(minutes.len(), 66);
        assert_eq!(minutes[0].backlog_rides, Some(3));
        assert_eq!((minutes[1].at_ms, minutes[1].backlog_rides), (60_000, None));
    }

    #[test]
    fn minutes_add_up_to_what_was_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let mut history = History::open(records.table("minutes").unwrap()).unwrap();
        let mut accepted = 500;
        // Heartbeats stop twice for twenty seconds, once beyond the end of a minute; the console is away from the fifth minute to the
        // eighth.
        for second in (0..300_u64).chain(480..601) {
            let is_silent = (130..150).contains(&second) || (230..250).contains(&second);
            accepted += second % 7 * 10;
            let rates = HistoryPoint {
                publish_per_s: (!is_silent).then_some(7.0),
                ..point(second * 1_000, None)
            };
            let totals = Totals {
                accepted: (!is_silent).then_some(accepted),
                acked: None,
            };
            let _ = history.add(rates, totals);
        }
        let minutes = history.since(60, 0).points;
        let starts: Vec<u64> = minutes.iter().map(|of| of.at_ms / MINUTE_MS).collect();
        assert_eq!(starts, [0, 1, 2, 3, 4, 8, 9]);
        let rides = |of: &HistoryPoint| of.publish_per_s.unwrap() * 60.0;
        let of = |seconds: std::ops::Range<u64>| seconds.map(|second| second % 7 * 10).sum::<u64>();
        // Each minute ends with its last second; the first one of all has 59. What was not known at the end of a minute is in the next.
        assert!((rides(&minutes[3]) - of(180..230) as f64).abs() < 1e-6);
        let known: f64 = minutes[1..5].iter().map(rides).sum();
        assert!((known - of(60..300) as f64).abs() < 1e-6, "{known}");
        let after: f64 = minutes[6..].iter().map(rides).sum();
        assert!((after - of(540..600) as f64).abs() < 1e-6, "{after}");
    }

    #[test]
    fn a_minute_has_the_highest_delays_of_its_seconds() {
        let delayed = |at_ms, delay| HistoryPoint {
            accept_to_stored_p99_ms: delay,
            oldest_ride_age_ms: delay,
            ..point(at_ms, None)
        };
        let seconds = [
            delayed(0, Some(40)),
            delayed(1_000, Some(900)),
            delayed(2_000, None),
        ];
        let minute = mean(0, &seconds);
        assert_eq!(
            (minute.accept_to_stored_p99_ms, minute.oldest_ride_age_ms),
            (Some(900), Some(900))
        );
    }

    #[test]
    fn counts_are_whole_numbers_and_older_folders_are_read() {
        let point = point(1_000, Some(3));
        let json = serde_json::to_value(point).unwrap();
        assert_eq!(json["backlog_rides"], serde_json::json!(3));
        let mut older = json;
        older["backlog_rides"] = serde_json::json!(2.5);
        let read: HistoryPoint = serde_json::from_value(older).unwrap();
        assert_eq!((read.backlog_rides, read.workers), (Some(3), None));
    }

    #[test]
    fn a_week_is_all_that_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let table = records.table("minutes").unwrap();
        let mut history = History::open(table).unwrap();
        for minute in 0..MINUTES as u64 + 10 {
            let changes = history.add(point(minute * MINUTE_MS, None), Totals::default());
            // Only the last ones touch what was dropped.
            if minute > MINUTES as u64 {
                assert!(!changes.is_empty());
            }
        }
        assert_eq!(history.since(60, 0).points.len(), MINUTES);
    }
}
