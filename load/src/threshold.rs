//! Failure conditions of a run, for example `p99>50ms`, `lost>0` or `errors>=1%`.

use std::fmt;
use std::str::FromStr;

use crate::summary::{Latency, Summary};

/// A condition on a figure of the summary.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    figure: &'static Figure,
    comparison: Comparison,
    bound: f64,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Unit of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// A duration; figures are in milliseconds.
    Time,
    /// A plain number.
    Number,
    /// A share as a number from 0 to 1, or in percent.
    Share,
}

/// A figure that can be used in a condition.
struct Figure {
    name: &'static str,
    unit: Unit,
    read: fn(&Summary) -> Option<f64>,
}

impl PartialEq for Figure {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn time(name: &'static str, read: fn(&Summary) -> Option<f64>) -> Figure {
    let unit = Unit::Time;
    Figure { name, unit, read }
}

const fn number(name: &'static str, read: fn(&Summary) -> Option<f64>) -> Figure {
    let unit = Unit::Number;
    Figure { name, unit, read }
}

fn latency(summary: &Summary, read: fn(&Latency) -> f64) -> Option<f64> {
    summary.latency.as_ref().map(read)
}

/// All figures that can be used in a condition.
static FIGURES: [Figure; 23] = [
    time("mean", |run| latency(run, |all| all.mean_ms)),
    time("median", |run| latency(run, |all| all.p50_ms)),
    time("p50", |run| latency(run, |all| all.p50_ms)),
    time("p95", |run| latency(run, |all| all.p95_ms)),
    time("p99", |run| latency(run, |all| all.p99_ms)),
    time("p99.9", |run| latency(run, |all| all.p999_ms)),
    time("min", |run| latency(run, |all| all.min_ms)),
    time("max", |run| latency(run, |all| all.max_ms)),
    time("raw-p99", |run| {
        Some(run.latency_from_send.as_ref()?.p99_ms)
    }),
    time("lateness-p99", |run| {
        Some(run.send_lateness.as_ref()?.p99_ms)
    }),
    number("throughput", |run| run.throughput_per_s),
    number("sent", |run| Some(run.requests.sent as f64)),
    number("succeeded", |run| Some(run.requests.succeeded as f64)),
    number("failed", |run| Some(run.requests.failed as f64)),
    number("retried", |run| Some(run.requests.retried as f64)),
    number("held-back", |run| Some(run.requests.held_back as f64)),
    number("unsent", |run| Some(run.requests.unsent as f64)),
    number("breaker-opens", |run| {
        Some(run.breaker.as_ref()?.opens as f64)
    }),
    Figure {
        name: "errors",
        unit: Unit::Share,
        read: |run| run.failed_share,
    },
    number("lost", |run| Some(run.verify.as_ref()?.lost as f64)),
    number("wrong", |run| Some(run.verify.as_ref()?.wrong as f64)),
    number("pending", |run| Some(run.verify.as_ref()?.pending as f64)),
    number("foreign", |run| Some(run.verify.as_ref()?.foreign as f64)),
];

/// The figures that require verification.
const OF_VERIFY: [&str; 4] = ["lost", "wrong", "pending", "foreign"];

/// An invalid condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidThreshold {
    /// It has no comparison.
    #[error("invalid condition {0:?}; example: \"p99>50ms\", with >, >=, < or <=")]
    Form(String),
    /// The figure is unknown.
    #[error("unknown figure {name:?}; the figures are {}", names())]
    Figure {
        /// The given name.
        name: String,
    },
    /// A share that no run can reach.
    #[error(
        "{0:?} can never be met, because a share is between 0 and 1: errors>1% is one percent, failed>1 more than one request"
    )]
    Never(String),
    /// The bound has the wrong unit.
    #[error("{figure} must be compared with {wanted}, not {got:?}")]
    Bound {
        /// The figure.
        figure: &'static str,
        /// Expected form of the bound.
        wanted: &'static str,
        /// The given bound.
        got: String,
    },
}

fn names() -> String {
    FIGURES.each_ref().map(|figure| figure.name).join(", ")
}

impl Threshold {
    /// Whether its figure requires verification.
    #[must_use]
    pub fn needs_verify(&self) -> bool {
        OF_VERIFY.contains(&self.figure.name)
    }

    /// Describes how a run meets the condition and has therefore failed; `None` if it does not. A missing figure also fails the
    /// run, and so do pending rides if their loss would meet the condition.
    #[must_use]
    pub fn broken_by(&self, summary: &Summary) -> Option<String> {
        let Some(value) = (self.figure.read)(summary) else {
            return Some(format!("{}: this run has no such figure", self.text));
        };
        let pending = self.may_be_lost(summary);
        if !self.holds_for(value) && self.holds_for(value + pending) {
            return Some(format!(
                "{}: {} was {value}, and {pending} accepted rides could not be checked",
                self.text, self.figure.name
            ));
        }
        let shown = match self.figure.unit {
            Unit::Time => format!("{value:.3} ms"),
            Unit::Share => format!("{:.3} %", value * 100.0),
            Unit::Number if value.fract() == 0.0 => value.to_string(),
            Unit::Number => format!("{value:.1}"),
        };
        let broken = self.holds_for(value);
        broken.then(|| format!("{}: {} was {shown}", self.text, self.figure.name))
    }

    fn holds_for(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Above => value > self.bound,
            Comparison::AtLeast => value >= self.bound,
            Comparison::Below => value < self.bound,
            Comparison::AtMost => value <= self.bound,
        }
    }

    /// Possible additional amount of the figure.
    fn may_be_lost(&self, summary: &Summary) -> f64 {
        match (&summary.verify, self.figure.name) {
            (Some(verify), "lost") => verify.pending as f64,
            _ => 0.0,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Threshold {
    type Err = InvalidThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        let form = || InvalidThreshold::Form(text.to_owned());
        let at = text.find(['<', '>']).ok_or_else(form)?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let (comparison, bound) = [
            (">=", Comparison::AtLeast),
            ("<=", Comparison::AtMost),
            (">", Comparison::Above),
            ("<", Comparison::Below),
        ]
        .into_iter()
        .find_map(|(sign, comparison)| Some((comparison, rest.strip_prefix(sign)?.trim())))
        .ok_or_else(form)?;
        let figure = FIGURES
            .iter()
            .find(|figure| figure.name == name)
            .ok_or_else(|| InvalidThreshold::Figure {
                name: name.to_owned(),
            })?;
        let bound = figure
            .unit
            .read(bound)
            .ok_or_else(|| InvalidThreshold::Bound {
                figure: figure.name,
                wanted: figure.unit.looks_like(),
                got: bound.to_owned(),
            })?;
        let threshold = Self {
            figure,
            comparison,
            bound,
            text: text.to_owned(),
        };
        // All shares lie between these two.
        let can_hold = threshold.holds_for(0.0) || threshold.holds_for(1.0);
        if figure.unit == Unit::Share && !can_hold {
            return Err(InvalidThreshold::Never(text.to_owned()));
        }
        Ok(threshold)
    }
}

impl Unit {
    fn read(self, text: &str) -> Option<f64> {
        let number = |text: &str| text.trim().parse().ok().filter(|n: &f64| n.is_finite());
        match self {
            Self::Time => {
                let time = humantime::parse_duration(text).ok()?;
                Some(time.as_secs_f64() * 1000.0)
            }
            Self::Number => number(text),
            Self::Share => match text.strip_suffix('%') {
                Some(percent) => Some(number(percent)? / 100.0),
                None => number(text),
            }
            .filter(|share| (0.0..=1.0).contains(share)),
        }
    }

    fn looks_like(self) -> &'static str {
        match self {
            Self::Time => "a duration such as 50ms",
            Self::Number => "a number such as 1000",
            Self::Share => "a share such as 1% or 0.01",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{Ended, PaceKind, Requests, Rides};
    use crate::verify::{MethodName, Verification};

    fn summary() -> Summary {
        Summary {
            target: "http://x".to_owned(),
            seed: 1,
            pace: PaceKind::ClosedLoop,
            connections: 1,
            ended: Ended::Complete,
            elapsed_s: 2.0,
            requests: Requests {
                sent: 200,
                failed: 2,
                ..Requests::default()
            },
            rides: Rides::default(),
            failed_share: Some(0.01),
            throughput_per_s: Some(99.0),
            accepted_rides_per_s: None,
            latency: Some(Latency {
                mean_ms: 10.0,
                min_ms: 1.0,
                p50_ms: 5.0,
                p95_ms: 20.0,
                p99_ms: 50.0,
                p999_ms: 55.0,
                max_ms: 60.0,
            }),
            latency_of_posts: None,
            latency_of_reads: None,
            latency_from_send: None,
            send_lateness: None,
            breaker: None,
            errors: Vec::new(),
            verify: None,
        }
    }

    #[test]
    fn a_condition_compares_a_figure_in_its_own_unit() {
        for (text, broken) in [
            ("p99>50ms", false),
            ("p99>=50ms", true),
            ("p99 > 49ms", true),
            ("p99<=0.05s", true),
            ("mean<10ms", false),
            ("median>4ms 900us", true),
            ("throughput<100", true),
            ("failed>1", true),
            ("sent<200", false),
            ("errors>1%", false),
            ("errors>=0.01", true),
        ] {
            let threshold: Threshold = text.parse().unwrap();
            assert_eq!(threshold.broken_by(&summary()).is_some(), broken, "{text}");
            assert!(!threshold.needs_verify(), "{text}");
        }
        let told = "p99>=50ms"
            .parse::<Threshold>()
            .unwrap()
            .broken_by(&summary());
        assert_eq!(told.unwrap(), "p99>=50ms: p99 was 50.000 ms");
    }

    #[test]
    fn what_cannot_be_told_is_not_well() {
        let lost: Threshold = "lost>0".parse().unwrap();
        assert!(lost.needs_verify());
        let told = lost.broken_by(&summary()).unwrap();
        assert!(told.contains("no such figure"), "{told}");
    }

    #[test]
    fn rides_that_could_not_be_checked_may_be_lost() {
        for (lost, pending, text, says) in [
            (0, 0, "lost>0", None),
            (
                0,
                7,
                "lost>0",
                Some("lost>0: lost was 0, and 7 accepted rides could not be checked"),
            ),
            (1, 7, "lost>0", Some("lost>0: lost was 1")),
            (0, 7, "lost>=8", None),
            (0, 7, "wrong>0", None),
        ] {
            let verify = Verification {
                lost,
                pending,
                ..Verification::new(MethodName::RideLists)
            };
            let run = Summary {
                verify: Some(verify),
                ..summary()
            };
            let told = text.parse::<Threshold>().unwrap().broken_by(&run);
            assert_eq!(told.as_deref(), says, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_words() {
        for (text, says) in [
            ("p99", "invalid condition"),
            ("", "invalid condition"),
            ("p42>1ms", "the figures are mean, median, p50"),
            (
                "p99>50",
                "compared with a duration such as 50ms, not \"50\"",
            ),
            ("lost>many", "compared with a number"),
            ("errors>1.5", "compared with a share"),
            ("errors>101%", "compared with a share"),
            ("errors>1", "errors>1% is one percent, failed>1"),
            ("errors<0%", "can never be met"),
            ("failed>NaN", "compared with a number"),
        ] {
            let error = text.parse::<Threshold>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
