//! Charts over time: one value a second in one or more panels above a common time axis.

mod draw;
mod marks;

use super::Table;
use super::quantity::Quantity;
use super::reduce::{Middle, drawable, reduce, seconds_a_point};
use super::scale::{since_start, time_form};
use super::theme::Tone;

/// Panels over one time axis, which begins at second 0 and ends after the longest series.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeChart {
    /// Begins the ids within the picture: unique on the page that shows it, of letters, digits and hyphens.
    pub id: String,
    /// What is shown.
    pub title: String,
    /// In which run or place; may be empty.
    pub subtitle: String,
    /// What the picture says, for those who cannot see it; the range of every series follows it.
    pub description: String,
    /// Small print below the picture, one line each.
    pub notes: Vec<String>,
    /// Width at which text has its natural size, in px. The picture scales to any other.
    pub width: u32,
    /// From top to bottom.
    pub panels: Vec<Panel>,
}

/// One vertical axis and what is drawn against it.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What its axis measures, such as "requests per second".
    pub heading: String,
    /// In which unit.
    pub quantity: Quantity,
    /// How its axis runs.
    pub scale: YScale,
    /// Height of the drawing itself, in px.
    pub height: u32,
    /// The later ones are drawn above the earlier ones.
    pub series: Vec<Series>,
    /// Values that mean something.
    pub thresholds: Vec<Threshold>,
    /// Times that mean something.
    pub shades: Vec<Shade>,
}

/// How a vertical axis runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum YScale {
    /// Evenly, from zero; a [`Quantity::Share`] always reaches to 1.
    Linear,
    /// Logarithmically if values are more than 20 times apart, else evenly from zero.
    LogWhenWide,
}

/// A value a second.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Stands at its end.
    pub name: String,
    /// Its colour, dash and marker.
    pub tone: Tone,
    /// How it is drawn.
    pub shape: Shape,
    /// What is drawn where one point stands for several seconds.
    pub middle: Middle,
    /// From second 0, in the panel's quantity. `None`, and what is no finite number, is unknown and leaves a gap.
    pub values: Vec<Option<f64>>,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// From the middle of one second to that of the next.
    Line,
    /// A line with the area below it filled.
    Area,
    /// Level over each second, with the area below filled.
    Steps,
}

/// A value that means something, drawn across the panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Stands at its end.
    pub name: String,
    /// Where it is.
    pub value: f64,
}

/// Seconds that mean something, shaded from top to bottom of the panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Shade {
    /// Stands beside the panel.
    pub name: String,
    /// From second 0. Where one point stands for several seconds, it is shaded if it is for at least half of them.
    pub seconds: Vec<bool>,
}

impl TimeChart {
    /// A file of its own, with the stylesheet in it.
    pub fn to_document(&self) -> String {
        draw::draw(self, true)
    }

    /// An element for a page that serves [`super::STYLESHEET`]: no style of its own, no ground.
    pub fn to_fragment(&self) -> String {
        draw::draw(self, false)
    }

    /// What is drawn, as rows: one for each second or, in a long chart, for each stretch that a point stands for.
    pub fn to_table(&self) -> Table {
        let (seconds, every) = (self.seconds(), self.seconds_a_point());
        let mut head = vec![format!("from ({})", time_form(seconds))];
        let mut columns: Vec<Vec<Option<String>>> = Vec::new();
        for (panel, series) in self.series() {
            let buckets = reduce(&series.values, every, series.middle);
            let column = |pick: fn(&super::reduce::Bucket) -> f64| {
                let cell = |bucket: &Option<_>| {
                    bucket
                        .as_ref()
                        .map(|bucket| panel.quantity.say(pick(bucket)))
                };
                buckets.iter().map(cell).collect()
            };
            if every == 1 {
                head.push(series.name.clone());
                columns.push(column(|bucket| bucket.middle));
            } else {
                let parts = [series.middle.name(), "lowest", "highest"];
                head.extend(parts.map(|part| format!("{}, {part}", series.name)));
                columns.push(column(|bucket| bucket.middle));
                columns.push(column(|bucket| bucket.low));
                columns.push(column(|bucket| bucket.high));
            }
        }
        let row = |at: usize| {
            let cells = columns
                .iter()
                .map(|column| column.get(at).cloned().flatten());
            let time = Some(since_start(at * every, seconds));
            std::iter::once(time).chain(cells).collect()
        };
        let rows = (0..seconds.div_ceil(every)).map(row).collect();
        Table { head, rows }
    }

    /// How many seconds the time axis holds.
    fn seconds(&self) -> usize {
        let of_series = self.series().map(|(_, series)| series.values.len());
        let of_shades = self.panels.iter().flat_map(|panel| &panel.shades);
        of_series
            .chain(of_shades.map(|shade| shade.seconds.len()))
            .max()
            .unwrap_or(0)
    }

    fn seconds_a_point(&self) -> usize {
        seconds_a_point(self.seconds())
    }

    fn series(&self) -> impl Iterator<Item = (&Panel, &Series)> {
        let panels = self.panels.iter();
        panels.flat_map(|panel| panel.series.iter().map(move |series| (panel, series)))
    }

    /// The description with what an eye would take from the lines.
    fn spoken(&self) -> String {
        let mut spoken = self.description.clone();
        for (panel, series) in self.series() {
            let range =
                range_of(&series.values).map_or("unknown throughout".into(), |(low, high)| {
                    let (low, high) = (panel.quantity.say(low), panel.quantity.say(high));
                    if low == high {
                        format!("{low} throughout")
                    } else {
                        format!("{low} to {high}")
                    }
                });
            spoken.push_str(&format!(" {}, {}: {range}.", panel.heading, series.name));
        }
        for threshold in self.panels.iter().flat_map(|panel| &panel.thresholds) {
            spoken.push_str(&format!(" Threshold: {}.", threshold.name));
        }
        spoken
    }
}

/// The lowest and the highest known value.
fn range_of(values: &[Option<f64>]) -> Option<(f64, f64)> {
    let known = values.iter().copied().flatten().filter_map(drawable);
    known.fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}
