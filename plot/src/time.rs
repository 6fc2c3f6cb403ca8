//! Charts over time: one value per second in one or more panels above a common time axis.

mod draw;
mod marks;

use super::Table;
use super::quantity::Quantity;
use super::reduce::{Middle, drawable, reduce, seconds_a_point};
use super::scale::{since_start, time_form};
use super::theme::Tone;

/// Panels over one time axis, which starts at second 0 and ends after the longest series.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeChart {
    /// Prefix of the IDs within the chart: letters, digits and hyphens, unique on its page.
    pub id: String,
    /// Title.
    pub title: String,
    /// Subtitle, for example the run; may be empty.
    pub subtitle: String,
    /// Accessible description; the range of every series is appended.
    pub description: String,
    /// Notes below the chart, one line each.
    pub notes: Vec<String>,
    /// Width at which text has its natural size, in px; the chart scales to any other width.
    pub width: u32,
    /// Panels from top to bottom.
    pub panels: Vec<Panel>,
}

/// One vertical axis and its series.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Heading of its axis, for example "requests per second".
    pub heading: String,
    /// Unit.
    pub quantity: Quantity,
    /// Kind of its axis.
    pub scale: YScale,
    /// Height of the drawing, in px.
    pub height: u32,
    /// Series; later ones are drawn above earlier ones.
    pub series: Vec<Series>,
    /// Marked values.
    pub thresholds: Vec<Threshold>,
    /// Marked times.
    pub shades: Vec<Shade>,
}

/// Kind of a vertical axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum YScale {
    /// Linear from zero; a [`Quantity::Share`] always extends to 1.
    Linear,
    /// Logarithmic if values differ by more than a factor of 20, else linear from zero.
    LogWhenWide,
}

/// One value per second.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name, shown at its end.
    pub name: String,
    /// Its colour, dash and marker.
    pub tone: Tone,
    /// Shape.
    pub shape: Shape,
    /// Aggregation of several seconds to one point.
    pub middle: Middle,
    /// Values from second 0, in the panel's quantity; `None` and values that are not finite are unknown and leave a gap.
    pub values: Vec<Option<f64>>,
}

/// Shape of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A line from the middle of one second to that of the next.
    Line,
    /// A line with a filled area below; in a long chart the band replaces the area.
    Area,
    /// Steps, constant over each second, with a filled area below.
    Steps,
}

/// A marked value, drawn across the panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Name, shown at its end.
    pub name: String,
    /// Value.
    pub value: f64,
}

/// Marked seconds, shaded over the full height of the panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Shade {
    /// Name, shown next to the panel.
    pub name: String,
    /// Marks from second 0; a point for several seconds is shaded if at least half of them are marked.
    pub seconds: Vec<bool>,
}

impl TimeChart {
    /// A standalone file with the stylesheet.
    pub fn to_document(&self) -> String {
        draw::draw(self, true)
    }

    /// An element for a page that serves [`super::STYLESHEET`], without style and background.
    pub fn to_fragment(&self) -> String {
        draw::draw(self, false)
    }

    /// The drawn data as rows: one per second or, in a long chart, one per point.
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

    /// Length of the time axis in seconds.
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

    /// The description with the ranges of all series.
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
