//! A rate against a number of threads or workers: what was measured, and the curve that is fitted to it.
//!
//! As in [`FluidChart`](crate::FluidChart), the root element has no `viewBox`, and there are only classes, those of `console.css`:
//! `plot`, `grid`, `area`, `line`, `line dash`, `threshold`, `vmark`, `obs`, `pt` with the kind of the mark, `axis-x`, `axis-title`. All
//! text is escaped.

use super::document::{escaped, px};
use super::fluid::FluidThreshold;
use super::plane::{HEIGHT, Plane};
use super::quantity::Quantity;
use super::reduce::drawable;
use super::scale::Axis;
use super::scatter::ScatterMark;

/// Steps of the horizontal and of the vertical axis.
const STEPS: (f64, f64) = (6.0, 5.0);
/// How far above the highest rate a threshold may be to be drawn: a far one would flatten the curve.
const FAR: f64 = 2.0;
/// Position from which on the name of the peak ends at its line, so that it does not leave the chart.
const NEAR_END: f64 = 0.85;

/// A chart of a curve.
#[derive(Debug, Clone)]
pub struct CurveChart {
    /// Prefix of the IDs within the chart: letters, digits and hyphens, unique on its page.
    pub id: String,
    /// Accessible title: what is drawn.
    pub title: String,
    /// Accessible description in sentences.
    pub description: String,
    /// Name of the horizontal axis. The page names the vertical one above the chart.
    pub x_label: String,
    /// What was measured. The curve is dashed beyond the largest number.
    pub measured: Vec<Observation>,
    /// The fitted curve, in rising order.
    pub curve: Vec<CurvePosition>,
    /// The number at which the curve is highest.
    pub peak: Option<f64>,
    /// Marked rates. Those far above all others are not drawn.
    pub thresholds: Vec<FluidThreshold>,
    /// Marked configurations.
    pub marks: Vec<CurveMark>,
}

/// A rate that was measured.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The number.
    pub n: f64,
    /// The mean of its rates.
    pub mean: f64,
    /// Lower and upper end of its interval, if it was measured more than once.
    pub interval: Option<(f64, f64)>,
    /// Label, shown while the pointer is on it.
    pub label: String,
}

/// A point of the fitted curve.
#[derive(Debug, Clone, Copy)]
pub struct CurvePosition {
    /// The number.
    pub n: f64,
    /// The rate.
    pub rate: f64,
    /// Lower and upper end of its interval.
    pub interval: Option<(f64, f64)>,
}

/// A marked configuration.
#[derive(Debug, Clone)]
pub struct CurveMark {
    /// Its number.
    pub n: f64,
    /// Its rate.
    pub rate: f64,
    /// How it is marked.
    pub mark: ScatterMark,
    /// Label, shown while the pointer is on it.
    pub label: String,
}

impl CurveChart {
    /// The `svg` element, for a page with the stylesheet of the console.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let measured: Vec<Observation> = self.measured.iter().filter_map(observed).collect();
        let curve: Vec<CurvePosition> = self.curve.iter().filter_map(position).collect();
        let mut marks: Vec<CurveMark> = self.marks.iter().filter_map(marked).collect();
        let of_curve = curve.iter().map(|at| (at.n, at.rate));
        let of_measured = measured.iter().map(|of| (of.n, of.mean));
        let of_marks = marks.iter().map(|of| (of.n, of.rate));
        let all: Vec<(f64, f64)> = of_curve.chain(of_measured).chain(of_marks).collect();
        let highest = all.iter().fold(0.0_f64, |most, (_, rate)| most.max(*rate));
        let thresholds: Vec<(&FluidThreshold, f64)> = self
            .thresholds
            .iter()
            .filter_map(|threshold| Some((threshold, drawable(threshold.value)?)))
            .filter(|(_, value)| *value >= 0.0 && (highest == 0.0 || *value <= highest * FAR))
            .collect();
        let rates = all.iter().map(|(_, rate)| rate.max(0.0));
        let rates = rates.chain(thresholds.iter().map(|(_, value)| *value));
        let plane = Plane {
            x: Axis::linear(all.iter().map(|(n, _)| *n), Quantity::Count, STEPS.0),
            y: Axis::linear(rates, Quantity::Count, STEPS.1),
        };
        let mut svg = plane.start(&self.id, &self.title, &self.description);
        svg += &fitted(&plane, &measured, &curve);
        for (threshold, value) in thresholds {
            svg += &plane.threshold(&threshold.name, value, threshold.is_calm);
        }
        svg += &self.peak(&plane, highest);
        for of in &measured {
            svg += &observation(&plane, of);
        }
        marks.sort_by_key(|of| of.mark);
        for of in &marks {
            svg += &of
                .mark
                .drawn(&plane.x_of(of.n), plane.y_of(of.rate), &of.label, "");
        }
        svg + &plane.end(&self.x_label)
    }

    /// A line at the peak, up to the highest rate.
    fn peak(&self, plane: &Plane, highest: f64) -> String {
        let Some(peak) = self.peak.and_then(drawable) else {
            return String::new();
        };
        let x = plane.x_of(peak);
        let (class, dx) = if plane.x.place(peak) > NEAR_END {
            (" class=\"end\"", -6)
        } else {
            ("", 6)
        };
        format!(
            "<g class=\"vmark\"><line x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{HEIGHT}\"/><text{class} x=\"{x}\" y=\"{}\" dx=\"{dx}\">peak {}</text></g>\n",
            px(plane.y_of(highest)),
            px(HEIGHT - 10.0),
            escaped(&Quantity::Count.say(peak.round()))
        )
    }
}

/// The stretched part: the band, the curve, and where it is extrapolated.
fn fitted(plane: &Plane, measured: &[Observation], curve: &[CurvePosition]) -> String {
    let point =
        |n: f64, rate: f64| format!("{} {}", px(plane.stretched_x(n)), px(plane.y_of(rate)));
    let through = |points: &[String]| match points {
        [] | [_] => String::new(),
        points => format!("M{}", points.join("L")),
    };
    let mut paths = String::new();
    let band: Vec<(f64, (f64, f64))> = curve
        .iter()
        .filter_map(|at| Some((at.n, at.interval?)))
        .collect();
    let upper = band.iter().map(|(n, (_, high))| point(*n, *high));
    let lower = band.iter().rev().map(|(n, (low, _))| point(*n, *low));
    let outline = through(&upper.chain(lower).collect::<Vec<_>>());
    if !outline.is_empty() {
        paths += &format!("<path class=\"area a\" d=\"{outline}Z\"/>");
    }
    let largest = measured.iter().fold(0.0_f64, |most, of| most.max(of.n));
    let within = curve.iter().take_while(|at| at.n <= largest).count();
    let on = |part: &[CurvePosition]| -> String {
        let points: Vec<String> = part.iter().map(|at| point(at.n, at.rate)).collect();
        through(&points)
    };
    for (part, class) in [
        (&curve[..within], "line a"),
        // It begins where the other part ends.
        (&curve[within.saturating_sub(1)..], "line a dash"),
    ] {
        let path = on(part);
        if !path.is_empty() {
            paths += &format!("<path class=\"{class}\" d=\"{path}\"/>");
        }
    }
    Plane::stretched(&paths)
}

/// A measured rate with its interval.
fn observation(plane: &Plane, of: &Observation) -> String {
    let x = plane.x_of(of.n);
    let line = of.interval.map_or_else(String::new, |(low, high)| {
        format!(
            r#"<line x1="{x}" x2="{x}" y1="{}" y2="{}"/>"#,
            px(plane.y_of(high)),
            px(plane.y_of(low))
        )
    });
    format!(
        "<g class=\"obs\"><title>{}</title>{line}<circle cx=\"{x}\" cy=\"{}\" r=\"4\"/></g>\n",
        escaped(&of.label),
        px(plane.y_of(of.mean))
    )
}

fn observed(of: &Observation) -> Option<Observation> {
    Some(Observation {
        n: not_negative(of.n)?,
        mean: drawable(of.mean)?,
        interval: ends(of.interval),
        label: of.label.clone(),
    })
}

fn position(at: &CurvePosition) -> Option<CurvePosition> {
    Some(CurvePosition {
        n: not_negative(at.n)?,
        rate: drawable(at.rate)?,
        interval: ends(at.interval),
    })
}

fn marked(of: &CurveMark) -> Option<CurveMark> {
    Some(CurveMark {
        n: not_negative(of.n)?,
        rate: drawable(of.rate)?,
        ..of.clone()
    })
}

fn ends(interval: Option<(f64, f64)>) -> Option<(f64, f64)> {
    let (low, high) = interval?;
    Some((drawable(low)?, drawable(high)?))
}

/// A number of threads or workers.
fn not_negative(n: f64) -> Option<f64> {
    drawable(n).filter(|n| *n >= 0.0)
}

#[cfg(test)]
mod tests;
