//! Scales that map values to positions on an axis, with ticks at round numbers.

use std::ops::RangeInclusive;

use super::quantity::Quantity;

/// Minimum ratio of the highest to the lowest value for a logarithmic axis, on which heights are no longer additive.
const WIDE: f64 = 20.0;

/// A scale and its tick values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    pub(super) ticks: Vec<Tick>,
}

/// A tick of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

impl Axis {
    /// An axis from zero to the highest value, with about this number of steps.
    pub(super) fn linear(
        values: impl Iterator<Item = f64>,
        quantity: Quantity,
        about: f64,
    ) -> Self {
        let (least, most) = values.fold((0.0_f64, 0.0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        let most = if least == most { 1.0 } else { most };
        let step = round_up((most - least) / about).max(quantity.least_step());
        Self::stepped(
            (least / step).floor()..=(most / step).ceil(),
            step,
            quantity,
        )
    }

    /// A linear axis with a tick at each of these multiples of a step.
    fn stepped(multiples: RangeInclusive<f64>, step: f64, quantity: Quantity) -> Self {
        // Multiplied instead of added, so that no rounding error accumulates.
        let (first, last) = (*multiples.start(), *multiples.end());
        let steps = (first as i64)..=(last as i64);
        let ticks = steps.map(|at| at as f64 * step).map(|value| Tick {
            value,
            label: quantity.tick(value, last * step, step),
        });
        Axis {
            low: first * step,
            high: last * step,
            log: false,
            ticks: ticks.collect(),
        }
    }

    /// An axis around the values, between round numbers, with about this number of steps. A single value is in its middle.
    pub(super) fn around(
        values: impl Iterator<Item = f64>,
        quantity: Quantity,
        about: f64,
    ) -> Self {
        let (least, most) = values.fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(least, most), value| (least.min(value), most.max(value)),
        );
        if least > most {
            return Self::linear(std::iter::empty(), quantity, about);
        }
        let size = least.abs().max(most.abs());
        let spread = most - least;
        let room = match (size > 0.0, spread > size * 1e-6) {
            (false, _) => 1.0,
            (true, false) => size * 0.1,
            (true, true) => spread * 0.05,
        };
        // Values that are not negative have an axis that is not.
        let floor = if least >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let (low, high) = ((least - room).max(floor), most + room);
        let step = round_up((high - low) / about).max(quantity.least_step());
        let first = (low / step).floor();
        let last = (high / step).ceil().max(first + 1.0);
        Self::stepped(first..=last, step, quantity)
    }

    /// An axis for shares.
    pub(super) fn share() -> Self {
        let ticks = [0.0, 0.5, 1.0].map(|value| Tick {
            value,
            label: Quantity::Share.tick(value, 1.0, 0.5),
        });
        Axis {
            low: 0.0,
            high: 1.0,
            log: false,
            ticks: ticks.into(),
        }
    }

    /// A logarithmic axis if the values above zero are far apart, else one from zero.
    pub(super) fn log_when_wide(
        values: impl Iterator<Item = f64> + Clone,
        quantity: Quantity,
        about: f64,
    ) -> Self {
        let above = values.clone().filter(|value| *value > 0.0);
        let (least, most) = above.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        if most <= least * WIDE {
            return Self::linear(values, quantity, about);
        }
        let (first, last) = (
            least.log10().floor() as i32 - 1,
            most.log10().ceil() as i32 + 1,
        );
        let round: Vec<f64> = (first..=last)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
            .collect();
        let low = *round
            .iter()
            .rfind(|value| **value <= least)
            .unwrap_or(&least);
        let high = *round.iter().find(|value| **value >= most).unwrap_or(&most);
        let within = |value: &f64| (low..=high).contains(value);
        let mut marked: Vec<f64> = round.into_iter().filter(within).collect();
        if marked.len() as f64 > about * 1.5 {
            let every = (decades(low, high) / about).ceil().max(1.0) as i32;
            let powers = (first..=last).filter(|power| power.rem_euclid(every) == 0);
            marked = powers
                .map(|power| 10_f64.powi(power))
                .filter(within)
                .collect();
        }
        if marked.len() < 2 {
            marked = vec![low, high];
        }
        let ticks = marked.into_iter().map(|value| Tick {
            value,
            label: quantity.tick(value, value, value),
        });
        Axis {
            low,
            high,
            log: true,
            ticks: ticks.collect(),
        }
    }

    /// A logarithmic axis between powers of ten around the values above zero, with three to five ticks.
    pub(super) fn log(values: impl Iterator<Item = f64>, quantity: Quantity) -> Self {
        let above = values.filter(|value| *value > 0.0);
        let (least, most) = above.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        let (least, most) = if most > 0.0 {
            (least, most)
        } else {
            (1.0, 1_000.0)
        };
        // Tolerance for rounding errors: the logarithm of a power of ten may not be a whole number.
        let first = (least.log10() + 1e-9).floor() as i32;
        let last = ((most.log10() - 1e-9).ceil() as i32).max(first + 1);
        let marked: Vec<f64> = if last - first == 1 {
            let digits = [1.0, 2.0, 5.0, 10.0];
            digits.map(|digit| digit * 10_f64.powi(first)).into()
        } else {
            let every = (last - first + 3) / 4;
            let steps = (last - first + every - 1) / every;
            let powers = (0..=steps).map(|at| first + at * every);
            powers.map(|power| 10_f64.powi(power)).collect()
        };
        let ticks = marked.iter().map(|value| Tick {
            value: *value,
            label: quantity.tick(*value, *value, *value),
        });
        Axis {
            low: marked[0],
            high: marked[marked.len() - 1],
            log: true,
            ticks: ticks.collect(),
        }
    }

    /// A time axis of `seconds` since the start.
    pub(super) fn seconds(seconds: usize, about: f64) -> Self {
        let high = seconds.max(1);
        let step = time_step(high as f64 / about);
        let ticks = (0..=high / step).map(|at| Tick {
            value: (at * step) as f64,
            label: since_start(at * step, high),
        });
        Axis {
            low: 0.0,
            high: high as f64,
            log: false,
            ticks: ticks.collect(),
        }
    }

    /// Position of a value, from 0 at the low end of the axis to 1 at its high end; values outside a logarithmic axis are at its low end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.log {
            decades(self.low, value.max(self.low)) / decades(self.low, self.high)
        } else {
            // Halved, so that even the widest axis does not overflow.
            (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
        };
        place.clamp(0.0, 1.0)
    }
}

/// Number of decades between two values above zero.
fn decades(low: f64, high: f64) -> f64 {
    // The logarithm of the quotient could overflow.
    high.log10() - low.log10()
}

/// The smallest of 1, 2 and 5 times a power of ten that is no smaller than `value`, which is above zero.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digits = [1.0, 2.0, 5.0, 10.0];
    // Tolerance for rounding errors: 0.3 / 0.1 is not exactly 3.
    let digit = digits
        .into_iter()
        .find(|digit| digit * power >= value * (1.0 - 1e-9));
    digit.unwrap_or(10.0) * power
}

const MINUTE: usize = 60;
const HOUR: usize = 3_600;
const DAY: usize = 86_400;

/// The smallest natural time step that is at least `least`, in whole seconds.
fn time_step(least: f64) -> usize {
    const STEPS: [usize; 19] = [
        1,
        2,
        5,
        10,
        20,
        30,
        MINUTE,
        2 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        3 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
        2 * DAY,
    ];
    let fits = STEPS.into_iter().find(|step| *step as f64 >= least);
    fits.unwrap_or_else(|| round_up(least / DAY as f64) as usize * DAY)
}

/// The time format for times up to `total` seconds.
pub(super) fn time_form(total: usize) -> &'static str {
    match total {
        ..=180 => "seconds",
        181..7_200 => "minutes:seconds",
        7_200..864_000 => "hours:minutes",
        864_000.. => "days",
    }
}

/// A time since the start, in the format for a run of `total` seconds.
pub(super) fn since_start(at: usize, total: usize) -> String {
    match time_form(total) {
        "seconds" => at.to_string(),
        "minutes:seconds" => format!("{}:{:02}", at / MINUTE, at % MINUTE),
        "hours:minutes" => format!("{}:{:02}", at / HOUR, at % HOUR / MINUTE),
        _ => (at / DAY).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_the_values() {
        let axis = |most: f64| Axis::linear([most].into_iter(), Quantity::Count, 5.0);
        assert_eq!(
            labels(&axis(3812.0)),
            ["0", "1,000", "2,000", "3,000", "4,000"]
        );
        assert_eq!(labels(&axis(0.0)), ["0", "1"]);
        assert_eq!(labels(&axis(2.0)), ["0", "1", "2"]);
        assert_eq!(
            labels(&axis(-30.0)),
            ["\u{2212}30", "\u{2212}20", "\u{2212}10", "0"]
        );
        assert_eq!(axis(4000.0).place(1000.0), 0.25);
    }

    #[test]
    fn an_axis_around_values_does_not_begin_at_zero() {
        let axis = |values: &[f64], quantity| Axis::around(values.iter().copied(), quantity, 5.0);
        assert_eq!(
            labels(&axis(&[0.0246, 0.0342], Quantity::Dollars)),
            ["$0.020", "$0.025", "$0.030", "$0.035"]
        );
        assert_eq!(
            labels(&axis(&[115.0, 158.0], Quantity::Milliseconds)),
            [
                "110 ms", "120 ms", "130 ms", "140 ms", "150 ms", "160 ms", "170 ms"
            ]
        );
        let single = axis(&[100.0], Quantity::Milliseconds);
        assert_eq!(single.place(100.0), 0.5);
        assert!(axis(&[0.0], Quantity::Count).place(0.0) <= 0.5);
        assert_eq!(labels(&axis(&[], Quantity::Count)), ["0", "1"]);
    }

    #[test]
    fn an_axis_is_logarithmic_only_where_values_are_far_apart() {
        let axis =
            |values: [f64; 2]| Axis::log_when_wide(values.into_iter(), Quantity::Milliseconds, 6.0);
        assert_eq!(
            labels(&axis([3.0, 9.0])),
            ["0", "2 ms", "4 ms", "6 ms", "8 ms", "10 ms"]
        );
        assert_eq!(
            labels(&axis([0.0, 0.0])),
            ["0", "0.2 ms", "0.4 ms", "0.6 ms", "0.8 ms", "1.0 ms"]
        );
        assert_eq!(
            labels(&axis([0.7, 90.0])),
            [
                "500 µs", "1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms", "100 ms"
            ]
        );
        assert_eq!(
            labels(&axis([0.7, 9000.0])),
            ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]
        );
        assert_eq!(axis([1.0, 100.0]).place(10.0), 0.5);
        assert_eq!(axis([1.0, 100.0]).place(0.0), 0.0);
    }

    #[test]
    fn a_logarithmic_axis_has_three_to_five_ticks() {
        let axis = |values: &[f64]| Axis::log(values.iter().copied(), Quantity::Milliseconds);
        assert_eq!(
            labels(&axis(&[118.0])),
            ["100 ms", "200 ms", "500 ms", "1 s"]
        );
        assert_eq!(
            labels(&axis(&[10.0, 0.0, 72_000.0])),
            ["10 ms", "100 ms", "1 s", "10 s", "100 s"]
        );
        assert_eq!(labels(&axis(&[])), ["1 ms", "10 ms", "100 ms", "1 s"]);
        assert_eq!(axis(&[10.0, 1_000.0]).place(100.0), 0.5);
        for exponent in 1..300 {
            let ticks = axis(&[3.0, 10_f64.powi(exponent)]).ticks;
            assert!((3..=5).contains(&ticks.len()), "{ticks:?}");
        }
    }

    #[test]
    fn times_are_written_as_clocks_do() {
        assert_eq!(labels(&Axis::seconds(0, 10.0)), ["0", "1"]);
        assert_eq!(
            labels(&Axis::seconds(45, 5.0)),
            ["0", "10", "20", "30", "40"]
        );
        assert_eq!(
            labels(&Axis::seconds(600, 5.0)),
            ["0:00", "2:00", "4:00", "6:00", "8:00", "10:00"]
        );
        assert_eq!(
            labels(&Axis::seconds(36_000, 6.0)),
            ["0:00", "2:00", "4:00", "6:00", "8:00", "10:00"]
        );
        assert_eq!(
            labels(&Axis::seconds(20 * DAY, 5.0)),
            ["0", "5", "10", "15", "20"]
        );
    }

    proptest! {
        #[test]
        fn ticks_rise_are_few_and_hold_the_values(values in prop::collection::vec(-1e300..1e300_f64, 1..5), exponent in -300..1, about in 2.0..9.0_f64) {
            let values: Vec<f64> = values.iter().map(|value| value * 10_f64.powi(exponent)).collect();
            let sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
            let around = Axis::around(values.iter().copied(), Quantity::Milliseconds, about);
            prop_assert!(values.iter().all(|value| (0.0..=1.0).contains(&around.place(*value))), "{around:?}");
            prop_assert!(around.ticks.len() >= 2 && around.ticks.len() as f64 <= 2.0 * about + 3.0, "{around:?}");
            for axis in [
                Axis::linear(values.iter().copied(), Quantity::Milliseconds, about),
                Axis::linear(sizes.iter().copied(), Quantity::Count, about),
                Axis::log_when_wide(sizes.iter().copied(), Quantity::Milliseconds, about),
            ] {
                let places: Vec<f64> = axis.ticks.iter().map(|tick| axis.place(tick.value)).collect();
                prop_assert!(places.len() >= 2 && places.len() as f64 <= 2.0 * about + 3.0, "{axis:?}");
                prop_assert!(places.is_sorted_by(|one, other| one < other), "{axis:?}");
                let held = if axis.ticks[0].value < 0.0 { &values } else { &sizes };
                prop_assert!(held.iter().all(|value| *value <= axis.high * (1.0 + 1e-9)), "{axis:?}");
                let lowest = if axis.log { 0.0 } else { axis.low * (1.0 + 1e-9) };
                prop_assert!(held.iter().all(|value| *value >= lowest), "{axis:?}");
            }
        }

        #[test]
        fn times_rise_and_are_few(seconds in 0..4_000_000_000_usize, about in 2.0..12.0_f64) {
            let ticks = Axis::seconds(seconds, about).ticks;
            prop_assert!((1..=14).contains(&ticks.len()), "{ticks:?}");
            let labels: std::collections::BTreeSet<_> = ticks.iter().map(|tick| &tick.label).collect();
            prop_assert_eq!(labels.len(), ticks.len(), "{:?}", ticks);
        }
    }
}
