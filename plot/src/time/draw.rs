//! Layout of a chart over time: axes, panels, names, notes.

use svg::Node;
use svg::node::element::Element;

use super::marks::Area;
use super::{Panel, Series, TimeChart, YScale, range_of};
use crate::document::{
    Heading, MARGIN, TEXT_SIZE, element, fitted, group, line, picture, px, text, width_of,
};
use crate::labels::spread;
use crate::quantity::Quantity;
use crate::scale::{Axis, time_form};
use crate::theme::Tone;

/// Distance from the end of the drawing to a name next to it, in px.
const TO_NAME: f64 = 30.0;
/// Maximum width of names next to the drawing, in px.
const MAX_FOR_NAMES: f64 = 220.0;
/// Space above a panel for its heading, in px; more below another panel.
const ABOVE: f64 = 30.0;
const BETWEEN: f64 = 46.0;
/// Line spacing of notes, in px.
const LEADING: f64 = 18.0;

/// A name next to a panel, and its element.
struct Label {
    name: String,
    wished: f64,
    /// The series' tone; a threshold or a shade has none.
    tone: Option<Tone>,
}

pub(super) fn draw(chart: &TimeChart, stands_alone: bool) -> String {
    let description = chart.spoken();
    let heading = Heading {
        id: &chart.id,
        title: &chart.title,
        subtitle: &chart.subtitle,
        description: &description,
    };
    let axes: Vec<Axis> = chart.panels.iter().map(y_axis).collect();
    let width = f64::from(chart.width);
    let left = MARGIN
        + 10.0
        + widest(
            axes.iter()
                .flat_map(|axis| axis.ticks.iter().map(|tick| tick.label.as_str())),
        );
    let for_names = widest(chart.panels.iter().flat_map(names)).min(MAX_FOR_NAMES);
    let right = (width - MARGIN - TO_NAME - for_names).max(left + 100.0);
    let (seconds, every) = (chart.seconds(), chart.seconds_a_point());
    let x = Axis::seconds(seconds, (right - left) / 80.0);

    let mut body = Vec::new();
    let mut y = heading.bottom() - BETWEEN + ABOVE;
    for (panel, axis) in chart.panels.iter().zip(axes) {
        let top = y + BETWEEN;
        let bottom = top + f64::from(panel.height);
        let area = Area {
            left,
            right,
            top,
            bottom,
            x: &x,
            y: axis,
            every,
            seconds,
        };
        body.push(text(
            MARGIN,
            top - 12.0,
            "start",
            "plot-ink",
            &fitted(&panel.heading, TEXT_SIZE, width - 2.0 * MARGIN),
        ));
        body.extend(draw_panel(panel, &area, for_names));
        y = bottom;
    }
    for tick in &x.ticks {
        let at = left + (right - left) * x.place(tick.value);
        body.push(text(at, y + 20.0, "middle", "plot-muted", &tick.label));
    }
    y += 40.0;
    let axis_name = format!("time since the start ({})", time_form(seconds));
    body.push(text(
        f64::midpoint(left, right),
        y,
        "middle",
        "plot-muted",
        &axis_name,
    ));
    for note in reduction_note(chart, every).iter().chain(&chart.notes) {
        y += LEADING;
        body.push(text(
            MARGIN,
            y + 8.0,
            "start",
            "plot-muted",
            &fitted(note, TEXT_SIZE, width - 2.0 * MARGIN),
        ));
    }
    picture(&heading, (width, y + MARGIN + 4.0), body, stands_alone)
}

/// Explanation of points and bands, if a point covers several seconds.
fn reduction_note(chart: &TimeChart, every: usize) -> Option<String> {
    if every == 1 {
        return None;
    }
    let time = match every {
        ..60 => format!("{every} s"),
        60..3_600 => format!("{} min", every / 60),
        3_600..86_400 => format!("{} h", every / 3_600),
        _ => format!("{} days", every / 86_400),
    };
    let mut middles: Vec<&str> = chart
        .series()
        .map(|(_, series)| series.middle.name())
        .collect();
    middles.sort_unstable();
    middles.dedup();
    let middle = middles.join(" or ");
    Some(format!(
        "Each point covers {time}: lines show the {middle} of its seconds, bands range from the lowest to the highest value."
    ))
}

fn y_axis(panel: &Panel) -> Axis {
    let ranges: Vec<f64> = panel
        .series
        .iter()
        .filter_map(|series| range_of(&series.values))
        .flat_map(|(low, high)| [low, high])
        .chain(
            panel
                .thresholds
                .iter()
                .filter_map(|threshold| crate::reduce::drawable(threshold.value)),
        )
        .collect();
    let about = (f64::from(panel.height) / 45.0).max(2.0);
    match (panel.quantity, panel.scale) {
        (Quantity::Share, _) => Axis::share(),
        (quantity, YScale::Linear) => Axis::linear(ranges.into_iter(), quantity, about),
        (quantity, YScale::LogWhenWide) => Axis::log_when_wide(ranges.into_iter(), quantity, about),
    }
}

/// All names next to the panel.
fn names(panel: &Panel) -> impl Iterator<Item = String> {
    let series = panel.series.iter().map(name_of);
    let thresholds = panel
        .thresholds
        .iter()
        .map(|threshold| threshold.name.clone());
    let shades = panel.shades.iter().map(|shade| shade.name.clone());
    series.chain(thresholds).chain(shades)
}

fn name_of(series: &Series) -> String {
    match range_of(&series.values) {
        Some(_) => series.name.clone(),
        None => format!("{} (unknown)", series.name),
    }
}

fn widest(contents: impl Iterator<Item = impl AsRef<str>>) -> f64 {
    contents
        .map(|content| width_of(content.as_ref(), TEXT_SIZE))
        .fold(0.0, f64::max)
}

fn draw_panel(panel: &Panel, area: &Area, for_names: f64) -> Vec<Element> {
    let mut labels = Vec::new();
    let mut body = Vec::new();
    for shade in &panel.shades {
        body.push(area.shade(&shade.seconds));
        labels.push(Label {
            name: shade.name.clone(),
            wished: area.top + 2.0,
            tone: None,
        });
    }
    body.extend(grid(area));
    let mut ends = Vec::new();
    for series in &panel.series {
        let drawn = area.series(series);
        body.push(drawn.marks);
        if let Some((x, y)) = drawn.end {
            ends.push(group(series.tone.class(), [series.tone.marker(x, y)]));
        }
        let wished = drawn.end.map_or(area.bottom, |(_, y)| y);
        labels.push(Label {
            name: name_of(series),
            wished,
            tone: Some(series.tone),
        });
    }
    for threshold in &panel.thresholds {
        let y = area.y_of(crate::reduce::drawable(threshold.value).unwrap_or(0.0));
        let mut across = line((area.left, y), (area.right, y));
        across.assign("stroke-dasharray", "2 4");
        across.assign("stroke-width", "1.5");
        body.push(group("plot-axis", [across]));
        labels.push(Label {
            name: threshold.name.clone(),
            wished: y,
            tone: None,
        });
    }
    body.extend(ends);
    if panel
        .series
        .iter()
        .all(|series| range_of(&series.values).is_none())
    {
        let middle = (
            f64::midpoint(area.left, area.right),
            f64::midpoint(area.top, area.bottom),
        );
        body.push(text(middle.0, middle.1, "middle", "plot-muted", "no data"));
    }
    body.extend(beside(&labels, area, for_names));
    body
}

/// Grid, ticks and the lines of both axes.
fn grid(area: &Area) -> Vec<Element> {
    let mut body = Vec::new();
    let mut lines = Vec::new();
    for tick in &area.y.ticks {
        let y = area.y_of(tick.value);
        lines.push(line((area.left, y), (area.right, y)));
        body.push(text(
            area.left - 8.0,
            y + 4.5,
            "end",
            "plot-muted",
            &tick.label,
        ));
    }
    for tick in &area.x.ticks {
        let x = area.x_of(tick.value);
        lines.push(line((x, area.top), (x, area.bottom)));
    }
    let ground = line((area.left, area.bottom), (area.right, area.bottom));
    let mut grid = vec![group("plot-grid", lines), group("plot-axis", [ground])];
    grid.append(&mut body);
    grid
}

/// The names next to a panel, each connected to its element.
fn beside(labels: &[Label], area: &Area, room: f64) -> Vec<Element> {
    let wished: Vec<f64> = labels.iter().map(|label| label.wished).collect();
    let heights = spread(&wished, area.top, area.bottom);
    let mut body = Vec::new();
    for (label, height) in labels.iter().zip(heights) {
        let to = area.right + TO_NAME - 8.0;
        let mut tie = element(
            "path",
            [(
                "d",
                format!(
                    "M{} {}C{} {} {} {} {} {}",
                    px(area.right + 5.0),
                    px(label.wished),
                    px(area.right + 13.0),
                    px(label.wished),
                    px(area.right + 9.0),
                    px(height),
                    px(to - 6.0),
                    px(height),
                ),
            )],
        );
        tie.assign("fill", "none");
        let marks = match label.tone {
            Some(tone) => group(tone.class(), [tie, tone.marker(to - 1.0, height)]),
            None => group("plot-axis", [tie]),
        };
        body.push(marks);
        let name = fitted(&label.name, TEXT_SIZE, room);
        body.push(text(
            area.right + TO_NAME,
            height + 4.5,
            "start",
            "plot-ink",
            &name,
        ));
    }
    body
}
