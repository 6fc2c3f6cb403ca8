//! The marked times. Changes that are too close together for a marker each share one, with their count.

use super::{FluidChart, FluidMarker, MarkerKind};
use crate::document::{escaped, percent};

/// Distance below which changes share a marker, as a share of the chart's width: 20 px of a chart that is 400 px wide.
const NEAR: f64 = 0.05;
/// Width of a marker with a count, in px.
const WIDTH: u32 = 24;

/// The markers that overlap the time axis.
pub(super) fn drawn(chart: &FluidChart) -> impl Iterator<Item = &FluidMarker> {
    chart.markers.iter().filter(|marker| {
        let until_ms = marker.until_ms.unwrap_or(marker.at_ms);
        marker.at_ms <= chart.to_ms && until_ms >= chart.from_ms
    })
}

/// The markers, incidents below changes.
pub(super) fn markers(chart: &FluidChart) -> String {
    let mut svg = String::new();
    let mut changes = Vec::new();
    for marker in drawn(chart) {
        match marker.kind {
            MarkerKind::Change(number) => changes.push((marker, number)),
            MarkerKind::Incident(letter) => svg += &incident(chart, marker, letter, ""),
            MarkerKind::Loss(letter) => svg += &incident(chart, marker, letter, " is-bad"),
        }
    }
    changes.sort_by_key(|(marker, _)| marker.at_ms);
    // A group begins where its first change is, and the next one at least `NEAR` later.
    let mut rest = &changes[..];
    while let Some(((first, number), _)) = rest.split_first() {
        let start = chart.share(first.at_ms);
        let is_near = |(marker, _): &&(&FluidMarker, u32)| chart.share(marker.at_ms) - start < NEAR;
        let length = rest.iter().take_while(is_near).count();
        let (group, later) = rest.split_at(length.max(1));
        svg += &if group.len() == 1 {
            change(chart, first, *number)
        } else {
            shared(chart, group)
        };
        rest = later;
    }
    if svg.is_empty() {
        return svg;
    }
    format!("<g class=\"markers\">\n{svg}</g>\n")
}

/// A line over the height of the chart.
fn line(chart: &FluidChart, marker: &FluidMarker) -> String {
    let (x, height) = (percent(chart.share(marker.at_ms)), chart.height);
    format!("<line x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"{height}\"/>")
}

/// A letter in a square.
fn incident(chart: &FluidChart, marker: &FluidMarker, letter: char, class: &str) -> String {
    let x = percent(chart.share(marker.at_ms));
    format!(
        "<g class=\"is-incident{class}\"><title>{}</title>{}<rect x=\"{x}\" y=\"-8\" width=\"16\" height=\"16\" rx=\"3\"/><text x=\"{x}\" y=\"4\" dx=\"8\">{}</text></g>\n",
        escaped(&marker.label),
        line(chart, marker),
        escaped(&letter.to_string())
    )
}

/// A number in a circle.
fn change(chart: &FluidChart, marker: &FluidMarker, number: u32) -> String {
    let x = percent(chart.share(marker.at_ms));
    format!(
        "<g><title>{}</title>{}<circle cx=\"{x}\" cy=\"0\" r=\"8\"/><text x=\"{x}\" y=\"4\">{number}</text></g>\n",
        escaped(&marker.label),
        line(chart, marker)
    )
}

/// A count in a wide marker at the first of several changes, with a line for each of them.
fn shared(chart: &FluidChart, group: &[(&FluidMarker, u32)]) -> String {
    let count = group.len();
    let x = group
        .first()
        .map(|(marker, _)| percent(chart.share(marker.at_ms)));
    let x = x.unwrap_or_default();
    let labels: Vec<&str> = group.iter().map(|(marker, _)| &*marker.label).collect();
    let lines: String = group
        .iter()
        .map(|(marker, _)| line(chart, marker))
        .collect();
    format!(
        "<g class=\"is-many\"><title>{count} changes: {}</title>{lines}<rect x=\"{x}\" y=\"-8\" width=\"{WIDTH}\" height=\"16\" rx=\"8\" transform=\"translate(-{} 0)\"/><text x=\"{x}\" y=\"4\">×{count}</text></g>\n",
        escaped(&labels.join("; ")),
        WIDTH / 2
    )
}
