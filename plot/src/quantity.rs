//! Formatting of values by kind, on axes and in tables.

/// The kind and unit of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// A count.
    Count,
    /// A time span in milliseconds.
    Milliseconds,
    /// A share, 0 to 1.
    Share,
    /// US dollars.
    Dollars,
}

/// A displayed unit and its size in the given unit.
struct Written {
    divisor: f64,
    suffix: &'static str,
}

impl Quantity {
    /// The label of a tick, in a suitable unit for a scale up to `top`, with the decimals for a distance of `step`.
    pub(super) fn tick(self, value: f64, top: f64, step: f64) -> String {
        let unit = self.unit(top);
        if value == 0.0 {
            return "0".into();
        }
        let decimals = decimals_of(step / unit.divisor);
        let written = written(value / unit.divisor, decimals) + unit.suffix;
        self.prefix().to_owned() + &written
    }

    /// The value with its unit, to three significant digits if it is not a whole number.
    pub fn say(self, value: f64) -> String {
        let unit = self.unit(value);
        let value = value / unit.divisor;
        let whole = unit.divisor == 1.0 && value.fract() == 0.0;
        let decimals = match value.abs() {
            _ if whole => 0,
            size if size == 0.0 || size >= 100.0 => 0,
            size if size >= 10.0 => 1,
            size if size >= 1.0 => 2,
            size => decimals_of(size) + 2,
        };
        self.prefix().to_owned() + &written(value, decimals) + unit.suffix
    }

    fn prefix(self) -> &'static str {
        match self {
            Quantity::Dollars => "$",
            Quantity::Count | Quantity::Milliseconds | Quantity::Share => "",
        }
    }

    /// The smallest meaningful step between ticks.
    pub(super) fn least_step(self) -> f64 {
        match self {
            Quantity::Count => 1.0,
            Quantity::Milliseconds | Quantity::Share | Quantity::Dollars => 0.0,
        }
    }

    fn unit(self, size: f64) -> Written {
        let size = size.abs();
        let (divisor, suffix) = match self {
            Quantity::Share => (0.01, " %"),
            Quantity::Dollars => (1.0, ""),
            Quantity::Milliseconds if size < 1.0 => (0.001, " µs"),
            Quantity::Milliseconds if size < 1e3 => (1.0, " ms"),
            Quantity::Milliseconds => (1e3, " s"),
            Quantity::Count if size < 1e6 => (1.0, ""),
            Quantity::Count if size < 1e9 => (1e6, " M"),
            Quantity::Count if size < 1e12 => (1e9, " G"),
            Quantity::Count => (1e12, " T"),
        };
        Written { divisor, suffix }
    }
}

/// Number of decimals needed to distinguish values that differ by `step`.
fn decimals_of(step: f64) -> usize {
    let digits = -step.abs().log10().floor();
    if digits.is_finite() {
        digits.clamp(0.0, 9.0) as usize
    } else {
        0
    }
}

/// A number with grouped thousands, or in scientific notation if it is too long.
fn written(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e9 || (value != 0.0 && value.abs() < 1e-9) {
        return format!("{value:.1e}");
    }
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped = format!("{grouped}.{fraction}");
    }
    let zero = plain.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if value < 0.0 && !zero {
        format!("\u{2212}{grouped}")
    } else {
        grouped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_one_axis_share_a_unit() {
        let tick = |value, top, step| Quantity::Count.tick(value, top, step);
        assert_eq!(tick(0.0, 4000.0, 1000.0), "0");
        assert_eq!(tick(4000.0, 4000.0, 1000.0), "4,000");
        assert_eq!(tick(200_000.0, 1_200_000.0, 200_000.0), "0.2 M");
        assert_eq!(tick(2e16, 2e16, 1e16), "20,000 T");
        assert_eq!(tick(2e300, 2e300, 1e300), "2.0e288 T");
        assert_eq!(tick(-500.0, 500.0, 500.0), "\u{2212}500");
        let tick = |value, top, step| Quantity::Milliseconds.tick(value, top, step);
        assert_eq!(tick(0.25, 0.5, 0.25), "250 µs");
        assert_eq!(tick(2.5, 2.5, 0.5), "2.5 ms");
        assert_eq!(tick(500.0, 2000.0, 500.0), "0.5 s");
        assert_eq!(Quantity::Share.tick(0.5, 1.0, 0.5), "50 %");
        assert_eq!(Quantity::Dollars.tick(0.024, 0.034, 0.002), "$0.024");
    }

    #[test]
    fn a_value_is_said_with_three_digits_and_its_unit() {
        let say = |value| Quantity::Milliseconds.say(value);
        assert_eq!(
            [say(0.0), say(0.0456), say(1.234), say(45.67)],
            ["0 µs", "45.6 µs", "1.23 ms", "45.7 ms"]
        );
        assert_eq!([say(456.7), say(12_345.0)], ["457 ms", "12.3 s"]);
        assert_eq!(Quantity::Count.say(3812.0), "3,812");
        assert_eq!(Quantity::Count.say(3812.4), "3,812");
        assert_eq!(Quantity::Count.say(1_234_567.0), "1.23 M");
        assert_eq!(Quantity::Share.say(0.455), "45.5 %");
        assert_eq!(Quantity::Dollars.say(0.02461), "$0.0246");
    }
}
