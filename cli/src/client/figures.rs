//! Formatting of figures for a terminal.

use std::io::{self, IsTerminal};

use console::Term;
use skilift_console::view::Reading;
use skilift_console::view::figures::grouped;
pub(crate) use skilift_console::view::figures::{bytes, cores, moment, percent, span, span_s};

/// Style of an output; figures are grouped and coloured only on a terminal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TerminalStyle {
    /// Whether it is a terminal.
    pub(crate) terminal: bool,
    /// Whether colours are allowed.
    pub(crate) colour: bool,
    /// Width in cells; no limit if it is not a terminal.
    pub(crate) width: Option<usize>,
}

/// Width of a terminal that does not report its own.
const USUAL_WIDTH: usize = 80;

impl TerminalStyle {
    /// The style of stdout.
    pub(crate) fn stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            terminal,
            // This respects NO_COLOR and TERM=dumb.
            colour: terminal && console::colors_enabled(),
            width: terminal.then(|| width(&Term::stdout())),
        }
    }

    /// The style of stderr.
    pub(crate) fn stderr() -> Self {
        let terminal = io::stderr().is_terminal();
        Self {
            terminal,
            colour: terminal && console::colors_enabled_stderr(),
            width: terminal.then(|| width(&Term::stderr())),
        }
    }

    /// A whole number, with grouped thousands on a terminal.
    pub(crate) fn count(self, number: u64) -> String {
        if self.terminal {
            grouped(number)
        } else {
            number.to_string()
        }
    }

    /// A number with its noun.
    pub(crate) fn of(self, number: u64, one: &str, many: &str) -> String {
        let unit = if number == 1 { one } else { many };
        format!("{} {unit}", self.count(number))
    }

    /// A rate per second.
    pub(crate) fn rate(self, per_s: f64) -> String {
        if per_s == 0.0 || per_s.abs() >= 10.0 {
            // Rates are not negative and far below the limit.
            format!("{}/s", self.count(per_s.round() as u64))
        } else {
            format!("{per_s:.1}/s")
        }
    }
}

fn width(terminal: &Term) -> usize {
    let size = terminal.size_checked();
    size.map_or(USUAL_WIDTH, |(_, columns)| usize::from(columns))
}

/// An amount in US dollars, with at most four decimals.
pub(crate) fn usd(usd: f64) -> String {
    if usd != 0.0 && usd.abs() < 0.000_05 {
        return "less than $0.0001".to_owned();
    }
    let text = format!("{usd:.4}");
    // Two decimals always stay.
    let kept = text.len() - 2;
    format!("${}{}", &text[..kept], text[kept..].trim_end_matches('0'))
}

/// A moment, or a dash if there is none.
pub(crate) fn moment_or_dash(ms: Option<u64>) -> String {
    ms.map_or_else(|| "-".to_owned(), moment)
}

/// Age in milliseconds from which a reading is shown with its age.
const OLD_MS: u64 = 5_000;

/// A reading, with its upper bound mark and its age.
pub(crate) fn reading<T: Copy>(reading: &Reading<T>, show: impl Fn(T) -> String) -> String {
    let Some(value) = reading.value else {
        return "unknown".to_owned();
    };
    let mut text = show(value);
    if reading.is_upper_bound {
        text.insert_str(0, "<= ");
    } else if reading.is_lower_bound() {
        text.insert_str(0, ">= ");
    }
    if let Some(age) = reading.age_ms.filter(|age| *age >= OLD_MS) {
        text.push_str(&format!(" ({} ago)", span(age)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_amounts_have_as_many_digits_as_they_need() {
        let terminal_style = TerminalStyle {
            terminal: true,
            ..TerminalStyle::default()
        };
        assert_eq!(terminal_style.rate(12_345.4), "12,345/s");
        assert_eq!(TerminalStyle::default().rate(12_345.4), "12345/s");
        assert_eq!(terminal_style.rate(0.0), "0/s");
        for (amount, text) in [
            (0.0, "$0.00"),
            (12.5, "$12.50"),
            (0.0725, "$0.0725"),
            (0.15, "$0.15"),
            (1.0 / 3.0, "$0.3333"),
            (0.000_07, "$0.0001"),
            (0.000_01, "less than $0.0001"),
        ] {
            assert_eq!(usd(amount), text);
        }
        assert_eq!(terminal_style.rate(0.26), "0.3/s");
    }

    #[test]
    fn what_is_not_known_is_never_a_number() {
        let known = |value: u64| value.to_string();
        assert_eq!(reading(&Reading::<u64>::unknown("why"), known), "unknown");
        assert_eq!(reading(&Reading::at_most(5, 0), known), "<= 5");
        let part = Reading::at_least(Some(5), Some(0), "a worker is lost");
        assert_eq!(reading(&part, known), ">= 5");
        let mut old = Reading::of(7, 12_000);
        old.error = Some("RabbitMQ is away".to_owned());
        assert_eq!(reading(&old, known), "7 (12.0 s ago)");
    }
}
