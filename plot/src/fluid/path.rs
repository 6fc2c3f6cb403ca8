//! Outlines of lines and areas, in the units of the stretched part of a chart.

use super::{FluidChart, FluidLine};
use crate::document::px;
use crate::scale::Axis;
use crate::time::Shape;

/// Width of the stretched part, in its own units.
pub(super) const WIDTH: f64 = 1_800.0;

/// A known value.
struct Point {
    /// Start, middle and end of its step.
    left: f64,
    middle: f64,
    right: f64,
    y: String,
}

/// The outline of a line, or of the area below it: one subpath for each run of known values.
pub(super) fn outline(chart: &FluidChart, line: &FluidLine, y: &Axis, is_area: bool) -> String {
    let height = f64::from(chart.height);
    let point = |step: usize| {
        let value = line.value(step)?;
        let (left, right) = chart.bounds(step);
        let (left, right) = (left * WIDTH, right * WIDTH);
        Some(Point {
            left,
            middle: f64::midpoint(left, right),
            right,
            y: px(height * (1.0 - y.place(value))),
        })
    };
    let points: Vec<Option<Point>> = (0..chart.steps().min(line.values.len()))
        .map(point)
        .collect();
    points
        .split(Option::is_none)
        .map(|run| {
            let run: Vec<&Point> = run.iter().flatten().collect();
            subpath(&run, line.shape, is_area.then_some(height))
        })
        .collect()
}

/// The subpath of one run, closed at `bottom` if it is an area.
fn subpath(run: &[&Point], shape: Shape, bottom: Option<f64>) -> String {
    let [first, .., last] = run else {
        return run
            .first()
            .map_or_else(String::new, |point| flat(point, bottom));
    };
    let is_stepped = shape == Shape::Steps;
    let from = if is_stepped { first.left } else { first.middle };
    let mut path = format!("M{} {}", px(from), first.y);
    for pair in run.windows(2) {
        let (before, point) = (pair[0], pair[1]);
        if !is_stepped {
            path.push_str(&format!("L{} {}", px(point.middle), point.y));
        } else if before.y != point.y {
            path.push_str(&format!("H{}V{}", px(point.left), point.y));
        }
    }
    if is_stepped {
        path.push_str(&format!("H{}", px(last.right)));
    }
    path + &closed(from, bottom)
}

/// A level line over one step.
fn flat(point: &Point, bottom: Option<f64>) -> String {
    let (left, right) = (px(point.left), px(point.right));
    format!("M{left} {}H{right}{}", point.y, closed(point.left, bottom))
}

fn closed(from: f64, bottom: Option<f64>) -> String {
    bottom.map_or_else(String::new, |bottom| {
        format!("V{}H{}Z", px(bottom), px(from))
    })
}
