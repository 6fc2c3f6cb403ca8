//! Reduction of long series to few points, with their extremes preserved.

/// Maximum number of points of a line.
const MAX_POINTS: usize = 400;

/// Aggregation of several seconds to one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Middle {
    /// The mean, for rates and shares, which are additive.
    Mean,
    /// The median, for quantiles, which are not.
    Median,
}

impl Middle {
    pub(super) fn name(self) -> &'static str {
        match self {
            Middle::Mean => "mean",
            Middle::Median => "median",
        }
    }
}

/// A section of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    pub(super) low: f64,
    pub(super) middle: f64,
    pub(super) high: f64,
}

/// Seconds per point in a chart of this length: 1 for a short one, else a divisor of a minute, an hour or a day.
pub(super) fn seconds_a_point(seconds: usize) -> usize {
    const ROUND: [usize; 14] = [
        1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200,
    ];
    let least = seconds.div_ceil(MAX_POINTS);
    let round = ROUND.into_iter().find(|every| *every >= least);
    round.unwrap_or_else(|| least.next_multiple_of(86_400))
}

/// One bucket per `every` seconds, the last one possibly shorter; `None` if no second is known.
pub(super) fn reduce(values: &[Option<f64>], every: usize, middle: Middle) -> Vec<Option<Bucket>> {
    values
        .chunks(every)
        .map(|chunk| bucket(chunk, middle))
        .collect()
}

fn bucket(values: &[Option<f64>], middle: Middle) -> Option<Bucket> {
    let mut known: Vec<f64> = values
        .iter()
        .copied()
        .flatten()
        .filter_map(drawable)
        .collect();
    known.sort_by(f64::total_cmp);
    let (low, high) = (*known.first()?, *known.last()?);
    let (half, count) = (known.len() / 2, known.len() as f64);
    let middle = match middle {
        // Divided before the addition, so that the largest values do not overflow.
        Middle::Mean => known
            .iter()
            .map(|value| value / count)
            .sum::<f64>()
            .clamp(low, high),
        Middle::Median if known.len().is_multiple_of(2) => {
            known[half - 1] / 2.0 + known[half] / 2.0
        }
        Middle::Median => known[half],
    };
    Some(Bucket { low, middle, high })
}

/// The value if it is a number, clamped to the range of an axis.
pub(super) fn drawable(value: f64) -> Option<f64> {
    const HUGE: f64 = 1e300;
    match value.abs() {
        size if !size.is_finite() => None,
        size if size < 1.0 / HUGE => Some(0.0),
        _ => Some(value.clamp(-HUGE, HUGE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_keeps_its_extremes_and_an_unknown_stretch_stays_unknown() {
        let values = [
            Some(1.0),
            None,
            Some(9.0),
            Some(2.0),
            None,
            None,
            None,
            Some(f64::NAN),
            Some(5.0),
        ];
        let reduced = reduce(&values, 4, Middle::Median);
        let first = Bucket {
            low: 1.0,
            middle: 2.0,
            high: 9.0,
        };
        let last = Bucket {
            low: 5.0,
            middle: 5.0,
            high: 5.0,
        };
        assert_eq!(reduced, [Some(first), None, Some(last)]);
        assert_eq!(reduce(&values, 4, Middle::Mean)[0].unwrap().middle, 4.0);
    }

    #[test]
    fn points_are_bounded_and_stand_for_round_times() {
        assert_eq!([0, 1, 400].map(seconds_a_point), [1; 3]);
        assert_eq!([401, 36_000, 86_400].map(seconds_a_point), [2, 120, 300]);
        for seconds in [401_usize, 5_000, 36_000, 10_000_000, 400_000_000] {
            assert!(seconds.div_ceil(seconds_a_point(seconds)) <= MAX_POINTS);
        }
    }
}
