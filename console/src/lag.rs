//! How fast the queue moves and how late rides are stored: rates, trend, drain time, quantiles.

use std::collections::VecDeque;

use hdrhistogram::Histogram;
use skilift_core::control::Role;

use crate::registry::{Counts, Registry};
use crate::view::Reading;
use crate::view::queue::{DrainTime, LatencyView, Trend};

/// How far back the trend looks.
const TREND_MS: u64 = 30_000;
/// Rides by which a backlog must have changed to be more than noise, beside a tenth of itself.
const NOISE_RIDES: f64 = 100.0;

/// The sum of a rate over the heard nodes of a role.
pub(crate) fn rate(
    registry: &Registry,
    role: Role,
    now: u64,
    count: impl Fn(&Counts) -> u64 + Copy,
) -> Reading<f64> {
    let mut heard = registry.heard(role, now).peekable();
    if heard.peek().is_none() {
        return Reading::unknown(no_node(role));
    }
    let (mut sum, mut oldest, mut known) = (0.0, 0, false);
    for node in heard {
        if let Some(rate) = node.window.per_s(count) {
            sum += rate;
            known = true;
        }
        oldest = oldest.max(node.silent_for(now));
    }
    if known {
        Reading::of(sum, oldest)
    } else {
        Reading::unknown("nodes were heard only once so far")
    }
}

/// That no node of a role is heard.
pub(crate) fn no_node(role: Role) -> String {
    match role {
        Role::Api => "no API node is heard".to_owned(),
        Role::Worker => "no worker is heard".to_owned(),
    }
}

/// Quantiles of all durations of the last ten seconds; `per_ms` of them make a millisecond.
pub(crate) fn latency<'a>(
    durations: impl Iterator<Item = &'a Histogram<u64>>,
    per_ms: u64,
    age_ms: u64,
) -> LatencyView {
    let mut all: Option<Histogram<u64>> = None;
    for of_one in durations {
        match &mut all {
            // Both were made by the same code; one that is larger makes the other grow.
            Some(all) => drop(all.add(of_one)),
            None => {
                let mut first = of_one.clone();
                first.auto(true);
                all = Some(first);
            }
        }
    }
    let at = |quantile| match &all {
        Some(all) if !all.is_empty() => {
            Reading::of(all.value_at_quantile(quantile).div_ceil(per_ms), age_ms)
        }
        _ => Reading::unknown("nothing happened in the last ten seconds"),
    };
    LatencyView {
        p50_ms: at(0.50),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
    }
}

/// When the backlog is gone: `backlog / (ack - publish)`.
///
/// Acknowledged and not delivered: a batch that a worker holds is not done.
pub(crate) fn drain_time(
    backlog: &Reading<u64>,
    publish: &Reading<f64>,
    ack: &Reading<f64>,
) -> DrainTime {
    let unknown = |name: &str, why: &Option<String>| DrainTime::Unknown {
        why: format!("{name}: {}", why.as_deref().unwrap_or("unknown")),
    };
    let Some(rides) = backlog.value else {
        return unknown("backlog", &backlog.unknown);
    };
    if rides == 0 {
        return DrainTime::Empty;
    }
    // Without an API node nothing is accepted that this console could know of, and without a worker nothing is stored.
    let Some(ack) = ack.value else {
        return unknown("rate of storing", &ack.unknown);
    };
    let Some(publish) = publish.value else {
        return unknown("rate of accepting", &publish.unknown);
    };
    if ack > publish {
        DrainTime::In {
            seconds: rides as f64 / (ack - publish),
        }
    } else {
        DrainTime::Never
    }
}

/// The backlog of the last half minute.
#[derive(Debug, Default)]
pub(crate) struct Backlogs(VecDeque<(u64, f64)>);

impl Backlogs {
    /// Remembers a backlog.
    pub(crate) fn saw(&mut self, now: u64, rides: u64) {
        self.0.push_back((now, rides as f64));
        while self.0.front().is_some_and(|(at, _)| at + TREND_MS < now) {
            self.0.pop_front();
        }
    }

    /// Where it is going: the mean of the later half against that of the earlier one.
    pub(crate) fn trend(&self, now: u64) -> Trend {
        let is_recent = |at: u64| at + TREND_MS >= now;
        let recent: Vec<f64> = self
            .0
            .iter()
            .filter(|(at, _)| is_recent(*at))
            .map(|(_, rides)| *rides)
            .collect();
        if recent.len() < 4 {
            return Trend::Unknown;
        }
        let (earlier, later) = recent.split_at(recent.len() / 2);
        let mean = |rides: &[f64]| rides.iter().sum::<f64>() / rides.len() as f64;
        let (earlier, later) = (mean(earlier), mean(later));
        let noise = NOISE_RIDES.max(earlier.max(later) / 10.0);
        if later > earlier + noise {
            Trend::Growing
        } else if later + noise < earlier {
            Trend::Falling
        } else {
            Trend::Steady
        }
    }
}

/// By what the age of the oldest ride that is not stored can be bounded.
#[derive(Debug, Default)]
pub(crate) struct Oldest {
    /// When nothing waited, last.
    empty_at: Option<u64>,
    /// When workers last took messages, and the age of the oldest ride then.
    moving: Option<(u64, u64)>,
    delivered: u64,
}

impl Oldest {
    /// Looks at `now`: `waiting` rides are not stored, workers took `delivered` messages so far, and `held_ms` is the age of
    /// the oldest ride that any of them holds.
    pub(crate) fn look(
        &mut self,
        now: u64,
        waiting: Option<u64>,
        delivered: u64,
        held_ms: Option<u64>,
    ) -> Reading<u64> {
        let moves = delivered > self.delivered;
        self.delivered = delivered;
        if waiting == Some(0) {
            self.empty_at = Some(now);
            self.moving = None;
            return Reading::of(0, 0);
        }
        if moves && let Some(held_ms) = held_ms {
            self.moving = Some((now, held_ms));
            // The queue hands out the oldest first.
            return Reading::of(held_ms, 0);
        }
        // Nothing is handed out: what waits is younger than the queue's last emptiness, and than what was the oldest ride when
        // it was handed out last, with the time since.
        let since_empty = self.empty_at.map(|at| now - at);
        let since_moving = self.moving.map(|(at, age)| age + (now - at));
        let bound = match (since_empty, since_moving) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        match bound {
            Some(bound) => Reading::at_most(bound, 0),
            None if waiting.is_none() => Reading::unknown("it is not known how much waits"),
            None => Reading::unknown(
                "rides have been waiting since before this console started, and none is handed out",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::{api, worker};
    use skilift_core::control::BootId;

    #[test]
    fn rates_are_summed_over_those_that_are_heard() {
        let mut registry = Registry::default();
        let boots = [BootId::random(), BootId::random()];
        let ack =
            |registry: &Registry, now| rate(registry, Role::Worker, now, |counts| counts.acked);
        assert_eq!(
            ack(&registry, 0).unknown.as_deref(),
            Some("no worker is heard")
        );
        for second in 0..5_u64 {
            for (port, boot) in (1..).zip(boots) {
                let beat = worker(port, boot, 1, 1_000 + second * 1_000, second * 7);
                registry.hear(beat, second * 1_000, 1_000 + second * 1_000);
            }
        }
        assert_eq!(ack(&registry, 4_500), Reading::of(140.0, 500));
        registry.hear(worker(1, boots[0], 1, 10_000, 63), 9_000, 10_000);
        assert_eq!(ack(&registry, 9_500).value, Some(70.0));
        registry.hear(api(3, boots[0], 1, 10_000, 5), 9_000, 10_000);
        let publish = rate(&registry, Role::Api, 9_000, |counts| counts.accepted);
        assert!(publish.value.is_none(), "one heartbeat is no rate");
    }

    #[test]
    fn the_drain_time_is_never_when_no_more_is_stored_than_arrives() {
        let of = |rides, publish, ack| {
            let rate = |rate| Reading::of(rate, 0);
            drain_time(&Reading::of(rides, 0), &rate(publish), &rate(ack))
        };
        assert_eq!(of(0, 10.0, 0.0), DrainTime::Empty);
        assert_eq!(of(900, 100.0, 400.0), DrainTime::In { seconds: 3.0 });
        assert_eq!(of(900, 100.0, 100.0), DrainTime::Never);
        assert_eq!(of(900, 0.0, 0.0), DrainTime::Never);
        let unknown = drain_time(
            &Reading::unknown("Redis is away"),
            &Reading::of(1.0, 0),
            &Reading::of(1.0, 0),
        );
        assert_eq!(
            unknown,
            DrainTime::Unknown {
                why: "backlog: Redis is away".to_owned()
            }
        );
    }

    #[test]
    fn the_trend_is_more_than_noise() {
        let trend = |backlog: fn(u64) -> u64| {
            let mut backlogs = Backlogs::default();
            (0..60).for_each(|second| backlogs.saw(second * 1_000, backlog(second)));
            backlogs.trend(59_000)
        };
        assert_eq!(trend(|_| 0), Trend::Steady);
        assert_eq!(trend(|second| 5_000 + second % 2 * 300), Trend::Steady);
        assert_eq!(trend(|second| second * 100), Trend::Growing);
        assert_eq!(trend(|second| 60_000 - second * 1_000), Trend::Falling);
        assert_eq!(Backlogs::default().trend(0), Trend::Unknown);
    }

    #[test]
    fn the_oldest_is_bounded_while_nothing_is_handed_out() {
        let mut oldest = Oldest::default();
        assert!(oldest.look(0, Some(5), 0, None).unknown.is_some());
        assert_eq!(oldest.look(1_000, Some(0), 0, None), Reading::of(0, 0));
        assert_eq!(
            oldest.look(3_000, Some(9), 0, None),
            Reading::at_most(2_000, 0)
        );
        assert_eq!(
            oldest.look(4_000, Some(9), 3, Some(2_500)),
            Reading::of(2_500, 0)
        );
        assert_eq!(
            oldest.look(6_000, Some(9), 3, Some(4_500)),
            Reading::at_most(4_500, 0)
        );
    }

    #[test]
    fn quantiles_are_those_of_all_nodes_together() {
        let of = |value, times| {
            let mut histogram = Histogram::<u64>::new_with_max(10_000_000, 3).unwrap();
            histogram.record_n(value, times).unwrap();
            histogram
        };
        let nodes = [of(2_000, 98), of(900_000, 2)];
        let latency = latency(nodes.iter(), 1_000, 7);
        assert_eq!(latency.p50_ms, Reading::of(2, 7));
        let p99 = latency.p99_ms.value.unwrap();
        assert!((900..=901).contains(&p99), "{p99}");
    }
}
