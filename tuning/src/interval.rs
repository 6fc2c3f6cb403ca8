//! Intervals of what was measured more than once.
//!
//! Of a mean, by Student's t: with the three to five repeats of a sweep, a percentile bootstrap covers the true mean only 77 to 84
//! times of 100 (simulated). Of the next measurement (a prediction interval), for who measures again; of latencies on a logarithmic
//! scale, since they are never negative and are often several times their median, and at least as wide as the spread of all points of
//! a sweep makes it: three repeats that happen to agree say little about a machine that changes meanwhile (measured: two of ten
//! later measurements lay outside). Of the parameters of a model, by bootstrap: Efron and Tibshirani, "An Introduction to the
//! Bootstrap" (1993), chapter 13.

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

/// The 97.5 % quantiles of Student's t for 1 to 29 degrees of freedom.
const T: [f64; 29] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045,
];
/// The same for more: that of the normal distribution.
const Z: f64 = 1.960;
/// The part of the resamples that lies below an interval, and above it.
const TAIL: f64 = 0.025;

/// Where a figure lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Of the mean of repeated measurements; `None` for fewer than two values.
    #[must_use]
    pub fn of_mean(values: &[f64]) -> Option<Self> {
        Self::by_t(values, 1.0 / values.len() as f64)
    }

    /// Where the next one of repeated measurements will lie; `None` for fewer than two values.
    #[must_use]
    pub fn of_next(values: &[f64]) -> Option<Self> {
        // The spread of the next one, and that of the mean.
        Self::by_t(values, 1.0 + 1.0 / values.len() as f64)
    }

    /// Where the next one of repeated measurements of a latency in milliseconds will lie, by their own spread or that of all
    /// points, whichever is wider; `None` for fewer than two values. The spread of two values alone says nothing: it is off by a
    /// factor of ten and more, and counts only among those of other points.
    #[must_use]
    pub fn of_next_latency(ms: &[f64], of_all: LatencySpread) -> Option<Self> {
        let own = LatencySpread::pooled([ms]).0;
        let known = [own, of_all.0].into_iter().filter(|of| of.freedom > 1);
        let errors = known.filter_map(Spread::error);
        let error = errors.reduce(f64::max).filter(|_| own.freedom > 0)?;
        let reach = error * (1.0 + 1.0 / ms.len() as f64).sqrt();
        let mean = mean(&logarithms(ms));
        Some(Self {
            low: (mean - reach).exp_m1().max(0.0),
            high: (mean + reach).exp_m1(),
        })
    }

    /// Around the mean, by Student's t; `share` of the variance of the values.
    fn by_t(values: &[f64], share: f64) -> Option<Self> {
        let error = Spread::of(values).error()? * share.sqrt();
        let mean = mean(values);
        Some(Self {
            low: mean - error,
            high: mean + error,
        })
    }

    /// Of figures of resamples; `None` without any.
    pub(crate) fn of_resamples(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (figures.len().checked_sub(1)?) as f64;
            figures.get(place.round() as usize).copied()
        };
        Some(Self {
            low: at(TAIL)?,
            high: at(1.0 - TAIL)?,
        })
    }

    /// Whether two intervals have a value in common: then the measurements do not show a difference.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// Whether it contains a value.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// How far repeated measurements lie from the mean of their point.
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    /// Sum of the squared distances.
    squares: f64,
    /// Degrees of freedom: values less means.
    freedom: usize,
}

/// The spread of latencies, on a logarithmic scale, pooled over the points of a sweep.
#[derive(Clone, Copy, Debug, Default)]
pub struct LatencySpread(Spread);

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mean = mean(values);
        Self {
            squares: values.iter().map(|value| (value - mean).powi(2)).sum(),
            freedom: values.len().saturating_sub(1),
        }
    }

    /// The standard deviation times Student's t; `None` without repeats.
    fn error(self) -> Option<f64> {
        let t = T.get(self.freedom.checked_sub(1)?).copied().unwrap_or(Z);
        Some(t * (self.squares / self.freedom as f64).sqrt())
    }
}

impl LatencySpread {
    /// Of the repeats of each point, in milliseconds.
    #[must_use]
    pub fn pooled<'a>(points: impl IntoIterator<Item = &'a [f64]>) -> Self {
        let spreads = points.into_iter().map(|ms| Spread::of(&logarithms(ms)));
        Self(spreads.fold(Spread::default(), |all, one| Spread {
            squares: all.squares + one.squares,
            freedom: all.freedom + one.freedom,
        }))
    }
}

/// The logarithm of one more than each value: linear below a millisecond, to which latencies are counted.
fn logarithms(ms: &[f64]) -> Vec<f64> {
    ms.iter().map(|ms| ms.ln_1p()).collect()
}

/// The mean; 0 of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// As many values, drawn with replacement.
pub(crate) fn resampled<T: Copy>(values: &[T], random: &mut SmallRng) -> Vec<T> {
    let drawn = (0..values.len()).map(|_| values[random.random_range(0..values.len())]);
    drawn.collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn an_interval_needs_repeats_and_holds_their_mean() {
        assert_eq!(Interval::of_next(&[]), None);
        assert_eq!(Interval::of_next(&[7.0]), None);
        let steady = Interval::of_next(&[7.0, 7.0, 7.0]).unwrap();
        assert_eq!(
            steady,
            Interval {
                low: 7.0,
                high: 7.0
            }
        );
        // A worked example: mean 100, standard deviation 7.906, t 2.776.
        let values = [90.0, 100.0, 110.0, 95.0, 105.0];
        let interval = Interval::of_mean(&values).unwrap();
        assert!(
            (interval.low - 90.18).abs() < 0.01 && (interval.high - 109.82).abs() < 0.01,
            "{interval:?}"
        );
        let interval = Interval::of_next(&values).unwrap();
        assert!(
            (interval.low - 75.96).abs() < 0.01 && (interval.high - 124.04).abs() < 0.01,
            "{interval:?}"
        );
    }

    /// The true mean and the next measurement lie in their intervals about 95 times of 100, also with the few repeats of a sweep.
    #[test]
    fn intervals_cover_the_true_mean_and_the_next_measurement() {
        let mut random = SmallRng::seed_from_u64(7);
        for repeats in [2, 3, 5, 10, 40] {
            let (mut means, mut nexts) = (0, 0);
            for _ in 0..2_000 {
                // The sum of twelve uniform values is nearly normal, around 6.
                let value =
                    |random: &mut SmallRng| (0..12).map(|_| random.random::<f64>()).sum::<f64>();
                let sample: Vec<f64> = (0..repeats).map(|_| value(&mut random)).collect();
                means += u32::from(Interval::of_mean(&sample).unwrap().contains(6.0));
                let next = value(&mut random);
                nexts += u32::from(Interval::of_next(&sample).unwrap().contains(next));
            }
            for covered in [means, nexts] {
                assert!(
                    (1_855..=1_945).contains(&covered),
                    "{means} and {nexts} of 2000 with {repeats}"
                );
            }
        }
    }

    /// The same of latencies that are log-normal, where a symmetric interval misses the high ones.
    #[test]
    fn the_next_latency_lies_in_its_interval() {
        let alone = LatencySpread::default();
        assert_eq!(Interval::of_next_latency(&[7.0], alone), None);
        assert_eq!(Interval::of_next_latency(&[7.0, 90.0], alone), None);
        let of_all = LatencySpread::pooled([&[7.0, 9.0][..], &[6.0, 7.0]]);
        let two = Interval::of_next_latency(&[7.0, 9.0], of_all).unwrap();
        assert!(two.low > 2.0 && two.high < 30.0, "{two:?}");
        assert_eq!(Interval::of_next_latency(&[7.0], of_all), None);
        let none = Interval::of_next_latency(&[0.0, 0.0, 0.0], alone).unwrap();
        assert_eq!((none.low, none.high), (0.0, 0.0));
        let mut random = SmallRng::seed_from_u64(7);
        for repeats in [3, 5, 10] {
            let (mut nexts, mut symmetric) = (0, 0);
            for _ in 0..2_000 {
                let value = |random: &mut SmallRng| {
                    let normal = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
                    30.0 * normal.exp()
                };
                let sample: Vec<f64> = (0..repeats).map(|_| value(&mut random)).collect();
                let next = value(&mut random);
                let interval = Interval::of_next_latency(&sample, alone).unwrap();
                assert!(interval.low >= 0.0 && interval.high > interval.low);
                nexts += u32::from(interval.contains(next));
                symmetric += u32::from(Interval::of_next(&sample).unwrap().contains(next));
            }
            assert!(
                (1_855..=1_945).contains(&nexts) && symmetric < nexts,
                "{nexts} and {symmetric} of 2000 with {repeats}"
            );
        }
    }

    /// Repeats that agree by chance do not promise more than the sweep as a whole.
    #[test]
    fn an_interval_is_never_narrower_than_the_spread_of_all_points_makes_it() {
        let points = [
            [36.0, 40.0, 44.0],
            [71.0, 80.0, 88.0],
            [18.0, 20.0, 22.0],
            [38.8, 38.9, 39.0],
        ];
        let of_all = LatencySpread::pooled(points.iter().map(|ms| &ms[..]));
        let steady = Interval::of_next_latency(&points[3], LatencySpread::default()).unwrap();
        assert!(
            !steady.contains(43.0) && !steady.contains(35.0),
            "{steady:?}"
        );
        let pooled = Interval::of_next_latency(&points[3], of_all).unwrap();
        assert!(pooled.contains(43.0) && pooled.contains(35.0), "{pooled:?}");
        // One that scatters more keeps its own.
        let wild = [20.0, 40.0, 80.0];
        assert_eq!(
            Interval::of_next_latency(&wild, of_all),
            Interval::of_next_latency(&wild, LatencySpread::default())
        );
    }

    #[test]
    fn intervals_that_touch_overlap() {
        let of = |low, high| Interval { low, high };
        assert!(of(1.0, 2.0).overlaps(&of(2.0, 3.0)) && of(2.0, 3.0).overlaps(&of(1.0, 2.0)));
        assert!(!of(1.0, 2.0).overlaps(&of(2.1, 3.0)) && of(1.0, 9.0).overlaps(&of(2.0, 3.0)));
    }
}
