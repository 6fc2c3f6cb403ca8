//! The values of a chart from the points of the history.

use super::Range;
use crate::view::queue::HistoryPoint;

/// How long the points of one second are stored, in milliseconds.
const SECONDS_MS: u64 = 3_600_000;
/// How much later than its time a point may be in the history, in milliseconds.
const LATE_MS: u64 = 2_000;
/// Points of one second that are dropped while the right edge stays where it is, at most, in milliseconds. They are not drawn,
/// so that the left edge does not change meanwhile.
const DROPPED_MS: u64 = 20_000;

/// A number of a point; `None` if it is unknown.
pub(super) type Pick = fn(&HistoryPoint) -> Option<f64>;

pub(super) fn publish(point: &HistoryPoint) -> Option<f64> {
    point.publish_per_s
}

pub(super) fn stored(point: &HistoryPoint) -> Option<f64> {
    point.ack_per_s
}

pub(super) fn reads(point: &HistoryPoint) -> Option<f64> {
    point.reads_per_s
}

pub(super) fn backlog(point: &HistoryPoint) -> Option<f64> {
    point.backlog_rides.map(|rides| rides as f64)
}

pub(super) fn p99(point: &HistoryPoint) -> Option<f64> {
    point.accept_to_stored_p99_ms.map(|ms| ms as f64)
}

pub(super) fn oldest(point: &HistoryPoint) -> Option<f64> {
    point.oldest_ride_age_ms.map(|ms| ms as f64)
}

pub(super) fn dead_letters(point: &HistoryPoint) -> Option<f64> {
    point.dead_letters.map(|letters| letters as f64)
}

pub(super) fn workers(point: &HistoryPoint) -> Option<f64> {
    point.workers.map(|workers| workers as f64)
}

pub(super) fn threads(point: &HistoryPoint) -> Option<f64> {
    point.threads.map(|threads| threads as f64)
}

/// How several points become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    /// The mean of the known values.
    Mean,
    /// The last known value, for counts, which have no halves.
    Last,
}

/// The time axis, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Start; a multiple of the step.
    pub(super) from_ms: u64,
    /// End.
    pub(super) to_ms: u64,
    /// Time for one value, in milliseconds.
    pub(super) step_ms: u64,
    /// Start of what is certain to be in the history until the end moves.
    pub(super) oldest_ms: u64,
}

impl Window {
    /// The time axis of a range.
    pub(super) fn new(range: Range, now_ms: u64) -> Self {
        let edge_ms = now_ms.saturating_sub(LATE_MS);
        let to_ms = edge_ms - edge_ms % range.edge_ms();
        let step_ms = range.point_s() * 1_000;
        let from_ms = to_ms.saturating_sub(range.span_ms());
        let from_ms = from_ms - from_ms % step_ms;
        let oldest_ms = match range.step_s() {
            1 => from_ms.max((to_ms + DROPPED_MS).saturating_sub(SECONDS_MS)),
            _ => from_ms,
        };
        Self {
            from_ms,
            to_ms,
            step_ms,
            oldest_ms,
        }
    }

    /// One value per step, from the start to the end.
    pub(super) fn values(
        self,
        points: &[HistoryPoint],
        aggregate: Aggregate,
        pick: Pick,
    ) -> Vec<Option<f64>> {
        let steps = self
            .to_ms
            .saturating_sub(self.from_ms)
            .div_ceil(self.step_ms);
        let mut values: Vec<Option<(f64, u32)>> = vec![None; steps as usize];
        let certain = |point: &&HistoryPoint| (self.oldest_ms..self.to_ms).contains(&point.at_ms);
        for point in points.iter().filter(certain) {
            let Some(value) = pick(point).filter(|value| value.is_finite()) else {
                continue;
            };
            // Certain points are not before the start.
            let step = (point.at_ms - self.from_ms) / self.step_ms;
            let Some(sum) = values.get_mut(step as usize) else {
                continue;
            };
            *sum = match (*sum, aggregate) {
                (Some((sum, count)), Aggregate::Mean) => Some((sum + value, count + 1)),
                _ => Some((value, 1)),
            };
        }
        let value = |sum: Option<(f64, u32)>| sum.map(|(sum, count)| sum / f64::from(count));
        values.into_iter().map(value).collect()
    }
}
