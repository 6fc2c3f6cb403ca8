//! Points over two axes of numbers, of which few are the best: lower left is better.
//!
//! As in [`FluidChart`](crate::FluidChart), the root element has no `viewBox`, and there are only classes, those of `console.css`:
//! `plot`, `grid`, `missed`, `threshold`, `line front`, `pt` with the kind of the mark, `leader`, `axis-x`, `axis-title`. All text is
//! escaped.

use super::document::{escaped, px};
use super::plane::{HEIGHT, Plane, WIDTH};
use super::quantity::Quantity;
use super::reduce::drawable;
use super::scale::Axis;

/// Steps of the horizontal and of the vertical axis.
const STEPS: (f64, f64) = (6.0, 5.0);
/// How far above the objective the axis reaches.
const ABOVE_OBJECTIVE: f64 = 1.2;
/// How far above the median the axis reaches without an objective.
const ABOVE_MEDIAN: f64 = 3.0;
/// Where points are drawn that are above the axis, in px from the top.
const TOP: f64 = 10.0;
/// Height of the lowest label that is visible, in px from the top; further ones are `ROW` higher each.
const LOWEST_LABEL: f64 = 335.0;
/// Distance from one visible label to the next, in px.
const ROW: f64 = 36.0;
/// Distance from the first line of a visible label to the second one, in px.
const LINE: f64 = 15.0;
/// Distance from the centre of a mark to its leader, in px.
const LEADER: f64 = 12.0;
/// Position from which on a visible label ends at its mark, so that it does not leave the chart.
const NEAR_END: f64 = 0.6;

/// A chart of points.
#[derive(Debug, Clone)]
pub struct ScatterChart {
    /// Prefix of the IDs within the chart: letters, digits and hyphens, unique on its page.
    pub id: String,
    /// Accessible title: what is drawn.
    pub title: String,
    /// Accessible description in sentences.
    pub description: String,
    /// Name of the horizontal axis. The page names the vertical one above the chart.
    pub x_label: String,
    /// Unit of the horizontal axis, for the ticks.
    pub x_quantity: Quantity,
    /// Unit of the vertical axis, for the ticks.
    pub y_quantity: Quantity,
    /// The value above which a point misses the objective.
    pub objective: Option<f64>,
    /// The points. Those with a value that is not finite are left out.
    pub points: Vec<ScatterPoint>,
}

/// A point.
#[derive(Debug, Clone)]
pub struct ScatterPoint {
    /// Its value on the horizontal axis.
    pub x: f64,
    /// Its value on the vertical axis.
    pub y: f64,
    /// How it is marked.
    pub mark: ScatterMark,
    /// Whether no other point is both further left and lower. A line connects these points.
    pub is_on_front: bool,
    /// Label, shown while the pointer is on it.
    pub label: String,
    /// Label that is always visible: its name and its values.
    pub visible_label: Option<[String; 2]>,
}

/// How a point is marked. Every mark has its own shape, so that it does not need its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScatterMark {
    /// A cross.
    Missed,
    /// A hollow dot.
    Dominated,
    /// A dot.
    Front,
    /// A triangle.
    Current,
    /// A diamond.
    RunnerUp,
    /// A dot in a ring.
    Recommended,
}

impl ScatterMark {
    /// Its class.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Missed => "is-failed",
            Self::Dominated => "is-dominated",
            Self::Front => "is-front",
            Self::Current => "is-current",
            Self::RunnerUp => "is-runner-up",
            Self::Recommended => "is-recommended",
        }
    }

    /// Its shape around the origin.
    fn shape(self) -> &'static str {
        match self {
            Self::Missed => r#"<path class="mark" d="M-4.5-4.5 4.5 4.5M4.5-4.5-4.5 4.5"/>"#,
            Self::Dominated => r#"<circle class="mark" r="4.5"/>"#,
            Self::Front => r#"<circle class="mark" r="5"/>"#,
            Self::Current => r#"<path class="mark" d="M0-8 8 6.5H-8Z"/>"#,
            Self::RunnerUp => r#"<path class="mark" d="M0-8 8 0 0 8-8 0Z"/>"#,
            Self::Recommended => r#"<circle class="ring" r="11"/><circle class="mark" r="7"/>"#,
        }
    }

    /// The mark at a place: `x` in percent, `y` in px. `more` is drawn around the same origin.
    pub(super) fn drawn(self, x: &str, y: f64, label: &str, more: &str) -> String {
        format!(
            "<svg class=\"pt {}\" x=\"{x}\" y=\"{}\"><title>{}</title>{}{more}</svg>\n",
            self.class(),
            px(y),
            escaped(label),
            self.shape()
        )
    }
}

impl ScatterChart {
    /// The `svg` element, for a page with the stylesheet of the console.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let mut points: Vec<ScatterPoint> = self.points.iter().filter_map(finite).collect();
        let objective = self.objective.and_then(drawable);
        let limit = limit(&points, objective);
        let xs = points.iter().map(|point| point.x);
        let ys = points
            .iter()
            .map(|point| point.y)
            .filter(|y| *y <= limit)
            .chain(objective);
        let plane = Plane {
            x: Axis::around(xs, self.x_quantity, STEPS.0),
            y: Axis::around(ys, self.y_quantity, STEPS.1),
        };
        let mut svg = plane.start(&self.id, &self.title, &self.description);
        if let Some(objective) = objective {
            svg += &format!(
                "<rect class=\"missed\" x=\"0\" width=\"100%\" y=\"0\" height=\"{}\"/>\n",
                px(plane.y_of(objective))
            );
            let name = format!("objective: {}", self.y_quantity.say(objective));
            svg += &plane.threshold(&name, objective, false);
        }
        svg += &front(&plane, &points, limit);
        let slots = label_slots(&points);
        let mut order: Vec<(ScatterPoint, Option<f64>)> = points.drain(..).zip(slots).collect();
        // The most important ones are drawn last, above the others.
        order.sort_by_key(|(point, _)| point.mark);
        for (point, slot) in &order {
            svg += &self.point(&plane, point, limit, *slot);
        }
        svg + &plane.end(&self.x_label)
    }

    fn point(&self, plane: &Plane, point: &ScatterPoint, limit: f64, slot: Option<f64>) -> String {
        let is_above = point.y > limit;
        let y = if is_above { TOP } else { plane.y_of(point.y) };
        let mut more = String::new();
        if is_above {
            let value = self.y_quantity.say(point.y);
            more += &format!("<text x=\"12\" y=\"4\">{}</text>", escaped(&value));
        }
        if let (Some(lines), Some(slot)) = (&point.visible_label, slot) {
            let is_near_end = plane.x.place(point.x) > NEAR_END;
            more += &visible_label(lines, slot, y, is_near_end);
        }
        point
            .mark
            .drawn(&plane.x_of(point.x), y, &point.label, &more)
    }
}

/// The point with values that can be drawn.
fn finite(point: &ScatterPoint) -> Option<ScatterPoint> {
    Some(ScatterPoint {
        x: drawable(point.x)?,
        y: drawable(point.y)?,
        ..point.clone()
    })
}

/// The value above which points are drawn at the top edge, with their value.
fn limit(points: &[ScatterPoint], objective: Option<f64>) -> f64 {
    let mut ys: Vec<f64> = points.iter().map(|point| point.y).collect();
    ys.sort_by(f64::total_cmp);
    let Some(median) = ys.get(ys.len() / 2).copied() else {
        return f64::INFINITY;
    };
    // Where most points miss the objective, they are what there is to see.
    match objective.map(|objective| objective * ABOVE_OBJECTIVE) {
        Some(limit) if median <= limit => limit,
        _ if median > 0.0 => median * ABOVE_MEDIAN,
        _ => f64::INFINITY,
    }
}

/// The line below which there are no points: from one point of the front to the next, with a step at each.
fn front(plane: &Plane, points: &[ScatterPoint], limit: f64) -> String {
    let mut on_front: Vec<(f64, f64)> = points
        .iter()
        .filter(|point| point.is_on_front && point.y <= limit)
        .map(|point| (point.x, point.y))
        .collect();
    on_front.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let Some((first, _)) = on_front.first() else {
        return String::new();
    };
    let mut path = format!("M{} 0", px(plane.stretched_x(*first)));
    let mut lowest = f64::INFINITY;
    for (x, y) in on_front {
        if y < lowest {
            path += &format!("H{}V{}", px(plane.stretched_x(x)), px(plane.y_of(y)));
            lowest = y;
        }
    }
    path += &format!("H{WIDTH}");
    Plane::stretched(&format!("<path class=\"line front\" d=\"{path}\"/>"))
}

/// Height of the first line of each visible label, in px from the top: one row for each label, the leftmost one lowest, so that they do not
/// overlap.
fn label_slots(points: &[ScatterPoint]) -> Vec<Option<f64>> {
    let mut labelled: Vec<usize> = (0..points.len())
        .filter(|place| points[*place].visible_label.is_some())
        .collect();
    labelled.sort_by(|a, b| points[*a].x.total_cmp(&points[*b].x));
    let mut slots = vec![None; points.len()];
    for (row, place) in labelled.into_iter().enumerate() {
        slots[place] = Some((LOWEST_LABEL - ROW * row as f64).max(LINE));
    }
    slots
}

/// Two lines of text at the end of a leader, in the row at `slot`; where the mark at `at` is too low for that, in a row above it.
fn visible_label([name, values]: &[String; 2], slot: f64, at: f64, is_near_end: bool) -> String {
    let (x, end) = if is_near_end { (6, true) } else { (-2, false) };
    let (class, second) = if end {
        ("pt-label end", " class=\"end\"")
    } else {
        ("pt-label", "")
    };
    let is_below = slot - LINE - at > LEADER;
    // The rows above a mark are as far apart as those below it.
    let above = LOWEST_LABEL - slot + 3.0 * LINE;
    let (y, from, to) = match is_below {
        true => (slot - at, LEADER, slot - at - LINE),
        false => (-above, -LEADER, LINE + 4.0 - above),
    };
    let leader = format!(
        r#"<line class="leader" x1="0" x2="0" y1="{}" y2="{}"/>"#,
        px(from),
        px(to)
    );
    format!(
        "{leader}<text class=\"{class}\" x=\"{x}\" y=\"{}\">{}</text><text{second} x=\"{x}\" y=\"{}\">{}</text>",
        px(y),
        escaped(name),
        px(y + LINE),
        escaped(values)
    )
}

/// The largest height is what the axis has.
const _: () = assert!(LOWEST_LABEL + LINE < HEIGHT);

#[cfg(test)]
mod tests;
