//! Throughput of the queue and delay of storing: rates, trend, drain time, quantiles.

mod drain;

use hdrhistogram::Histogram;
use skilift_core::control::Role;

use crate::registry::{Counts, NodeRegistry};
use crate::view::Reading;
use crate::view::queue::LatencyView;
pub(crate) use drain::{Backlogs, Consumption, drain_time};

/// Messages were delivered so recently that the unacked ones are the oldest.
const MOVING_MS: u64 = 2_500;

/// A rate over all nodes of a role: their counts within the last ten seconds, divided by that time. Nodes that fell silent
/// or stopped are included until nothing of theirs is within those ten seconds.
pub(crate) fn rate(
    registry: &NodeRegistry,
    role: Role,
    now: u64,
    count: impl Fn(&Counts) -> u64 + Copy,
) -> Reading<f64> {
    let (mut sum, mut is_known, mut is_live, mut age_ms) = (0.0, false, false, 0);
    for node in registry.nodes().filter(|node| node.last.role() == role) {
        if let Some(share) = node.share_per_s(registry.connected_since(), count) {
            sum += share;
            is_known = true;
        }
        if node.is_live() {
            is_live = true;
            age_ms = age_ms.max(now.saturating_sub(node.received_at));
        }
    }
    match (is_known, is_live) {
        (true, _) => Reading::of(sum, age_ms),
        (false, true) => Reading::unknown("only one heartbeat per node received so far"),
        (false, false) => Reading::unknown(no_node(role)),
    }
}

/// Error text: no node of a role is up.
pub(crate) fn no_node(role: Role) -> String {
    match role {
        Role::Api => "no API node is up".to_owned(),
        Role::Worker => "no worker is up".to_owned(),
    }
}

/// Quantiles of all durations of the last ten seconds; `per_ms` units per millisecond.
pub(crate) fn latency<'a>(
    durations: impl Iterator<Item = &'a Histogram<u64>>,
    per_ms: u64,
    age_ms: u64,
) -> LatencyView {
    let mut all: Option<Histogram<u64>> = None;
    for of_one in durations {
        match &mut all {
            // Both were created by the same code; the smaller one grows if needed.
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
        _ => Reading::unknown("no samples in the last 10 s"),
    };
    LatencyView {
        p50: at(0.50),
        p95: at(0.95),
        p99: at(0.99),
    }
}

/// Observations that bound the age of the oldest ride not yet stored.
#[derive(Debug, Default)]
pub(crate) struct Oldest {
    /// When the backlog was last empty.
    empty_at: Option<u64>,
    /// When a worker last reported the age of its oldest unacked ride while messages were delivered; and that age.
    moving: Option<(u64, u64)>,
    delivered: u64,
    /// When deliveries to workers were last observed.
    moved_at: Option<u64>,
    /// How old a ride may be that a worker without heartbeats holds, and when that was last so.
    unheard: Option<(u64, u64)>,
}

impl Oldest {
    /// Computes the age at `now`: `waiting` rides are not stored, workers received `delivered` messages so far, `held` is the age of
    /// the oldest ride that any of them holds, with the age of that report, and `unheard` how old a ride may be that a worker
    /// without heartbeats holds. 0 means that none is waiting.
    pub(crate) fn update(
        &mut self,
        now: u64,
        waiting: Option<u64>,
        delivered: u64,
        held: Option<(u64, u64)>,
        unheard: Option<u64>,
    ) -> Reading<u64> {
        if let Some(age) = unheard {
            self.unheard = Some((age, now));
        }
        let heard = self.heard(now, waiting, delivered, held);
        let Some(known) = heard.value.filter(|age| *age > 0) else {
            return heard;
        };
        // What is returned to the queue is delivered again before a heartbeat tells so.
        let unheard = self.unheard.filter(|(_, at)| now - at <= MOVING_MS);
        match unheard.map(|(age, at)| age + (now - at)) {
            Some(bound) if bound > known => Reading::at_most(bound, 0),
            _ => heard,
        }
    }

    /// The same of the workers with heartbeats.
    fn heard(
        &mut self,
        now: u64,
        waiting: Option<u64>,
        delivered: u64,
        held: Option<(u64, u64)>,
    ) -> Reading<u64> {
        if delivered > self.delivered {
            self.delivered = delivered;
            self.moved_at = Some(now);
        }
        if waiting == Some(0) {
            self.empty_at = Some(now);
            self.moving = None;
            return Reading::of(0, 0);
        }
        let moves = self.moved_at.is_some_and(|at| now - at <= MOVING_MS);
        if moves && let Some((held_ms, age_ms)) = held {
            let held_ms = held_ms.max(1);
            self.moving = Some((now.saturating_sub(age_ms), held_ms));
            // The queue delivers the oldest first.
            return Reading::of(held_ms, age_ms);
        }
        // Nothing is delivered: waiting rides are younger than the moment when the queue was last empty, and than the oldest
        // ride at the last delivery plus the time since.
        let since_empty = self.empty_at.map(|at| (now - at).max(1));
        let since_moving = self.moving.map(|(at, age)| age + (now - at));
        let bound = match (since_empty, since_moving) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        match bound {
            Some(bound) => Reading::at_most(bound, 0),
            None if waiting.is_none() => Reading::unknown("backlog unknown"),
            None => Reading::unknown(
                "backlog is older than this console, and no ride has been delivered since it started",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::{api, worker};
    use skilift_core::control::BootId;

    fn acked(registry: &NodeRegistry, now: u64) -> Reading<f64> {
        rate(registry, Role::Worker, now, |counts| counts.acked)
    }

    #[test]
    fn rates_are_summed_over_those_that_are_heard() {
        let mut registry = NodeRegistry::default();
        let boots = [BootId::random(), BootId::random()];
        assert_eq!(
            acked(&registry, 0).error.as_deref(),
            Some("no worker is up")
        );
        for second in 0..5_u64 {
            for (port, boot) in (1..).zip(boots) {
                // They have been running for long.
                let beat = worker(port, boot, 1, 100_000 + second * 1_000, second * 7);
                registry.record(beat, second * 1_000, 100_000 + second * 1_000);
            }
        }
        registry.check_liveness(4_500);
        assert_eq!(acked(&registry, 4_500), Reading::of(140.0, 500));
        registry.record(api(3, boots[0], 1, 10_000, 5), 4_500, 10_000);
        registry.check_liveness(4_500);
        let publish = rate(&registry, Role::Api, 4_500, |counts| counts.accepted);
        assert!(publish.value.is_none(), "one heartbeat is no rate");
    }

    #[test]
    fn a_workers_death_makes_no_rate_jump() {
        let mut registry = NodeRegistry::default();
        let boots = [BootId::random(), BootId::random()];
        let mut took = [0, 0];
        for tick in 0..400_u64 {
            // 150 messages a second in all, shared by two until one dies, then stored by the other. They beat at other times.
            let (now, dead) = (tick * 100, tick >= 200);
            if dead {
                took[0] += 15;
            } else {
                took = [took[0] + 7, took[1] + 8];
            }
            for (port, boot) in (1..).zip(boots) {
                let beats = tick % 10 == u64::from(port) * 4 && (port == 1 || !dead);
                if beats {
                    let beat = worker(port, boot, 1, 100_000 + now, took[usize::from(port) - 1]);
                    registry.record(beat, now, 100_000 + now);
                }
            }
            registry.check_liveness(now);
            if tick >= 130 && tick % 10 == 7 {
                let rate = acked(&registry, now).value.unwrap();
                // Deliveries after the last heartbeat are unknown; between two heartbeats the rate counts as constant.
                assert!((1_430.0..=1_520.0).contains(&rate), "{now} ms: {rate}");
            }
        }
        let ends = acked(&registry, 40_000).value.unwrap();
        assert!((ends - 1_500.0).abs() < 1.0, "{ends}");
    }

    #[test]
    fn the_oldest_is_bounded_while_nothing_is_handed_out() {
        let mut oldest = Oldest::default();
        assert!(oldest.update(0, Some(5), 0, None, None).error.is_some());
        assert_eq!(
            oldest.update(1_000, Some(0), 0, None, None),
            Reading::of(0, 0)
        );
        assert_eq!(
            oldest.update(3_000, Some(9), 0, None, None),
            Reading::at_most(2_000, 0)
        );
        assert_eq!(
            oldest.update(4_000, Some(9), 3, Some((2_500, 0)), None),
            Reading::of(2_500, 0)
        );
        assert_eq!(
            oldest.update(7_000, Some(9), 3, Some((5_500, 0)), None),
            Reading::at_most(5_500, 0)
        );
    }

    #[test]
    fn the_age_of_a_heartbeat_is_not_the_age_of_a_ride() {
        let mut oldest = Oldest::default();
        let young = oldest.update(1_000, Some(9), 3, Some((40, 900)), None);
        assert_eq!(young, Reading::of(40, 900));
        // No news within a second is no standstill.
        assert_eq!(
            oldest.update(2_000, Some(9), 3, Some((40, 1_900)), None),
            Reading::of(40, 1_900)
        );
        // 0 says that nothing waits, and nothing else.
        assert_eq!(
            oldest.update(3_000, Some(9), 4, Some((0, 10)), None),
            Reading::of(1, 10)
        );
    }

    #[test]
    fn what_a_silent_worker_holds_grows_old_until_it_is_delivered_again() {
        let mut oldest = Oldest::default();
        // One worker delivers at once, and the other has been silent for 6 s.
        let mut at = |now, delivered, held, unheard| {
            oldest.update(now, Some(9), delivered, Some((held, 200)), unheard)
        };
        assert_eq!(at(10_000, 5, 40, Some(6_100)), Reading::at_most(6_100, 0));
        assert_eq!(at(11_000, 6, 40, Some(7_100)), Reading::at_most(7_100, 0));
        // RabbitMQ has closed its channel: its messages are delivered again, which the next heartbeat tells.
        assert_eq!(at(12_000, 7, 40, None), Reading::at_most(8_100, 0));
        assert_eq!(at(13_000, 8, 9_150, None), Reading::of(9_150, 200));
        assert_eq!(at(14_000, 9, 40, None), Reading::of(40, 200));
        assert_eq!(
            oldest.update(15_000, Some(0), 9, None, Some(9_000)),
            Reading::of(0, 0)
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
        assert_eq!(latency.p50, Reading::of(2, 7));
        let p99 = latency.p99.value.unwrap();
        assert!((900..=901).contains(&p99), "{p99}");
    }
}
