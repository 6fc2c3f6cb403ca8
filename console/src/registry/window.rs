//! A node's counters over the last ten seconds: rates are differences, durations are merged.
//!
//! The counters at a moment are interpolated between the heartbeats before and after it. Rates end slightly in the past,
//! when every live node has sent a heartbeat since: so all rates cover the same ten seconds, and a node that falls silent
//! does not make them jump.

use std::collections::VecDeque;

use hdrhistogram::Histogram;
use skilift_core::control::Heartbeat;
use skilift_core::control::durations::Durations;
use skilift_core::control::heartbeat::Report;

/// Length of the window.
const LENGTH_MS: u64 = 10_000;
/// How long ago rates end: longer than the heartbeat interval.
const DELAY_MS: u64 = 1_500;

/// A node's last heartbeats.
#[derive(Debug, Default)]
pub(crate) struct Window {
    samples: VecDeque<Sample>,
    /// Counters of the node's earlier boots.
    carried: Counts,
    /// Whether the first sample is the start of the node, with all counters 0.
    is_whole: bool,
}

#[derive(Debug)]
struct Sample {
    received_at: u64,
    /// Sum over all boots.
    counts: Counts,
    durations: Option<Histogram<u64>>,
}

/// Counters of a node, of which only differences are meaningful.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rides that an API node accepted.
    pub(crate) accepted: u64,
    /// Requests with rides that it rejected with 503.
    pub(crate) refused: u64,
    /// Requests with rides that it rejected with 401 or 403.
    pub(crate) denied: u64,
    /// Requests with rides without a valid ingest key that it let in.
    pub(crate) unkeyed: u64,
    /// Reads that it answered.
    pub(crate) reads: u64,
    /// Rides delivered to a worker.
    pub(crate) delivered: u64,
    /// Rides that it acknowledged.
    pub(crate) acked: u64,
    /// Messages redelivered to it.
    pub(crate) redelivered: u64,
    /// Milliseconds that its threads spent storing.
    pub(crate) busy_ms: u64,
    /// Milliseconds of CPU time.
    pub(crate) cpu_ms: u64,
    /// Rides that each thread acknowledged.
    pub(crate) lanes: Vec<u64>,
}

impl Counts {
    fn of(heartbeat: &Heartbeat) -> Self {
        let cpu_ms = heartbeat.cpu_ms;
        match &heartbeat.report {
            Report::Api(api) => Self {
                accepted: api.accepted_rides,
                refused: api.refused_requests,
                denied: api.denied_requests,
                unkeyed: api.unkeyed_requests,
                reads: api.reads,
                cpu_ms,
                ..Self::default()
            },
            Report::Worker(worker) => Self {
                delivered: worker.delivered_rides,
                acked: worker.acked_rides,
                redelivered: worker.redelivered_messages,
                busy_ms: worker.busy_ms,
                cpu_ms,
                lanes: worker
                    .consumers
                    .iter()
                    .map(|lane| lane.acked_rides)
                    .collect(),
                ..Self::default()
            },
        }
    }

    /// Adds the counters of earlier boots.
    fn after(self, earlier: &Self) -> Self {
        let lanes = self.lanes.len().max(earlier.lanes.len());
        let of_lane = |counts: &Self, lane: usize| counts.lanes.get(lane).copied().unwrap_or(0);
        Self {
            accepted: self.accepted + earlier.accepted,
            refused: self.refused + earlier.refused,
            denied: self.denied + earlier.denied,
            unkeyed: self.unkeyed + earlier.unkeyed,
            reads: self.reads + earlier.reads,
            delivered: self.delivered + earlier.delivered,
            acked: self.acked + earlier.acked,
            redelivered: self.redelivered + earlier.redelivered,
            busy_ms: self.busy_ms + earlier.busy_ms,
            cpu_ms: self.cpu_ms + earlier.cpu_ms,
            lanes: (0..lanes)
                .map(|lane| of_lane(&self, lane) + of_lane(earlier, lane))
                .collect(),
        }
    }
}

impl Window {
    /// Records the start of a boot, at a time from which on all its heartbeats are received.
    pub(crate) fn begin(&mut self, at: u64) {
        if let Some(last) = self.samples.back() {
            self.carried = last.counts.clone();
        }
        self.is_whole |= self.samples.is_empty();
        let received_at = self
            .samples
            .back()
            .map_or(at, |last| at.max(last.received_at));
        self.samples.push_back(Sample {
            received_at,
            counts: self.carried.clone(),
            durations: None,
        });
    }

    /// Whether there are no samples.
    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Adds a heartbeat that was just received.
    pub(crate) fn add(&mut self, heartbeat: &Heartbeat, now: u64) {
        let durations = match &heartbeat.report {
            Report::Api(api) => &api.post_us,
            Report::Worker(worker) => &worker.accept_to_stored_ms,
        };
        let durations = durations
            .as_deref()
            .and_then(|text| Durations::read(text).ok());
        self.samples.push_back(Sample {
            received_at: now,
            counts: Counts::of(heartbeat).after(&self.carried),
            durations,
        });
        self.forget_before(now);
    }

    /// Removes old samples. One older sample is kept as the base of rates.
    pub(crate) fn forget_before(&mut self, now: u64) {
        let is_old = |sample: &Sample| sample.received_at + LENGTH_MS + DELAY_MS < now;
        while self.samples.get(1).is_some_and(is_old) {
            self.samples.pop_front();
            self.is_whole = false;
        }
    }

    /// Whether a counter has grown between the last two heartbeats.
    pub(crate) fn has_grown(&self, count: impl Fn(&Counts) -> u64) -> bool {
        let mut newest = self
            .samples
            .iter()
            .rev()
            .map(|sample| count(&sample.counts));
        let last_two = newest.next().zip(newest.next());
        last_two.is_some_and(|(last, before)| last > before)
    }

    /// Growth of a counter per second; `None` with fewer than two heartbeats.
    pub(crate) fn per_s(&self, now: u64, count: impl Fn(&Counts) -> u64) -> Option<f64> {
        let first = self.samples.front()?.received_at;
        let end = now.saturating_sub(DELAY_MS);
        self.mean(first.max(end.saturating_sub(LENGTH_MS)), end, count)
    }

    /// Like [`Self::per_s`], as a share of the sum over all nodes: a node that started within the window counts 0 before,
    /// and one silent for the whole window adds nothing.
    pub(crate) fn share_per_s(
        &self,
        now: u64,
        connected_since: u64,
        count: impl Fn(&Counts) -> u64,
    ) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let end = now.saturating_sub(DELAY_MS);
        let start = end.saturating_sub(LENGTH_MS).max(connected_since);
        if last.received_at <= start {
            return None;
        }
        let begin = if self.is_whole {
            start
        } else {
            first.received_at.max(start)
        };
        self.mean(begin, end, count)
    }

    fn mean(&self, from: u64, to: u64, count: impl Fn(&Counts) -> u64) -> Option<f64> {
        if self.samples.len() < 2 || to <= from {
            return None;
        }
        let grown = (self.at(to, &count) - self.at(from, &count)).max(0.0);
        Some(grown * 1_000.0 / (to - from) as f64)
    }

    /// The counter at a moment, linearly interpolated between two heartbeats.
    fn at(&self, moment: u64, count: impl Fn(&Counts) -> u64) -> f64 {
        let counted = |sample: &Sample| count(&sample.counts) as f64;
        let next = self
            .samples
            .partition_point(|sample| sample.received_at < moment);
        match (
            next.checked_sub(1).and_then(|at| self.samples.get(at)),
            self.samples.get(next),
        ) {
            (Some(before), Some(after)) => {
                let part = (moment - before.received_at) as f64
                    / (after.received_at - before.received_at) as f64;
                counted(before) + part * (counted(after) - counted(before))
            }
            (Some(only), None) | (None, Some(only)) => counted(only),
            (None, None) => 0.0,
        }
    }

    /// The durations of the last ten seconds.
    pub(crate) fn durations(&self, now: u64) -> impl Iterator<Item = &Histogram<u64>> {
        let recent = self.samples.iter();
        let recent = recent.filter(move |sample| sample.received_at + LENGTH_MS >= now);
        recent.filter_map(|sample| sample.durations.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use skilift_core::control::BootId;

    use super::*;
    use crate::registry::tests::worker;

    fn acked(counts: &Counts) -> u64 {
        counts.acked
    }

    #[test]
    fn a_rate_is_a_difference_over_ten_seconds() {
        let (mut window, boot) = (Window::default(), BootId::random());
        assert_eq!(window.per_s(5_000, acked), None);
        window.add(&worker(1, boot, 1_000, 900, 7), 0);
        // What one heartbeat has is of any age.
        assert!(!window.has_grown(acked));
        let mut window = Window::default();
        for second in 0..30_u64 {
            let took = if second < 15 {
                second
            } else {
                15 + (second - 15) * 3
            };
            let beat = worker(1, boot, 1_000, 1_000 + second * 1_000, took);
            window.add(&beat, second * 1_000);
        }
        assert_eq!(window.per_s(29_300, acked), Some(30.0));
        assert_eq!(window.per_s(29_300, |counts| counts.lanes[0]), Some(30.0));
        assert!(window.samples.len() <= 14);
        assert_eq!(window.per_s(29_300, |counts| counts.busy_ms), Some(500.0));
        assert!(window.has_grown(acked));
        window.add(&worker(1, boot, 1_000, 31_000, 57), 30_000);
        assert!(!window.has_grown(acked));
    }

    #[test]
    fn a_lost_heartbeat_changes_no_rate() {
        let (mut window, boot) = (Window::default(), BootId::random());
        for second in [0, 1, 2, 5, 6, 9] {
            let beat = worker(1, boot, 1_000, 1_000 + second * 1_000, second * 4);
            window.add(&beat, second * 1_000);
        }
        assert_eq!(window.per_s(10_000, acked), Some(40.0));
    }

    #[test]
    fn silence_counts_as_nothing_done_and_no_rate_jumps() {
        let (mut window, boot) = (Window::default(), BootId::random());
        for second in 0..20_u64 {
            let beat = worker(1, boot, 1_000, 1_000 + second * 1_000, second);
            window.add(&beat, second * 1_000);
        }
        let mut before = 10.0;
        for now in (19_000..32_000).step_by(250) {
            window.forget_before(now);
            let share = window.share_per_s(now, 0, acked).unwrap_or(0.0);
            // It falls evenly, by a tenth of a second's rides each second.
            assert!(
                (0.0..=0.26).contains(&(before - share)),
                "{now}: {share} after {before}"
            );
            before = share;
        }
        assert!(before.abs() < 1e-9, "{before}");
    }

    #[test]
    fn a_restarted_node_goes_on_counting() {
        let mut window = Window::default();
        let (first, second) = (BootId::random(), BootId::random());
        for at in 0..8_u64 {
            window.add(&worker(1, first, 0, at * 1_000, at), at * 1_000);
        }
        window.begin(9_000);
        for at in 10..13_u64 {
            let beat = worker(1, second, 9_000, at * 1_000, at - 9);
            window.add(&beat, at * 1_000);
        }
        // From 1.5 s to 11.5 s: 5.5 messages of the first boot, 2.5 of the second.
        assert_eq!(window.per_s(13_000, acked), Some(8.0));
    }

    #[test]
    fn who_was_born_meanwhile_did_nothing_before() {
        let (mut window, boot) = (Window::default(), BootId::random());
        window.begin(20_000);
        for second in 1..5_u64 {
            let beat = worker(1, boot, 20_000, 20_000 + second * 1_000, second);
            window.add(&beat, 20_000 + second * 1_000);
        }
        assert_eq!(window.per_s(24_000, acked), Some(10.0));
        assert_eq!(window.share_per_s(24_000, 0, acked), Some(2.5));
        // A console that has been connected for five seconds knows no earlier counts.
        assert_eq!(window.share_per_s(24_000, 17_500, acked), Some(5.0));
    }
}
