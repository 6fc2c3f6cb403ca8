//! What a node counted over the last ten seconds: rates are differences, durations are gathered.

use std::collections::VecDeque;

use hdrhistogram::Histogram;
use skilift_core::control::Heartbeat;
use skilift_core::control::durations::Durations;
use skilift_core::control::heartbeat::Report;

/// How far back it goes.
const LENGTH_MS: u64 = 10_000;

/// A node's last heartbeats.
#[derive(Debug, Default)]
pub(crate) struct Window(VecDeque<Sample>);

#[derive(Debug)]
struct Sample {
    heard_at: u64,
    sent_at_ms: u64,
    counts: Counts,
    durations: Option<Histogram<u64>>,
}

/// What a node counts, of which only the differences mean something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rides that an API node accepted.
    pub(crate) accepted: u64,
    /// Questions that it answered.
    pub(crate) reads: u64,
    /// Rides that a worker took.
    pub(crate) delivered: u64,
    /// Rides that it acknowledged.
    pub(crate) acked: u64,
    /// Messages that came back to it.
    pub(crate) redelivered: u64,
    /// Milliseconds that its lanes stored.
    pub(crate) busy_ms: u64,
    /// Milliseconds of CPU time.
    pub(crate) cpu_ms: u64,
    /// Rides that each lane acknowledged.
    pub(crate) lanes: Vec<u64>,
}

impl Counts {
    fn of(heartbeat: &Heartbeat) -> Self {
        let cpu_ms = heartbeat.cpu_ms;
        match &heartbeat.report {
            Report::Api(api) => Self {
                accepted: api.accepted_rides,
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
                lanes: worker.lanes.iter().map(|lane| lane.acked_rides).collect(),
                ..Self::default()
            },
        }
    }
}

impl Window {
    /// Adds a heartbeat that was just heard.
    pub(crate) fn add(&mut self, heartbeat: &Heartbeat, now: u64) {
        let durations = match &heartbeat.report {
            Report::Api(api) => &api.post_us,
            Report::Worker(worker) => &worker.stored_after_ms,
        };
        let durations = durations
            .as_deref()
            .and_then(|text| Durations::read(text).ok());
        self.0.push_back(Sample {
            heard_at: now,
            sent_at_ms: heartbeat.sent_at_ms,
            counts: Counts::of(heartbeat),
            durations,
        });
        self.forget_before(now);
    }

    /// Drops what is too old. One sample from before is kept: rates count from it.
    pub(crate) fn forget_before(&mut self, now: u64) {
        let is_old = |sample: &Sample| sample.heard_at + LENGTH_MS < now;
        while self.0.get(1).is_some_and(is_old) {
            self.0.pop_front();
        }
    }

    /// How much a count grows each second; `None` while fewer than two heartbeats were heard.
    pub(crate) fn per_s(&self, count: impl Fn(&Counts) -> u64) -> Option<f64> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let seconds = last.sent_at_ms.checked_sub(first.sent_at_ms)? as f64 / 1000.0;
        let grown = count(&last.counts).saturating_sub(count(&first.counts));
        (seconds > 0.0).then(|| grown as f64 / seconds)
    }

    /// The durations of the last ten seconds.
    pub(crate) fn durations(&self, now: u64) -> impl Iterator<Item = &Histogram<u64>> {
        let recent = self.0.iter();
        let recent = recent.filter(move |sample| sample.heard_at + LENGTH_MS >= now);
        recent.filter_map(|sample| sample.durations.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use skilift_core::control::BootId;

    use super::*;
    use crate::registry::tests::worker;

    #[test]
    fn a_rate_is_a_difference_over_ten_seconds() {
        let (mut window, boot) = (Window::default(), BootId::random());
        assert_eq!(window.per_s(|counts| counts.acked), None);
        for second in 0..30_u64 {
            let took = if second < 15 {
                second
            } else {
                15 + (second - 15) * 3
            };
            let beat = worker(1, boot, 1_000, 1_000 + second * 1_000, took);
            window.add(&beat, second * 1_000);
        }
        assert_eq!(window.per_s(|counts| counts.acked), Some(30.0));
        assert_eq!(window.per_s(|counts| counts.lanes[0]), Some(30.0));
        assert!(window.0.len() <= 12);
        assert_eq!(window.per_s(|counts| counts.busy_ms), Some(500.0));
    }

    #[test]
    fn a_lost_heartbeat_changes_no_rate() {
        let (mut window, boot) = (Window::default(), BootId::random());
        for second in [0, 1, 2, 5, 6, 9] {
            let beat = worker(1, boot, 1_000, 1_000 + second * 1_000, second * 4);
            window.add(&beat, second * 1_000);
        }
        assert_eq!(window.per_s(|counts| counts.acked), Some(40.0));
    }
}
