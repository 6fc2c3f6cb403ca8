//! Charts over UTC time for pages: as wide as their place, with text that never scales.
//!
//! The root element has no `viewBox`: x is in percent of the width, y in px. Lines and areas are in a nested `svg` that is
//! stretched; the page's stylesheet keeps their strokes from scaling. There are only classes, those of `console.css`: `plot`,
//! `grid`, `line`, `area`, `gap`, `threshold`, `hits`, `markers`, `axis-x`. The page defines the pattern `#hatch`.
//!
//! All text is escaped, so that names and labels may be foreign.

mod clock;
mod draw;
mod gaps;
mod markers;
mod path;

use super::quantity::Quantity;
use super::reduce::{Middle, drawable, reduce};
use super::scale::Axis;
use super::time::Shape;

/// A chart over UTC time.
#[derive(Debug, Clone)]
pub struct FluidChart {
    /// Prefix of the IDs within the chart: letters, digits and hyphens, unique on its page.
    pub id: String,
    /// Accessible title: what is drawn, and when.
    pub title: String,
    /// Accessible description in sentences; the range of every line is appended.
    pub description: String,
    /// Start of the time axis, in milliseconds since 1970.
    pub from_ms: u64,
    /// End of the time axis, in milliseconds since 1970.
    pub to_ms: u64,
    /// Time from one value of a line to the next, in milliseconds.
    pub step_ms: u64,
    /// Height of the drawing without the labels of the time axis, in px.
    pub height: u32,
    /// Unit of all values, for the ticks.
    pub quantity: Quantity,
    /// Kind of the vertical axis.
    pub scale: FluidScale,
    /// Lines; later ones are drawn above earlier ones.
    pub lines: Vec<FluidLine>,
    /// Marked values. The axis includes them.
    pub thresholds: Vec<FluidThreshold>,
    /// Marked times. Those outside of the time axis are not drawn; changes that are too close together share a marker.
    pub markers: Vec<FluidMarker>,
}

/// Kind of a vertical axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FluidScale {
    /// Linear from zero.
    Linear,
    /// Logarithmic between powers of ten; values that are not above zero are drawn at its low end. Its title should say so.
    Log,
}

/// A line: one value per step.
#[derive(Debug, Clone)]
pub struct FluidLine {
    /// Name, as in the legend.
    pub name: String,
    /// Colour.
    pub colour: LineColour,
    /// Shape.
    pub shape: Shape,
    /// Values from `from_ms` on, in the chart's quantity; each stands for its whole step. `None`, values that are not finite
    /// and values that are missing at the end are unknown and leave a gap.
    pub values: Vec<Option<f64>>,
    /// Formats a value with its unit, as the page does elsewhere.
    pub readout: fn(f64) -> String,
}

/// Colour of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineColour {
    /// The first or only line. Class `a`.
    Blue,
    /// The second line, which is thicker. Class `b`.
    Orange,
    /// A count. Class `c`.
    Teal,
}

/// A marked value, drawn across the chart. The legend of the page names it.
#[derive(Debug, Clone, PartialEq)]
pub struct FluidThreshold {
    /// Name, shown while the pointer is on it.
    pub name: String,
    /// Value, in the chart's quantity.
    pub value: f64,
    /// Whether it is an objective, instead of a limit beyond which something fails.
    pub is_calm: bool,
}

/// A marked time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluidMarker {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// End of its duration, in milliseconds since 1970, which is shaded; `None` if it has none.
    pub until_ms: Option<u64>,
    /// Label, shown while the pointer is on it.
    pub label: String,
    /// What it marks.
    pub kind: MarkerKind,
}

/// What a marker marks. The list below the chart has the same numbers and letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerKind {
    /// A change by a user: a number in a circle.
    Change(u32),
    /// An incident: a letter in a square.
    Incident(char),
    /// A loss: a letter in a square, with a line.
    Loss(char),
}

impl FluidChart {
    /// The `svg` element, for a page with the stylesheet of the console.
    #[must_use]
    pub fn to_svg(&self) -> String {
        draw::draw(self)
    }

    /// Length of the time axis, in milliseconds; at least 1.
    fn span_ms(&self) -> u64 {
        self.to_ms.saturating_sub(self.from_ms).max(1)
    }

    /// Time from one value to the next, in milliseconds; at least 1.
    fn step(&self) -> u64 {
        self.step_ms.max(1)
    }

    /// Number of steps on the time axis, the last one possibly cut.
    fn steps(&self) -> usize {
        self.span_ms().div_ceil(self.step()) as usize
    }

    /// Position of a time, from 0 at the start of the time axis to 1 at its end.
    fn share(&self, at_ms: u64) -> f64 {
        let after = at_ms.saturating_sub(self.from_ms).min(self.span_ms());
        after as f64 / self.span_ms() as f64
    }

    /// Positions of the start and the end of a step.
    fn bounds(&self, step: usize) -> (f64, f64) {
        let start = (step as u64).saturating_mul(self.step());
        let start = self.from_ms.saturating_add(start);
        (
            self.share(start),
            self.share(start.saturating_add(self.step())),
        )
    }

    /// The vertical axis.
    fn y_axis(&self) -> Axis {
        let of_lines = self.lines.iter().flat_map(|line| &line.values[..]);
        let of_thresholds = self.thresholds.iter().map(|threshold| threshold.value);
        let values = of_lines.copied().flatten().chain(of_thresholds);
        let values = values.filter_map(drawable);
        // At most four or five ticks.
        let about = if self.height < 80 { 3.0 } else { 4.0 };
        match self.scale {
            FluidScale::Linear => Axis::linear(values, self.quantity, about),
            FluidScale::Log => Axis::log(values, self.quantity),
        }
    }

    /// The description with the ranges of all lines.
    fn spoken(&self) -> String {
        let mut spoken = self.description.clone();
        for line in &self.lines {
            let range = line.range().map_or("unknown throughout".into(), |range| {
                let (low, high) = range;
                let (low, high) = ((line.readout)(low), (line.readout)(high));
                if low == high {
                    low
                } else {
                    format!("{low} to {high}")
                }
            });
            spoken.push_str(&format!(" {}: {range}.", line.name));
        }
        for threshold in &self.thresholds {
            spoken.push_str(&format!(" Threshold: {}.", threshold.name));
        }
        spoken.trim_start().to_owned()
    }
}

impl FluidLine {
    /// The value of a step.
    fn value(&self, step: usize) -> Option<f64> {
        self.values.get(step).copied().flatten().and_then(drawable)
    }

    /// The lowest and the highest known value.
    fn range(&self) -> Option<(f64, f64)> {
        let all = reduce(&self.values, self.values.len().max(1), Middle::Mean);
        let all = all.into_iter().next().flatten()?;
        Some((all.low, all.high))
    }

    /// The value of several steps: their mean, or the last known one of a count.
    fn value_of(&self, steps: std::ops::Range<usize>) -> Option<f64> {
        let end = steps.end.min(self.values.len());
        let values = &self.values[steps.start.min(end)..end];
        match self.shape {
            Shape::Steps => values.iter().rev().copied().flatten().find_map(drawable),
            Shape::Line | Shape::Area => {
                let mean = reduce(values, values.len().max(1), Middle::Mean);
                mean.into_iter().next().flatten().map(|mean| mean.middle)
            }
        }
    }
}

impl LineColour {
    fn class(self) -> &'static str {
        match self {
            LineColour::Blue => "a",
            LineColour::Orange => "b",
            LineColour::Teal => "c",
        }
    }
}

#[cfg(test)]
mod tests;
