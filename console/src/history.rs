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
}

impl History {
    pub(crate) fn open(table: Table<HistoryPoint>) -> Result<Self, DiskError> {
        let kept = table.range(.., usize::MAX)?;
        Ok(Self {
            table,
            seconds: VecDeque::new(),
            minutes: kept.into_iter().map(|(_, point)| point).collect(),
            minute: Vec::new(),
        })
    }

    /// Adds a point of one second. If it starts a new minute, returns the previous minute to be written.
    pub(crate) fn add(&mut self, point: HistoryPoint) -> WriteBatch {
        let mut changes = WriteBatch::default();
        let began = |point: &HistoryPoint| point.at_ms - point.at_ms % MINUTE_MS;
        if let Some(first) = self.minute.first()
            && began(first) != began(&point)
        {
            let minute = mean(began(first), &self.minute);
            self.minute.clear();
            self.table.put(&mut changes, &key(minute.at_ms), &minute);
            self.minutes.push_back(minute);
            while self.minutes.len() > MINUTES {
                if let Some(oldest) = self.minutes.pop_front() {
                    self.table.remove(&mut changes, &key(oldest.at_ms));
                }
            }
        }
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

/// The means of the known values.
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
    HistoryPoint {
        at_ms,
        publish_per_s: of(|point| point.publish_per_s),
        ack_per_s: of(|point| point.ack_per_s),
        reads_per_s: of(|point| point.reads_per_s),
        backlog_rides: whole(|point| point.backlog_rides),
        accept_to_stored_p99_ms: whole(|point| point.accept_to_stored_p99_ms),
        oldest_ride_age_ms: whole(|point| point.oldest_ride_age_ms),
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
                let changes = history.add(point(second * 1_000, backlog));
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
            let changes = history.add(point(minute * MINUTE_MS, None));
            // Only the last ones touch what was dropped.
            if minute > MINUTES as u64 {
                assert!(!changes.is_empty());
            }
        }
        assert_eq!(history.since(60, 0).points.len(), MINUTES);
    }
}
