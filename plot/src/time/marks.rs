//! The marks within a panel: lines, areas, steps, bands, shades.

use std::fmt::Write;

use svg::Node;
use svg::node::element::Element;

use super::{Series, Shape};
use crate::document::{element, group, px};
use crate::reduce::{Bucket, reduce};
use crate::scale::Axis;

/// Position and scales of a panel, in px.
pub(super) struct Area<'a> {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) x: &'a Axis,
    pub(super) y: Axis,
    /// Seconds per point, and total seconds.
    pub(super) every: usize,
    pub(super) seconds: usize,
}

/// The position of a known point and of its range.
struct Point {
    /// Start, middle and end of its time.
    x: [f64; 3],
    low: f64,
    middle: f64,
    high: f64,
}

/// A drawn series.
pub(super) struct Drawn {
    pub(super) marks: Element,
    /// Its last known point, if it has one.
    pub(super) end: Option<(f64, f64)>,
}

impl Area<'_> {
    pub(super) fn x_of(&self, second: f64) -> f64 {
        self.left + (self.right - self.left) * self.x.place(second)
    }

    pub(super) fn y_of(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * self.y.place(value)
    }

    /// Start and end of the point at an index of the series, in seconds.
    fn times(&self, at: usize) -> (f64, f64) {
        let begin = at * self.every;
        (begin as f64, (begin + self.every).min(self.seconds) as f64)
    }

    /// The series in its shape, with a band from lowest to highest if a point covers several seconds.
    pub(super) fn series(&self, series: &Series) -> Drawn {
        let runs = self.runs(&reduce(&series.values, self.every, series.middle));
        let mut marks = group(series.tone.class(), []);
        let mut add = |mark: Option<Element>| mark.into_iter().for_each(|mark| marks.append(mark));
        if self.every > 1 {
            add(path(&bands(&runs, series.shape), &BAND));
        } else if series.shape != Shape::Line {
            add(path(&self.areas(&runs, series.shape), &FAINT));
        }
        // The fill already distinguishes it, and dashes would break up its outline.
        let dash = match series.shape {
            Shape::Line => series.tone.dash(),
            Shape::Area | Shape::Steps => "none",
        };
        let outlines = [
            ("fill", "none"),
            ("stroke-width", "1.75"),
            ("stroke-linejoin", "round"),
            ("stroke-dasharray", dash),
        ];
        let lines: String = runs
            .iter()
            .filter(|run| run.len() > 1 || series.shape == Shape::Steps)
            .map(|run| through(along(run, series.shape, |point| point.middle)))
            .collect();
        add(path(&lines, &outlines));
        // A single second between gaps would be a line without length.
        if series.shape != Shape::Steps {
            for point in runs.iter().filter(|run| run.len() == 1).flatten() {
                let radius = ("r", "2".to_owned());
                let middle = [("cx", px(point.x[1])), ("cy", px(point.middle)), radius];
                add(Some(element("circle", middle)));
            }
        }
        let last = runs.last().and_then(|run| run.last());
        let end = last.map(|point| match series.shape {
            Shape::Steps => (point.x[2], point.middle),
            Shape::Line | Shape::Area => (point.x[1], point.middle),
        });
        Drawn { marks, end }
    }

    /// Shaded times: a light background with a distinct bar along the top.
    pub(super) fn shade(&self, seconds: &[bool]) -> Element {
        let shaded =
            |chunk: &[bool]| 2 * chunk.iter().filter(|shaded| **shaded).count() >= chunk.len();
        let shaded: Vec<bool> = seconds.chunks(self.every).map(shaded).collect();
        let (mut grounds, mut bars, mut at) = (String::new(), String::new(), 0);
        for run in shaded.chunk_by(|one, other| one == other) {
            if run[0] {
                let left = px(self.x_of(self.times(at).0));
                let right = px(self.x_of(self.times(at + run.len() - 1).1));
                let (top, bottom) = (px(self.top), px(self.bottom));
                let bar = px(self.top + 4.0);
                let _ = write!(grounds, "M{left} {top}H{right}V{bottom}H{left}z");
                let _ = write!(bars, "M{left} {top}H{right}V{bar}H{left}z");
            }
            at += run.len();
        }
        let ground = path(&grounds, &[("stroke", "none"), ("fill-opacity", "0.12")]);
        let bar = path(&bars, &[("stroke", "none")]);
        group("plot-muted", ground.into_iter().chain(bar))
    }

    /// The known points, in runs without gaps.
    fn runs(&self, buckets: &[Option<Bucket>]) -> Vec<Vec<Point>> {
        let mut runs: Vec<Vec<Point>> = vec![Vec::new()];
        for (at, bucket) in buckets.iter().enumerate() {
            match (bucket, runs.last_mut()) {
                (Some(bucket), Some(run)) => {
                    let (begin, end) = self.times(at);
                    run.push(Point {
                        x: [begin, f64::midpoint(begin, end), end].map(|second| self.x_of(second)),
                        low: self.y_of(bucket.low),
                        middle: self.y_of(bucket.middle),
                        high: self.y_of(bucket.high),
                    });
                }
                _ => runs.push(Vec::new()),
            }
        }
        runs.retain(|run| !run.is_empty());
        runs
    }

    /// The outlines of the areas below each run, down to zero.
    fn areas(&self, runs: &[Vec<Point>], shape: Shape) -> String {
        let mut d = String::new();
        let ground = px(self.y_of(0.0));
        for run in runs {
            let outline = along(run, shape, |point| point.middle);
            if let (Some((left, _)), Some((right, _))) = (outline.first(), outline.last()) {
                let (left, right) = (px(*left), px(*right));
                let _ = write!(d, "{}L{right} {ground}L{left} {ground}z", through(outline));
            }
        }
        d
    }
}

/// Style of an area below a line.
const FAINT: [(&str, &str); 2] = [("stroke", "none"), ("fill-opacity", "0.14")];
/// Style of a band around a line; its edge is also drawn, so that a single peak is visible.
const BAND: [(&str, &str); 4] = [
    ("fill-opacity", "0.2"),
    ("stroke-opacity", "0.8"),
    ("stroke-width", "0.75"),
    ("stroke-linejoin", "round"),
];

/// The points of a run at one of their heights: the middles of their times, or start and end of each.
fn along(run: &[Point], shape: Shape, height: fn(&Point) -> f64) -> Vec<(f64, f64)> {
    let places: &[usize] = match shape {
        Shape::Steps => &[0, 2],
        Shape::Line | Shape::Area => &[1],
    };
    let at = |point: &Point| {
        places
            .iter()
            .map(|place| (point.x[*place], height(point)))
            .collect::<Vec<_>>()
    };
    run.iter().flat_map(at).collect()
}

/// Outline along the highest values of each run and back along its lowest; a single point is as wide as its time.
fn bands(runs: &[Vec<Point>], shape: Shape) -> String {
    let band = |run: &Vec<Point>| {
        let shape = if run.len() == 1 { Shape::Steps } else { shape };
        let mut outline = along(run, shape, |point| point.high);
        let low = along(run, shape, |point| point.low);
        outline.extend(low.into_iter().rev());
        through(outline) + "z"
    };
    runs.iter().map(band).collect()
}

/// A path through points.
fn through(points: Vec<(f64, f64)>) -> String {
    let mut d = String::new();
    for (x, y) in points {
        let turn = if d.is_empty() { 'M' } else { 'L' };
        let _ = write!(d, "{turn}{} {}", px(x), px(y));
    }
    d
}

/// A path with attributes, unless it is empty.
fn path(d: &str, attributes: &[(&str, &str)]) -> Option<Element> {
    let mut path = (!d.is_empty()).then(|| element("path", [("d", d.to_owned())]))?;
    for (name, value) in attributes {
        path.assign(*name, *value);
    }
    Some(path)
}
