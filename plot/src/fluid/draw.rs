//! The elements of a chart, from back to front.

use super::FluidChart;
use super::clock::{columns, ticks, time};
use super::gaps::gaps;
use super::markers::{drawn, markers};
use super::path::{WIDTH, outline};
use crate::document::{escaped, percent, plain_id, px};
use crate::scale::Axis;
use crate::time::Shape;

/// Smallest width of an interval that is labelled, as a share of the chart's width.
const LABELLED: f64 = 0.08;
/// Position from which on a long label of the time axis ends at its tick, so that it does not leave the chart.
const NEAR_END: f64 = 0.96;

pub(super) fn draw(chart: &FluidChart) -> String {
    let id = plain_id(&chart.id);
    let height = chart.height;
    let axis = chart.y_axis();
    let mut svg = format!(
        r#"<svg class="plot plot-x" height="{height}" role="img" aria-labelledby="{id}-t {id}-d">"#
    );
    svg += &format!(
        "\n<title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n",
        escaped(&chart.title),
        escaped(&chart.spoken())
    );
    for marker in drawn(chart) {
        if let Some(until_ms) = marker.until_ms {
            let (from, to) = (chart.share(marker.at_ms), chart.share(until_ms));
            svg += &format!(
                r#"<rect class="band" x="{}" y="0" width="{}" height="{height}"/>"#,
                percent(from),
                percent((to - from).max(0.0))
            );
        }
    }
    svg += &unknown(chart);
    svg += &grid(chart, &axis);
    svg += &unknown_labels(chart);
    svg += &lines(chart, &axis);
    for threshold in &chart.thresholds {
        let y = px(y_of(chart, &axis, threshold.value));
        let class = if threshold.is_calm { " is-calm" } else { "" };
        svg += &format!(
            r#"<g class="threshold{class}"><title>{}</title><line x1="0" x2="100%" y1="{y}" y2="{y}"/></g>"#,
            escaped(&threshold.name)
        );
    }
    svg += &hits(chart);
    svg += &markers(chart);
    svg += &time_axis(chart);
    svg + "</svg>"
}

/// Hatched intervals.
fn unknown(chart: &FluidChart) -> String {
    let height = chart.height;
    let mut svg = String::new();
    for gap in gaps(chart) {
        svg += &format!(
            r#"<rect class="gap" x="{}" y="0" width="{}" height="{height}" fill="url(#hatch)"/>"#,
            percent(gap.from),
            percent(gap.to - gap.from)
        );
    }
    svg
}

/// Labels of the long hatched intervals, in front of the grid.
fn unknown_labels(chart: &FluidChart) -> String {
    let mut svg = String::new();
    for gap in gaps(chart) {
        if gap.to - gap.from >= LABELLED {
            svg += &format!(
                r#"<text class="gap-label" x="{}" y="{}">{}</text>"#,
                percent(f64::midpoint(gap.from, gap.to)),
                chart.height / 2 + 4,
                escaped(&gap.label)
            );
        }
    }
    svg
}

/// Lines at the ticks of the vertical axis, with labels.
fn grid(chart: &FluidChart, axis: &Axis) -> String {
    let mut svg = String::from("<g class=\"grid\">\n");
    for (place, tick) in axis.ticks.iter().enumerate() {
        let y = y_of(chart, axis, tick.value);
        let class = if place == 0 { r#" class="base""# } else { "" };
        svg += &format!(
            "<line{class} x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/><text x=\"-8\" y=\"{1}\">{2}</text>\n",
            px(y),
            px(y + 4.0),
            escaped(&tick.label)
        );
    }
    svg + "</g>\n"
}

/// The stretched part: areas, and the lines above them.
fn lines(chart: &FluidChart, axis: &Axis) -> String {
    let height = chart.height;
    let mut svg = format!(
        "<svg class=\"stretch\" width=\"100%\" height=\"{height}\" viewBox=\"0 0 {} {height}\" preserveAspectRatio=\"none\">\n",
        px(WIDTH)
    );
    for is_area in [true, false] {
        for line in &chart.lines {
            if is_area && line.shape == Shape::Line {
                continue;
            }
            let outline = outline(chart, line, axis, is_area);
            if !outline.is_empty() {
                let class = if is_area { "area" } else { "line" };
                let colour = line.colour.class();
                svg += &format!("<path class=\"{class} {colour}\" d=\"{outline}\"/>\n");
            }
        }
    }
    svg + "</svg>\n"
}

/// One transparent column per minute or so, with the values as its title.
fn hits(chart: &FluidChart) -> String {
    let span_ms = chart.span_ms();
    // The first step that starts at this time or later.
    let step_at = |at_ms: u64| at_ms.saturating_sub(chart.from_ms).div_ceil(chart.step()) as usize;
    let mut svg = String::from("<g class=\"hits\">\n");
    for (from_ms, to_ms) in columns(chart.from_ms, span_ms, chart.step()) {
        let steps = step_at(from_ms)..step_at(to_ms);
        if steps.is_empty() || chart.lines.is_empty() {
            continue;
        }
        let values: Vec<String> = chart
            .lines
            .iter()
            .map(|line| {
                let value = line.value_of(steps.clone());
                let value = value.map_or_else(|| "unknown".to_owned(), line.readout);
                format!("{} {value}", line.name)
            })
            .collect();
        let (from, to) = (chart.share(from_ms), chart.share(to_ms));
        svg += &format!(
            "<rect x=\"{}\" width=\"{}\" height=\"{}\"><title>{} UTC: {}</title></rect>\n",
            percent(from),
            percent(to - from),
            chart.height,
            time(from_ms, span_ms),
            escaped(&values.join(", "))
        );
    }
    svg + "</g>\n"
}

/// Ticks and labels of the time axis.
fn time_axis(chart: &FluidChart) -> String {
    let height = chart.height;
    let mut svg = String::from("<g class=\"axis-x\">\n");
    for tick in ticks(chart.from_ms, chart.span_ms()) {
        let share = chart.share(tick.at_ms);
        let x = percent(share);
        let is_long = tick.label.len() > "10:42".len();
        let class = match (tick.is_minor, is_long && share > NEAR_END) {
            (true, true) => r#" class="minor end""#,
            (true, false) => r#" class="minor""#,
            (false, true) => r#" class="end""#,
            (false, false) => "",
        };
        svg += &format!(
            "<line{class} x1=\"{x}\" x2=\"{x}\" y1=\"{height}\" y2=\"{}\"/><text{class} x=\"{x}\" y=\"{}\">{}</text>\n",
            height + 4,
            height + 18,
            escaped(&tick.label)
        );
    }
    svg + "</g>\n"
}

/// Height of a value, in px from the top.
fn y_of(chart: &FluidChart, axis: &Axis, value: f64) -> f64 {
    let place = crate::reduce::drawable(value).map_or(0.0, |value| axis.place(value));
    f64::from(chart.height) * (1.0 - place)
}
