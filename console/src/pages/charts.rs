//! The charts of the history: rates, backlog, accept to stored, and worker threads on one time axis, with the changes that
//! were applied. Overview and queue have them.
//!
//! The right edge of the axis moves every ten seconds or every minute, and what is right of it is not drawn, so that an open
//! page is sent a new chart only then. What is not known is a gap, never 0.

mod changes;
mod range;
mod series;
mod table;

use skilift_core::clock::epoch_ms;
use skilift_plot::{
    FluidChart, FluidLine, FluidMarker, FluidScale, LineColour, MarkerKind, Quantity, Shape,
};

use self::series::{Aggregate, Pick, Window, backlog, p99, publish, stored, threads};
use super::html::{Markup, markup, per_s, time};
use crate::console::Console;
use crate::error::Error;
use crate::view::audit::AuditEntry;
use crate::view::figures::{grouped, span};
use crate::view::queue::{HistoryPoint, HistoryView};

pub(super) use self::changes::{AppliedChange, applied_changes, what};
pub(super) use self::range::{Range, RangeLink};
pub(super) use self::table::HistoryRow;

/// Maximum number of changes that are marked.
const MAX_MARKERS: usize = 9;
/// Maximum number of audit entries that are read.
const MAX_ENTRIES: usize = 1_000;
/// Age from which the newest value is not current, in milliseconds, besides two steps of the history.
const OLD_MS: u64 = 5_000;

/// The charts of a page. All of them have the same time axis.
pub(super) struct Charts {
    /// "Last 30 minutes".
    pub(super) heading: &'static str,
    /// Time axis and resolution: "10:12 to 10:42 UTC, one point every 10 s".
    pub(super) caption: String,
    /// The ranges that can be chosen.
    pub(super) ranges: Vec<RangeLink>,
    pub(super) rates: Markup,
    pub(super) backlog: Markup,
    pub(super) stored: Markup,
    pub(super) threads: Markup,
    pub(super) now: CurrentValues,
    /// The marked changes, oldest first.
    pub(super) changes: Vec<MarkedChange>,
    /// How many changes are in the range and not marked, because they are older.
    pub(super) earlier: usize,
    /// Averages of one minute, newest first.
    pub(super) rows: Vec<HistoryRow>,
}

/// Current values, as in the legends.
pub(super) struct CurrentValues {
    pub(super) accepted: String,
    pub(super) stored: String,
    pub(super) backlog: String,
    pub(super) p99: String,
    pub(super) threads: String,
}

/// A change that is marked in the charts.
pub(super) struct MarkedChange {
    /// Its number in the charts, from 1.
    pub(super) marker: usize,
    pub(super) at: Markup,
    pub(super) actor: String,
    pub(super) what: String,
    /// Its number in the audit log.
    pub(super) number: u64,
    /// The plan, or the audit entry if there is none.
    pub(super) source: String,
}

/// Heights of the charts in pixels, in their order.
pub(super) type Heights = [u16; 4];
/// The charts below each other.
pub(super) const ONE_COLUMN: Heights = [132, 96, 104, 64];
/// Two charts beside each other are of one height.
pub(super) const TWO_COLUMNS: Heights = [148, 148, 120, 120];

/// The charts of a range in two columns, as of now.
///
/// # Errors
/// If the audit log cannot be read.
pub(super) fn charts(console: &Console, range: Range) -> Result<Charts, Error> {
    Ok(charts_with(
        console,
        range,
        TWO_COLUMNS,
        &latest_entries(console)?,
    ))
}

/// The latest audit entries, newest first.
///
/// # Errors
/// If the audit log cannot be read.
pub(super) fn latest_entries(console: &Console) -> Result<Vec<AuditEntry>, Error> {
    Ok(console.state.audit_before(u64::MAX, MAX_ENTRIES)?)
}

/// The charts of a range, with the changes among these audit entries.
pub(super) fn charts_with(
    console: &Console,
    range: Range,
    heights: Heights,
    entries: &[AuditEntry],
) -> Charts {
    let now_ms = epoch_ms();
    let since_ms = Window::new(range, now_ms).from_ms;
    let history = console.monitor.history(range.step_s(), since_ms);
    let changes = applied_changes(entries, since_ms);
    Charts::of(&history, range, heights, now_ms, &changes)
}

impl Charts {
    /// The charts of a history with the step of the range, and the changes in it, oldest first.
    pub(super) fn of(
        history: &HistoryView,
        range: Range,
        heights: Heights,
        now_ms: u64,
        changes: &[AppliedChange],
    ) -> Self {
        let window = Window::new(range, now_ms);
        let earlier = changes.len().saturating_sub(MAX_MARKERS);
        let changes = &changes[earlier..];
        let drawing = Drawing {
            points: &history.points,
            range,
            window,
            heights,
            markers: (1..)
                .zip(changes)
                .map(|(at, of)| marker(at, of, range))
                .collect(),
        };
        Self {
            heading: range.heading(),
            caption: format!("{}, one point every {}", drawing.when(), range.resolution()),
            ranges: range.links(),
            rates: drawing.rates(),
            backlog: drawing.backlog(),
            stored: drawing.stored(),
            threads: drawing.threads(),
            now: CurrentValues::of(history, now_ms),
            changes: (1..)
                .zip(changes)
                .map(|(at, of)| marked(at, of, now_ms))
                .collect(),
            earlier,
            rows: table::rows(&history.points, window, now_ms),
        }
    }
}

impl CurrentValues {
    fn of(history: &HistoryView, now_ms: u64) -> Self {
        let limit_ms = 2_000 * history.step_s + OLD_MS;
        let last = history.points.last();
        let last = last.filter(|point| point.at_ms.saturating_add(limit_ms) >= now_ms);
        let show = |pick: Pick, show: fn(f64) -> String| {
            let value = last.and_then(pick).map(show);
            value.unwrap_or_else(|| "unknown".to_owned())
        };
        Self {
            accepted: show(publish, per_s),
            stored: show(stored, per_s),
            backlog: show(backlog, count),
            p99: show(p99, milliseconds),
            threads: show(threads, count),
        }
    }
}

/// What all charts share.
struct Drawing<'a> {
    points: &'a [HistoryPoint],
    range: Range,
    window: Window,
    heights: Heights,
    markers: Vec<FluidMarker>,
}

impl Drawing<'_> {
    fn rates(&self) -> Markup {
        let title = "Rides accepted and stored per second";
        let accepted = self.line("accepted", LineColour::Blue, Shape::Area, publish, rate);
        let stored = self.line("stored", LineColour::Orange, Shape::Line, stored, rate);
        self.svg(FluidChart {
            height: self.heights[0].into(),
            ..self.chart("ch-rates", title, vec![accepted, stored])
        })
    }

    fn backlog(&self) -> Markup {
        let line = self.line("backlog", LineColour::Blue, Shape::Area, backlog, rides);
        self.svg(FluidChart {
            height: self.heights[1].into(),
            ..self.chart("ch-backlog", "Backlog in rides", vec![line])
        })
    }

    fn stored(&self) -> Markup {
        let line = self.line("p99", LineColour::Blue, Shape::Line, p99, milliseconds);
        self.svg(FluidChart {
            height: self.heights[2].into(),
            quantity: Quantity::Milliseconds,
            scale: FluidScale::Log,
            ..self.chart("ch-p99", "Accept to stored, p99, log scale", vec![line])
        })
    }

    fn threads(&self) -> Markup {
        let line = self.line("threads", LineColour::Teal, Shape::Steps, threads, count);
        self.svg(FluidChart {
            height: self.heights[3].into(),
            ..self.chart("ch-threads", "Running worker threads", vec![line])
        })
    }

    fn chart(&self, id: &str, title: &str, lines: Vec<FluidLine>) -> FluidChart {
        FluidChart {
            id: id.to_owned(),
            title: format!("{title}, {}", self.when()),
            description: match self.markers.len() {
                0 => String::new(),
                1 => "One applied change is marked.".to_owned(),
                many => format!("{many} applied changes are marked."),
            },
            from_ms: self.window.from_ms,
            to_ms: self.window.to_ms,
            step_ms: self.window.step_ms,
            height: 0,
            quantity: Quantity::Count,
            scale: FluidScale::Linear,
            lines,
            thresholds: Vec::new(),
            markers: self.markers.clone(),
        }
    }

    fn line(
        &self,
        name: &str,
        colour: LineColour,
        shape: Shape,
        pick: Pick,
        readout: fn(f64) -> String,
    ) -> FluidLine {
        let aggregate = match shape {
            Shape::Steps => Aggregate::Last,
            Shape::Line | Shape::Area => Aggregate::Mean,
        };
        FluidLine {
            name: name.to_owned(),
            colour,
            shape,
            values: self.window.values(self.points, aggregate, pick),
            readout,
        }
    }

    /// The chart escapes what is foreign.
    fn svg(&self, chart: FluidChart) -> Markup {
        markup(chart.to_svg())
    }

    /// The time axis: "10:12 to 10:42 UTC".
    fn when(&self) -> String {
        let Window { from_ms, to_ms, .. } = self.window;
        let (from, to) = (self.range.minute(from_ms), self.range.minute(to_ms));
        format!("{from} to {to} UTC")
    }
}

fn marker(number: u32, change: &AppliedChange, range: Range) -> FluidMarker {
    let AppliedChange { actor, what, .. } = change;
    let when = range.second(change.at_ms);
    let plan = change.plan.as_ref().map(|plan| format!(" (plan {plan})"));
    FluidMarker {
        at_ms: change.at_ms,
        until_ms: None,
        label: format!("{when} {actor}: {what}{}", plan.unwrap_or_default()),
        kind: MarkerKind::Change(number),
    }
}

fn marked(marker: usize, change: &AppliedChange, now_ms: u64) -> MarkedChange {
    let plan = change.plan.clone();
    MarkedChange {
        marker,
        at: time(change.at_ms, now_ms),
        actor: change.actor.clone(),
        what: change.what.clone(),
        number: change.number,
        source: plan.unwrap_or_else(|| format!("audit entry {}", change.number)),
    }
}

fn rate(value: f64) -> String {
    format!("{}/s", per_s(value))
}

fn rides(value: f64) -> String {
    format!("{} rides", count(value))
}

fn count(value: f64) -> String {
    grouped(value.round() as u64)
}

fn milliseconds(value: f64) -> String {
    span(value.round() as u64)
}

#[cfg(test)]
mod tests;
