//! Trend of the backlog, and time to drain.

use std::collections::VecDeque;

use crate::view::Reading;
use crate::view::queue::{DrainTime, Trend};

/// Window of the trend.
const TREND_MS: u64 = 10_000;
/// Rides by which a backlog must change between the halves of the window to be more than noise.
const NOISE_RIDES: f64 = 100.0;
/// Rides that arrive or are stored within this time are not a backlog: they are in flight.
const ON_THEIR_WAY_S: f64 = 1.0;
/// Two rates that differ by less than this part of the larger one are the same.
const NOISE_PART: f64 = 0.02;
/// Two rates that differ by less than this, in rides/s, are also the same.
const NOISE_PER_S: f64 = 1.0;

/// Whether the queue is consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consumption {
    Runs,
    /// An operator paused it.
    Paused,
    /// No worker is up and undrained.
    Stopped,
}

/// Time to drain: `backlog / (ack - publish)`.
///
/// Based on acknowledged rides, not delivered ones: a batch that a worker holds is not stored yet.
pub(crate) fn drain_time(
    backlog: &Reading<u64>,
    publish: &Reading<f64>,
    ack: &Reading<f64>,
    consumption: Consumption,
) -> DrainTime {
    let unknown = |name: &str, why: &Option<String>| DrainTime::Unknown {
        reason: format!("{name}: {}", why.as_deref().unwrap_or("unknown")),
    };
    let Some(rides) = backlog.value else {
        return unknown("backlog", &backlog.error);
    };
    if rides == 0 {
        return DrainTime::Empty;
    }
    match consumption {
        Consumption::Paused => return DrainTime::Paused,
        // Whatever was stored in the last ten seconds.
        Consumption::Stopped => return DrainTime::Growing,
        Consumption::Runs => {}
    }
    // Without an API node this console knows of no accepted rides, and without a worker nothing is stored.
    let Some(ack) = ack.value else {
        return unknown("rate of stored rides", &ack.error);
    };
    let Some(publish) = publish.value else {
        return unknown("rate of accepted rides", &publish.error);
    };
    let is_level = (ack - publish).abs() <= noise(ack.max(publish));
    if ack > 0.0 && rides as f64 <= ack.max(publish) * ON_THEIR_WAY_S {
        DrainTime::KeepingUp
    } else if ack > 0.0 && is_level {
        DrainTime::Stable
    } else if ack > publish {
        DrainTime::Eta {
            eta_s: rides as f64 / (ack - publish),
        }
    } else {
        DrainTime::Growing
    }
}

/// The difference between two rates of up to `per_s` that is noise, in rides/s.
fn noise(per_s: f64) -> f64 {
    NOISE_PER_S.max(per_s * NOISE_PART)
}

/// The backlog of the last ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Backlogs(VecDeque<(u64, f64)>);

impl Backlogs {
    /// Records a backlog.
    pub(crate) fn record(&mut self, now: u64, rides: u64) {
        self.0.push_back((now, rides as f64));
        while self.0.front().is_some_and(|(at, _)| at + TREND_MS < now) {
            self.0.pop_front();
        }
    }

    /// The trend: the mean of the later half against that of the earlier one, where up to `per_s` rides/s arrive and are stored.
    /// The current value overrides: a backlog that is gone does not grow, and one that is back at its earlier value neither
    /// grows nor falls.
    pub(crate) fn trend(&self, now: u64, per_s: f64) -> Trend {
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
        let last = recent.last().copied().unwrap_or_default();
        let (earlier, later) = recent.split_at(recent.len() / 2);
        let mean = |rides: &[f64]| rides.iter().sum::<f64>() / rides.len() as f64;
        let (earlier, later) = (mean(earlier), mean(later));
        let between_halves_s = TREND_MS as f64 / 2_000.0;
        let noise = NOISE_RIDES.max(noise(per_s) * between_halves_s);
        if last.max(later) <= per_s * ON_THEIR_WAY_S {
            Trend::Steady
        } else if later.min(last) > earlier + noise {
            Trend::Growing
        } else if later.max(last) + noise < earlier && last > 0.0 {
            Trend::Falling
        } else {
            Trend::Steady
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(rides: u64, publish: f64, ack: f64) -> DrainTime {
        let rate = |rate| Reading::of(rate, 0);
        let runs = Consumption::Runs;
        drain_time(&Reading::of(rides, 0), &rate(publish), &rate(ack), runs)
    }

    #[test]
    fn the_drain_time_is_never_when_less_is_stored_than_arrives() {
        assert_eq!(drain(0, 10.0, 0.0), DrainTime::Empty);
        assert_eq!(drain(900, 100.0, 400.0), DrainTime::Eta { eta_s: 3.0 });
        assert_eq!(drain(900, 100.0, 60.0), DrainTime::Growing);
        let of = |rides, consumption| {
            let rate = Reading::of(100.0, 0);
            drain_time(&Reading::of(rides, 0), &rate, &rate, consumption)
        };
        let (paused, stopped) = (Consumption::Paused, Consumption::Stopped);
        assert_eq!(of(0, paused), DrainTime::Empty);
        assert_eq!(of(3, paused), DrainTime::Paused);
        assert_eq!(of(3, stopped), DrainTime::Growing);
        // Nothing arrives, and nothing is stored either.
        assert_eq!(drain(900, 0.0, 0.0), DrainTime::Growing);
        assert_eq!(drain(3, 1500.0, 0.0), DrainTime::Growing);
        let unknown = drain_time(
            &Reading::unknown("Redis is away"),
            &Reading::of(1.0, 0),
            &Reading::of(1.0, 0),
            Consumption::Runs,
        );
        assert_eq!(
            unknown,
            DrainTime::Unknown {
                reason: "backlog: Redis is away".to_owned()
            }
        );
    }

    #[test]
    fn a_healthy_queue_keeps_up_whatever_the_noise() {
        for (rides, ack) in [(5, 1495.0), (49, 1505.3), (7, 1500.0), (1_400, 1480.0)] {
            assert_eq!(
                drain(rides, 1500.0, ack),
                DrainTime::KeepingUp,
                "{rides} {ack}"
            );
        }
        assert_eq!(drain(7, 50.0, 49.2), DrainTime::KeepingUp);
        // A backlog that stays is neither gone in an hour nor never.
        for ack in [1475.0, 1500.0, 1525.0] {
            assert_eq!(drain(60_000, 1500.0, ack), DrainTime::Stable, "{ack}");
        }
        assert_eq!(drain(500, 3.0, 3.9), DrainTime::Stable);
    }

    #[test]
    fn the_trend_is_more_than_noise() {
        let trend = |backlog: fn(u64) -> u64| {
            let mut backlogs = Backlogs::default();
            (0..60).for_each(|second| backlogs.record(second * 1_000, backlog(second)));
            backlogs.trend(59_000, 1_500.0)
        };
        assert_eq!(trend(|_| 0), Trend::Steady);
        assert_eq!(trend(|second| 5_000 + second % 2 * 300), Trend::Steady);
        assert_eq!(trend(|second| second * 100), Trend::Growing);
        assert_eq!(trend(|second| 90_000 - second * 1_000), Trend::Falling);
        // A large backlog that drains, and one that has just begun to.
        assert_eq!(trend(|second| 788_800 - second * 2_400), Trend::Falling);
        let turned = |second: u64| 800_000 - second.abs_diff(51) * 2_400;
        assert_eq!(trend(turned), Trend::Falling);
        // As much as arrives in a second is not a backlog.
        assert_eq!(trend(|second| second * 20), Trend::Steady);
        assert_eq!(Backlogs::default().trend(0, 0.0), Trend::Unknown);
        // Gone a moment ago, after it had grown, or had been falling.
        assert_eq!(trend(|second| second % 59 * 500), Trend::Steady);
        assert_eq!(trend(|second| 59_000 - second * 1_000), Trend::Steady);
    }
}
