//! A fitted law with its intervals, and how far it may be used.

use std::collections::BTreeMap;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use crate::interval::{Interval, resampled};
use crate::usl::{FitError, Measured, Usl};

/// Resamples of the intervals; each one is a fit.
const RESAMPLES: usize = 400;
/// Least resamples that must have a fit.
const LEAST_RESAMPLES: usize = RESAMPLES * 95 / 100;
/// A model may be used up to this multiple of the largest measured number.
const FURTHEST: f64 = 2.0;

/// The law of measured rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its parameters.
    pub usl: Usl,
    /// The interval of each parameter; `None` unless every number was measured more than once.
    pub intervals: Option<Intervals>,
    /// The part of the variance of the rates that it explains, at most 1.
    pub r_squared: f64,
    /// The largest measured number.
    pub largest: f64,
    /// The laws of the resamples, for intervals of rates.
    resamples: Vec<Usl>,
}

/// The intervals of the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Of the rate of one.
    pub gamma: Interval,
    /// Of contention.
    pub alpha: Interval,
    /// Of coherency.
    pub beta: Interval,
}

/// A rate by the model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The rate, per second.
    pub rate: f64,
    /// Its interval; `None` without repeats.
    pub interval: Option<Interval>,
}

impl Model {
    /// Fits measurements; those of the same number are repeats, and intervals come from drawing among them.
    ///
    /// # Errors
    /// When there is no fit.
    pub fn fit(points: &[Measured], seed: u64) -> Result<Self, FitError> {
        let usl = Usl::fit(points)?;
        let mut by_number: BTreeMap<u64, Vec<Measured>> = BTreeMap::new();
        for point in points {
            by_number.entry(point.n.to_bits()).or_default().push(*point);
        }
        let mut resamples = Vec::new();
        if by_number.values().all(|repeats| repeats.len() > 1) {
            let mut random = SmallRng::seed_from_u64(seed);
            for _ in 0..RESAMPLES {
                let mut drawn = Vec::with_capacity(points.len());
                for repeats in by_number.values() {
                    drawn.extend(resampled(repeats, &mut random));
                }
                resamples.extend(Usl::fit(&drawn).ok());
            }
            // An interval of the few that succeeded would be too narrow.
            if resamples.len() < LEAST_RESAMPLES {
                resamples.clear();
            }
        }
        let of = |parameter: fn(&Usl) -> f64| {
            Interval::of_resamples(resamples.iter().map(parameter).collect())
        };
        let intervals = || {
            Some(Intervals {
                gamma: of(|usl| usl.gamma)?,
                alpha: of(|usl| usl.alpha)?,
                beta: of(|usl| usl.beta)?,
            })
        };
        Ok(Self {
            usl,
            intervals: intervals(),
            r_squared: r_squared(&usl, points),
            largest: points.iter().map(|point| point.n).fold(1.0, f64::max),
            resamples,
        })
    }

    /// The rate of `n`; `None` beyond twice the largest measured number, beyond which the model is not used.
    #[must_use]
    pub fn rate(&self, n: f64) -> Option<Estimate> {
        if !(1.0..=self.furthest()).contains(&n) {
            return None;
        }
        let rates = self.resamples.iter().map(|usl| usl.rate(n)).collect();
        Some(Estimate {
            rate: self.usl.rate(n),
            interval: Interval::of_resamples(rates),
        })
    }

    /// The largest number that the model may be used for.
    #[must_use]
    pub fn furthest(&self) -> f64 {
        self.largest * FURTHEST
    }

    /// The smallest whole number whose rate is at least this one, by the lower end of its interval, or without repeats by the rate
    /// itself; `None` if there is none up to [`Self::furthest`].
    #[must_use]
    pub fn least(&self, rate: f64) -> Option<u32> {
        let last = self.furthest().floor() as u32;
        (1..=last).find(|n| {
            let estimate = self.rate(f64::from(*n));
            estimate.is_some_and(|of| of.interval.map_or(of.rate, |interval| interval.low) >= rate)
        })
    }
}

/// The coefficient of determination.
fn r_squared(usl: &Usl, points: &[Measured]) -> f64 {
    let mean = points.iter().map(|point| point.rate).sum::<f64>() / points.len() as f64;
    let squares = |of: &dyn Fn(&Measured) -> f64| -> f64 {
        points
            .iter()
            .map(|point| (point.rate - of(point)).powi(2))
            .sum()
    };
    let all = squares(&|_| mean);
    match all > 0.0 {
        true => 1.0 - squares(&|point| usl.rate(point.n)) / all,
        false => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;

    /// Each number five times, with noise of this part.
    fn noisy(law: Usl, noise: f64, seed: u64) -> Vec<Measured> {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut points = Vec::new();
        for n in [1.0, 2.0, 4.0, 8.0, 16.0] {
            for _ in 0..5 {
                let part = 1.0 + noise * (2.0 * random.random::<f64>() - 1.0);
                points.push(Measured {
                    n,
                    rate: law.rate(n) * part,
                });
            }
        }
        points
    }

    const LAW: Usl = Usl {
        gamma: 5_000.0,
        alpha: 0.08,
        beta: 0.002,
    };

    #[test]
    fn rates_have_intervals_that_hold_the_truth() {
        let mut held = 0;
        for seed in 0..50 {
            let model = Model::fit(&noisy(LAW, 0.05, seed), seed).unwrap();
            let estimate = model.rate(8.0).unwrap();
            held += u32::from(estimate.interval.unwrap().contains(LAW.rate(8.0)));
        }
        assert!(held >= 43, "{held} of 50");
    }

    #[test]
    fn it_says_nothing_of_what_is_far_away() {
        let model = Model::fit(&noisy(LAW, 0.02, 1), 1).unwrap();
        assert!(model.rate(32.0).is_some());
        assert_eq!(model.rate(33.0), None);
        assert_eq!(model.rate(0.5), None);
    }

    #[test]
    fn the_least_number_for_a_rate_is_on_the_safe_side() {
        let model = Model::fit(&noisy(LAW, 0.05, 3), 3).unwrap();
        let wanted = LAW.rate(4.0) * 0.9;
        let least = model.least(wanted).unwrap();
        assert!(least == 4 || least == 5, "{least}");
        assert!(LAW.rate(f64::from(least)) >= wanted);
        // More than its peak is never reached.
        assert_eq!(model.least(1e9), None);
    }

    #[test]
    fn without_repeats_there_are_no_intervals() {
        let points: Vec<Measured> = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0]
            .into_iter()
            .map(|n| Measured {
                n,
                rate: LAW.rate(n),
            })
            .collect();
        let model = Model::fit(&points, 1).unwrap();
        assert_eq!(model.intervals, None);
        assert!(model.r_squared > 0.999_9, "{model:?}");
        let estimate = model.rate(4.0).unwrap();
        assert_eq!(estimate.interval, None);
        assert!((estimate.rate - LAW.rate(4.0)).abs() < 1.0);
    }
}
